//! Why the ledger refuses.

use std::path::PathBuf;

use crate::dp::accounting::Cost;

/// Why a charge was not made or the ledger not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The budget is spent.
    #[error(
        "the privacy budget does not suffice: this question costs rho {:.6} and {:.6} is left (delta {:e} of {:e}); \
         ask a question that was answered before, which is free, ask with a smaller epsilon, or have the steward \
         grant more with `columna privacy ledger grant`",
        asked.rho, left.rho.max(0.0), asked.delta, left.delta.max(0.0)
    )]
    Exhausted {
        /// What the question costs.
        asked: Cost,
        /// What is left.
        left: Cost,
    },
    /// The account was stopped.
    #[error(
        "this budget is frozen: the steward can release it with `columna privacy ledger freeze --off`"
    )]
    Frozen,
    /// An amount that is none.
    #[error(
        "a budget or a cost is a number of at least 0, rho at most a million and delta below 1"
    )]
    Amount,
    /// The answer belongs to no charge.
    #[error(
        "the charge of this answer is not in the ledger, so that the answer is not released; ask again"
    )]
    UnknownCharge,
    /// The file's place can't be used.
    #[error("cannot use {} as a budget ledger: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There was one, and it is empty or gone.
    #[error(
        "the records in {} are gone, and what was spent and released with them, so that nothing is answered; put a \
         backup in their place, or remove {} to begin anew with full budgets",
        path.display(), begun.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What says that there was one.
        begun: PathBuf,
    },
    /// What is in it is not whole.
    #[error(
        "the records in {} are damaged, so that nothing is answered; put a backup in their place",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "the ledger was written by a later version of columna (format {found}); use that version"
    )]
    Newer {
        /// Its format.
        found: i64,
    },
    /// SQLite could not do it.
    #[error("the budget ledger cannot be read or written ({0}); nothing was released")]
    Sqlite(#[from] rusqlite::Error),
}
