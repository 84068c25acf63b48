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

/// The error as a reader wants it; one that is of no executor as it is.
pub(crate) fn told(error: DataFusionError) -> DataFusionError {
    let text = error.to_string();
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
        let other = DataFusionError::Plan("another".to_owned());
        assert_eq!(told(other).to_string(), "Error during planning: another");
    }
}
