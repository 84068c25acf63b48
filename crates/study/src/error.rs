//! What can go wrong in a study.

use std::path::PathBuf;

use columna_privacy::{Gate, Refusal};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

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
    Engine(#[from] DataFusionError),
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

/// What is wrong with a statement in one line, and what to do instead. A role that does not see everything is not told the
/// words of a text that is no SQL: it may have named a file that it cannot open.
pub(crate) fn said(error: &DataFusionError, ctx: &SessionContext) -> (String, Option<String>) {
    if let Some(refusal) = Refusal::within(error) {
        let message = format!("{} [{}]", refusal.message, refusal.code);
        return (message, Some(refusal.hint.clone()));
    }
    let gate = ctx.state_ref().read().config().get_extension::<Gate>();
    if matches!(error.find_root(), DataFusionError::SQL(..))
        && gate.is_some_and(|gate| gate.restricts())
    {
        let hint = "`columna sql ... < FILE` says where it is wrong";
        return ("this is no SQL".to_owned(), Some(hint.to_owned()));
    }
    let text = error.strip_backtrace();
    (text.lines().next().unwrap_or_default().to_owned(), None)
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
