//! What can go wrong with a schedule, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something about a schedule failed. [`Error::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error("cannot {doing} in the schedule's state `{}`: {reason}", path.display())]
    State {
        /// What was being done.
        doing: &'static str,
        /// The state file.
        path: PathBuf,
        /// SQLite's own words.
        reason: String,
        /// What kind of failure it is.
        code: Option<ErrorCode>,
    },
    /// The state was written by a newer engine.
    #[error("the schedule's state `{}` has format {found}, and this engine knows formats up to {known}", path.display())]
    NewerState {
        /// The state file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// There is no state where one must be.
    #[error("there is no schedule in `{}`", path.display())]
    NoState {
        /// The folder.
        path: PathBuf,
    },
    /// The state was moved or removed under a running scheduler.
    #[error("the schedule's state `{}` was moved or removed while the scheduler ran", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// No schedule has this name.
    #[error("no schedule is named `{name}`")]
    NoSuchSchedule {
        /// The name that was asked for.
        name: String,
        /// A name that is close.
        near: Option<String>,
    },
    /// No run has this number.
    #[error("there is no run {run}")]
    NoSuchRun {
        /// The number that was asked for.
        run: i64,
    },
    /// What was asked cannot be: the user's mistake, or not in this state.
    #[error("{what}")]
    Refused {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The store could not be asked for its newest snapshot.
    #[error("cannot look for new snapshots in `{url}`")]
    Store {
        /// The store.
        url: String,
        /// The store's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A mistake of this engine's.
    #[error("the engine's own mistake: {what}")]
    Engine {
        /// What does not fit.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn refused(what: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self::Refused {
            what: what.to_string(),
            hint: hint.to_string(),
        }
    }

    pub(crate) fn engine(what: impl fmt::Display) -> Self {
        Self::Engine {
            what: what.to_string(),
        }
    }

    /// The user asked for something that cannot be, as opposed to something that failed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::NoSuchSchedule { .. } | Self::NoSuchRun { .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::State { code, .. } => code.and_then(state_hint),
            Self::NewerState { .. } => {
                Some("use the newer columna, which wrote it, for this schedule".to_owned())
            }
            Self::NoState { .. } => Some(
                "`columna schedule add SPEC.yaml --store STORE --cron \"0 2 * * *\"` makes one; or name its folder with `--state`"
                    .to_owned(),
            ),
            Self::Gone { .. } => Some(
                "start it again with the folder's new place after `--state`; runs under way go on".to_owned(),
            ),
            Self::NoSuchSchedule { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::NoSuchSchedule { near: None, .. } => {
                Some("`columna schedule list` shows all schedules".to_owned())
            }
            Self::NoSuchRun { .. } => Some("`columna schedule history` shows the runs".to_owned()),
            Self::Refused { hint, .. } => (!hint.is_empty()).then(|| hint.clone()),
            Self::Io { doing: "make", .. } => {
                Some("name a folder that you can write with `--state DIR`".to_owned())
            }
            Self::Io { .. } | Self::Store { .. } | Self::Engine { .. } => None,
        }
    }
}

impl From<rusqlite::Error> for Error {
    /// Inside a transaction; the state adds what was being done, and where.
    fn from(source: rusqlite::Error) -> Self {
        Self::State {
            doing: "",
            path: PathBuf::new(),
            code: source.sqlite_error_code(),
            reason: source.to_string(),
        }
    }
}

fn state_hint(code: ErrorCode) -> Option<String> {
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(
            "another process holds it for long; look for a stopped `columna schedule`".to_owned(),
        ),
        ErrorCode::DiskFull => Some("make room on the disk; nothing was lost".to_owned()),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => Some(
            "it belongs to the user who made the schedule: run as that user".to_owned(),
        ),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Some(
            "the file is damaged: put it back from a backup, or move it away and add the schedules again"
                .to_owned(),
        ),
        _ => None,
    }
}
