//! `columna privacy`: what a privacy officer looks after.

pub(crate) mod args;
mod ledger;

use crate::error::CliError;
use args::PrivacyCommand;

/// Runs a command of `columna privacy`.
pub(crate) fn run(command: &PrivacyCommand) -> Result<(), CliError> {
    match command {
        PrivacyCommand::Ledger(command) => ledger::run(command),
    }
}
