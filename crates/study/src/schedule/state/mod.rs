//! The state file: schedules, runs, attempts, notices and the log, in SQLite.
//!
//! Every change is one transaction that takes the write lock at its start and is on the disk at its end, so that a
//! process may be killed between any two of them. Nothing here starts or ends a process.

mod claim;
mod finish;
mod log;
mod notices;
mod plan;
mod presence;
mod recover;
mod runs;
mod schedules;
#[cfg(test)]
mod tests;
mod texts;

use std::fs::{self, DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::{Error, Result};

pub use claim::{Capacity, Claim};
pub use finish::{Ending, Outcome, Standing};
pub use log::Entry;
pub(crate) use log::Level;
pub(crate) use notices::Notice;
pub use plan::Newest;
pub use recover::Held;
pub use runs::{Attempt, Cause, Run, RunFilter, RunState};
pub use schedules::Schedule;

/// The format that this engine writes, and the newest that it reads.
const FORMAT: i64 = 1;

/// The state's file inside its folder.
const FILE: &str = "schedule.sqlite";

/// How long a process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(15);

/// The state of schedules: one folder with the database and the runs' logs.
#[derive(Debug)]
pub struct State {
    connection: Connection,
    folder: PathBuf,
    /// The file that was opened, whatever its path names by now.
    file: Option<(u64, u64)>,
}

impl State {
    /// Opens the state in this folder, and makes both where they are missing. Only the user can read them.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or read.
    pub fn create(folder: &Path) -> Result<Self> {
        make_private(folder)?;
        let file = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&file)
            .map_err(|error| Error::io("make", &file, error))?;
        Self::open(folder)
    }

    /// Opens the state in this folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        if !file.is_file() {
            return Err(Error::NoState {
                path: folder.to_owned(),
            });
        }
        let failed = |source: rusqlite::Error| named(source.into(), "open", file.clone());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags).map_err(failed)?;
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut state = Self {
            connection,
            folder,
            file: identity(&file),
        };
        state.prepare().map_err(failed)?;
        state.migrate()?;
        Ok(state)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        // Into write-ahead mode once: the change needs the file alone, and most openings find it done.
        let mode: String = self
            .connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            self.connection
                .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        }
        // A finished transaction survives a loss of power, not only of the process.
        self.connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
    }

    fn migrate(&mut self) -> Result<()> {
        let path = self.file();
        self.write("prepare", |tx| {
            let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if found > FORMAT {
                return Err(Error::NewerState {
                    path,
                    found,
                    known: FORMAT,
                });
            }
            if found == 0 {
                tx.execute_batch(include_str!("schema.sql"))?;
                tx.pragma_update(None, "user_version", FORMAT)?;
            }
            Ok(())
        })
    }

    /// The database's file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Its file was moved or removed, or another one is in its place: what is written now, nobody finds.
    pub(crate) fn is_gone(&self) -> bool {
        self.file != identity(&self.file())
    }

    /// The folder that holds the database and the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an attempt's output goes.
    #[must_use]
    pub fn log_file(&self, run: i64, attempt: i64) -> PathBuf {
        self.folder
            .join("logs")
            .join(format!("{run}-{attempt}.log"))
    }

    /// One transaction that changes the state, or nothing when it fails.
    fn write<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let file = self.file();
        let changed = (|| {
            let tx = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        changed.map_err(|error| named(error, doing, file))
    }

    /// Reads without the write lock.
    fn read<T>(
        &self,
        doing: &'static str,
        question: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        question(&self.connection).map_err(|error| named(error, doing, self.file()))
    }
}

/// A folder that only its user can enter.
pub(crate) fn make_private(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| Error::io("make", parent, error))?;
    }
    let mut builder = DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io("make", folder, error))
        }
        _ => Ok(()),
    }
}

/// A file's device and number.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Says of an error from SQLite what was being done, and where.
fn named(error: Error, doing: &'static str, path: PathBuf) -> Error {
    match error {
        Error::State {
            doing: "",
            reason,
            code,
            ..
        } => Error::State {
            doing,
            path,
            reason,
            code,
        },
        other => other,
    }
}
