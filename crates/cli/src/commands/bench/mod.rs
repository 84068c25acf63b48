//! `columna bench`: what a hospital's questions cost, on a synthetic hospital or a store of one's own.

pub(crate) mod args;
mod cold;
mod digest;
mod figures;
mod report;
mod run;
mod suite;

use args::BenchCommand;

use crate::error::CliError;
use crate::settings::Settings;

/// Runs `columna bench`.
pub(crate) fn run(command: &BenchCommand, settings: &Settings) -> Result<(), CliError> {
    match command {
        BenchCommand::Run(args) => run::run(args, settings),
        BenchCommand::Report(args) => report::run(args),
    }
}
