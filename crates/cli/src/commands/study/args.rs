//! Arguments of `columna study`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::parse_threads;
use crate::commands::privacy::args::AccessArgs;
use crate::size::parse_size;

/// The commands of `columna study`.
#[derive(Debug, Subcommand)]
pub(crate) enum StudyCommand {
    /// Write a commented specification to start from, and the schema that lets an editor check it
    Init(InitArgs),
    /// Check a specification, and with a store its tables, columns and concepts too, without running it
    Validate(Box<ValidateArgs>),
    /// Run a study into a folder: tables, figures and a report
    Run(Box<RunArgs>),
    /// Write the report of a run again
    Report(ReportArgs),
}

/// Arguments of `columna study init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write; it must not exist
    #[arg(value_name = "SPEC.yaml", default_value = "study.yaml")]
    pub(crate) specification: PathBuf,
    /// Write the study of the synthetic hospital that `columna demo` runs, in place of a start
    #[arg(long)]
    pub(crate) example: bool,
}

/// Arguments of `columna study validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The specification
    #[arg(value_name = "SPEC.yaml")]
    pub(crate) specification: PathBuf,
    /// The store to check names and types against
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: Option<String>,
    /// A version of the store, in place of the newest
    #[arg(long, value_name = "V", requires = "store")]
    pub(crate) snapshot: Option<u64>,
    /// Print the mistakes as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Who will run it: only what they see is there
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// Arguments of `columna study run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The specification
    #[arg(value_name = "SPEC.yaml")]
    pub(crate) specification: PathBuf,
    /// The store
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: String,
    /// The run folder; steps that are done there and did not change are taken as they are
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Compute every step, whatever the folder holds
    #[arg(long, conflicts_with = "resume")]
    pub(crate) fresh: bool,
    /// Go on with a run that did not come to its end, on the snapshot that it began with
    #[arg(long)]
    pub(crate) resume: bool,
    /// A version of the store, in place of the newest
    #[arg(long, value_name = "V", conflicts_with = "resume")]
    pub(crate) snapshot: Option<u64>,
    /// How much memory queries may use; beyond it they spill to disk where they can
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory_limit: Option<usize>,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Print the record of the run as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Where queries run
    #[command(flatten)]
    pub(crate) cluster: crate::commands::cluster::args::ClientArgs,
    /// Who asks
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

impl RunArgs {
    /// A plain run.
    pub(crate) fn of(
        specification: &std::path::Path,
        store: &std::path::Path,
        out: &std::path::Path,
    ) -> Self {
        Self {
            specification: specification.to_owned(),
            store: store.display().to_string(),
            out: out.to_owned(),
            fresh: false,
            resume: false,
            snapshot: None,
            memory_limit: None,
            threads: None,
            json: false,
            cluster: crate::commands::cluster::args::ClientArgs::default(),
            access: AccessArgs::default(),
        }
    }
}

/// Arguments of `columna study report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run folder
    #[arg(value_name = "DIR")]
    pub(crate) run: PathBuf,
}
