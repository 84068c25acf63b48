//! Why nothing was released.

/// Why an answer could not be checked, and so was not given. None of these depends on a row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The record of releases can't be used.
    #[error("the record of released answers cannot be used ({0}); nothing was released")]
    Record(#[from] crate::ledger::Error),
    /// SQLite could not do it.
    #[error("the record of released answers cannot be read or written ({0}); nothing was released")]
    Sqlite(#[from] rusqlite::Error),
    /// It holds what this version does not write.
    #[error(
        "the record of released answers is damaged; restore it from a copy: without it nothing can be released safely"
    )]
    Damaged,
}
