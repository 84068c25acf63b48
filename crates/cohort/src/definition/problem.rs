//! What is wrong or noteworthy in a definition, with its place.

use std::fmt;

use serde::Serialize;

use super::locate::Place;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The definition can run, and perhaps does not mean what was meant.
    Warning,
    /// The definition cannot be read as Circe would read it.
    Invalid,
    /// The definition uses what this engine does not support.
    Unsupported,
}

impl Severity {
    /// Whether a definition with such a problem must not run.
    #[must_use]
    pub fn refuses(self) -> bool {
        self != Self::Warning
    }

    /// The word that stands before the message.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Something wrong or noteworthy in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is, as a JSON path that begins with `$`.
    pub path: String,
    /// Where that is in the text.
    #[serde(flatten)]
    pub place: Place,
    /// What it is, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: line {}, column {}: {}: {}",
            self.severity.word(),
            self.place.line,
            self.place.column,
            self.path,
            self.message
        )
    }
}
