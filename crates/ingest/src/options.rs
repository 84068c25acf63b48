//! What the user may ask of an ingest.

use std::path::PathBuf;
use std::sync::Arc;

use columna_model::progress::{Progress, Silent};

use crate::{Error, Result};

/// The form of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Found out from the names of files and columns.
    #[default]
    Auto,
    /// OMOP CDM 5.3 or 5.4, as CSV or Parquet.
    Omop,
    /// Synthea's own CSV export.
    Synthea,
}

/// What the user may ask of an ingest.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// The form of the source.
    pub format: Format,
    /// Bytes of memory to stay under; more data than that are sorted on disk.
    pub memory_limit: usize,
    /// Rejected rows after which the ingest ends with nothing stored.
    pub max_rejects: Option<u64>,
    /// Stores files that were stored before; their persons are replaced.
    pub replace: bool,
    /// Threads that parse, sort and write.
    pub threads: usize,
    /// A folder with OMOP vocabulary tables, for sources that bring codes instead of concepts.
    pub vocabulary: Option<PathBuf>,
    /// Columns, as `TABLE.COLUMN` or `COLUMN`, that are stored although they hold identifiers of persons.
    pub allow_identifiers: Vec<String>,
    /// Columns, as `TABLE.COLUMN` or `COLUMN`, whose values are not stored.
    pub drop_columns: Vec<String>,
    /// Which tables' rows are stored once more in the order of a column.
    pub projections: Projections,
    /// What is done to tables before anything of them is written.
    pub treatment: Option<Arc<dyn crate::Treatment>>,
    /// Who is told of the advance.
    pub progress: Arc<dyn Progress>,
}

/// Which tables' rows are stored once more in the order of a column, such as their concept, beside those that the store
/// has so already: see [`columna_store::Transaction::project`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projections {
    /// Those of the model that come to hold so many rows, by the concept of their rows. A table that held as many before
    /// stays as it is.
    Large(u64),
    /// These, as (table, column).
    Named(Vec<(String, String)>),
}

impl Default for Projections {
    /// A query for one concept of a million rows takes some 20 ms of the processor without a copy.
    fn default() -> Self {
        Self::Large(1_000_000)
    }
}

/// Where the limit of memory is not given: four gigabytes, or half of a smaller machine.
const MOST_MEMORY: u64 = 4 << 30;

/// Below this, not even one block per thread fits.
const LEAST_MEMORY: usize = 8 << 20;

impl Default for IngestOptions {
    fn default() -> Self {
        let half = memory_of_machine().map_or(MOST_MEMORY, |bytes| bytes / 2);
        Self {
            format: Format::Auto,
            memory_limit: usize::try_from(half.min(MOST_MEMORY))
                .unwrap_or(usize::MAX)
                .max(LEAST_MEMORY),
            max_rejects: None,
            replace: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            vocabulary: None,
            allow_identifiers: Vec::new(),
            drop_columns: Vec::new(),
            projections: Projections::default(),
            treatment: None,
            progress: Arc::new(Silent),
        }
    }
}

impl IngestOptions {
    pub(crate) fn check(&self) -> Result<()> {
        if self.threads == 0 {
            return Err(Error::Option {
                option: "threads",
                must: "at least one".to_owned(),
            });
        }
        if self.memory_limit < LEAST_MEMORY {
            return Err(Error::Option {
                option: "memory limit",
                must: format!("at least {} MB", LEAST_MEMORY >> 20),
            });
        }
        Ok(())
    }

    /// Bytes of text that are parsed as one block.
    pub(crate) fn block_bytes(&self) -> usize {
        // A block takes several times its size until its columns are done, and every thread has a few.
        (self.memory_limit / (self.threads * 48)).clamp(64 << 10, 4 << 20)
    }
}

fn memory_of_machine() -> Option<u64> {
    let information = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = information
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
