//! `columna schedule`: studies at times, on new snapshots, after other studies.

mod add;
pub(crate) mod args;
mod history;
mod json;
mod list;
mod service;
mod show;

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use columna_study::schedule::{Clock, Definition, Error, State, SystemClock, token};

use crate::error::{CliError, Report};
use crate::settings::Settings;
use args::{NameArgs, RunNumberArgs, ScheduleCommand, StateArgs};

/// Runs a command of `columna schedule`.
pub(crate) fn run(command: ScheduleCommand, settings: &Settings) -> Result<(), CliError> {
    match command {
        ScheduleCommand::Add(args) => add::run(&args, settings),
        ScheduleCommand::List(args) => list::run(&args, settings),
        ScheduleCommand::Remove(args) => remove(&args),
        ScheduleCommand::Pause(args) => pause(&args, true),
        ScheduleCommand::Resume(args) => pause(&args, false),
        ScheduleCommand::Start(args) => start(&args),
        ScheduleCommand::History(args) => history::run(&args, settings),
        ScheduleCommand::Show(args) => show::run(&args, settings),
        ScheduleCommand::Retry(args) => retry(&args),
        ScheduleCommand::Cancel(args) => cancel(&args),
        ScheduleCommand::Run(args) => service::run(&args, settings),
        ScheduleCommand::Install(args) => service::install(&args),
        ScheduleCommand::Runner(args) => service::runner(args),
    }
}

fn remove(args: &NameArgs) -> Result<(), CliError> {
    let mut state = open(&args.state)?;
    state.remove(&args.name, now()).map_err(failed)?;
    Ok(writeln!(stdout(), "removed `{}`", args.name)?)
}

fn pause(args: &NameArgs, paused: bool) -> Result<(), CliError> {
    let mut state = open(&args.state)?;
    let changed = state.pause(&args.name, paused, now()).map_err(failed)?;
    let text = match (paused, changed) {
        (true, true) => "is paused",
        (true, false) => "was paused already",
        (false, true) => "goes on",
        (false, false) => "was not paused",
    };
    Ok(writeln!(stdout(), "`{}` {text}", args.name)?)
}

fn start(args: &NameArgs) -> Result<(), CliError> {
    let mut state = open(&args.state)?;
    let key = token().map_err(failed)?;
    let run = state.start(&args.name, &key, now()).map_err(failed)?;
    if state.schedule(&args.name).map_err(failed)?.paused {
        remind(&format!(
            "`{0}` is paused: the run starts after `columna schedule resume {0}`",
            args.name
        ));
    } else {
        remind_of_scheduler(&state)?;
    }
    Ok(writeln!(
        stdout(),
        "run {run} starts as soon as there is room"
    )?)
}

fn retry(args: &RunNumberArgs) -> Result<(), CliError> {
    let mut state = open(&args.state)?;
    let attempt = state.retry(args.run, now()).map_err(failed)?;
    remind_of_scheduler(&state)?;
    Ok(writeln!(
        stdout(),
        "run {} is tried again: attempt {attempt} starts as soon as there is room",
        args.run
    )?)
}

fn cancel(args: &RunNumberArgs) -> Result<(), CliError> {
    let mut state = open(&args.state)?;
    let running = state.cancel(args.run, now()).map_err(failed)?;
    let text = if running {
        "is asked to end"
    } else {
        "is cancelled"
    };
    Ok(writeln!(stdout(), "run {} {text}", args.run)?)
}

/// The folder with the state.
pub(crate) fn folder(args: &StateArgs) -> Result<PathBuf, CliError> {
    if let Some(state) = &args.state {
        return Ok(state.clone());
    }
    let Some(store) = &args.store else {
        return Err(CliError::usage("whose schedules?").hint(
            "give `--store STORE` or set COLUMNA_STORE: schedules are kept beside the store",
        ));
    };
    match local(store) {
        Some(path) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".schedule");
            Ok(path.with_file_name(name))
        }
        None => Err(CliError::usage(format!(
            "schedules cannot be kept beside `{store}`: SQLite needs a folder of this machine"
        ))
        .hint("name one with `--state DIR`, or set COLUMNA_SCHEDULE")),
    }
}

/// A store's folder as an absolute path, where it is one.
pub(crate) fn local(store: &str) -> Option<PathBuf> {
    let path = match store.split_once("://") {
        None => store,
        Some(("file", path)) => path,
        Some(_) => return None,
    };
    Some(absolute(PathBuf::from(path)))
}

/// A path that means the same from any folder; links are followed as far as it exists.
pub(crate) fn absolute(path: PathBuf) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let whole = std::path::absolute(&path).unwrap_or(path);
    let parent = whole.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, whole.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => whole,
    }
}

/// Opens a state that must be there.
pub(crate) fn open(args: &StateArgs) -> Result<State, CliError> {
    State::open(&folder(args)?).map_err(failed)
}

/// A schedule's error in the binary's words.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn failed(error: Error) -> CliError {
    let mut report = Report::from_error(&error);
    if let Some(hint) = error.hint() {
        report = report.hint(hint);
    }
    if error.is_usage() {
        CliError::Usage(Box::new(report))
    } else {
        CliError::report(report)
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// A time in a schedule's own zone, in whole seconds.
pub(crate) fn clock_time(time: DateTime<Utc>, definition: &Definition) -> String {
    match definition.zone() {
        Some(zone) => time
            .with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        None => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    }
}

/// The same without seconds.
pub(crate) fn minute_time(time: DateTime<Utc>, definition: &Definition) -> String {
    match definition.zone() {
        Some(zone) => time
            .with_timezone(&zone)
            .format("%Y-%m-%d %H:%M %Z")
            .to_string(),
        None => time.format("%Y-%m-%d %H:%M UTC").to_string(),
    }
}

/// A word on standard error.
pub(crate) fn remind(text: &str) {
    // Standard error may be closed; nobody is there to be reminded then.
    let _ = writeln!(stderr(), "note: {text}");
}

/// Says so when nothing will happen.
pub(crate) fn remind_of_scheduler(state: &State) -> Result<(), CliError> {
    if state.schedulers(now()).map_err(failed)? == 0 {
        remind(
            "no scheduler is at work: start `columna schedule run`, or see `columna schedule install --systemd`",
        );
    }
    Ok(())
}
