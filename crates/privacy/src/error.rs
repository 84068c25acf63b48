//! What can go wrong, and refusals, which are answers.

use datafusion::error::DataFusionError;

use crate::policy::PolicyError;

/// A refusal: it depends on the query and the policy alone, never on the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which rule refused, stable over versions.
    pub code: &'static str,
    /// What is refused.
    pub message: String,
    /// What to do instead.
    pub hint: String,
}

impl Refusal {
    /// A refusal by a rule.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The refusal within an engine's error, if it is one.
    #[must_use]
    pub fn within(error: &DataFusionError) -> Option<&Self> {
        match error {
            DataFusionError::External(inner) => inner.downcast_ref::<Self>().or_else(|| {
                inner
                    .downcast_ref::<DataFusionError>()
                    .and_then(Self::within)
            }),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                Self::within(inner)
            }
            DataFusionError::Shared(inner) => Self::within(inner),
            _ => None,
        }
    }
}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        Self::External(Box::new(refusal))
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The policy file is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A key is missing or its source is not private.
    #[error("{message}")]
    Keys {
        /// What is wrong with it; never the key.
        message: String,
    },
    /// The audit log cannot be written or is damaged.
    #[error("{message}")]
    Audit {
        /// What is wrong.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} `{what}`: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] columna_store::Error),
    /// The record of releases could not be used.
    #[error(transparent)]
    Releases(#[from] crate::disclosure::Error),
    /// The budget ledger could not be used.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] crate::dp::Error),
    /// There is no place for budgets and releases.
    #[error(transparent)]
    State(#[from] crate::StateError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] DataFusionError),
}

impl Error {
    pub(crate) fn refused(code: &'static str, message: String, hint: String) -> Self {
        Self::Refused(Refusal::new(code, message, hint))
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Engine(error) => error,
            Error::Refused(refusal) => refusal.into(),
            other => Self::External(Box::new(other)),
        }
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
