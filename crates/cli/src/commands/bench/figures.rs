//! What a run found out, as `--json` writes it and `report` reads it.

use serde::{Deserialize, Serialize};

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figures {
    /// The version of this program.
    pub(super) columna: String,
    /// The operating system and the processor's architecture.
    pub(super) system: String,
    /// Threads that a question may keep busy.
    pub(super) threads: usize,
    /// In bytes.
    pub(super) memory_limit: Option<usize>,
    /// Rows of `person`.
    pub(super) patients: u64,
    /// Rows of all tables.
    pub(super) rows: u64,
    /// Bytes of all tables.
    pub(super) bytes: u64,
    pub(super) questions: Vec<Measured>,
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) name: String,
    /// Rows of the answer.
    pub(super) rows: u64,
    /// The answer, see `digest`.
    pub(super) digest: String,
    /// Seconds of each run in a session that has asked it before.
    pub(super) warm: Vec<f64>,
    /// Seconds in a process of its own, its start included.
    pub(super) cold: Option<f64>,
    /// The most memory that the process of its own held, in bytes.
    pub(super) peak: Option<u64>,
    /// Rows that came out of the scans.
    pub(super) scanned_rows: u64,
    /// Bytes of Parquet read.
    pub(super) scanned_bytes: u64,
    /// Bytes that went from one part of a cluster to another; none in one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shuffled_bytes: Option<u64>,
    /// Why there is no answer; figures are those up to then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
}

impl Measured {
    /// A question that was not asked yet.
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rows: 0,
            digest: String::new(),
            warm: Vec::new(),
            cold: None,
            peak: None,
            scanned_rows: 0,
            scanned_bytes: 0,
            shuffled_bytes: None,
            failed: None,
        }
    }

    /// The median of the warm runs, in seconds.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.warm.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The slowest warm run less the fastest, in seconds.
    pub(super) fn spread(&self) -> f64 {
        let slowest = self.warm.iter().copied().fold(f64::NAN, f64::max);
        let fastest = self.warm.iter().copied().fold(f64::NAN, f64::min);
        slowest - fastest
    }

    /// Scanned rows in a second of the median run.
    pub(super) fn rows_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
        let rows = self.scanned_rows as f64;
        rows / self.median()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        let mut measured = Measured {
            warm: vec![4.0, 1.0, 2.0],
            scanned_rows: 10,
            ..Measured::of("")
        };
        assert!((measured.median() - 2.0).abs() < 1e-12);
        assert!((measured.spread() - 3.0).abs() < 1e-12);
        assert!((measured.rows_per_second() - 5.0).abs() < 1e-12);
        measured.warm.push(8.0);
        assert!((measured.median() - 3.0).abs() < 1e-12);
    }
}
