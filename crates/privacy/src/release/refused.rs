//! Refusals: which rule, and what to do instead. They depend on the query and the policy alone.

use datafusion::common::{DataFusionError, Result};

use crate::Refusal;

/// Refuses by a rule.
pub(super) fn refuse<T>(
    rule: &'static str,
    what: impl Into<String>,
    instead: impl Into<String>,
) -> Result<T> {
    Err(refusal(rule, what, instead))
}

pub(super) fn refusal(
    rule: &'static str,
    what: impl Into<String>,
    instead: impl Into<String>,
) -> DataFusionError {
    Refusal::new(rule, what, instead).into()
}
