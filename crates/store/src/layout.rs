//! How a store lays out its rows: persons per bucket, rows per row group, compression.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How a store lays out its rows. Chosen when the store is created, and kept in every snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// About how many persons share a bucket, the unit of parallel work and of rewriting.
    pub persons_per_bucket: u64,
    /// Rows of a Parquet row group, the unit of pruning.
    pub row_group_rows: usize,
    /// Level of the zstd compression, 1 (fastest) to 22 (smallest).
    pub zstd_level: i32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            persons_per_bucket: 32_768,
            row_group_rows: 120_000,
            // Level 3 took 7% longer to write and saved 0.1% on rows that are mostly codes, dates and ids.
            zstd_level: 1,
        }
    }
}

impl Layout {
    /// Checks that every value is in its range.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |option, must| Err(Error::Option { option, must });
        if self.persons_per_bucket == 0 {
            return wrong("persons_per_bucket", "at least 1");
        }
        if self.row_group_rows == 0 {
            return wrong("row_group_rows", "at least 1");
        }
        if !(1..=22).contains(&self.zstd_level) {
            return wrong("zstd_level", "between 1 and 22");
        }
        Ok(())
    }
}
