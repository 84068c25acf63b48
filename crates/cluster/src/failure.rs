//! What failed on an executor, in the words of one process.
//!
//! Between processes an error is only its text, and a nest of names: `Job x7Gd failed: Job failed due to stage 1 failed:
//! Task failed due to runtime execution error: DataFusionError(Shared(External(ArrowError(DivideByZero))))`.

use datafusion::common::DataFusionError;

/// Before what the executor said.
const MARK: &str = "Task failed due to runtime execution error: ";
/// Names of errors that only hold others.
const AROUND: [&str; 7] = [
    "DataFusionError",
    "Shared",
    "External",
    "ArrowError",
    "Context",
    "Diagnostic",
    "Collection",
];

/// Why a role does not attach a guard.
pub(crate) mod guard {
    use columna_privacy::Refusal;
    use datafusion::common::DataFusionError;

    /// A text, and what to do. The text alone crosses between processes, so that it holds nothing that varies.
    pub(crate) type Reason = (&'static str, &'static str);

    pub(crate) const NO_POLICY: Reason = (
        "a role of the cluster knows of no policy for this store",
        "start its scheduler and executors with `--policy FILE`, or keep the policy beside the store",
    );
    pub(crate) const OTHER_POLICY: Reason = (
        "a role of the cluster has another policy than this session",
        "begin a new session; if that does not help, start scheduler and executors with the same policy",
    );
    pub(crate) const NO_KEYS: Reason = (
        "a role of the cluster has no key for this role's pseudonyms or shifted dates",
        "start its scheduler and executors with `--keys`",
    );
    pub(crate) const OTHER_KEYS: Reason = (
        "a role of the cluster has another key for this role's pseudonyms or shifted dates",
        "give the scheduler, all executors and this session the same `--keys`",
    );

    pub(crate) fn refused((message, hint): Reason) -> columna_privacy::Error {
        Refusal::new("cluster", message, hint).into()
    }

    /// The refusal that a role's text speaks of.
    pub(super) fn within(text: &str) -> Option<DataFusionError> {
        let reasons = [NO_POLICY, OTHER_POLICY, NO_KEYS, OTHER_KEYS];
        let reason = reasons.into_iter().find(|(said, _)| text.contains(said))?;
        Some(refused(reason).into())
    }
}

/// The error as a reader wants it; one that is of no executor as it is.
pub(crate) fn told(error: DataFusionError) -> DataFusionError {
    let text = error.to_string();
    if let Some(refusal) = guard::within(&text) {
        return refusal;
    }
    match text.split_once(MARK).map(|(_, said)| innermost(said)) {
        Some(said) => DataFusionError::Execution(said),
        None => error,
    }
}

/// What is within all names.
fn innermost(said: &str) -> String {
    let mut said = said.trim();
    while let Some((name, rest)) = said.split_once('(')
        && AROUND.contains(&name)
        && let Some((rest, _)) = rest.rsplit_once(')')
    {
        said = rest;
    }
    if said == "DivideByZero" {
        return "Divide by zero error".to_owned();
    }
    // `Execution("text")`, and Arrow's errors alike, which may hold more after the text.
    match said.split_once("(\"") {
        Some((name, rest)) if name.chars().all(char::is_alphanumeric) => quoted(rest),
        _ => said.to_owned(),
    }
}

/// Text up to its closing quote, without escapes.
fn quoted(rest: &str) -> String {
    let mut text = String::new();
    let mut rest = rest.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' => break,
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            plain => text.push(plain),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executors_error_is_told_in_its_own_words() {
        let of = |said: &str| {
            let text = format!("Job a failed: Job failed due to stage 1 failed: {MARK}{said}\n");
            told(DataFusionError::Execution(text)).to_string()
        };
        for (said, told) in [
            (
                "DataFusionError(Shared(External(ArrowError(DivideByZero))))",
                "Divide by zero error",
            ),
            (
                "DataFusionError(ArrowError(CastError(\"Cannot cast string 'x' to value of Int32 type\"), Some(\"\")))",
                "Cannot cast string 'x' to value of Int32 type",
            ),
            (
                "DataFusionError(Execution(\"`ties` is \\\"efron\\\"\"))",
                "`ties` is \"efron\"",
            ),
        ] {
            assert_eq!(of(said), format!("Execution error: {told}"));
        }
        let guard = format!("Job a failed: {}", guard::NO_KEYS.0);
        let refusal = told(DataFusionError::Execution(guard));
        assert!(columna_privacy::Refusal::within(&refusal).is_some());
        let other = DataFusionError::Plan("another".to_owned());
        assert_eq!(told(other).to_string(), "Error during planning: another");
    }
}
