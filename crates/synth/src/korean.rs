//! Korean-style names and streets, put together from common surnames and syllables of our own choice.

use crate::population::Sex;
use crate::rng::Rng;

/// Surnames with weights near their shares among Koreans in percent.
const SURNAMES: [(&str, f64); 30] = [
    ("김", 21.5),
    ("이", 14.7),
    ("박", 8.4),
    ("최", 4.7),
    ("정", 4.3),
    ("강", 2.4),
    ("조", 2.1),
    ("윤", 2.1),
    ("장", 2.0),
    ("임", 1.7),
    ("한", 1.5),
    ("오", 1.5),
    ("서", 1.5),
    ("신", 1.5),
    ("권", 1.4),
    ("황", 1.4),
    ("안", 1.4),
    ("송", 1.4),
    ("전", 1.1),
    ("홍", 1.1),
    ("유", 1.1),
    ("고", 0.9),
    ("문", 0.9),
    ("양", 0.9),
    ("손", 0.9),
    ("배", 0.8),
    ("백", 0.7),
    ("허", 0.7),
    ("남", 0.5),
    ("노", 0.5),
];

const OLD_MEN: [&[&str]; 2] = [
    &[
        "영", "정", "종", "성", "상", "광", "병", "재", "동", "창", "기", "용",
    ],
    &[
        "수", "호", "식", "철", "환", "길", "만", "규", "석", "훈", "섭", "일",
    ],
];
const OLD_WOMEN: [&[&str]; 2] = [
    &[
        "영", "순", "정", "미", "옥", "경", "명", "춘", "말", "복", "금", "은",
    ],
    &[
        "자", "숙", "희", "순", "옥", "례", "임", "남", "심", "분", "애", "란",
    ],
];
const YOUNG_MEN: [&[&str]; 2] = [
    &[
        "민", "서", "도", "예", "시", "주", "지", "현", "준", "건", "우", "태",
    ],
    &[
        "준", "우", "윤", "현", "호", "혁", "민", "빈", "성", "원", "후", "찬",
    ],
];
const YOUNG_WOMEN: [&[&str]; 2] = [
    &[
        "서", "지", "하", "민", "수", "예", "채", "다", "유", "소", "은", "가",
    ],
    &[
        "연", "윤", "은", "아", "빈", "현", "영", "원", "진", "린", "율", "경",
    ],
];
const STREETS: [&str; 20] = [
    "한빛",
    "새길",
    "솔숲",
    "은하",
    "가람",
    "누리",
    "다온",
    "마루",
    "바다",
    "아름",
    "중앙",
    "동산",
    "샛별",
    "푸른",
    "달빛",
    "무지개",
    "하늘",
    "들꽃",
    "느티",
    "봄내",
];
/// Syllables that are easily taken for each other.
const CONFUSED: [(char, char); 16] = [
    ('재', '제'),
    ('혜', '해'),
    ('희', '히'),
    ('례', '예'),
    ('윤', '은'),
    ('영', '연'),
    ('정', '전'),
    ('민', '빈'),
    ('성', '승'),
    ('현', '헌'),
    ('준', '중'),
    ('서', '시'),
    ('수', '주'),
    ('지', '시'),
    ('은', '온'),
    ('호', '오'),
];

/// A name for a sex and a year of birth.
pub(crate) fn name(rng: &mut Rng, sex: Sex, year: i32) -> String {
    let weights: Vec<f64> = SURNAMES.iter().map(|(_, weight)| *weight).collect();
    let surname = SURNAMES[rng.weighted(&weights)].0;
    let [first, second] = match (sex, year < 1980) {
        (Sex::Male, true) => OLD_MEN,
        (Sex::Female, true) => OLD_WOMEN,
        (Sex::Male, false) => YOUNG_MEN,
        (Sex::Female, false) => YOUNG_WOMEN,
    };
    format!(
        "{surname}{}{}",
        rng.pick::<&str>(first),
        rng.pick::<&str>(second)
    )
}

/// The name with one syllable of the given name taken for another.
pub(crate) fn misspelled(rng: &mut Rng, name: &str) -> String {
    let at = 1 + rng.index(2);
    name.chars()
        .enumerate()
        .map(|(index, syllable)| {
            let like = CONFUSED.iter().find_map(|&(a, b)| {
                if a == syllable {
                    Some(b)
                } else if b == syllable {
                    Some(a)
                } else {
                    None
                }
            });
            if index == at {
                like.unwrap_or('희')
            } else {
                syllable
            }
        })
        .collect()
}

/// A street's name.
pub(crate) fn street(rng: &mut Rng) -> &'static str {
    rng.pick(&STREETS)
}
