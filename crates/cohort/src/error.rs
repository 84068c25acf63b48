//! What can go wrong between definitions and their cohorts.

use std::path::{Path, PathBuf};

use crate::definition::Problem;

/// Why cohorts could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// A file of definitions, or of results, could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no definition where one was named.
    #[error("{0}")]
    NoDefinition(String),
    /// A definition must not run.
    #[error("{name}: {}", listed(problems))]
    Refused {
        /// The definition, by its name or file.
        name: String,
        /// What is wrong, with JSON paths.
        problems: Vec<Problem>,
    },
    /// Two definitions would write rows under one number.
    #[error(
        "{first} and {second} both have the cohort definition id {id}; rename one of the files"
    )]
    SameId {
        /// The number.
        id: i64,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// A cohort can only be kept beside the data it was made from.
    #[error(
        "the run reads snapshot {asked} and the store is at {newest}: a cohort is only kept in the store beside the \
         data that it was made from; run it on the newest snapshot, or write it to a folder"
    )]
    NotNewest {
        /// The snapshot that the run reads.
        asked: u64,
        /// The newest.
        newest: u64,
    },
    /// A column holds another type than the OMOP CDM says.
    #[error("column `{column}` of table `{table}` holds {found}, and {needed} is needed")]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// A data file of the store could not be read.
    #[error("{file}: it cannot be read; `columna store verify` says what is wrong with it")]
    Unreadable {
        /// The file, within the store.
        file: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An option is out of its range.
    #[error("{option} must be {must}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its range.
        must: &'static str,
    },
    /// The engine's own fault.
    #[error("internal error: {0}")]
    Engine(String),
}

impl Error {
    pub(crate) fn engine(what: impl Into<String>) -> Self {
        Self::Engine(what.into())
    }

    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    pub(crate) fn parquet(file: &str, source: parquet::errors::ParquetError) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            source: Box::new(source),
        }
    }

    pub(crate) fn arrow(file: &str, source: arrow::error::ArrowError) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            source: Box::new(source),
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    let refusing = problems.iter().filter(|p| p.severity.refuses());
    let lines: Vec<String> = refusing.map(ToString::to_string).collect();
    lines.join("; ")
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
