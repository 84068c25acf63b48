//! `columna privacy`: what a privacy officer looks after.

pub(crate) mod access;
pub(crate) mod args;
mod audit;
mod ledger;
mod policy;
pub(crate) mod pseudonymize;

use crate::error::CliError;
use args::PrivacyCommand;

/// Runs a command of `columna privacy`.
pub(crate) fn run(command: &PrivacyCommand) -> Result<(), CliError> {
    match command {
        PrivacyCommand::Ledger(command) => ledger::run(command),
        PrivacyCommand::Policy(command) => policy::run(command),
        PrivacyCommand::Audit(command) => audit::run(command),
        PrivacyCommand::Key(command) => policy::key(command),
    }
}
