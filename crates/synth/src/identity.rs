//! What identifies a patient directly: record number, name, resident registration number, phone and address.
//!
//! Everything is invented. The registration number has a valid birth date and sex digit, and random digits behind
//! them, so that its check digit holds only by chance.

use columna_model::Day;

use crate::korean;
use crate::population::Sex;
use crate::records::PersonRow;
use crate::rng::Rng;

/// Districts of the patients' city.
pub(crate) const DISTRICT_NAMES: [&str; 25] = [
    "종로구",
    "중구",
    "용산구",
    "성동구",
    "광진구",
    "동대문구",
    "중랑구",
    "성북구",
    "강북구",
    "도봉구",
    "노원구",
    "은평구",
    "서대문구",
    "마포구",
    "양천구",
    "강서구",
    "구로구",
    "금천구",
    "영등포구",
    "동작구",
    "관악구",
    "서초구",
    "강남구",
    "송파구",
    "강동구",
];

/// Chance that a hospital wrote a name with one syllable wrong.
pub(crate) const NAME_TYPO: f64 = 0.03;
/// Chance that a hospital wrote one digit of the registration number wrong.
pub(crate) const NUMBER_TYPO: f64 = 0.01;
/// Chance that a hospital has no registration number.
pub(crate) const NUMBER_MISSING: f64 = 0.05;
/// Chance that the phone number has changed between hospitals.
pub(crate) const PHONE_CHANGED: f64 = 0.20;
/// Chance that the patient has moved between hospitals.
pub(crate) const MOVED: f64 = 0.15;

/// A patient as a hospital's registration desk wrote them down.
#[derive(Debug, PartialEq)]
pub(crate) struct Registration {
    /// Medical record number of this hospital.
    pub(crate) record_number: String,
    /// Name in Hangul, family name first.
    pub(crate) name: String,
    /// Resident registration number, where one was given.
    pub(crate) registration_number: Option<String>,
    /// Mobile phone number.
    pub(crate) phone: String,
    /// Street address.
    pub(crate) address: String,
}

/// The medical record number of a patient: eight digits in no order, different for different keys below 99,999,989.
pub(crate) fn record_number(person: i64) -> String {
    const PRIME: i64 = 99_999_989;
    let mixed = (person.rem_euclid(PRIME) * 7_368_787 + 1_234_567).rem_euclid(PRIME);
    format!("{mixed:08}")
}

/// What a hospital wrote down about a patient. The truth comes from the identity, the errors from identity and hospital.
pub(crate) fn registration(seed: u64, hospital: u8, person: &PersonRow) -> Registration {
    const TRUTH: u64 = 0x7275_7468;
    const DESK: u64 = 0x6465_736b;
    let mut rng = Rng::new(&[seed, person.identity, TRUTH]);
    let mut desk = Rng::new(&[seed, person.identity, DESK, u64::from(hospital)]);

    let mut name = korean::name(&mut rng, person.sex, Day(person.birth).civil().year);
    if desk.chance(NAME_TYPO) {
        name = korean::misspelled(&mut desk, &name);
    }
    let number = registration_number(&mut rng, person.sex, person.birth);
    let number = if desk.chance(NUMBER_TYPO) {
        with_wrong_digit(&mut desk, &number)
    } else {
        number
    };
    let phone = phone(&mut rng);
    let address = address(&mut rng, person.district);
    Registration {
        record_number: record_number(person.person),
        name,
        registration_number: (!desk.chance(NUMBER_MISSING)).then_some(number),
        phone: if hospital > 0 && desk.chance(PHONE_CHANGED) {
            self::phone(&mut desk)
        } else {
            phone
        },
        address: if hospital > 0 && desk.chance(MOVED) {
            let district = desk.index(DISTRICT_NAMES.len());
            self::address(&mut desk, district)
        } else {
            address
        },
    }
}

fn registration_number(rng: &mut Rng, sex: Sex, birth: i32) -> String {
    let born = Day(birth).civil();
    let century = if born.year < 1900 {
        9
    } else if born.year < 2000 {
        1
    } else {
        3
    };
    // 9 and 0 were the nineteenth century's digits for men and women.
    let digit = match (century, sex) {
        (9, Sex::Male) => 9,
        (9, Sex::Female) => 0,
        (century, Sex::Male) => century,
        (century, Sex::Female) => century + 1,
    };
    let rest = rng.between(0, 999_999);
    format!(
        "{:02}{:02}{:02}-{digit}{rest:06}",
        born.year.rem_euclid(100),
        born.month,
        born.day
    )
}

fn with_wrong_digit(rng: &mut Rng, number: &str) -> String {
    // One of the random digits, behind the sex digit.
    let at = 8 + rng.index(6);
    let shift = 1 + rng.index(9);
    number
        .char_indices()
        .map(|(index, digit)| {
            match digit
                .to_digit(10)
                .and_then(|value| usize::try_from(value).ok())
            {
                Some(value) if index == at => {
                    char::from_digit(u32::try_from((value + shift) % 10).unwrap_or(0), 10)
                        .unwrap_or(digit)
                }
                _ => digit,
            }
        })
        .collect()
}

fn phone(rng: &mut Rng) -> String {
    format!(
        "010-{:04}-{:04}",
        rng.between(1000, 9999),
        rng.between(0, 9999)
    )
}

fn address(rng: &mut Rng, district: usize) -> String {
    let district = DISTRICT_NAMES.get(district).copied().unwrap_or("중구");
    format!(
        "서울특별시 {district} {}로 {}, {}동 {}호",
        korean::street(rng),
        rng.between(1, 320),
        rng.between(101, 125),
        rng.between(1, 25) * 100 + rng.between(1, 6)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn patient(person: i64, identity: u64) -> PersonRow {
        PersonRow {
            person,
            identity,
            sex: Sex::Female,
            birth: 3652,
            district: 3,
        }
    }

    #[test]
    fn a_shared_patient_is_written_nearly_alike_and_never_under_the_same_record_number() {
        let pairs: Vec<(Registration, Registration)> = (0..4000)
            .map(|n| {
                let key = i64::try_from(n).unwrap_or(0);
                (
                    registration(1, 0, &patient(key, n)),
                    registration(1, 1, &patient(key + 50_000, n)),
                )
            })
            .collect();
        let share = |same: &dyn Fn(&(Registration, Registration)) -> bool| {
            pairs.iter().filter(|pair| same(pair)).count() as f64 / 4000.0
        };
        // Both right, or both wrong alike; bounds are more than five standard errors wide.
        assert!((0.91..0.97).contains(&share(&|(a, b)| a.name == b.name)));
        assert!(
            (0.85..0.94).contains(&share(&|(a, b)| a.registration_number.is_some()
                && a.registration_number == b.registration_number))
        );
        assert!((0.76..0.84).contains(&share(&|(a, b)| a.phone == b.phone)));
        assert!((0.81..0.89).contains(&share(&|(a, b)| a.address == b.address)));
        assert!(
            pairs
                .iter()
                .all(|(a, b)| a.record_number != b.record_number)
        );
    }

    #[test]
    fn record_numbers_are_unique() {
        let numbers: HashSet<String> = (1..100_000).map(record_number).collect();
        assert_eq!(numbers.len(), 99_999);
    }

    #[test]
    fn registration_numbers_hold_the_birth_date_and_the_sex() {
        // 1980-01-01, a woman: 800101-2......
        let row = patient(1, 1);
        let number = registration_number(&mut Rng::new(&[1]), row.sex, row.birth);
        assert!(number.starts_with("800101-2"), "unexpected start");
        assert_eq!(number.len(), 14);
        let wrong = with_wrong_digit(&mut Rng::new(&[2]), &number);
        assert_eq!(
            wrong
                .bytes()
                .zip(number.bytes())
                .filter(|(a, b)| a != b)
                .count(),
            1
        );
    }
}
