//! `columna privacy audit`: is the log whole?

use std::io::{Write, stdout};

use columna_privacy::audit::AuditLog;

use super::args::AuditCommand;
use crate::error::CliError;

pub(super) fn run(command: &AuditCommand) -> Result<(), CliError> {
    let AuditCommand::Verify { state } = command;
    let state = super::ledger::state(state)?;
    let log = AuditLog::at(state.audit());
    let found = log
        .verify()
        .map_err(|error| CliError::failed(error.to_string()))?;
    let mut out = stdout().lock();
    match &found.problem {
        None => {
            writeln!(
                out,
                "{} entries, all in place; the newest hash is {}",
                found.entries, found.hash
            )?;
            Ok(())
        }
        Some((line, problem)) => {
            match found.entries {
                0 => writeln!(out, "line {line}: {problem}; no entry is certain")?,
                sure => writeln!(
                    out,
                    "line {line}: {problem}; the {sure} entries before it are in place"
                )?,
            }
            Err(CliError::Unsound)
        }
    }
}
