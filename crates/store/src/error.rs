//! What can go wrong in a store: the user's mistake, a damaged file, or the engine's own fault.

use std::path::Path;

use columna_model::BucketId;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store. No variant carries a patient's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no store here.
    #[error("no store at {url}: create one with `columna ingest SOURCE --store {url}`")]
    NotAStore {
        /// Where it was looked for.
        url: String,
    },
    /// `create` found a store.
    #[error("{url} is a store already: open it, or choose another place")]
    AlreadyAStore {
        /// Where the store is.
        url: String,
    },
    /// `create` found a folder with other things in it.
    #[error("{url} is not empty and not a store: choose an empty or new folder")]
    NotEmpty {
        /// The folder.
        url: String,
    },
    /// An address that this build cannot open.
    #[error("cannot open {url}: {reason}")]
    Address {
        /// The address as given.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The store was written by a newer engine.
    #[error("{file} has format {found}, this engine reads up to {known}: update columna")]
    NewerFormat {
        /// The file that says so.
        file: String,
        /// Its format number.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A snapshot that is not there.
    #[error("no snapshot {version} in {url}: the newest is {newest}, `columna info` lists them")]
    NoSuchSnapshot {
        /// The version asked for.
        version: u64,
        /// The newest one.
        newest: u64,
        /// The store.
        url: String,
    },
    /// A table that is not there.
    #[error("no table `{table}` in the store")]
    NoSuchTable {
        /// The name asked for.
        table: String,
    },
    /// A table that cannot be declared as asked.
    #[error("table `{table}` cannot be stored: {reason}")]
    Table {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// Two deliveries disagree on a column's type.
    #[error(
        "column `{column}` of table `{table}` is {given} here and {stored} in the store: \
         convert the new files to {stored}, or ingest them into another store"
    )]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type in the store.
        stored: String,
        /// The type asked for.
        given: String,
    },
    /// An option out of its range.
    #[error("{option} must be {must}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A file is encrypted, and its key is not there, or another one.
    #[error(
        "{what} is encrypted under the key `{key}`, and {reason}; give the key's source with `--keys FILE`, \
         `--keys env:NAME` or `--keys 'command:PROGRAM ARGUMENTS'`, or in COLUMNA_KEYS"
    )]
    Key {
        /// What is encrypted.
        what: String,
        /// The key's name and version.
        key: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A word that does not say what to encrypt.
    #[error("`{part}` cannot be encrypted: {reason}")]
    EncryptionPart {
        /// The word.
        part: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// Something that an encrypted store cannot do.
    #[error("{what}")]
    Encrypted {
        /// What, and what to do instead.
        what: String,
    },
    /// Another writer committed a change to the same part of the store first.
    #[error(
        "another writer was faster: snapshot {version} ({operation}) changed {what}, which this write \
         changes too; nothing of it was stored, run it again"
    )]
    Conflict {
        /// The snapshot that won.
        version: u64,
        /// What that snapshot did.
        operation: String,
        /// What both changed.
        what: String,
    },
    /// A file of the store is not what it was when it was written.
    #[error("{file} is damaged: {what}; run `columna store verify`")]
    Damaged {
        /// The file, relative to the store.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The object store refused.
    #[error("{path}: {source}")]
    ObjectStore {
        /// The object.
        path: String,
        /// What the object store said.
        source: object_store::Error,
    },
    /// Rows arrived in another order than the table's.
    #[error("engine error: rows of table `{table}`{} are not in the order of {order}", in_bucket(*.bucket))]
    OutOfOrder {
        /// The table.
        table: String,
        /// The bucket that was written.
        bucket: Option<BucketId>,
        /// The order declared for the table.
        order: String,
    },
    /// Rows arrived for a bucket that their persons do not belong to.
    #[error("engine error: rows of table `{table}`{} belong to persons of another bucket", in_bucket(*.bucket))]
    OutsideBucket {
        /// The table.
        table: String,
        /// The bucket that was written.
        bucket: Option<BucketId>,
    },
    /// The Delta library refused.
    #[cfg(feature = "delta")]
    #[error("table `{table}` cannot be published as a Delta table: {source}")]
    Delta {
        /// The table.
        table: String,
        /// What the library said.
        source: Box<deltalake::DeltaTableError>,
    },
    /// Any other broken assumption between the engine's parts.
    #[error("engine error: {what}")]
    Engine {
        /// What was assumed and is not so.
        what: String,
    },
    /// Arrow or Parquet refused.
    #[error("engine error: table `{table}`: {source}")]
    Parquet {
        /// The table.
        table: String,
        /// What the library said.
        source: parquet::errors::ParquetError,
    },
}

fn in_bucket(bucket: Option<BucketId>) -> String {
    bucket.map_or_else(String::new, |b| format!(", bucket {}", b.0))
}

impl Error {
    /// Whether the user can mend it: a wrong address, a type that disagrees, a lost race.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(
            self,
            Self::NotAStore { .. }
                | Self::AlreadyAStore { .. }
                | Self::NotEmpty { .. }
                | Self::Address { .. }
                | Self::NewerFormat { .. }
                | Self::NoSuchSnapshot { .. }
                | Self::NoSuchTable { .. }
                | Self::Table { .. }
                | Self::ColumnType { .. }
                | Self::Option { .. }
                | Self::Conflict { .. }
                | Self::Key { .. }
                | Self::EncryptionPart { .. }
                | Self::Encrypted { .. }
        )
    }

    pub(crate) fn engine(what: impl Into<String>) -> Self {
        Self::Engine { what: what.into() }
    }

    pub(crate) fn damaged(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.into(),
            what: what.into(),
        }
    }

    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().display().to_string(),
            source,
        }
    }

    pub(crate) fn object(path: &object_store::path::Path, source: object_store::Error) -> Self {
        Self::ObjectStore {
            path: path.to_string(),
            source,
        }
    }

    pub(crate) fn parquet(table: &str, source: parquet::errors::ParquetError) -> Self {
        Self::Parquet {
            table: table.to_owned(),
            source,
        }
    }

    pub(crate) fn arrow(table: &str, source: arrow::error::ArrowError) -> Self {
        Self::parquet(table, source.into())
    }
}
