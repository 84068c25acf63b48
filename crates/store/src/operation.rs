//! What made a snapshot, and which delivered files a store holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What made a snapshot. Counts only: no operation names a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// The empty store.
    Create,
    /// The first delivery into a store.
    Ingest {
        /// Rows read from the source.
        read: u64,
        /// Rows stored.
        stored: u64,
        /// Rows put into quarantine.
        rejected: u64,
    },
    /// A later delivery beside the earlier ones.
    Append {
        /// Rows read from the source.
        read: u64,
        /// Rows stored.
        stored: u64,
        /// Rows put into quarantine.
        rejected: u64,
    },
    /// A delivery that replaces what was known of its persons.
    Replace {
        /// Rows read from the source.
        read: u64,
        /// Rows stored.
        stored: u64,
        /// Rows put into quarantine.
        rejected: u64,
    },
    /// Buckets brought back to size.
    Compact {
        /// Buckets that were divided.
        split: u64,
        /// Buckets that were joined with a neighbour.
        merged: u64,
    },
    /// Files rewritten, encrypted otherwise than before.
    Encrypt {
        /// Files rewritten.
        files: u64,
    },
    /// A table's rows copied in the order of another column, or such copies given up.
    Project {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Whether they were given up.
        dropped: bool,
    },
    /// A person's rows removed from every table.
    Erase {
        /// Rows removed.
        rows: u64,
    },
}

impl Operation {
    /// Whether every table has the same rows afterwards.
    #[must_use]
    pub fn keeps_rows(&self) -> bool {
        matches!(
            self,
            Self::Compact { .. } | Self::Encrypt { .. } | Self::Project { .. }
        )
    }

    /// Whether tables may have rows afterwards that they did not have.
    pub(crate) fn brings_rows(&self) -> bool {
        matches!(
            self,
            Self::Ingest { .. } | Self::Append { .. } | Self::Replace { .. }
        )
    }

    /// The operation's name, in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Ingest { .. } => "ingest",
            Self::Append { .. } => "append",
            Self::Replace { .. } => "replace",
            Self::Compact { .. } => "compact",
            Self::Encrypt { .. } => "encrypt",
            Self::Project { .. } => "project",
            Self::Erase { .. } => "erase",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Ingest {
                stored, rejected, ..
            }
            | Self::Append {
                stored, rejected, ..
            }
            | Self::Replace {
                stored, rejected, ..
            } => {
                write!(
                    f,
                    "{}: {stored} rows stored, {rejected} rejected",
                    self.name()
                )
            }
            Self::Compact { split, merged } => {
                write!(f, "compact: {split} buckets split, {merged} merged")
            }
            Self::Encrypt { files } => write!(f, "encrypt: {files} files rewritten"),
            Self::Project {
                table,
                column,
                dropped,
            } => {
                let dropped = if *dropped { ", dropped" } else { "" };
                write!(f, "project: {table} by {column}{dropped}")
            }
            Self::Erase { rows } => write!(f, "erase: {rows} rows removed"),
        }
    }
}

/// A file of a delivery, known by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredFile {
    /// Its name within the delivery.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hexadecimal; in a pseudonymised store, what a key makes of it.
    pub blake3: String,
}

/// A set of files that was ingested at once. A snapshot lists all of its store's deliveries, so that
/// the same files are recognised when they come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What the user calls it, usually the name of its folder.
    pub name: String,
    /// Its files.
    pub files: Vec<DeliveredFile>,
    /// The snapshot that brought it; set by the commit.
    #[serde(default)]
    pub snapshot: u64,
}

impl Delivery {
    /// A delivery about to be committed.
    #[must_use]
    pub fn new(name: impl Into<String>, files: Vec<DeliveredFile>) -> Self {
        Self {
            name: name.into(),
            files,
            snapshot: 0,
        }
    }
}
