//! What can go wrong in a study.

use std::path::PathBuf;

use crate::problem::Problem;

/// Why a study could not be read, run or reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The specification has mistakes.
    #[error("{} in `{}`", mistakes(problems.len()), path.display())]
    Specification {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong, by place.
        problems: Vec<Problem>,
    },
    /// A step failed.
    #[error("the step `{step}` failed: {message}")]
    Step {
        /// The step.
        step: String,
        /// Why.
        message: String,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A folder holds something else than a run.
    #[error("{0}")]
    Folder(String),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// A session could not be made.
    #[error(transparent)]
    Session(#[from] columna_query::Error),
    /// The engine refused a statement or failed in it.
    #[error(transparent)]
    Engine(#[from] datafusion::error::DataFusionError),
    /// Arrow refused a batch.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet could not be read or written.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A statistic could not be computed.
    #[error(transparent)]
    Statistic(#[from] columna_stats::Error),
    /// A record of a run is not as it was written.
    #[error("a file of the run is damaged: {0}")]
    Json(#[from] serde_json::Error),
    /// The report could not be written.
    #[error("engine fault: {0}")]
    Template(#[from] askama::Error),
}

fn mistakes(number: usize) -> String {
    if number == 1 {
        "a mistake".to_owned()
    } else {
        format!("{number} mistakes")
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
