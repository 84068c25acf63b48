//! What a statistic says of rows that it cannot use.
//!
//! Such a message is written here and never holds a value of the data. As an error of its own kind it reaches the
//! person as it is; other errors of a running query may quote values, and are shown without what they quote.

use datafusion::common::DataFusionError;

/// Rows that a statistic cannot use, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unsuitable(String);

/// The engine's error for such a message.
pub(crate) fn unsuitable(message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Unsuitable(message.into())))
}

/// Returns the error for such a message, with `format!`'s arguments. Names of parameters and terms may be in it, and
/// numbers of groups; values of the data may not.
macro_rules! refuse {
    ($($message:tt)*) => {
        Err($crate::functions::aggregate::adapter::unsuitable(format!($($message)*)))
    };
}

pub(crate) use refuse;
