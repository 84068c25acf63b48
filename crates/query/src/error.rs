//! What can go wrong between a session and its answers.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

/// Why a session could not be made or a statement not be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// The engine refused a statement or failed in it.
    #[error(transparent)]
    Engine(#[from] DataFusionError),
    /// The policy refuses, or what it needs is not there.
    #[error(transparent)]
    Privacy(#[from] columna_privacy::Error),
    /// A role without a store.
    #[error("a role sees the tables of a store: give one with `--store`")]
    NoStore,
    /// There is no place to spill to.
    #[error("cannot make a folder for temporary files in {}: {source}", folder.display())]
    Spill {
        /// Where it was to be made.
        folder: PathBuf,
        /// Why it could not.
        source: std::io::Error,
    },
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
