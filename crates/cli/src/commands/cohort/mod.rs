//! `columna cohort`: OHDSI definitions run, explained and checked.

pub(crate) mod args;
mod run;
mod validate;

use std::io::{Write, stdout};

use args::{CohortCommand, DefinitionsArg};
use columna_cohort::library::{self, DefinitionFile};

use crate::error::CliError;
use crate::settings::Settings;

/// Runs `columna cohort`.
pub(crate) fn run(command: &CohortCommand, settings: &Settings) -> Result<(), CliError> {
    match command {
        CohortCommand::Run(args) => run::run(args, settings),
        CohortCommand::Explain(args) => explain(args),
        CohortCommand::Validate(args) => validate::run(args),
    }
}

fn load(args: &DefinitionsArg) -> Result<Vec<DefinitionFile>, CliError> {
    library::load(&args.definitions).map_err(|error| CliError::engine(&error))
}

fn explain(args: &DefinitionsArg) -> Result<(), CliError> {
    let mut out = stdout().lock();
    let mut refused = None;
    for (at, file) in load(args)?.iter().enumerate() {
        if let Some(definition) = &file.parsed.definition {
            if at > 0 {
                writeln!(out)?;
            }
            out.write_all(columna_cohort::explain::explain(definition).as_bytes())?;
        } else {
            refused = refused.or(file.refusal());
        }
    }
    match refused {
        None => Ok(()),
        Some(error) => Err(CliError::engine(&error)),
    }
}
