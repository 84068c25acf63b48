//! Arguments of `columna schedule`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{parse_duration, parse_threads};
use crate::size::parse_size;

/// The commands of `columna schedule`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Add a study: at times, on a new snapshot of its store, or after other studies
    Add(Box<AddArgs>),
    /// Show the schedules: when each runs next, and how it went last
    List(ListArgs),
    /// Remove a schedule; a run under way goes on to its end
    Remove(NameArgs),
    /// Let nothing of a schedule start
    Pause(NameArgs),
    /// Let a paused schedule go on
    Resume(NameArgs),
    /// Make a run now
    Start(NameArgs),
    /// Show the runs
    History(HistoryArgs),
    /// Show one run: its attempts, what happened, and the end of its output
    Show(ShowArgs),
    /// Try a run again that did not succeed
    Retry(RunNumberArgs),
    /// End a run that waits or runs
    Cancel(RunNumberArgs),
    /// Run what is due, for as long as it is let
    Run(RunArgs),
    /// Print what starts the scheduler with the machine
    Install(InstallArgs),
    /// Do one attempt of a run (for the scheduler itself)
    #[command(hide = true)]
    Runner(RunnerArgs),
}

/// Where schedules are kept.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The store: schedules are kept beside it, in `STORE.schedule`
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: Option<String>,
    /// The folder to keep schedules in, in place of the one beside the store
    #[arg(long, value_name = "DIR", env = "COLUMNA_SCHEDULE")]
    pub(crate) state: Option<PathBuf>,
}

/// Arguments of `columna schedule add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The study's specification
    #[arg(value_name = "SPEC.yaml")]
    pub(crate) specification: PathBuf,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// What the schedule is called; the specification's file name unless told
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The folder for results; `results/NAME` beside the schedules unless told
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Change the schedule of this name, where there is one
    #[arg(long)]
    pub(crate) replace: bool,
    /// Take the specification as it is
    #[arg(long, hide = true)]
    pub(crate) unchecked: bool,

    /// When: minute, hour, day, month, weekday, such as "0 2 * * *" for 02:00 every day, or `@daily`
    #[arg(long, value_name = "PATTERN", help_heading = "When")]
    pub(crate) cron: Option<String>,
    /// The time zone that the pattern is read in
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "UTC",
        help_heading = "When"
    )]
    pub(crate) timezone: String,
    /// When the store has a new snapshot
    #[arg(long, help_heading = "When")]
    pub(crate) on_snapshot: bool,
    /// Take a snapshot as new when no other followed it for this long
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration, help_heading = "When")]
    pub(crate) settle: Duration,
    /// Only after this schedule's run succeeded; may be repeated. Without another trigger, each success starts a run
    #[arg(long, value_name = "NAME", help_heading = "When")]
    pub(crate) after: Vec<String>,

    /// What happens with times that passed while no scheduler ran
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "once",
        help_heading = "Policies"
    )]
    pub(crate) missed: MissedArg,
    /// A time counts as missed when it is longer ago than this
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, help_heading = "Policies")]
    pub(crate) grace: Duration,
    /// What happens when a run is due while an earlier one is not finished
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "skip",
        help_heading = "Policies"
    )]
    pub(crate) overlap: OverlapArg,
    /// How often a failed run is tried again
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Policies")]
    pub(crate) retries: u32,
    /// The pause before the first retry; it doubles with each
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration, help_heading = "Policies")]
    pub(crate) backoff: Duration,
    /// The longest pause
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration, help_heading = "Policies")]
    pub(crate) backoff_max: Duration,
    /// Runs of higher priority start first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "Policies"
    )]
    pub(crate) priority: i32,

    /// How long one attempt may take
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub(crate) time_limit: Option<Duration>,
    /// Memory for the engine; a run that holds half as much again and 512 MiB more is ended
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub(crate) memory_limit: Option<usize>,
    /// Threads for the engine
    #[arg(long, value_name = "N", value_parser = parse_threads, help_heading = "Limits")]
    pub(crate) threads: Option<usize>,

    /// A command that gets a notice as JSON on its standard input when a run ends; may be repeated
    #[arg(long, value_name = "COMMAND", help_heading = "Notices")]
    pub(crate) hook: Vec<String>,
    /// An address that gets the notice by HTTP POST: `https://…`, or `http://` on this machine; may be repeated
    #[arg(long, value_name = "URL", help_heading = "Notices")]
    pub(crate) webhook: Vec<String>,
    /// Which ends are told
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "always",
        help_heading = "Notices"
    )]
    pub(crate) notify: NotifyArg,

    /// Further arguments of `columna study run`
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<String>,
}

/// What happens with missed times.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MissedArg {
    /// They are put on record as missed
    Skip,
    /// One run stands for all
    Once,
    /// Each gets its run
    All,
}

/// What happens with a run that is due while an earlier one is not finished.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OverlapArg {
    /// The new run does not happen; a new snapshot waits
    Skip,
    /// The new run waits
    Queue,
    /// The old run is cancelled
    Cancel,
}

/// Which ends are told.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NotifyArg {
    /// All
    Always,
    /// All but success
    Failure,
    /// Success only
    Success,
}

/// Arguments of `columna schedule list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A schedule by its name.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The schedule's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Arguments of `columna schedule history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only of this schedule
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Only runs in this state
    #[arg(long = "in", value_name = "STATE")]
    pub(crate) in_state: Option<RunStateArg>,
    /// The newest runs, at most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RunStateArg {
    Waiting,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
    Missed,
}

/// A run by its number.
#[derive(Debug, Args)]
pub(crate) struct RunNumberArgs {
    /// The run's number, as `columna schedule history` shows it
    #[arg(value_name = "RUN")]
    pub(crate) run: i64,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Arguments of `columna schedule show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) run: RunNumberArgs,
    /// Print all that the newest attempt has printed
    #[arg(long, conflicts_with = "json")]
    pub(crate) output: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What all runs may take together, and what is told of it.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_runs: u16,
    /// The sum of the memory limits of running runs
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_memory: Option<usize>,
    /// The sum of the threads of running runs
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) max_threads: Option<usize>,
    /// Serve metrics for Prometheus at this address of this machine, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How the log is written on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormatArg,
    /// When stopped, stop the runs as well; the next scheduler starts them again
    #[arg(long)]
    pub(crate) stop_runs: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormatArg {
    /// Lines for people
    Text,
    /// One JSON object in each line
    Json,
}

/// Arguments of `columna schedule run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Run what is due, wait for it and its retries, and end: exit code 1 when a run did not succeed
    #[arg(long)]
    pub(crate) once: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 1_000, hide = true, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) poll: u64,
    /// Milliseconds between two looks for new snapshots
    #[arg(long, value_name = "MS", default_value_t = 10_000, hide = true, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) watch: u64,
    /// What runs a study, in place of this program
    #[arg(long, value_name = "PROGRAM", hide = true)]
    pub(crate) study_program: Option<PathBuf>,
}

/// Arguments of `columna schedule install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// A unit for systemd
    #[arg(long, required = true)]
    pub(crate) systemd: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Arguments of `columna schedule runner`.
#[derive(Debug, Args)]
pub(crate) struct RunnerArgs {
    #[arg(long)]
    pub(crate) state: PathBuf,
    #[arg(long)]
    pub(crate) run: i64,
    #[arg(long)]
    pub(crate) fence: i64,
    #[arg(long)]
    pub(crate) study_program: Option<PathBuf>,
}
