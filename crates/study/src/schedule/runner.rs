//! The runner: a small process that does one attempt of a run, watches it, and writes its end.
//!
//! It is a process of its own so that the scheduler may be killed or replaced while a study runs: the runner stays,
//! and the end of the study is written whoever looks after the schedule by then.

use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clock::{Clock, SystemClock};
use super::definition::Definition;
use super::error::{Error, Result};
use super::process::{self, ProcessId};
use super::state::{Ending, Outcome, Run, Standing, State, make_private};
use super::stop::Stop;

/// How often limits are looked at; the study's end is seen at once.
const LOOK: Duration = Duration::from_millis(50);

/// How often memory is measured, and the state asked whether the run is cancelled.
const ASK: Duration = Duration::from_millis(500);

/// How often the lease is renewed.
const BEAT: Duration = Duration::from_secs(15);

/// How long the end is tried to be written while the state is locked or the disk is full.
const PERSEVERE: Duration = Duration::from_secs(6 * 3_600);

/// How long a study may take to end after it was asked to.
pub const GRACE: Duration = Duration::from_secs(10);

/// Memory beyond the limit that a study may hold: its limit is the engine's for data, and the program needs some too.
const MEMORY_MARGIN: u64 = 512 << 20;

/// One attempt to be done.
#[derive(Debug, Clone)]
pub struct Job {
    /// The state's folder.
    pub folder: PathBuf,
    /// The run.
    pub run: i64,
    /// The fence that the scheduler got for it.
    pub fence: i64,
    /// What runs a study: `columna`.
    pub program: PathBuf,
    /// How long the study may take to end after it was asked to.
    pub grace: Duration,
}

/// Why a runner ends its study.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    TimeLimit(u64),
    Memory { held: u64, limit: u64 },
    Cancelled(String),
    Interrupted,
    Lost,
}

/// Does one attempt, and writes its end. Nothing happens when the run is not the caller's any more.
///
/// # Errors
/// When the state cannot be opened, or the end cannot be written for hours.
pub fn run_attempt(job: &Job, stop: &Stop) -> Result<()> {
    let clock = SystemClock;
    let mut state = State::open(&job.folder)?;
    let me = ProcessId::own()?;
    if !state.register(job.run, job.fence, &me, clock.now())? {
        return Ok(());
    }
    let run = state.run(job.run)?;
    let ending = match begin(job, &state, &run) {
        Ok(child) => watch(job, &mut state, &run, child, stop),
        Err(ending) => Some(ending),
    };
    match ending {
        Some(ending) => write_end(&mut state, job, &ending),
        None => Ok(()),
    }
}

/// Starts the study, or says why it cannot be.
fn begin(job: &Job, state: &State, run: &Run) -> Result<Child, Ending> {
    let definition = &run.definition;
    if !definition.specification.is_file() {
        let specification = definition.specification.display();
        return Err(Ending::plain(
            Outcome::Refused,
            &format!("the specification `{specification}` is not there"),
        ));
    }
    let cannot = |what: &str, error: &std::io::Error| {
        Ending::plain(Outcome::Failed, &format!("cannot {what}: {}", words(error)))
    };
    let log = open_log(&state.log_file(run.run, run.attempts))
        .map_err(|error| Ending::plain(Outcome::Failed, &error.to_string()))?;
    let other = log
        .try_clone()
        .map_err(|error| cannot("write the log", &error))?;
    let mut command = study_command(&job.program, definition, run.attempts > 1);
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(other)
        // A group of its own: all that it starts can be ended together, and a terminal's Ctrl-C is not for it.
        .process_group(0)
        .env(process::RUNNER, std::process::id().to_string())
        .env("COLUMNA_SCHEDULE_RUN", run.run.to_string());
    let child = command
        .spawn()
        .map_err(|error| cannot("start the study", &error))?;
    process::end_first(child.id());
    Ok(child)
}

/// `columna study run …` as a schedule runs it.
fn study_command(program: &Path, definition: &Definition, again: bool) -> Command {
    let mut command = Command::new(program);
    command
        .args(["study", "run"])
        .arg(&definition.specification)
        .args(["--store", &definition.store, "--out"])
        .arg(&definition.out);
    if let Some(bytes) = definition.memory_limit {
        command.arg(format!("--memory-limit={bytes}"));
    }
    if let Some(threads) = definition.threads {
        command.arg(format!("--threads={threads}"));
    }
    // Who wants every step or one snapshot has said so.
    let told = |option: &str| {
        let with_value = format!("{option}=");
        let is = |argument: &String| argument == option || argument.starts_with(&with_value);
        definition.arguments.iter().any(is)
    };
    if again && !["--fresh", "--resume", "--snapshot"].into_iter().any(told) {
        command.arg("--resume");
    }
    command.args(&definition.arguments);
    if let Some(folder) = definition.specification.parent() {
        command.current_dir(folder);
    }
    command
}

/// The file for what an attempt prints; only the user can read it.
pub(crate) fn open_log(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        make_private(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| Error::io("write the log", path, error))
}

/// Waits for the study's end, and brings it about when it must. `None` when the run is somebody else's by now.
fn watch(job: &Job, state: &mut State, run: &Run, mut child: Child, stop: &Stop) -> Option<Ending> {
    let group = child.id();
    let started = Instant::now();
    let (mut asked, mut beat) = (started, started);
    let mut peak = 0;
    let mut why: Option<(Why, Instant)> = None;
    // Between the study's end and the moment at which it is on record nothing may happen to this process: the shorter
    // the better.
    let this = std::thread::current();
    std::thread::spawn(move || {
        process::await_end(group);
        this.unpark();
    });
    while !process::has_ended(&mut child) {
        if let Some((_, since)) = &why {
            if since.elapsed() >= job.grace {
                process::signal_group(group, Signal::SIGKILL);
            }
        } else if let Some(reason) = reason_to_end(
            job, state, run, group, stop, started, &mut asked, &mut beat, &mut peak,
        ) {
            let signal = match reason {
                // Nothing of it may go on: another runner has the run.
                Why::Lost => Signal::SIGKILL,
                _ => Signal::SIGTERM,
            };
            process::signal_group(group, signal);
            why = Some((reason, Instant::now()));
        }
        std::thread::park_timeout(LOOK);
    }
    // What it started goes with it.
    process::signal_group(group, Signal::SIGKILL);
    let status = child.wait().ok();
    // Also what left the group: it has the token in its environment, as this process has.
    if let Ok(token) = std::env::var(process::TOKEN) {
        process::clear(&token);
    }
    let mut ending = match why.map(|(why, _)| why) {
        None => by_status(status),
        Some(Why::Lost) => return None,
        // It was done before it was asked to end.
        Some(_) if status.is_some_and(|status| status.success()) => by_status(status),
        Some(why) => by_reason(&why, status),
    };
    ending.memory = (peak > 0).then_some(peak);
    Some(ending)
}

#[expect(clippy::too_many_arguments, reason = "the watch's own variables")]
fn reason_to_end(
    job: &Job,
    state: &mut State,
    run: &Run,
    group: u32,
    stop: &Stop,
    started: Instant,
    asked: &mut Instant,
    beat: &mut Instant,
    peak: &mut u64,
) -> Option<Why> {
    if stop.is_asked() {
        return Some(Why::Interrupted);
    }
    let definition = &run.definition;
    if let Some(limit) = definition.time_limit_seconds
        && started.elapsed() >= Duration::from_secs(limit)
    {
        return Some(Why::TimeLimit(limit));
    }
    if asked.elapsed() < ASK {
        return None;
    }
    *asked = Instant::now();
    let held = process::group_memory(group);
    *peak = held.max(*peak);
    if let Some(limit) = definition.memory_limit
        && held > memory_ceiling(limit)
    {
        return Some(Why::Memory { held, limit });
    }
    let alive = beat.elapsed() >= BEAT;
    if alive {
        *beat = Instant::now();
    }
    match state.standing(job.run, job.fence, alive, SystemClock.now()) {
        Ok(Standing::Cancelled(why)) => Some(Why::Cancelled(why)),
        Ok(Standing::Lost) => Some(Why::Lost),
        // A state that cannot be asked now says nothing against the study.
        Ok(Standing::Holds) | Err(_) => None,
    }
}

/// What a run with this memory limit may hold before it is ended.
#[must_use]
pub fn memory_ceiling(limit: u64) -> u64 {
    limit
        .saturating_add(limit / 2)
        .saturating_add(MEMORY_MARGIN)
}

fn by_status(status: Option<ExitStatus>) -> Ending {
    let Some(status) = status else {
        return Ending::plain(
            Outcome::Lost,
            "the study's process cannot be asked how it ended",
        );
    };
    let (outcome, reason) = match (status.code(), status.signal()) {
        (Some(0), _) => (Outcome::Succeeded, None),
        (Some(2), _) => (
            Outcome::Refused,
            Some("the command line or the specification is wrong (exit code 2)".to_owned()),
        ),
        (Some(code), _) => (
            Outcome::Failed,
            Some(format!("the study failed (exit code {code})")),
        ),
        (None, Some(9)) => (
            Outcome::OutOfMemory,
            Some("signal 9 ended it: the system does that when memory runs out".to_owned()),
        ),
        (None, signal) => {
            let number = signal.map_or_else(|| "a signal".to_owned(), |s| format!("signal {s}"));
            (Outcome::Killed, Some(format!("{number} ended it")))
        }
    };
    with_status(outcome, reason, Some(status))
}

fn by_reason(why: &Why, status: Option<ExitStatus>) -> Ending {
    let (outcome, reason) = match why {
        Why::TimeLimit(limit) => (
            Outcome::TimedOut,
            format!("it took longer than its limit of {limit} s"),
        ),
        Why::Memory { held, limit } => (
            Outcome::OutOfMemory,
            format!(
                "it held {} MB of memory, with a limit of {} MB",
                held / 1_000_000,
                limit / 1_000_000
            ),
        ),
        Why::Cancelled(why) => (Outcome::Cancelled, why.clone()),
        Why::Interrupted | Why::Lost => (
            Outcome::Interrupted,
            "its runner was asked to stop".to_owned(),
        ),
    };
    with_status(outcome, Some(reason), status)
}

fn with_status(outcome: Outcome, reason: Option<String>, status: Option<ExitStatus>) -> Ending {
    Ending {
        outcome,
        reason,
        exit_code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        memory: None,
    }
}

/// Writes the end, however long the state is locked or the disk full: while this process lives, nobody takes the run.
fn write_end(state: &mut State, job: &Job, ending: &Ending) -> Result<()> {
    let (started, ended) = (Instant::now(), SystemClock.now());
    let mut pause = Duration::from_millis(100);
    loop {
        match state.finish(job.run, job.fence, ending, ended) {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > PERSEVERE => return Err(error),
            Err(_) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(10));
            }
        }
    }
}

/// A system's error in its own words, without Rust's number behind.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}
