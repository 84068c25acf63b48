//! Comorbidity: which of a published list of conditions a person has, and the score of them together.
//!
//! [`CHARLSON`] and [`ELIXHAUSER`] are [`Index`]es: conditions, each with the ICD-10 codes and the OMOP concepts that mean
//! it, weights, and which condition stands back behind a more severe one. What is kept of a person is a set of
//! conditions, one bit each; sets merge by union, exactly.
//!
//! A code belongs to a condition if it begins with one of its codes: I21.4 and I214 to I21. Case, the point, spaces and
//! what follows a dagger or another mark do not matter. An ICD-10 code is a letter, a digit, and a letter or digit; those
//! of no condition are ignored. What is neither a code nor the name of a condition is refused: it would look like health.

mod charlson;
mod elixhauser;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use charlson::CHARLSON;
pub use elixhauser::ELIXHAUSER;

use crate::{Error, Result, Summary};

/// A condition of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Its name, in small letters.
    pub name: &'static str,
    /// ICD-10 codes without a point, and ranges of them of one letter and equal length, separated by spaces.
    pub codes: &'static str,
    /// OMOP concepts all of whose descendants mean it.
    pub concepts: &'static [u32],
    /// One weight for each of the index's weightings.
    pub weights: &'static [i32],
    /// The names of more severe conditions, beside which this one does not count.
    pub unless: &'static [&'static str],
}

/// A list of conditions with weights.
#[derive(Debug)]
pub struct Index {
    /// What the index is called.
    pub name: &'static str,
    /// The names of its weightings; the first is the usual one.
    pub weightings: &'static [&'static str],
    /// Its conditions.
    pub conditions: &'static [Condition],
    /// The conditions of the codes, by their first three or four characters.
    codes: &'static LazyLock<HashMap<[u8; 4], u64>>,
}

/// The conditions of one person: those of an index, by their place in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    bits: u64,
    seen: bool,
}

impl Summary for Conditions {
    fn merge(&mut self, other: Self) {
        self.bits |= other.bits;
        self.seen |= other.seen;
    }

    fn is_empty(&self) -> bool {
        !self.seen
    }
}

impl Conditions {
    /// A set as [`Conditions::bits`] gave it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { bits, seen: true }
    }

    /// One bit for each condition, the first the lowest.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// Takes in a diagnosis: an ICD-10 code, or the name of a condition of the index.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDiagnosis`] if it is neither; the set stays as it was.
    #[inline]
    pub fn add(&mut self, index: &Index, diagnosis: &str) -> Result<()> {
        let bits = index.of_diagnosis(diagnosis);
        self.bits |= bits.ok_or(Error::UnknownDiagnosis)?;
        self.seen = true;
        Ok(())
    }
}

/// The first letters and digits of an ICD-10 code, in capitals, at most four; `None` if it does not begin as one.
fn normalised(code: &str) -> Option<[u8; 4]> {
    let (mut first, mut length) = ([0; 4], 0);
    for byte in code.bytes().filter(|byte| !matches!(byte, b'.' | b' ')) {
        match first.get_mut(length) {
            Some(place) if byte.is_ascii_alphanumeric() => *place = byte.to_ascii_uppercase(),
            _ => break,
        }
        length += 1;
    }
    let begins = first[0].is_ascii_alphabetic() && first[1].is_ascii_digit();
    (begins && length >= 3).then_some(first)
}

impl Index {
    /// The conditions of a code, or the one of a name; `None` if it is neither.
    fn of_diagnosis(&self, diagnosis: &str) -> Option<u64> {
        let Some(code) = normalised(diagnosis) else {
            return self.of_name(diagnosis.trim());
        };
        let of = |key: [u8; 4]| self.codes.get(&key).copied().unwrap_or(0);
        Some(of([code[0], code[1], code[2], 0]) | of(code))
    }

    fn of_name(&self, name: &str) -> Option<u64> {
        let mut names = self.conditions.iter().map(|known| known.name);
        let place = names.position(|known| known.eq_ignore_ascii_case(name))?;
        Some(1 << place)
    }

    /// The conditions that count, in order: those present without those that stand back behind a more severe one.
    pub fn counted(&self, present: Conditions) -> impl Iterator<Item = &'static Condition> {
        let severe = self
            .conditions
            .iter()
            .enumerate()
            .map(move |(place, condition)| {
                let here = present.bits >> place & 1 == 1;
                let behind = condition.unless.iter().any(|name| {
                    self.of_name(name)
                        .is_some_and(|bit| present.bits & bit != 0)
                });
                (condition, here && !behind)
            });
        severe
            .filter(|(_, counts)| *counts)
            .map(|(condition, _)| condition)
    }

    /// The sum of the weights of the conditions that count. `weighting` is a place in [`Index::weightings`].
    #[must_use]
    pub fn score(&self, present: Conditions, weighting: usize) -> i32 {
        self.counted(present)
            .filter_map(|condition| condition.weights.get(weighting))
            .sum()
    }
}

/// The table of an index's codes, from its conditions' lists.
fn table(conditions: &[Condition]) -> HashMap<[u8; 4], u64> {
    let mut table = HashMap::new();
    for (place, condition) in conditions.iter().enumerate() {
        for part in condition.codes.split(' ') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let digits = |code: &str| code.get(1..).and_then(|digits| digits.parse::<u32>().ok());
            let (Some(letter), Some(from), Some(to)) =
                (first.bytes().next(), digits(first), digits(last))
            else {
                continue;
            };
            for number in from..=to {
                let mut key = [letter, 0, 0, 0];
                let digits = format!("{number:0width$}", width = first.len() - 1);
                for (place, digit) in key[1..].iter_mut().zip(digits.bytes()) {
                    *place = digit;
                }
                *table.entry(key).or_insert(0) |= 1_u64 << place;
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(index: &Index, codes: &[&str]) -> Conditions {
        let mut conditions = Conditions::default();
        for code in codes {
            conditions.add(index, code).unwrap();
        }
        conditions
    }

    fn names(index: &Index, codes: &[&str]) -> Vec<&'static str> {
        let counted = index.counted(of(index, codes));
        counted.map(|condition| condition.name).collect()
    }

    #[test]
    fn lists_are_well_formed() {
        for index in [&CHARLSON, &ELIXHAUSER] {
            for condition in index.conditions {
                assert_eq!(condition.weights.len(), index.weightings.len());
                for part in condition.codes.split(' ') {
                    for code in part.split('-') {
                        let (letter, digits) = code.split_at(1);
                        assert!(letter.bytes().all(|b| b.is_ascii_uppercase()), "{code}");
                        assert!((2..=3).contains(&digits.len()), "{code}");
                        assert!(digits.bytes().all(|b| b.is_ascii_digit()), "{code}");
                    }
                }
                for name in condition.unless {
                    assert!(index.of_name(name).is_some(), "{name}");
                }
            }
        }
        // How many codes the lists of Quan et al. (2005) hold in all, each condition for itself.
        let size =
            |index: &Index| -> u32 { index.codes.values().map(|bits| bits.count_ones()).sum() };
        assert_eq!(size(&CHARLSON), 289);
        assert_eq!(size(&ELIXHAUSER), 399);
    }

    #[test]
    fn a_code_is_known_however_it_is_written() {
        for code in [
            "I21", "I214", "I21.4", "i21.4", " I21.4 ", "I21.09X", "I21-4", "I21†", "I21.4*",
        ] {
            assert_eq!(
                names(&CHARLSON, &[code]),
                ["myocardial infarction"],
                "{code}"
            );
        }
        for code in ["I20", "I251", "Z00.0", "C7A.1"] {
            assert_eq!(names(&CHARLSON, &[code]), [""; 0], "{code}");
        }
        assert_eq!(names(&CHARLSON, &["I25.2"]), ["myocardial infarction"]);
        for name in ["renal disease", "Renal disease", "RENAL DISEASE "] {
            assert_eq!(names(&CHARLSON, &[name]), ["renal disease"], "{name}");
        }
    }

    #[test]
    fn what_is_no_diagnosis_is_refused() {
        for word in [
            "",
            " ",
            "I2",
            "21.4",
            "§",
            "xyz",
            "4329847",
            "250.00",
            "5A11",
            "depression",
        ] {
            let mut conditions = of(&CHARLSON, &["I50"]);
            let before = conditions;
            let refused = conditions.add(&CHARLSON, word);
            assert_eq!(refused, Err(Error::UnknownDiagnosis), "{word}");
            assert_eq!(conditions, before);
        }
        // A condition of the other index.
        assert_eq!(names(&ELIXHAUSER, &["depression"]), ["depression"]);
    }

    #[test]
    fn the_severe_form_stands_before_the_mild_one() {
        let diabetes = of(&CHARLSON, &["E11.9", "E11.2"]);
        assert_eq!(CHARLSON.score(diabetes, 0), 2);
        assert_eq!(CHARLSON.score(of(&CHARLSON, &["K70.3", "K72.1"]), 0), 3);
        assert_eq!(CHARLSON.score(of(&CHARLSON, &["C50.9", "C78.0"]), 0), 6);
        // van Walraven: metastases 12, the solid tumour beside them 0.
        assert_eq!(
            ELIXHAUSER.score(of(&ELIXHAUSER, &["C50.9", "C78.0"]), 0),
            12
        );
        assert_eq!(
            names(&ELIXHAUSER, &["I10", "I11.0"]),
            ["congestive heart failure", "hypertension, complicated"]
        );
    }

    /// Every condition at once: 1987's weights sum to 33, of which the three mild forms are 4; 2011's to 24 without them,
    /// which is the range that Quan et al. (2011) give. van Walraven et al. (2009): −19 to 89.
    #[test]
    fn scores_have_their_published_ranges() {
        let all = Conditions::from_bits((1 << CHARLSON.conditions.len()) - 1);
        assert_eq!(CHARLSON.score(all, 0), 33 - 4);
        assert_eq!(CHARLSON.score(all, 1), 24);
        let of_sign = |sign: i32| -> i32 {
            let weights = ELIXHAUSER
                .conditions
                .iter()
                .map(|condition| condition.weights[0]);
            weights.filter(|weight| weight * sign > 0).sum()
        };
        assert_eq!((of_sign(-1), of_sign(1)), (-19, 89));
    }

    #[test]
    fn sets_merge_by_union() {
        let mut left = of(&CHARLSON, &["I21"]);
        assert!(Conditions::default().is_empty() && !left.is_empty());
        left.merge(of(&CHARLSON, &["G30.1", "Z00.0"]));
        assert_eq!(left, of(&CHARLSON, &["G30", "I22.0"]));
        let mut nothing = Conditions::default();
        nothing.merge(left);
        assert_eq!(nothing, left);
        assert_eq!(Conditions::from_bits(left.bits()), left);
    }
}
