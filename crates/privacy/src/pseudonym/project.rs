//! A project's keys in use: pseudonyms of identifiers, and the days by which a person's dates are moved.

use super::cipher::Cipher;
use super::hmac::Keyed;
use super::keys::Keys;
use crate::policy::{Policy, Project, RoleKind};
use crate::{Principal, Result};

/// What a project's key is used for. Uses have keys of their own: no answer of one tells of another.
#[derive(Debug, Clone)]
pub struct ProjectKeys {
    texts: Keyed,
    numbers: Keyed,
    dates: Cipher,
    shift_days: u32,
    keep_weekday: bool,
    mark: String,
}

impl ProjectKeys {
    /// The keys of a project.
    ///
    /// # Errors
    /// When the source has no such key.
    pub fn new(project: &Project, keys: &Keys) -> Result<Self> {
        Self::from_key(
            keys.get(&project.key, project.key_version)?,
            project.date_shift_days,
            project.keep_weekday,
        )
    }

    /// The keys of a principal's project. A role that sees numbers about groups may do without.
    ///
    /// # Errors
    /// When the source has no such key, and rows are seen.
    pub fn of(policy: &Policy, principal: &Principal, keys: &Keys) -> Result<Option<Self>> {
        let Some(project) = policy.project(principal) else {
            return Ok(None);
        };
        let sees_rows = policy.role(principal)?.kind == RoleKind::Analyst;
        if !sees_rows && keys.newest(&project.key).is_none() {
            return Ok(None);
        }
        Self::new(project, keys).map(Some)
    }

    /// The keys of a project from its key's bytes.
    ///
    /// # Errors
    /// When the key has no bytes that can be used.
    pub fn from_key(key: &[u8], shift_days: u32, keep_weekday: bool) -> Result<Self> {
        let key = Keyed::new(key)?;
        Ok(Self {
            texts: key.derive("columna pseudonyms 1")?,
            numbers: key.derive("columna numbers 2")?,
            dates: Cipher::new(key.hash(&[b"columna dates 2"])),
            shift_days,
            keep_weekday,
            mark: hexadecimal(&key.derive("columna mark 2")?.hash(&[])[..8]),
        })
    }

    /// Tells keys apart, and nothing of them: two processes with the same mark make the same pseudonyms.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// How dates are moved, in words.
    #[must_use]
    pub fn dates(&self) -> String {
        let weeks = if self.keep_weekday {
            ", by whole weeks"
        } else {
            ""
        };
        format!("by up to {} days{weeks}", self.shift_days)
    }

    /// The pseudonyms of numbers: 63 bits, so that each is a number too and never negative. Among ten million
    /// persons, two share one with a chance of 1 in 180,000.
    #[must_use]
    pub fn pseudonyms_of_numbers(&self, domain: &str, numbers: &[i64]) -> Vec<i64> {
        let cipher = Cipher::new(self.numbers.hash(&[domain.as_bytes()]));
        cipher.draw(numbers, |drawn| drawn.cast_signed() & i64::MAX)
    }

    /// The pseudonym of a text: 32 hexadecimal digits.
    #[must_use]
    pub fn pseudonym_of_text(&self, domain: &str, text: &str) -> String {
        // The length keeps domain and value apart, whatever bytes they have.
        let length = (domain.len() as u64).to_be_bytes();
        let parts: [&[u8]; 4] = [&length, domain.as_bytes(), b"t", text.as_bytes()];
        hexadecimal(&self.texts.hash(&parts)[..16])
    }

    /// The days by which all dates of each person are moved: never 0, at most the project's limit both ways.
    #[must_use]
    pub fn shifts_of(&self, persons: &[i64]) -> Vec<i32> {
        let step: i32 = if self.keep_weekday { 7 } else { 1 };
        let steps = i32::try_from(self.shift_days).unwrap_or(i32::MAX / 2) / step;
        let steps = steps.max(1);
        self.dates.draw(persons, |drawn| {
            // One of twice the steps, each as likely but for one part in 2^32.
            let drawn = (u128::from(drawn) * u128::from(2 * steps.unsigned_abs())) >> 64;
            let drawn = i32::try_from(drawn).unwrap_or(0) - steps;
            let nonzero = if drawn >= 0 { drawn + 1 } else { drawn };
            nonzero * step
        })
    }

    /// The most that a date is moved.
    #[must_use]
    pub fn longest_shift(&self) -> i32 {
        i32::try_from(self.shift_days.max(7)).unwrap_or(i32::MAX)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn keys(byte: u8, days: u32, weekday: bool) -> ProjectKeys {
        ProjectKeys::from_key(&[byte; 32], days, weekday).unwrap()
    }

    #[test]
    fn attack_45_pseudonyms_of_two_projects_cannot_be_joined() {
        let (one, two) = (keys(1, 365, false), keys(2, 365, false));
        let numbers: Vec<i64> = (0..2000).collect();
        let of = |keys: &ProjectKeys| -> std::collections::HashSet<i64> {
            let pseudonyms = keys.pseudonyms_of_numbers("person", &numbers);
            pseudonyms.into_iter().collect()
        };
        let (first, second) = (of(&one), of(&two));
        assert_eq!(first.len(), 2000);
        assert!(first.is_disjoint(&second));
        assert!(first.iter().all(|pseudonym| *pseudonym >= 0));
        // The sibling: within a project a person has one pseudonym wherever it is named.
        assert_eq!(first, of(&keys(1, 365, false)));
        assert_ne!(
            one.pseudonyms_of_numbers("person", &[7]),
            one.pseudonyms_of_numbers("visit_occurrence", &[7])
        );
        assert_ne!(
            one.pseudonym_of_text("a", "bc"),
            one.pseudonym_of_text("ab", "c")
        );
    }

    #[test]
    fn attack_44_a_dictionary_of_unkeyed_hashes_finds_nobody() {
        let keys = keys(1, 365, false);
        let numbers: Vec<String> = (0..1000).map(|n| format!("900101-{n:07}")).collect();
        let seen: Vec<String> = numbers
            .iter()
            .map(|number| keys.pseudonym_of_text("person_source_value", number))
            .collect();
        let unkeyed = |text: &str| -> Vec<String> {
            use sha2::Digest;
            let sha: String = sha2::Sha256::digest(text.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            vec![sha, blake3::hash(text.as_bytes()).to_hex().to_string()]
        };
        for number in &numbers {
            for hash in unkeyed(number) {
                assert!(
                    seen.iter()
                        .all(|pseudonym| !hash.contains(pseudonym.as_str()))
                );
            }
        }
    }

    #[test]
    fn shifts_are_constant_bounded_and_spread() {
        let keys = keys(3, 30, false);
        let persons: Vec<i64> = (0..6000).collect();
        let shifts = keys.shifts_of(&persons);
        assert_eq!(shifts, keys.shifts_of(&persons));
        assert!(shifts.iter().all(|s| *s != 0 && (-30..=30).contains(s)));
        let distinct: std::collections::HashSet<i32> = shifts.iter().copied().collect();
        assert_eq!(distinct.len(), 60);
        // 6,000 draws over 60 values: a mean of 0 with a standard error of 0.23; five of them.
        let mean = f64::from(shifts.iter().sum::<i32>()) / 6000.0;
        assert!(mean.abs() < 1.2, "{mean}");
    }

    #[test]
    fn weekdays_are_kept_on_request() {
        let keys = keys(3, 30, true);
        let shifts = keys.shifts_of(&(0..500).collect::<Vec<_>>());
        assert!(shifts.iter().all(|shift| shift % 7 == 0 && *shift != 0));
    }
}
