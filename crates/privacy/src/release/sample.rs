//! A person's rows for differentially private answers: at most so many of each, drawn at random.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::collect::Collected;

/// Keyed by the operating system's random numbers, once per process: which rows are kept depends on neither their
/// order nor their values.
static LOTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// A kept row: its lot, and its value.
pub(super) type Row = (u64, f64);

/// The kept rows of each person.
#[derive(Debug, Default)]
pub(super) struct Samples {
    persons: HashMap<i64, Vec<Row>>,
}

impl Samples {
    fn add(&mut self, person: i64, row: Row, keep: usize) {
        let rows = self.persons.entry(person).or_default();
        if rows.len() < keep {
            rows.push(row);
            return;
        }
        // The rows with the lowest lots stay: a uniform sample however parts are merged.
        let highest = rows.iter_mut().max_by_key(|(lot, _)| *lot);
        if let Some(highest) = highest
            && row.0 < highest.0
        {
            *highest = row;
        }
    }

    /// The persons with their rows.
    pub(super) fn from_bytes(bytes: &[u8]) -> Vec<(i64, Vec<Row>)> {
        let mut samples = Self::default();
        samples.extend(bytes, usize::MAX);
        samples.persons.into_iter().collect()
    }
}

impl Collected for Samples {
    fn push(&mut self, person: i64, value: f64, keep: usize) {
        let lot = LOTS.hash_one(DRAWN.fetch_add(1, Ordering::Relaxed));
        self.add(person, (lot, value), keep);
    }

    fn extend(&mut self, bytes: &[u8], keep: usize) {
        for row in bytes.chunks_exact(24) {
            let part = |at: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&row[at..at + 8]);
                bytes
            };
            let person = i64::from_le_bytes(part(0));
            let kept = (u64::from_le_bytes(part(8)), f64::from_le_bytes(part(16)));
            self.add(person, kept, keep);
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.persons.len() * 24);
        for (person, rows) in &self.persons {
            for (lot, value) in rows {
                bytes.extend_from_slice(&person.to_le_bytes());
                bytes.extend_from_slice(&lot.to_le_bytes());
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    fn size(&self) -> usize {
        self.persons.capacity() * 48 + self.persons.len() * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_person_has_more_rows_than_allowed() {
        let mut samples = Samples::default();
        for row in 0..100_000_u32 {
            samples.push(7, f64::from(row), 3);
        }
        samples.push(8, 1.0, 3);
        let mut other = Samples::default();
        other.push(7, -1.0, 3);
        other.extend(&samples.bytes(), 3);
        let all = Samples::from_bytes(&other.bytes());
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|(_, rows)| rows.len() <= 3));
    }

    #[test]
    fn rows_are_drawn_without_regard_to_their_order() {
        // The first half of ten rows is kept as often as the second; six standard errors (2e-9) are allowed.
        let mut early = 0_u32;
        for _ in 0..4_000 {
            let mut samples = Samples::default();
            for row in 0..10_u32 {
                samples.push(1, f64::from(row), 1);
            }
            let kept = Samples::from_bytes(&samples.bytes());
            early += u32::from(kept[0].1[0].1 < 5.0);
        }
        assert!(early.abs_diff(2_000) < 190, "{early}");
    }
}
