//! `columna completions` and `columna man`: made from the arguments, so that they are never out of date.

use std::fs;
use std::io::{Write, stdout};

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::error::CliError;

/// Runs `columna completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "columna", &mut script);
    Ok(stdout().write_all(&script)?)
}

/// Runs `columna man`.
pub(crate) fn man(args: &ManArgs) -> Result<(), CliError> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        return Ok(stdout().write_all(&page)?);
    };
    let failed = |error| CliError::io("write the manual pages into", folder.display(), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}
