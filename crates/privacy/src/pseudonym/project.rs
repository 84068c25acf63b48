//! A project's keys in use: pseudonyms of identifiers, and the days by which a person's dates are moved.

use super::hmac::Keyed;
use super::keys::Keys;
use crate::Result;
use crate::policy::Project;

/// What a project's key is used for. Uses have keys of their own: no answer of one tells of another.
#[derive(Debug, Clone)]
pub struct ProjectKeys {
    pseudonyms: Keyed,
    dates: Keyed,
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

    /// The keys of a project from its key's bytes.
    ///
    /// # Errors
    /// When the key has no bytes that can be used.
    pub fn from_key(key: &[u8], shift_days: u32, keep_weekday: bool) -> Result<Self> {
        let key = Keyed::new(key)?;
        Ok(Self {
            pseudonyms: key.derive("columna pseudonyms 1")?,
            dates: key.derive("columna dates 1")?,
            shift_days,
            keep_weekday,
            mark: hexadecimal(&key.derive("columna mark 1")?.hash(&[])[..8]),
        })
    }

    /// Tells keys apart, and nothing of them: two processes with the same mark make the same pseudonyms.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The pseudonym of a number: 63 bits, so that it is a number too and never negative. Among ten million
    /// persons, two share one with a chance of 1 in 180,000.
    #[must_use]
    pub fn pseudonym_of_number(&self, domain: &str, number: i64) -> i64 {
        let hash = self.tag(domain, b"n", &number.to_be_bytes());
        let mut first = [0u8; 8];
        first.copy_from_slice(&hash[..8]);
        i64::from_be_bytes(first) & i64::MAX
    }

    /// The pseudonym of a text: 32 hexadecimal digits.
    #[must_use]
    pub fn pseudonym_of_text(&self, domain: &str, text: &str) -> String {
        hexadecimal(&self.tag(domain, b"t", text.as_bytes())[..16])
    }

    /// The length keeps domain and value apart, whatever bytes they have.
    fn tag(&self, domain: &str, kind: &[u8], value: &[u8]) -> [u8; 32] {
        let length = (domain.len() as u64).to_be_bytes();
        self.pseudonyms
            .hash(&[&length, domain.as_bytes(), kind, value])
    }

    /// The days by which all dates of a person are moved: never 0, at most the project's limit both ways.
    #[must_use]
    pub fn shift_of(&self, person: i64) -> i32 {
        let hash = self.dates.hash(&[&person.to_be_bytes()]);
        let mut first = [0u8; 8];
        first.copy_from_slice(&hash[..8]);
        let step: u32 = if self.keep_weekday { 7 } else { 1 };
        let steps = u64::from((self.shift_days / step).max(1));
        // 2^64 is so much more than the number of steps that none is noticeably more likely.
        let drawn = u64::from_be_bytes(first) % (2 * steps);
        let steps = i64::try_from(steps).unwrap_or(1);
        let drawn = i64::try_from(drawn).unwrap_or(0) - steps;
        let nonzero = if drawn >= 0 { drawn + 1 } else { drawn };
        i32::try_from(nonzero * i64::from(step)).unwrap_or(1)
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
        let of = |keys: &ProjectKeys| -> std::collections::HashSet<i64> {
            (0..2000)
                .map(|p| keys.pseudonym_of_number("person", p))
                .collect()
        };
        let (first, second) = (of(&one), of(&two));
        assert_eq!(first.len(), 2000);
        assert!(first.is_disjoint(&second));
        assert!(first.iter().all(|pseudonym| *pseudonym >= 0));
        // The sibling: within a project a person has one pseudonym wherever it is named.
        assert_eq!(first, of(&keys(1, 365, false)));
        assert_ne!(
            one.pseudonym_of_number("person", 7),
            one.pseudonym_of_number("visit_occurrence", 7)
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
        let shifts: Vec<i32> = (0..6000).map(|p| keys.shift_of(p)).collect();
        assert_eq!(
            shifts,
            (0..6000).map(|p| keys.shift_of(p)).collect::<Vec<_>>()
        );
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
        assert!((0..500).all(|p| keys.shift_of(p) % 7 == 0 && keys.shift_of(p) != 0));
    }
}
