//! How attempts and runs end, and what follows from it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::claim::LEASE;
use super::log::{Level, note};
use super::runs::{self, Run, RunState};
use super::texts::texts;
use super::{State, notices, schedules};
use crate::schedule::clock::seconds;
use crate::schedule::error::{Error, Result};
use crate::schedule::process::ProcessId;

/// Attempts of a run that may end by no fault of its own before it is given up.
const MOST_LOSSES: i64 = 20;

/// After more losses than this there is a pause before the next attempt.
const QUICK_LOSSES: i64 = 3;

texts! {
    /// How an attempt ended.
    Outcome {
        /// The study was done.
        Succeeded = "succeeded",
        /// It said that it failed.
        Failed = "failed",
        /// The command line or the specification is wrong: another attempt would fail in the same way.
        Refused = "refused",
        /// It took longer than it may.
        TimedOut = "timed out",
        /// It took more memory than it may, or the system ended it for its memory.
        OutOfMemory = "out of memory",
        /// A signal ended it.
        Killed = "killed",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// The machine or the scheduler stopped it.
        Interrupted = "interrupted",
        /// Its process disappeared.
        Lost = "lost",
    }
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Why, in words that hold nothing of what the study printed.
    pub reason: Option<String>,
    /// The process's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The most memory its processes held together, in bytes.
    pub memory: Option<u64>,
}

impl Ending {
    /// An end without numbers.
    #[must_use]
    pub fn plain(outcome: Outcome, reason: &str) -> Self {
        Self {
            outcome,
            reason: Some(reason.to_owned()),
            exit_code: None,
            signal: None,
            memory: None,
        }
    }
}

/// What a runner is told when it asks how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Go on.
    Holds,
    /// End the attempt, for this reason.
    Cancelled(String),
    /// The run is somebody else's: end everything and write nothing.
    Lost,
}

impl State {
    /// Enters the process that does an attempt; whether the run is still its own. A runner that is not entered must
    /// not begin.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn register(
        &mut self,
        run: i64,
        fence: i64,
        runner: &ProcessId,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.write("register a runner", |tx| {
            let changed = tx.execute(
                "UPDATE runs SET runner = ?3, lease = ?4 \
                 WHERE run = ?1 AND fence = ?2 AND state = 'running' AND runner IS NULL",
                params![
                    run,
                    fence,
                    runner.encode(),
                    (now + LEASE).timestamp_millis()
                ],
            )?;
            Ok(changed == 1)
        })
    }

    /// How a runner stands; `alive` renews its lease.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub fn standing(
        &mut self,
        run: i64,
        fence: i64,
        alive: bool,
        now: DateTime<Utc>,
    ) -> Result<Standing> {
        let found = self.read("read a run", |connection| runs::must(connection, run))?;
        if found.fence != fence || found.state != RunState::Running {
            return Ok(Standing::Lost);
        }
        if alive {
            self.write("renew a lease", |tx| {
                tx.execute(
                    "UPDATE runs SET lease = ?3 WHERE run = ?1 AND fence = ?2",
                    params![run, fence, (now + LEASE).timestamp_millis()],
                )?;
                Ok(())
            })?;
        }
        Ok(found.cancel.map_or(Standing::Holds, Standing::Cancelled))
    }

    /// Writes the end of an attempt, and with it the run's end or its next attempt; whether the run was still the
    /// caller's. When it was not, nothing is written.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn finish(
        &mut self,
        run: i64,
        fence: i64,
        ending: &Ending,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.write("write the end of a run", |tx| {
            let found = runs::must(tx, run)?;
            if found.fence != fence || found.state != RunState::Running {
                return Ok(false);
            }
            settle(tx, &found, ending, now)?;
            Ok(true)
        })
    }
}

/// What follows from the end of an attempt.
pub(super) fn settle(
    connection: &Connection,
    run: &Run,
    ending: &Ending,
    now: DateTime<Utc>,
) -> Result<()> {
    connection.execute(
        "UPDATE attempts SET ended = ?3, outcome = ?4, reason = ?5, exit_code = ?6, signal = ?7, memory = ?8 \
         WHERE run = ?1 AND attempt = ?2",
        params![
            run.run,
            run.attempts,
            now.timestamp_millis(),
            ending.outcome,
            ending.reason,
            ending.exit_code,
            ending.signal,
            ending.memory.and_then(|bytes| i64::try_from(bytes).ok()),
        ],
    )?;
    let reason = ending.reason.as_deref().unwrap_or("");
    if ending.outcome == Outcome::Succeeded {
        return end(connection, run, RunState::Succeeded, "", now);
    }
    if ending.outcome == Outcome::Cancelled {
        return end(connection, run, RunState::Cancelled, reason, now);
    }
    if let Some(why) = &run.cancel {
        return end(connection, run, RunState::Cancelled, why, now);
    }
    if schedules::find(connection, &run.schedule)?.is_none() {
        let why = format!("{reason}; its schedule was removed");
        return end(connection, run, RunState::Failed, &why, now);
    }
    let (mut failures, mut losses) = (run.failures, run.losses);
    let wait = match ending.outcome {
        Outcome::Refused => None,
        Outcome::Lost | Outcome::Interrupted => {
            losses += 1;
            let slow = u32::try_from(losses - QUICK_LOSSES).unwrap_or(0);
            let pause = if slow > 0 {
                run.definition.backoff(slow)
            } else {
                0
            };
            (losses <= MOST_LOSSES).then_some(pause)
        }
        _ => {
            failures += 1;
            let again = failures <= i64::from(run.definition.retries);
            again.then(|| {
                run.definition
                    .backoff(u32::try_from(failures).unwrap_or(u32::MAX))
            })
        }
    };
    let Some(wait) = wait else {
        return end(connection, run, RunState::Failed, reason, now);
    };
    let not_before = now + seconds(wait);
    connection.execute(
        "UPDATE runs SET state = 'waiting', reason = ?2, failures = ?3, losses = ?4, not_before = ?5, \
           token = NULL, claimant = NULL, runner = NULL, lease = NULL WHERE run = ?1",
        params![run.run, reason, failures, losses, not_before.timestamp_millis()],
    )?;
    let message = format!(
        "attempt {} {}: {reason}; the next one in {wait} s",
        run.attempts,
        ending.outcome.name()
    );
    let at = Some((run.run, run.attempts));
    note(
        connection,
        now,
        Level::Warn,
        "attempt_failed",
        Some(&run.schedule),
        at,
        &message,
    )
}

/// Ends a run for good.
pub(super) fn end(
    connection: &Connection,
    run: &Run,
    state: RunState,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    if !state.is_final() {
        return Err(Error::engine("a run ended in a state that is no end"));
    }
    connection.execute(
        "UPDATE runs SET state = ?2, reason = ?3, ended = ?4, sequence = ?5, \
           token = NULL, claimant = NULL, runner = NULL, lease = NULL WHERE run = ?1",
        params![
            run.run,
            state,
            (!reason.is_empty()).then_some(reason),
            now.timestamp_millis(),
            last_sequence(connection)? + 1,
        ],
    )?;
    let level = match state {
        RunState::Succeeded | RunState::Cancelled => Level::Info,
        RunState::Failed => Level::Error,
        _ => Level::Warn,
    };
    let message = if reason.is_empty() {
        state.name().to_owned()
    } else {
        format!("{}: {reason}", state.name())
    };
    let event = format!("run_{}", state.name());
    let at = Some((run.run, run.attempts));
    note(
        connection,
        now,
        level,
        &event,
        Some(&run.schedule),
        at,
        &message,
    )?;
    tell(connection, &runs::must(connection, run.run)?, now)
}

/// Puts a run's end into the box of notices, for those who asked for it.
pub(super) fn tell(connection: &Connection, run: &Run, now: DateTime<Utc>) -> Result<()> {
    notices::put(connection, run, now)
}

/// The number of the newest end.
pub(super) fn last_sequence(connection: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(max(sequence), 0) FROM runs";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?)
}
