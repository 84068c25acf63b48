//! Arguments of `columna bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::parse_threads;
use crate::size::parse_size;

/// The commands of `columna bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Ask a hospital's questions, warm and cold, and print what they cost
    Run(RunArgs),
    /// Write what runs cost as a page with charts
    Report(ReportArgs),
}

/// Arguments of `columna bench run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How many patients the synthetic hospital has
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) patients: u64,
    /// Where the synthetic store is kept for the next run
    #[arg(long, value_name = "DIR", default_value = "columna-bench")]
    pub(crate) dir: PathBuf,
    /// A store to ask instead of a synthetic one
    #[arg(long, value_name = "STORE", conflicts_with_all = ["patients", "dir"])]
    pub(crate) store: Option<String>,
    /// Questions by name, such as `1*`, or files of your own, such as `mine/*.sql`
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub(crate) queries: String,
    /// How often each question is asked, after once to warm up
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Do not also ask each question in a process of its own
    #[arg(long)]
    pub(crate) no_cold: bool,
    /// What sorts, aggregates and joins may hold before they spill, such as 1GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory_limit: Option<usize>,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Ask a cluster that serves the store; each question warm only
    #[command(flatten)]
    pub(crate) cluster: crate::commands::cluster::args::ClientArgs,
    /// Also write the figures to this file, for `columna bench report`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Arguments of `columna bench report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// What `columna bench run --json` wrote; of several, the first is what the others are compared with
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The page
    #[arg(long, value_name = "FILE", default_value = "bench.html")]
    pub(crate) out: PathBuf,
}
