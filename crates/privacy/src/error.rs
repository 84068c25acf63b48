//! What can go wrong, and refusals, which are answers.

use datafusion::error::DataFusionError;

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
