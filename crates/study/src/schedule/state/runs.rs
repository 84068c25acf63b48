//! Runs and their attempts: what they are, and how to look at them.

use chrono::{DateTime, Utc};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::finish::Outcome;
use super::log::{Level, note};
use super::texts::texts;
use super::{State, finish, schedules};
use crate::schedule::clock::{from_millis, stamp};
use crate::schedule::definition::Definition;
use crate::schedule::error::{Error, Result};

texts! {
    /// How far a run is.
    RunState {
        /// For its time, another run, room, or its next attempt.
        Waiting = "waiting",
        /// A process does it.
        Running = "running",
        /// It ended well.
        Succeeded = "succeeded",
        /// It ended badly, and is not tried again.
        Failed = "failed",
        /// It was ended, or never begun, because somebody or a policy said so.
        Cancelled = "cancelled",
        /// It did not happen: an earlier run was not finished, or a study that it needs failed.
        Skipped = "skipped",
        /// Its time passed while no scheduler ran.
        Missed = "missed",
    }
}

texts! {
    /// What made a run.
    Cause {
        /// Its time came.
        Time = "time",
        /// The store has a new snapshot.
        Snapshot = "snapshot",
        /// The runs that it follows succeeded.
        After = "after",
        /// A person.
        Manual = "manual",
    }
}

impl RunState {
    /// Nothing happens any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// One run of a schedule's study.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its number.
    pub run: i64,
    /// The schedule's name.
    pub schedule: String,
    /// What made it.
    pub cause: Cause,
    /// What it runs, as of its newest attempt.
    pub definition: Definition,
    /// The time that it is for.
    pub due: DateTime<Utc>,
    /// How far it is.
    pub state: RunState,
    /// Why it is in this state, where that needs words.
    pub reason: Option<String>,
    /// The newest snapshot when it was made, where a snapshot made it.
    pub snapshot: Option<i64>,
    /// It does not start before.
    pub not_before: DateTime<Utc>,
    /// Attempts so far.
    pub attempts: i64,
    /// Failed attempts that count towards the retries.
    pub failures: i64,
    /// Attempts that ended by no fault of theirs.
    pub losses: i64,
    /// Who may write its end.
    pub(crate) fence: i64,
    pub(crate) lease: Option<i64>,
    pub(crate) token: Option<String>,
    pub(crate) claimant: Option<String>,
    pub(crate) runner: Option<String>,
    pub(crate) cancel: Option<String>,
    /// When its first attempt began.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
}

/// One attempt at a run.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its number in the run, from 1.
    pub attempt: i64,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// The process's exit code.
    pub exit_code: Option<i64>,
    /// The signal that ended the process.
    pub signal: Option<i64>,
    /// The most memory that its processes held together, in bytes.
    pub memory: Option<i64>,
}

/// Which runs to look at.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this schedule.
    pub schedule: Option<String>,
    /// In this state.
    pub state: Option<RunState>,
    /// The newest ones, at most this many.
    pub limit: Option<u32>,
}

const COLUMNS: &str = "run, schedule, cause, definition, due, state, reason, snapshot, not_before, attempts, failures, \
                       losses, fence, lease, token, claimant, runner, cancel, started, ended";

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Run, String)> {
    let time = |millis: Option<i64>| millis.map(from_millis);
    let run = Run {
        run: row.get(0)?,
        schedule: row.get(1)?,
        cause: row.get(2)?,
        definition: Definition::new("".into(), String::new(), "".into()),
        due: from_millis(row.get(4)?),
        state: row.get(5)?,
        reason: row.get(6)?,
        snapshot: row.get(7)?,
        not_before: from_millis(row.get(8)?),
        attempts: row.get(9)?,
        failures: row.get(10)?,
        losses: row.get(11)?,
        fence: row.get(12)?,
        lease: row.get(13)?,
        token: row.get(14)?,
        claimant: row.get(15)?,
        runner: row.get(16)?,
        cancel: row.get(17)?,
        started: time(row.get(18)?),
        ended: time(row.get(19)?),
    };
    Ok((run, row.get(3)?))
}

fn whole((mut run, definition): (Run, String)) -> Result<Run> {
    run.definition = schedules::decode(&definition)?;
    Ok(run)
}

/// Runs by a condition with up to two values.
pub(super) fn select(
    connection: &Connection,
    rest: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<Run>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM runs {rest}"))?;
    let rows = statement.query_map(values, from_row)?;
    rows.map(|row| whole(row?)).collect()
}

/// One run that must be there.
pub(super) fn must(connection: &Connection, run: i64) -> Result<Run> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE run = ?1"))?
        .query_row([run], from_row)
        .optional()?
        .map_or(Err(Error::NoSuchRun { run }), whole)
}

/// A schedule's runs that are not finished, oldest first.
pub(super) fn open(connection: &Connection, schedule: &str) -> Result<Vec<Run>> {
    select(
        connection,
        "WHERE state IN ('waiting', 'running') AND schedule = ?1 ORDER BY due, run",
        &[&schedule],
    )
}

impl State {
    /// Runs, the newest last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        self.read("read the runs", |connection| {
            let state = filter.state.map(RunState::name);
            let limit = filter.limit.map_or(-1, i64::from);
            let mut runs = select(
                connection,
                "WHERE (?1 IS NULL OR schedule = ?1) AND (?2 IS NULL OR state = ?2) \
                 ORDER BY run DESC LIMIT ?3",
                &[&filter.schedule, &state, &limit],
            )?;
            runs.reverse();
            Ok(runs)
        })
    }

    /// How many runs there are, by schedule and state.
    pub(crate) fn counts(&self) -> Result<Vec<(String, RunState, i64)>> {
        self.read("count the runs", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT schedule, state, count(*) FROM runs GROUP BY schedule, state ORDER BY schedule, state",
            )?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// One run.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn run(&self, run: i64) -> Result<Run> {
        self.read("read a run", |connection| must(connection, run))
    }

    /// A run's attempts.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn attempts(&self, run: i64) -> Result<Vec<Attempt>> {
        self.read("read a run", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT attempt, started, ended, outcome, reason, exit_code, signal, memory \
                 FROM attempts WHERE run = ?1 ORDER BY attempt",
            )?;
            let rows = statement.query_map([run], |row| {
                Ok(Attempt {
                    attempt: row.get(0)?,
                    started: from_millis(row.get(1)?),
                    ended: row.get::<_, Option<i64>>(2)?.map(from_millis),
                    outcome: row.get(3)?,
                    reason: row.get(4)?,
                    exit_code: row.get(5)?,
                    signal: row.get(6)?,
                    memory: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Tries a finished run again, with its retries anew; the number of its next attempt.
    ///
    /// # Errors
    /// When there is none of this number, it is not finished, it succeeded, or its schedule is gone.
    pub fn retry(&mut self, run: i64, now: DateTime<Utc>) -> Result<i64> {
        self.write("try a run again", |tx| {
            let run = must(tx, run)?;
            let number = run.run;
            match run.state {
                RunState::Waiting => {
                    // Nothing to wait for any more, where it waits for its next attempt.
                    tx.execute("UPDATE runs SET not_before = 0 WHERE run = ?1", [number])?;
                }
                RunState::Running => {
                    return Err(Error::refused(
                        format!("run {number} is running"),
                        format!("`columna schedule cancel {number}` ends it"),
                    ));
                }
                RunState::Succeeded => {
                    return Err(Error::refused(
                        format!("run {number} succeeded"),
                        format!("`columna schedule start {}` makes a new run", run.schedule),
                    ));
                }
                _ => {}
            }
            if schedules::find(tx, &run.schedule)?.is_none() {
                return Err(Error::refused(
                    format!("the schedule `{}` of run {number} was removed", run.schedule),
                    "add it again; its times then make new runs",
                ));
            }
            tx.execute(
                "UPDATE runs SET state = 'waiting', reason = 'tried again by hand', failures = 0, losses = 0, \
                   not_before = 0, cancel = NULL, ended = NULL, sequence = NULL WHERE run = ?1",
                [number],
            )?;
            let next = run.attempts + 1;
            let message = format!("attempt {next} was asked for by hand");
            note(tx, now, Level::Info, "run_retried", Some(&run.schedule), Some((number, 0)), &message)?;
            Ok(next)
        })
    }

    /// Makes a run by hand, to start as soon as there is room; its number.
    ///
    /// # Errors
    /// When there is no schedule of this name.
    pub fn start(&mut self, name: &str, key: &str, now: DateTime<Utc>) -> Result<i64> {
        self.write("start a run", |tx| {
            let schedule = schedules::must(tx, name)?;
            let key = format!("manual:{key}");
            insert(
                tx,
                &schedule,
                &NewRun::waiting(Cause::Manual, key, now),
                now,
            )?
            .ok_or_else(|| Error::engine("two runs by hand with one key"))
        })
    }

    /// Ends a run that is not finished: at once where it waits, soon where it runs; whether it was running.
    ///
    /// # Errors
    /// When there is none of this number, or it is finished.
    pub fn cancel(&mut self, run: i64, now: DateTime<Utc>) -> Result<bool> {
        self.write("cancel a run", |tx| {
            let run = must(tx, run)?;
            match run.state {
                RunState::Waiting => {
                    finish::end(tx, &run, RunState::Cancelled, "cancelled by hand", now)?;
                    Ok(false)
                }
                RunState::Running => {
                    ask_to_end(tx, &run, "cancelled by hand", now)?;
                    Ok(true)
                }
                state => Err(Error::refused(
                    format!("run {} is finished: it {}", run.run, past(state)),
                    format!("`columna schedule show {}` tells more", run.run),
                )),
            }
        })
    }
}

/// A state in a sentence.
fn past(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::Cancelled => "was cancelled",
        RunState::Skipped => "was skipped",
        RunState::Missed => "was missed",
        RunState::Waiting => "waits",
        RunState::Running => "runs",
    }
}

/// Asks whoever runs it to end a run.
pub(super) fn ask_to_end(
    connection: &Connection,
    run: &Run,
    why: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    connection.execute(
        "UPDATE runs SET cancel = coalesce(cancel, ?2) WHERE run = ?1 AND state = 'running'",
        params![run.run, why],
    )?;
    let at = Some((run.run, run.attempts));
    note(
        connection,
        now,
        Level::Info,
        "run_cancelling",
        Some(&run.schedule),
        at,
        why,
    )
}

/// A run to be made.
#[derive(Debug)]
pub(super) struct NewRun {
    pub(super) cause: Cause,
    pub(super) key: String,
    pub(super) due: DateTime<Utc>,
    pub(super) state: RunState,
    pub(super) reason: Option<String>,
    pub(super) snapshot: Option<i64>,
}

impl NewRun {
    pub(super) fn waiting(cause: Cause, key: String, due: DateTime<Utc>) -> Self {
        Self {
            cause,
            key,
            due,
            state: RunState::Waiting,
            reason: None,
            snapshot: None,
        }
    }
}

/// Makes a run, unless the same thing made one before; its number.
pub(super) fn insert(
    connection: &Connection,
    schedule: &schedules::Schedule,
    new: &NewRun,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let made = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO runs \
               (schedule, cause, key, definition, due, created, state, reason, snapshot, priority, not_before, ended) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)",
        )?
        .execute(params![
            schedule.name,
            new.cause,
            new.key,
            schedules::encode(&schedule.definition)?,
            new.due.timestamp_millis(),
            now.timestamp_millis(),
            new.state,
            new.reason,
            new.snapshot,
            schedule.definition.priority,
            new.state.is_final().then(|| now.timestamp_millis()),
        ])?;
    if made == 0 {
        return Ok(None);
    }
    let run = connection.last_insert_rowid();
    let (level, event) = match new.state {
        RunState::Missed | RunState::Skipped => (Level::Warn, format!("run_{}", new.state.name())),
        _ => (Level::Info, "run_due".to_owned()),
    };
    let reason = new
        .reason
        .as_deref()
        .map_or(String::new(), |r| format!(": {r}"));
    let because = match (new.cause, new.snapshot) {
        (Cause::Time, _) => format!("its time is {}", stamp(new.due)),
        (Cause::Snapshot, Some(version)) => format!("the store has snapshot {version}"),
        (Cause::Snapshot, None) => "the store has a new snapshot".to_owned(),
        (Cause::After, _) => "the studies before it succeeded".to_owned(),
        (Cause::Manual, _) => "started by hand".to_owned(),
    };
    let message = format!("{because}{reason}");
    note(
        connection,
        now,
        level,
        &event,
        Some(&schedule.name),
        Some((run, 0)),
        &message,
    )?;
    if new.state.is_final() {
        finish::tell(connection, &must(connection, run)?, now)?;
    }
    Ok(Some(run))
}
