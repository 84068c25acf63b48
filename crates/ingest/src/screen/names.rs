//! Names of persons, Korean and Latin: told in columns that could hold them, never in running text.

use super::Names;
use super::plain::plain;

/// Family names that nearly all Koreans have, by population.
const FAMILY: &str = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노정하곽성차주우구신임나전민유진지엄채원천방공강현함변염양변여추노도소신석선설마길주연방위표명기반왕금옥육인맹제모장남탁국여진어은편구용예경봉사부가복태목형피두감음빈동온호범좌팽승간상시갈";
/// Family names of two syllables.
const DOUBLE: [&str; 7] = ["남궁", "황보", "제갈", "선우", "독고", "사공", "서문"];

/// Words in a column's name that say that it holds a name of a person.
const WORDS: [&str; 19] = [
    "name",
    "firstname",
    "lastname",
    "surname",
    "forename",
    "fullname",
    "patientname",
    "ptname",
    "maiden",
    "firstnm",
    "lastnm",
    "patname",
    "patnm",
    "ptnm",
    "hngnm",
    "hngname",
    "kornm",
    "engnm",
    "custnm",
];
/// The same in Korean, which stand within other words.
const KOREAN: [&str; 5] = ["성명", "이름", "환자명", "보호자명", "성함"];
/// Words behind which `NM`, the word of Korean registers for a name, is that of a person.
const PERSONS: [&str; 12] = [
    "pt", "pat", "patient", "hng", "han", "kor", "eng", "cust", "guardian", "first", "last",
    "family",
];
/// Names of columns that are a part of a name by themselves.
const PARTS: [&str; 6] = ["first", "last", "given", "family", "middle", "maiden name"];
/// Words for whom a column is about: a name, or how they are related to the patient.
const RELATED: [&str; 7] = [
    "guardian",
    "kin",
    "수진자",
    "고객명",
    "피보험자",
    "보호자",
    "가입자명",
];
/// Relations that begin like a name.
const RELATIONS: [&str; 24] = [
    "배우자",
    "어머니",
    "남편",
    "부모",
    "부친",
    "부인",
    "사위",
    "조카",
    "조부",
    "조모",
    "조부모",
    "이모",
    "이모부",
    "고모",
    "고모부",
    "손자",
    "손녀",
    "장남",
    "장녀",
    "차남",
    "차녀",
    "오빠",
    "형제",
    "남동생",
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
pub(super) fn of_column(column: &str) -> Names {
    let lower = plain(column).to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    // `성 명` is common in print.
    let together: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
    let names = words.iter().any(|word| WORDS.contains(word))
        || (words.contains(&"nm") && words.iter().any(|word| PERSONS.contains(word)))
        || PARTS.contains(&lower.trim())
        || KOREAN.iter().any(|word| together.contains(word));
    if words.iter().any(|word| THINGS.contains(word)) {
        Names::No
    } else if names {
        Names::Parts
    } else if RELATED
        .iter()
        .any(|word| words.contains(word) || (!word.is_ascii() && together.contains(word)))
    {
        Names::Whole
    } else {
        Names::No
    }
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
    let honorific = ["님", "씨", "귀하"]
        .iter()
        .find_map(|word| text.strip_suffix(word));
    let name = honorific.map_or(text, str::trim_end);
    match name.split_once(' ') {
        Some((family, given)) if family.chars().count() == 1 || DOUBLE.contains(&family) => {
            is_korean_name(&format!("{family}{given}"))
        }
        _ => is_korean_name(name) || is_korean_name(text),
    }
}

fn is_korean_name(text: &str) -> bool {
    if RELATIONS.contains(&text) {
        return false;
    }
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
            "김 민준",
            "김민준 님",
            "John Smith",
            "SMITH, John",
            "Mary J. O'Neil",
            "Anna-Lena Müller",
        ] {
            assert!(looks_like_name(name, false), "{name}");
        }
        for text in [
            "고혈압이 있다",
            "배우자",
            "어머니",
            "당뇨 있음",
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
            "PT_NM",
            "PAT_NM",
            "HNG_NM",
            "patname",
            "성 명",
            "\u{1109}\u{1165}\u{11bc}\u{1106}\u{1167}\u{11bc}",
            "first",
        ] {
            assert_eq!(of_column(column), Names::Parts, "{column}");
        }
        for column in [
            "drug_name",
            "test_name",
            "namespace",
            "hospital_name",
            "concept_name",
            "unit",
            "drug_nm",
            "dept_nm",
            "family_history",
            "nm",
        ] {
            assert_eq!(of_column(column), Names::No, "{column}");
        }
        for column in ["guardian", "next_of_kin", "수진자", "피보험자"] {
            assert_eq!(of_column(column), Names::Whole, "{column}");
        }
    }
}
