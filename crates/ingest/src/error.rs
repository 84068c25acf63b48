//! What can go wrong in an ingest: the user's mistake, a damaged source, or the engine's own fault.

use std::path::Path;

/// The result of an ingest.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the ingest. No variant carries a patient's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source is not there.
    #[error("no such file or folder: {path}")]
    NoSuchSource {
        /// The path as given.
        path: String,
    },
    /// The source holds nothing that can be read.
    #[error("{path} has no tables: {hint}")]
    NothingToRead {
        /// The source.
        path: String,
        /// What is expected there.
        hint: String,
    },
    /// A folder of the source holds tables of its own.
    #[error(
        "{folder} is a folder of tables ({found}), and a folder within the source is one table: give {path}, \
         or move its files one level up"
    )]
    Deeper {
        /// The folder, relative to the source.
        folder: String,
        /// What it holds, relative to the source.
        found: String,
        /// The folder's path.
        path: String,
    },
    /// A table is given in more than one way.
    #[error(
        "table `{table}` is given twice, as {first} and as {second}: keep one of them, or put parts into a folder `{table}`"
    )]
    TableTwice {
        /// The table.
        table: String,
        /// The first file or folder.
        first: String,
        /// The second file or folder.
        second: String,
    },
    /// A file that cannot be read as what its name says.
    #[error("{file}: {what}")]
    BadFile {
        /// The file, relative to the source.
        file: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A file that ends before its data does.
    #[error("{file}: {what} after line {line}: copy or export the file again")]
    Truncated {
        /// The file, relative to the source.
        file: String,
        /// The last whole line.
        line: u64,
        /// How it shows.
        what: String,
    },
    /// A column whose type cannot become the table's.
    #[error(
        "{file}: column `{column}` is {found}, and table `{table}` needs {needed}: convert the column"
    )]
    ColumnType {
        /// The file, relative to the source.
        file: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type in the file.
        found: String,
        /// The type of the table.
        needed: String,
    },
    /// More rows rejected than allowed.
    #[error(
        "at least {count} rows cannot be stored, and {allowed} are allowed; nothing was stored. The first: {}",
        first.join("; ")
    )]
    TooManyRejects {
        /// Rejects seen until the ingest ended.
        count: u64,
        /// Rejects allowed.
        allowed: u64,
        /// Where and why, for the first few.
        first: Vec<String>,
    },
    /// The same files were stored before.
    #[error(
        "{files} of this source {} stored by delivery `{delivery}` (snapshot {snapshot}, {time}): \
         nothing was stored; use `--replace` to store the source's persons anew",
        if *count == 1 { "was" } else { "were" }
    )]
    DeliveredBefore {
        /// The files, by name.
        files: String,
        /// How many they are.
        count: usize,
        /// The earlier delivery.
        delivery: String,
        /// The snapshot that stored it.
        snapshot: u64,
        /// When that was.
        time: String,
    },
    /// Columns of text hold identifiers of persons.
    #[error(
        "nothing was stored, because columns of text hold identifiers of persons: {}; name each column in \
         `--drop-column`, or in `--allow-identifiers` where it is right to store it, or ingest with `--pseudonymize`",
        columns.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Identifiers {
        /// The columns.
        columns: Vec<crate::screen::IdentifierColumn>,
    },
    /// A table cannot be treated as it should be.
    #[error("nothing was stored: {what}")]
    Treatment {
        /// Why, and what to do.
        what: String,
    },
    /// An option out of its range.
    #[error("{option} must be {must}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it must be.
        must: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// Arrow refused.
    #[error("engine error: table `{table}`: {source}")]
    Arrow {
        /// The table.
        table: String,
        /// What the library said.
        source: arrow::error::ArrowError,
    },
    /// A broken assumption between the engine's parts.
    #[error("engine error: {what}")]
    Engine {
        /// What was assumed and is not so.
        what: String,
    },
}

impl Error {
    /// Whether the user can mend it: a wrong path, a damaged file, too many rejects.
    #[must_use]
    pub fn is_user(&self) -> bool {
        match self {
            Self::Store(error) => error.is_user(),
            Self::Arrow { .. } | Self::Engine { .. } | Self::Io { .. } => false,
            _ => true,
        }
    }

    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().display().to_string(),
            source,
        }
    }

    pub(crate) fn bad_file(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self::BadFile {
            file: file.into(),
            what: what.into(),
        }
    }

    pub(crate) fn arrow(table: &str, source: arrow::error::ArrowError) -> Self {
        Self::Arrow {
            table: table.to_owned(),
            source,
        }
    }

    pub(crate) fn engine(what: impl Into<String>) -> Self {
        Self::Engine { what: what.into() }
    }
}
