//! How long work reports its advance, so that only the command line prints.

/// What a progress counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Rows of a table.
    Rows,
    /// Bytes read or written.
    Bytes,
    /// Persons.
    Persons,
    /// Files.
    Files,
}

/// A receiver of progress, called from many threads.
pub trait Progress: Send + Sync + std::fmt::Debug {
    /// A stage begins; a later call replaces the stage before it.
    fn start(&self, what: &str, total: Option<u64>, unit: Unit);
    /// `n` more units of the current stage are done.
    fn advance(&self, n: u64);
    /// The current stage is over.
    fn finish(&self);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _n: u64) {}
    fn finish(&self) {}
}
