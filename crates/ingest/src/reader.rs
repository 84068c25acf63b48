//! What every reader of a source format gives: target tables, files, and rows of the one out of the other.

use std::fmt::Debug;

use arrow::array::RecordBatch;
use columna_model::TableDef;
use columna_store::TableSpec;

use crate::Result;
use crate::csv::{Dialect, RowReject, TextBlock};
use crate::findings::Finding;
use crate::source::SourceFile;

/// A source format, opened on a source.
///
/// A reader knows files and tables; it knows nothing of buckets, order, memory or the store. Blocks of different
/// files come in any order and from many threads at once.
pub(crate) trait Reader: Send + Sync + Debug {
    /// What the source is, for people: `OMOP CDM 5.4`.
    fn format(&self) -> String;

    /// The tables that rows are made for.
    fn targets(&self) -> &[Target];

    /// The files, in the order in which they are read.
    fn inputs(&self) -> &[Input];

    /// What was noticed before any row was read.
    fn findings(&self) -> Vec<Finding>;

    /// The rows of a block, as rows of target tables.
    fn decode(&self, input: usize, block: &Block) -> Result<Decoded>;

    /// Whether a target is to be a table of the store, with or without rows.
    fn is_stored(&self, _target: usize) -> bool {
        true
    }

    /// What the store knows a file by, of its hash.
    fn fingerprint(&self, hash: String) -> String {
        hash
    }
}

/// A table that rows are made for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) spec: TableSpec,
    /// Its definition, if the model has it.
    pub(crate) def: Option<&'static TableDef>,
    /// Columns of the source that the model does not have.
    pub(crate) extra_columns: Vec<String>,
    /// Required columns that the source does not have.
    pub(crate) missing_columns: Vec<String>,
    /// Start and end date of a row, where it has them.
    pub(crate) start_date: Option<String>,
    pub(crate) end_date: Option<String>,
}

/// A file, and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) file: SourceFile,
    /// The table of the source that it belongs to.
    pub(crate) table: String,
    /// The target that its rows are counted with when they are rejected.
    pub(crate) home: usize,
    /// For text: how it is written. `None` for Parquet, and for a file without a byte.
    pub(crate) dialect: Option<Dialect>,
    /// Whether the records of its blocks are numbered.
    pub(crate) numbered: bool,
}

/// A piece of a file.
#[derive(Debug)]
pub(crate) enum Block {
    /// Whole records of a text file.
    Text(TextBlock),
    /// Rows of a Parquet file, and how many came before them.
    Rows(RecordBatch, u64),
}

/// What a block became.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Rows of the source in the block.
    pub(crate) read: u64,
    /// Rows of target tables.
    pub(crate) rows: Vec<TargetRows>,
    /// Rows of the source that could not be stored.
    pub(crate) rejects: Vec<RowReject>,
    /// What was noticed in the block.
    pub(crate) findings: Vec<Finding>,
}

/// Rows of one target table.
#[derive(Debug)]
pub(crate) struct TargetRows {
    pub(crate) target: usize,
    pub(crate) batch: RecordBatch,
    /// Whether each row stands for a row of the source; otherwise they were derived beside it.
    pub(crate) derived: bool,
}
