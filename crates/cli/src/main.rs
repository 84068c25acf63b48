//! The `columna` command.

mod allocator;
mod args;
mod commands;
mod error;
mod output;
mod plot;
mod progress;
mod settings;
mod shell;
mod signals;
mod size;
mod sql;
mod temporary;

use std::io::stderr;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use error::CliError;
use settings::Settings;

fn main() -> ExitCode {
    allocator::keep_blocks();
    // A study that a schedule runs does not outlive who writes its end.
    #[cfg(unix)]
    columna_study::schedule::end_with_runner();
    let cli = Cli::parse();
    let settings = Settings::detect(cli.colour, cli.quiet);
    let keys = commands::keys::set(cli.keys.as_deref());
    let outcome = keys.and_then(|()| run(cli.command, &settings));
    columna_query::remove_spilled();
    temporary::remove();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(&mut stderr(), settings.colour_err);
            error.exit_code()
        }
    }
}

fn run(command: Command, settings: &Settings) -> Result<(), CliError> {
    if matches!(
        command,
        Command::Demo(_) | Command::Info(_) | Command::Cohort(_) | Command::Bench(_)
    ) {
        temporary::end_cleanly_when_interrupted();
    }
    match command {
        Command::Demo(args) => commands::demo::run(&args, settings),
        Command::Synth(args) => commands::synth::run(&args, settings),
        Command::Ingest(args) => commands::ingest::run(&args, settings),
        Command::Info(args) => commands::info::run(&args, settings),
        Command::Store(command) => commands::store::run(command),
        Command::Cluster(command) => commands::cluster::run(command, settings),
        Command::Sql(args) => commands::sql::run(&args, settings),
        Command::Cohort(command) => commands::cohort::run(&command, settings),
        Command::Bench(command) => commands::bench::run(&command, settings),
        Command::Privacy(command) => commands::privacy::run(&command),
        Command::Study(command) => commands::study::run(command, settings),
        #[cfg(unix)]
        Command::Schedule(command) => commands::schedule::run(command, settings),
        Command::Completions(args) => commands::completions::completions(&args),
        Command::Man(args) => commands::completions::man(&args),
    }
}
