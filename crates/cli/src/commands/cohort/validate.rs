//! `columna cohort validate`: what is unsupported or suspicious, with its place.

use std::io::{Write, stdout};

use columna_cohort::definition::Problem;
use serde::Serialize;

use super::args::ValidateArgs;
use crate::error::CliError;

#[derive(Serialize)]
struct Checked<'a> {
    file: String,
    /// Whether it can run.
    runs: bool,
    problems: &'a [Problem],
}

/// Runs `columna cohort validate`.
pub(super) fn run(args: &ValidateArgs) -> Result<(), CliError> {
    let files = super::load(&args.definitions)?;
    let mut out = stdout().lock();
    let checked: Vec<Checked<'_>> = files
        .iter()
        .map(|file| Checked {
            file: file.path.display().to_string(),
            runs: !file.parsed.is_refused(),
            problems: &file.parsed.problems,
        })
        .collect();
    if args.json {
        let text =
            serde_json::to_string_pretty(&checked).map_err(|error| CliError::engine(&error))?;
        writeln!(out, "{text}")?;
    } else {
        for file in &checked {
            for problem in file.problems {
                // The form that editors jump to.
                writeln!(
                    out,
                    "{}:{}:{}: {}: {}: {}",
                    file.file,
                    problem.place.line,
                    problem.place.column,
                    problem.severity.word(),
                    problem.path,
                    problem.message
                )?;
            }
            let verdict = match (file.runs, file.problems.len()) {
                (false, _) => "cannot run",
                (true, 0) => "ok",
                (true, _) => "can run, see the warnings",
            };
            writeln!(out, "{}: {verdict}", file.file)?;
        }
    }
    if checked.iter().all(|file| file.runs) {
        Ok(())
    } else {
        Err(CliError::Unsound)
    }
}
