//! The scheduler: makes the runs that are due, starts them, and looks after those that others left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clock::Clock;
use super::error::{Error, Result};
use super::process::{self, ProcessId, TOKEN};
use super::runner::{GRACE, open_log};
use super::state::{Capacity, Claim, Ending, Entry, Held, Level, Newest, Outcome, RunState, State};
use super::stop::Stop;
use super::{metrics, notify, watch};

/// How often a sign of life is written.
const BEAT: Duration = Duration::from_secs(10);

/// How often old entries are forgotten.
const PRUNE: Duration = Duration::from_secs(24 * 3_600);

/// How long what studies printed is kept.
const OUTPUT_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How long `once` bears a state that cannot be written.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long `once` waits for runs whose process cannot be seen from here: a little longer than a lease.
const ELSEWHERE: Duration = Duration::from_secs(70);

/// How long `once` waits for notices.
const NOTICES: Duration = Duration::from_secs(60);

/// How a scheduler works.
#[derive(Debug, Clone)]
pub struct Options {
    /// What all runs may take together.
    pub capacity: Capacity,
    /// Run what is due, and end.
    pub once: bool,
    /// When asked to stop, stop the runs as well; the next scheduler starts them again.
    pub stop_runs: bool,
    /// The pause between two looks.
    pub poll: Duration,
    /// The pause between two looks for new snapshots.
    pub watch: Duration,
    /// `columna` itself, which does an attempt as `schedule runner`.
    pub program: PathBuf,
    /// What runs a study in place of `columna`.
    pub study_program: Option<PathBuf>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
}

/// What a scheduler did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs that it started and that ended well.
    pub succeeded: usize,
    /// Runs that it started and that ended otherwise.
    pub failed: Vec<i64>,
    /// Runs that go on without it.
    pub running: Vec<i64>,
}

/// The long-lived process, or one pass of it.
#[derive(Debug)]
struct Scheduler<'a> {
    state: State,
    me: ProcessId,
    options: &'a Options,
    clock: &'a dyn Clock,
    stop: &'a Stop,
    newest: &'a Mutex<BTreeMap<String, Newest>>,
    /// Runners that this process started, by run.
    children: BTreeMap<i64, (Claim, Child)>,
    /// Runs that this process started.
    mine: BTreeSet<i64>,
    began: Instant,
    beat: Option<Instant>,
    pruned: Option<Instant>,
    /// The newest log entry that was told.
    told: i64,
}

/// Runs the schedules of a state folder until a stop is asked for, or once. `tell` gets each entry of the log.
///
/// # Errors
/// When the state cannot be opened, the address for metrics cannot be listened on, or the state of a single pass
/// cannot be written.
pub fn run(
    folder: &Path,
    options: &Options,
    clock: &dyn Clock,
    stop: &Stop,
    tell: &(dyn Fn(&Entry) + Sync),
) -> Result<Summary> {
    let state = State::open(folder)?;
    let me = ProcessId::own()?;
    let told = state.last_entry()?;
    let newest = Mutex::new(BTreeMap::new());
    let listener = options.metrics.map(metrics::listen).transpose()?;
    // For the threads beside the loop: they end when the loop has.
    let over = Stop::default();
    std::thread::scope(|scope| {
        if options.once {
            watch::look(&state, &newest, &mut BTreeMap::new(), clock, tell)?;
        } else {
            let (newest, over) = (&newest, &over);
            scope.spawn(move || watch::keep(folder, newest, options.watch, clock, over, tell));
        }
        if let Some(listener) = listener {
            let over = &over;
            scope.spawn(move || metrics::serve(&listener, folder, clock, over));
        }
        {
            let (over, me) = (&over, me.clone());
            let poll = options.poll;
            scope.spawn(move || notify::keep(folder, &me, poll, clock, over, tell));
        }
        let mut scheduler = Scheduler {
            state,
            me,
            options,
            clock,
            stop,
            newest: &newest,
            children: BTreeMap::new(),
            mine: BTreeSet::new(),
            began: Instant::now(),
            beat: None,
            pruned: None,
            told,
        };
        let summary = scheduler.keep(tell);
        over.ask();
        summary
    })
}

impl Scheduler<'_> {
    fn keep(&mut self, tell: &(dyn Fn(&Entry) + Sync)) -> Result<Summary> {
        let mut trouble: Option<(Instant, String)> = None;
        let count = self.state.schedules()?.len();
        let plural = if count == 1 { "" } else { "s" };
        self.note(
            "scheduler_started",
            &format!("the scheduler begins: {count} schedule{plural}"),
        );
        loop {
            if self.state.is_gone() {
                return Err(Error::Gone {
                    path: self.state.file(),
                });
            }
            let looked = self.look();
            self.tell(tell);
            match looked {
                Ok(()) => trouble = None,
                Err(error) => {
                    let text = chain(&error);
                    let since = trouble
                        .as_ref()
                        .map_or_else(Instant::now, |(since, _)| *since);
                    if self.options.once && since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    // Said once, not with each look.
                    if trouble.as_ref().is_none_or(|(_, said)| *said != text) {
                        tell(&spoken(self.clock, "scheduler_troubled", &text));
                    }
                    trouble = Some((since, text));
                }
            }
            if self.stop.is_asked() {
                break;
            }
            if self.options.once && trouble.is_none() && self.is_done()? {
                self.drain_notices(tell)?;
                break;
            }
            self.stop.wait(self.options.poll);
        }
        if self.stop.is_asked() && (self.options.once || self.options.stop_runs) {
            self.end_runs();
        }
        let summary = self.summary()?;
        let message = match summary.running.len() {
            0 => "the scheduler ends".to_owned(),
            1 => "the scheduler ends; 1 run goes on without it".to_owned(),
            n => format!("the scheduler ends; {n} runs go on without it"),
        };
        self.note("scheduler_stopped", &message);
        if let Err(error) = self.state.leave(&self.me) {
            tell(&spoken(self.clock, "scheduler_troubled", &chain(&error)));
        }
        self.tell(tell);
        Ok(summary)
    }

    /// One look at everything.
    fn look(&mut self) -> Result<()> {
        let now = self.clock.now();
        if self.beat.is_none_or(|beat| beat.elapsed() >= BEAT) {
            self.state.beat(&self.me, now)?;
            self.beat = Some(Instant::now());
        }
        if self.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE) {
            self.state.prune(now)?;
            prune_output(&self.state.folder().join("logs"));
            self.pruned = Some(Instant::now());
        }
        self.reap();
        self.recover()?;
        let newest = self
            .newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.state.plan(&newest, now)?;
        while !self.stop.is_asked() {
            let token = token()?;
            let capacity = &self.options.capacity;
            let Some(claim) = self
                .state
                .claim(&self.me, &token, capacity, self.clock.now())?
            else {
                break;
            };
            self.begin(claim)?;
        }
        Ok(())
    }

    /// Starts the runner of a claim.
    fn begin(&mut self, claim: Claim) -> Result<()> {
        self.mine.insert(claim.run);
        let study = self.options.study_program.as_ref();
        let mut command = Command::new(&self.options.program);
        command
            .args(["schedule", "runner", "--state"])
            .arg(self.state.folder())
            .arg(format!("--run={}", claim.run))
            .arg(format!("--fence={}", claim.fence))
            .env(TOKEN, &claim.token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A group of its own: what ends the scheduler at its terminal does not end the run.
            .process_group(0);
        if let Some(study) = study {
            command.arg("--study-program").arg(study);
        }
        match open_log(&self.state.log_file(claim.run, claim.attempt)) {
            Ok(log) => command.stderr(log),
            Err(_) => command.stderr(Stdio::null()),
        };
        match command.spawn() {
            Ok(child) => {
                self.children.insert(claim.run, (claim, child));
                Ok(())
            }
            Err(error) => {
                let reason = format!("cannot start `{}`: {error}", self.options.program.display());
                let ending = Ending::plain(Outcome::Failed, &reason);
                let now = self.clock.now();
                self.state.finish(claim.run, claim.fence, &ending, now)?;
                Ok(())
            }
        }
    }

    /// Takes the exit codes of runners that ended, so that nothing is left of them.
    fn reap(&mut self) {
        self.children
            .retain(|_, (_, child)| matches!(child.try_wait(), Ok(None)));
    }

    /// Ends the attempts of runs whose process is gone.
    fn recover(&mut self) -> Result<()> {
        let mut lost = self.state.orphans(&self.me, self.clock.now())?;
        // What this process has claimed and not begun: a runner that ended before it was entered, or an end that
        // could not be written.
        for run in self.state.claimed_by(&self.me)? {
            let known =
                self.children.contains_key(&run.run) || lost.iter().any(|held| held.run == run.run);
            if run.runner.is_none() && !known {
                lost.extend(self.state.hold(&run, &self.me, self.clock.now())?);
            }
        }
        for held in lost {
            self.release(&held)?;
        }
        Ok(())
    }

    fn release(&mut self, held: &Held) -> Result<()> {
        if !process::clear(&held.token) {
            // The next look finds it again.
            let message = "its processes cannot be ended yet";
            let at = Some((held.run, held.attempt));
            let now = self.clock.now();
            return self.state.log(now, Level::Warn, "run_stuck", at, message);
        }
        let ending = Ending::plain(Outcome::Lost, "its process disappeared");
        self.state.release(held, &ending, self.clock.now())?;
        Ok(())
    }

    /// Everything that this process started has ended, and nothing more can start.
    fn is_done(&self) -> Result<bool> {
        if !self.children.is_empty() {
            return Ok(false);
        }
        for run in &self.mine {
            let run = self.state.run(*run)?;
            // Between attempts: its schedule being paused, the next one may never come.
            let paused = || self.state.schedule(&run.schedule).is_ok_and(|s| s.paused);
            if !run.state.is_final() && !paused() {
                return Ok(false);
            }
        }
        // In a new container the run of the old one is known to be lost when its lease is over.
        if self.began.elapsed() < ELSEWHERE && self.state.is_done_elsewhere()? {
            return Ok(false);
        }
        // What a killed scheduler left running may keep a run that is due from starting: it is waited for.
        Ok(!self.state.waits_behind_others(self.clock.now())?)
    }

    /// Waits until each notice was tried. Those that failed are left to the next scheduler.
    fn drain_notices(&mut self, tell: &(dyn Fn(&Entry) + Sync)) -> Result<()> {
        let started = Instant::now();
        while self.state.untried_notices()? > 0
            && started.elapsed() < NOTICES
            && !self.stop.is_asked()
        {
            self.stop.wait(Duration::from_millis(50));
            self.tell(tell);
        }
        Ok(())
    }

    /// Asks the runners of this process to stop, and waits for them.
    fn end_runs(&mut self) {
        for (_, child) in self.children.values() {
            process::signal_process(child.id(), Signal::SIGTERM);
        }
        let started = Instant::now();
        while !self.children.is_empty() && started.elapsed() < GRACE + Duration::from_secs(5) {
            self.reap();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn summary(&self) -> Result<Summary> {
        let mut summary = Summary::default();
        for run in &self.mine {
            match self.state.run(*run)?.state {
                RunState::Succeeded => summary.succeeded += 1,
                RunState::Running => summary.running.push(*run),
                _ => summary.failed.push(*run),
            }
        }
        Ok(summary)
    }

    /// Tells what came into the log.
    fn tell(&mut self, tell: &(dyn Fn(&Entry) + Sync)) {
        // A log that cannot be read now is read with the next look.
        for entry in self.state.log_after(self.told).unwrap_or_default() {
            tell(&entry);
            self.told = entry.entry;
        }
    }

    fn note(&mut self, event: &str, message: &str) {
        let pid = self.me.pid;
        let message = format!("{message} (process {pid})");
        // The log is no reason to stop; the next look says what is wrong with the state.
        let _ = self
            .state
            .log(self.clock.now(), Level::Info, event, None, &message);
    }
}

/// Removes what studies printed long ago. What became of their runs stays on record.
fn prune_output(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > OUTPUT_KEPT));
        let ours = entry.path().extension().is_some_and(|end| end == "log");
        if old && ours {
            // One that cannot be removed is in nobody's way.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// An entry that cannot go into the log.
pub(crate) fn spoken(clock: &dyn Clock, event: &str, message: &str) -> Entry {
    Entry {
        entry: 0,
        at: super::clock::stamp(clock.now()),
        level: Level::Error.name().to_owned(),
        event: event.to_owned(),
        schedule: None,
        run: None,
        attempt: None,
        message: message.to_owned(),
    }
}

/// An error with its reasons, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        source = error.source();
    }
    text
}

/// Something that nobody else has.
pub fn token() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::engine(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn old_output_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - OUTPUT_KEPT - Duration::from_secs(60);
        for (name, time) in [
            ("1-1.log", Some(old)),
            ("2-1.log", None),
            ("mine.txt", Some(old)),
        ] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            if let Some(time) = time {
                file.set_modified(time).unwrap();
            }
        }
        prune_output(folder.path());
        let left = |name: &str| folder.path().join(name).exists();
        assert!(!left("1-1.log") && left("2-1.log") && left("mine.txt"));
    }
}
