//! Names of persons, Korean and Latin: told in columns that could hold them, never in running text.

/// Family names that nearly all Koreans have, by population.
const FAMILY: &str = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노정하곽성차주우구신임나전민유진지엄채원천방공강현함변염양변여추노도소신석선설마길주연방위표명기반왕금옥육인맹제모장남탁국여진어은편구용예경봉사부가복태목형피두감음빈동온호범좌팽승간상시갈";
/// Family names of two syllables.
const DOUBLE: [&str; 7] = ["남궁", "황보", "제갈", "선우", "독고", "사공", "서문"];

/// Words in a column's name that say that it holds a name of a person.
const WORDS: [&str; 14] = [
    "name",
    "firstname",
    "lastname",
    "surname",
    "forename",
    "fullname",
    "patientname",
    "ptname",
    "maiden",
    "성명",
    "이름",
    "환자명",
    "보호자명",
    "성함",
];
/// With one of these, a name is that of a thing.
const THINGS: [&str; 24] = [
    "drug",
    "test",
    "item",
    "unit",
    "file",
    "table",
    "dept",
    "department",
    "ward",
    "hospital",
    "clinic",
    "concept",
    "code",
    "class",
    "disease",
    "diagnosis",
    "procedure",
    "device",
    "product",
    "brand",
    "generic",
    "domain",
    "study",
    "site",
];

/// Whether a column that the model does not have may hold names of persons, by its own name.
pub(super) fn may_hold_names(column: &str) -> bool {
    let lower = column.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    let names = words.iter().any(|word| WORDS.contains(word))
        || WORDS[9..].iter().any(|word| lower.contains(word));
    names && !words.iter().any(|word| THINGS.contains(word))
}

/// Whether a text looks like the name of a person: two to four Hangul syllables after a family name, or two to four
/// capitalised words; one such word where the column says that it holds a part of a name.
pub(super) fn looks_like_name(text: &str, part_of_name: bool) -> bool {
    let text = text.trim();
    if text.is_empty() || text.len() > 60 {
        return false;
    }
    is_korean(text) || is_latin(text, part_of_name)
}

fn is_korean(text: &str) -> bool {
    let count = text.chars().count();
    let hangul = text.chars().all(|c| ('가'..='힣').contains(&c));
    hangul
        && (2..=5).contains(&count)
        && ((count <= 4 && text.chars().next().is_some_and(|c| FAMILY.contains(c)))
            || (count >= 3 && DOUBLE.iter().any(|family| text.starts_with(family))))
}

fn is_latin(text: &str, part_of_name: bool) -> bool {
    let words: Vec<&str> = text
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let fits = |word: &&str| {
        let letters = word.trim_end_matches('.');
        letters.chars().next().is_some_and(char::is_uppercase)
            && letters
                .chars()
                .all(|c| c.is_alphabetic() || matches!(c, '-' | '\''))
    };
    // An initial is a word of one letter; all the others have more.
    let long = words.iter().filter(|word| word.chars().count() > 2).count();
    let least = if part_of_name { 1 } else { 2 };
    (least..=4).contains(&words.len()) && words.iter().all(fits) && long >= least.min(words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_persons() {
        for name in [
            "김철수",
            "이영",
            "남궁민수",
            "John Smith",
            "SMITH, John",
            "Mary J. O'Neil",
            "Anna-Lena Müller",
        ] {
            assert!(looks_like_name(name, false), "{name}");
        }
        for text in [
            "고혈압이 있다",
            "P0012345",
            "12",
            "type 2 diabetes",
            "Aspirin",
            "M",
            "female",
            "",
        ] {
            assert!(!looks_like_name(text, false), "{text}");
        }
        assert!(looks_like_name("Smith", true));
        assert!(!looks_like_name("Smith12", true));
    }

    #[test]
    fn columns_that_may_hold_names() {
        for column in [
            "patient_name",
            "name",
            "FIRST_NAME",
            "환자명",
            "guardian name",
            "보호자명2",
        ] {
            assert!(may_hold_names(column), "{column}");
        }
        for column in [
            "drug_name",
            "test_name",
            "namespace",
            "hospital_name",
            "concept_name",
            "unit",
        ] {
            assert!(!may_hold_names(column), "{column}");
        }
    }
}
