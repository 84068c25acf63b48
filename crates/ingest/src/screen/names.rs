//! Names of persons, Korean and Latin: told in columns that could hold them, never in running text.

use super::Names;
use super::plain::plain;

/// Family names that nearly all Koreans have, by population.
const FAMILY: &str = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노정하곽성차주우구신임나전민유진지엄채원천방공강현함변염양변여추노도소신석선설마길주연방위표명기반왕금옥육인맹제모장남탁국여진어은편구용예경봉사부가복태목형피두감음빈동온호범좌팽승간상시갈";
/// Family names of two syllables.
const DOUBLE: [&str; 7] = ["남궁", "황보", "제갈", "선우", "독고", "사공", "서문"];

/// Words in a column's name that say that it holds a name of a person.
const WORDS: [&str; 3] = ["maiden", "surname", "forename"];
/// The same in Korean, which stand within other words.
const KOREAN: [&str; 5] = ["성명", "이름", "환자명", "보호자명", "성함"];
/// Persons in Korean, before `명`, the word for a name.
const KOREAN_PERSONS: &str = "\
    환자 보호자 산모 신생아 아기 자녀 배우자 가족 모친 부친 수진자 수검자 피검자 대상자 참여자 피험자 가입자 피보험자 신청자 고객 회원 \
    대리인 의사 간호사 약사 교수 전공의 전문의 주치의 담당의 담당자 진료의 처방의 판독의 집도의 마취의 검사자 작성자 기록자 등록자 \
    입력자 확인자 수정자 의뢰자 직원 사용자";
/// Who a name may be of, or which part of a person's name it is, before `name` and `NM`, the word of Korean registers.
const PERSONS: &str = "\
    pt pat patient person people individual subject participant member subscriber insured beneficiary applicant client \
    customer cust user login nick baby infant child newborn parent mother father mom dad spouse husband wife partner son \
    daughter brother sister sibling relative guardian kin carer caregiver caller contact donor recipient first last \
    family given middle full maiden sur fore preferred legal former birth alias staff employee emp worker doctor dr \
    physician phys surgeon anesthetist anesthesiologist radiologist pathologist dentist nurse nurses midwife clinician \
    practitioner provider therapist pharmacist technician operator attending resident intern referrer prescriber \
    author writer recorder reporter reader signer witness performer requester orderer investigator coordinator owner \
    teacher student sender receiver 환자 산모 보호자 의사 교수 간호사 직원 담당의 주치의";
/// How a person's name is written.
const SCRIPTS: [&str; 4] = ["hng", "han", "kor", "eng"];
/// Names of columns that are a part of a name by themselves.
const PARTS: [&str; 6] = ["first", "last", "given", "family", "middle", "maiden name"];
/// Words for whom a column is about: a name, or how they are related to the patient.
const RELATED: [&str; 10] = [
    "guardian",
    "kin",
    "nok",
    "수검자",
    "대리인",
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
const THINGS: &str = "\
    agency allergen allergy analyte analyzer anesthesia antibiotic antibody antigen app application arm assay atc \
    attribute bacteria bed body brand building care category cause cell center centre chemical city class clinic code \
    cohort column common company component compound concept condition consent country county course culture database \
    dataset datasource db definition department dept device diag diagnosis diet disease disorder district division document \
    domain dose drug dx encounter episode equipment ethnicity event exam examination facility factor feature field file \
    finding floor food form format formula function gender gene generic genus group hospital icd image imaging indicator \
    ingredient injury institute institution instrument insurance insurer item job kit lab laboratory language level \
    location loinc lot machine maker manufacturer marker material measure measurement med medication medicine menu method \
    metric microbe modality model module nation nationality note observation occupation operation order org organ \
    organisation organism organization package panel param parameter pathogen payer pharmacy phase place plan plant \
    policy position procedure product program project protein protocol province question race reaction reagent \
    region registry relationship religion report role room route sample scale schema school score section series server \
    service set sex shape sign site source species specialty specimen stage standard state station status step strain \
    street study substance supplier surgery symptom syndrome synonym system table task team term test therapy tissue title \
    town treatment trial tribe tumor tumour type unit university vaccine variable variant vendor village virus visit \
    vocabulary ward zone";
/// The same in Korean.
const KOREAN_THINGS: [&str; 9] = [
    "검사", "약품", "약제", "병원", "병동", "진단", "상품", "제품", "파일",
];

/// Names of columns that are about somebody, and hold anything of them: a name, a number, a note.
const LIKELY: [&str; 10] = [
    "pt",
    "nm",
    "patient",
    "contact",
    "emergency_contact",
    "doctor",
    "physician",
    "환자",
    "담당의",
    "주치의",
];
/// Words before names and behind them.
const TITLES: [&str; 23] = [
    "환자",
    "환아",
    "산모",
    "아기",
    "보호자",
    "고객",
    "교수",
    "선생",
    "교수님",
    "선생님",
    "원장",
    "과장",
    "의사",
    "약사",
    "간호사",
    "전공의",
    "전문의",
    "전임의",
    "주치의",
    "담당의",
    "님",
    "씨",
    "귀하",
];
/// Texts that begin like a name, and are what else such columns hold.
const OTHERS: [&str; 19] = [
    "전공의",
    "전문의",
    "주치의",
    "전임의",
    "공보의",
    "보호자",
    "연락처",
    "연락함",
    "전화함",
    "방문함",
    "유선상",
    "이상무",
    "정상임",
    "미상임",
    "주소지",
    "양호함",
    "이하동",
    "한국인",
    "간병인",
];
/// Endings of wards, departments, professions, places and diseases.
const ENDINGS: [&str; 17] = [
    "과", "실", "의", "사", "부", "팀", "함", "됨", "음", "시", "군", "구", "도", "염", "암", "압",
    "증",
];
/// English words that are written with capitals and are no names of persons.
const ENGLISH: [&str; 100] = [
    "abdomen",
    "acid",
    "acute",
    "admission",
    "antibody",
    "antigen",
    "assistant",
    "blood",
    "body",
    "bone",
    "brain",
    "center",
    "centre",
    "chest",
    "chronic",
    "clinic",
    "coli",
    "complete",
    "contact",
    "count",
    "culture",
    "day",
    "department",
    "direct",
    "disease",
    "disorder",
    "doctor",
    "emergency",
    "factor",
    "family",
    "first",
    "fluid",
    "gas",
    "general",
    "heart",
    "home",
    "hospital",
    "in",
    "inpatient",
    "internal",
    "kidney",
    "left",
    "level",
    "liver",
    "lung",
    "medicine",
    "mobile",
    "negative",
    "new",
    "no",
    "none",
    "not",
    "nurse",
    "office",
    "oral",
    "other",
    "out",
    "outpatient",
    "panel",
    "patient",
    "phone",
    "physician",
    "positive",
    "practice",
    "practitioner",
    "primary",
    "profile",
    "rate",
    "red",
    "resident",
    "right",
    "room",
    "screen",
    "serum",
    "service",
    "skin",
    "smear",
    "solution",
    "specialty",
    "stool",
    "surgery",
    "syndrome",
    "system",
    "tablet",
    "test",
    "therapist",
    "time",
    "total",
    "type",
    "unit",
    "unknown",
    "urine",
    "vaccine",
    "virus",
    "visit",
    "ward",
    "white",
    "whole",
    "work",
    "yes",
];

/// Whether a column that the model does not have may hold names of persons, by the table's name and its own.
pub(super) fn of_own(table: &str, has_person: bool, column: &str) -> Names {
    let lower = plain(column).to_lowercase();
    let is_plain = lower
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .split(|c: char| !c.is_alphanumeric())
        .all(|word| word.is_empty() || word == "name" || SCRIPTS.contains(&word));
    if !is_plain || !lower.contains("name") {
        return of_column(column);
    }
    // A plain name is that of a payer, a ward, a test, but in tables of persons.
    let table = plain(table).to_lowercase();
    let last = table.split(|c: char| !c.is_alphanumeric()).next_back();
    if last.is_some_and(|word| is_in(PERSONS, word)) {
        Names::Parts
    } else if has_person {
        Names::Likely
    } else {
        Names::No
    }
}

/// Whether a column that the model does not have may hold names of persons, by its own name.
pub(super) fn of_column(column: &str) -> Names {
    let lower = plain(column).to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .filter(|word| !word.is_empty())
        .flat_map(parted)
        .collect();
    // `성 명` is common in print.
    let together: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
    let has_any = |words: &[&str]| words.iter().any(|word| together.contains(word));
    let thing = words.iter().any(|word| is_in(THINGS, word));
    let of_korean = |word: &&str| {
        let who = word.strip_suffix('명');
        let mut persons = KOREAN_PERSONS.split_whitespace();
        who.is_some_and(|who| persons.any(|person| who.ends_with(person)))
    };
    if let Some(names) = of_words(&words) {
        names
    } else if words.iter().any(of_korean) {
        Names::Parts
    } else if thing || (has_any(&KOREAN_THINGS) && !has_any(&["환자", "보호자"])) {
        Names::No
    } else if words.iter().any(|word| WORDS.contains(word))
        || PARTS.contains(&lower.trim())
        || has_any(&KOREAN)
    {
        Names::Parts
    } else if RELATED
        .iter()
        .any(|word| words.contains(word) || (!word.is_ascii() && together.contains(word)))
    {
        Names::Whole
    } else if LIKELY.contains(&lower.trim()) {
        Names::Likely
    } else {
        Names::No
    }
}

/// `patientname` and `ptnm` as two words.
fn parted(word: &str) -> impl Iterator<Item = &str> {
    let part = ["name", "nm"].into_iter().find_map(|name| {
        let who = word.strip_suffix(name)?;
        (is_in(PERSONS, who) || SCRIPTS.contains(&who)).then_some((who, name))
    });
    let (first, second) = part.map_or((word, None), |(who, name)| (who, Some(name)));
    std::iter::once(first).chain(second)
}

/// What a column called `name` or `NM` of something holds: the word nearest in front says of what, or one behind. What
/// is of neither a person nor a thing by any known word is told by its values.
fn of_words(words: &[&str]) -> Option<Names> {
    let at = words
        .iter()
        .rposition(|word| matches!(*word, "name" | "nm"))?;
    let (before, behind) = (&words[..at], &words[at + 1..]);
    let what = before.iter().rev().chain(behind).find_map(|word| {
        if is_in(PERSONS, word) {
            Some(Names::Parts)
        } else {
            is_in(THINGS, word).then_some(Names::No)
        }
    });
    let others = |word: &&str| !SCRIPTS.contains(word);
    match words[at] {
        _ if what.is_some() => what,
        "nm" if words.len() == 1 => None,
        _ if !before.iter().chain(behind).any(others) => Some(Names::Parts),
        "name" => Some(Names::Likely),
        _ => None,
    }
}

/// Whether one of these is a word or what it is the plural of.
fn is_in(words: &str, word: &str) -> bool {
    let one = word.strip_suffix('s').unwrap_or(word);
    words.split(' ').any(|other| other == word || other == one)
}

/// Whether a text looks like a name to a column that may hold names in this way.
pub(super) fn is_name(text: &str, names: Names) -> bool {
    match names {
        Names::No => false,
        Names::Likely => is_likely(text),
        Names::Whole => looks_like_name(text, false),
        Names::Parts => looks_like_name(text, true),
    }
}

/// Whether a text is a name and hardly anything else: a Korean one of three syllables and more, or English words of names alone.
fn is_likely(text: &str) -> bool {
    let text = text.trim();
    if OTHERS.contains(&text) || ENDINGS.iter().any(|ending| text.ends_with(ending)) {
        return is_surely_korean(text, true);
    }
    let is_english = |word: &str| ENGLISH.iter().any(|other| word.eq_ignore_ascii_case(other));
    let english = text.split(|c: char| !c.is_alphabetic()).any(is_english);
    text.len() <= 60 && (is_surely_korean(text, false) || (!english && is_latin(text, false)))
}

/// Whether a text looks like the name of a person: two to four Hangul syllables after a family name, or two to four
/// capitalised words; one such word where the column says that it holds a part of a name.
pub(super) fn looks_like_name(text: &str, part_of_name: bool) -> bool {
    let text = text.trim();
    if text.is_empty() || text.len() > 60 {
        return false;
    }
    is_korean(text)
        || is_surely_korean(text, false)
        || is_latin(text, part_of_name)
        || text.split_once('(').is_some_and(|(name, age)| {
            age.contains(|c: char| c.is_ascii_digit()) && is_latin(name, false)
        })
}

/// Whether a text is a Korean name of three syllables, or more with a longer family name, and what stands around it in lists of
/// patients: a title, sex and age in brackets, a letter that tells those of one name from each other, a star for a syllable.
fn is_surely_korean(text: &str, with_title: bool) -> bool {
    if text.is_ascii() {
        return false;
    }
    let end = text.find(['(', '[', '<', '/', ',']).unwrap_or(text.len());
    let text = text[..end].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == ' ');
    let words = text.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !TITLES.contains(word)).collect();
    // `김 철 수` is common in print.
    let family = usize::from(words.first().is_some_and(|first| DOUBLE.contains(first)));
    let mut given = words.iter().skip(family);
    let spaced = given.all(|word| word.chars().count() == 1);
    let word = match words.as_slice() {
        [word] => (*word).to_owned(),
        words if spaced => words.concat(),
        _ => return false,
    };
    let name = without_titles(&word);
    if with_title && name.len() == text.len() {
        return false;
    }
    let long = match name.chars().count() {
        3 => true,
        4 | 5 => DOUBLE.iter().any(|family| name.starts_with(family)),
        _ => false,
    };
    long && (is_korean_name(name) || is_masked(name))
}

fn without_titles(word: &str) -> &str {
    let mut name = word;
    while let Some(rest) = TITLES.iter().find_map(|title| {
        let rest = name
            .strip_prefix(title)
            .or_else(|| name.strip_suffix(title));
        rest.filter(|rest| !rest.is_empty())
    }) {
        name = rest;
    }
    name
}

/// `김*수`.
fn is_masked(name: &str) -> bool {
    let syllables = name.chars().filter(|c| ('가'..='힣').contains(c)).count();
    let stars = name.chars().filter(|c| *c == '*').count();
    syllables >= 2
        && stars > 0
        && syllables + stars == name.chars().count()
        && name.chars().next().is_some_and(|c| FAMILY.contains(c))
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
    fn names_in_lists_of_patients() {
        for name in [
            "김 철 수",
            "남궁 민 수",
            "환자 김철수",
            "환자김철수",
            "김철수 환자",
            "김철수(55/M)",
            "김철수 (M/55)",
            "김철수 55/M",
            "김철수A",
            "김철수/900101",
            "김*수",
            "김철*",
            "남궁*수",
            "김철수 교수님",
            "Kim, Chul-soo (55/M)",
        ] {
            assert!(looks_like_name(name, false), "{name}");
            assert!(looks_like_name(name, true), "{name}");
        }
        for text in [
            "이상 없음",
            "정보 없음",
            "연락 안 됨",
            "환자 본인",
            "보호자",
            "환자",
            "김**",
            "이모님 010",
            "안과00123",
            "내과 김 교수",
            "당뇨(2020)",
            "P0012345(M)",
            "Aspirin (Bayer)",
            "Has Stage (SNOMED)",
            "Aspirin (81 mg)",
            "*",
            "()",
        ] {
            assert!(!looks_like_name(text, false), "{text}");
        }
    }

    #[test]
    fn columns_about_somebody_hold_other_things_too() {
        for name in [
            "김철수",
            "환자 김철수",
            "김철수 교수",
            "김철수 의사",
            "Kim Chul-soo",
            "MÜLLER, Hans",
        ] {
            assert!(is_name(name, Names::Likely), "{name}");
        }
        for text in [
            "11.5",
            "P0012345",
            "정상",
            "전화",
            "방문",
            "문자",
            "주치의",
            "전공의",
            "보호자",
            "정신과",
            "신경과",
            "정형외과",
            "안과",
            "이상 없음",
            "정보없음",
            "강남구",
            "고혈압",
            "간병인",
            "Nurse Practitioner",
            "Internal Medicine",
            "Emergency Room",
            "No Contact",
            "Home Phone",
            "In Patient",
            "ICU Ward",
            "Smith",
            "M",
            "",
        ] {
            assert!(!is_name(text, Names::Likely), "{text}");
        }
    }

    #[test]
    fn columns_that_may_hold_names() {
        for column in [
            "patient_name",
            "name",
            "FIRST_NAME",
            "환자명",
            "산모명",
            "신생아명",
            "수검자명",
            "모친명",
            "담당 간호사명",
            "검사자명",
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
        ] {
            assert_eq!(of_column(column), Names::No, "{column}");
        }
        for column in ["pt", "NM", "patient", "Contact", "doctor", "환자"] {
            assert_eq!(of_column(column), Names::Likely, "{column}");
        }
        for column in [
            "pt_inr",
            "patient_type",
            "contact_date",
            "doctor_code",
            "wave_nm",
        ] {
            assert_eq!(of_column(column), Names::No, "{column}");
        }
        for column in ["guardian", "next_of_kin", "수진자", "피보험자"] {
            assert_eq!(of_column(column), Names::Whole, "{column}");
        }
    }
}
