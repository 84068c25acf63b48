//! Arguments of `columna cohort`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{Format, StoreArg, parse_threads};
use crate::commands::privacy::args::AccessArgs;

/// The commands of `columna cohort`.
#[derive(Debug, Subcommand)]
pub(crate) enum CohortCommand {
    /// Build cohorts from OHDSI definitions (Circe JSON, as ATLAS exports them), all of them in one pass
    Run(Box<RunArgs>),
    /// Print definitions in plain words
    Explain(DefinitionsArg),
    /// Name what is unsupported or suspicious in definitions; exit code 1 when one cannot run
    Validate(ValidateArgs),
}

/// The definitions.
#[derive(Debug, Args)]
pub(crate) struct DefinitionsArg {
    /// Files, and folders whose `.json` files are meant
    #[arg(value_name = "DEF.json", required = true)]
    pub(crate) definitions: Vec<PathBuf>,
}

/// Arguments of `columna cohort run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) definitions: DefinitionsArg,
    #[command(flatten)]
    pub(crate) store: StoreArg,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Write `cohort.parquet`, attrition as CSV and JSON, and a diagram of each definition's attrition
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Put the rows into the store's table `cohort`, in place of those with the same definition ids
    #[arg(long)]
    pub(crate) into_store: bool,
    /// Run the other definitions when some are refused; exit code 1 all the same
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Read this snapshot instead of the newest
    #[arg(long, value_name = "VERSION", conflicts_with = "into_store")]
    pub(crate) snapshot: Option<u64>,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// How the counts are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// Arguments of `columna cohort validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) definitions: DefinitionsArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
