//! Which waiting run starts next, and whose it is.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::{Level, note};
use super::runs::{self, Cause, Run, RunState};
use super::schedules::{self, Schedule};
use super::{State, finish};
use crate::schedule::clock::seconds;
use crate::schedule::definition::Definition;
use crate::schedule::error::Result;
use crate::schedule::process::ProcessId;

/// How long a claim holds without a sign of life, where nobody can look whether its process lives.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(60);

/// What all running runs may take together.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Runs at the same time.
    pub runs: usize,
    /// The sum of their memory limits, in bytes.
    pub memory: Option<u64>,
    /// The sum of their threads.
    pub threads: Option<u32>,
}

/// A run that this process may start: whoever has the newest fence.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The run.
    pub run: i64,
    /// Its schedule's name.
    pub schedule: String,
    /// The number of the attempt.
    pub attempt: i64,
    /// Grows with each claim; every later change of the run must name it.
    pub fence: i64,
    /// What the attempt's processes carry in their environment.
    pub token: String,
    /// What to run.
    pub definition: Definition,
}

/// Whether a run may start, as far as other schedules are concerned.
enum Needs {
    Met,
    Wait,
    Never(String),
}

impl State {
    /// Takes the run that should start next, where there is one and room for it.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn claim(
        &mut self,
        me: &ProcessId,
        token: &str,
        capacity: &Capacity,
        now: DateTime<Utc>,
    ) -> Result<Option<Claim>> {
        let waiting = self.read("look for waiting runs", |connection| {
            let sql = "SELECT count(*) FROM runs WHERE state = 'waiting'";
            Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        })?;
        if waiting == 0 {
            return Ok(None);
        }
        self.write("claim a run", |tx| {
            let Some((run, definition)) = next(tx, capacity, now)? else {
                return Ok(None);
            };
            let (attempt, fence) = (run.attempts + 1, run.fence + 1);
            tx.execute(
                "UPDATE runs SET state = 'running', attempts = ?2, fence = ?3, token = ?4, claimant = ?5, \
                   runner = NULL, lease = ?6, started = coalesce(started, ?7), definition = ?8, cancel = NULL \
                 WHERE run = ?1",
                params![
                    run.run,
                    attempt,
                    fence,
                    token,
                    me.encode(),
                    (now + LEASE).timestamp_millis(),
                    now.timestamp_millis(),
                    schedules::encode(&definition)?,
                ],
            )?;
            tx.execute(
                "INSERT INTO attempts (run, attempt, started) VALUES (?1, ?2, ?3)",
                params![run.run, attempt, now.timestamp_millis()],
            )?;
            let at = Some((run.run, attempt));
            let message = format!("attempt {attempt} begins");
            note(tx, now, Level::Info, "run_started", Some(&run.schedule), at, &message)?;
            Ok(Some(Claim {
                run: run.run,
                schedule: run.schedule,
                attempt,
                fence,
                token: token.to_owned(),
                definition,
            }))
        })
    }

    /// Whether a run could start if those that run now were finished.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub(crate) fn waits_behind_others(&self, now: DateTime<Utc>) -> Result<bool> {
        self.read("look for waiting runs", |connection| {
            if runs::select(connection, "WHERE state = 'running'", &[])?.is_empty() {
                return Ok(false);
            }
            for run in runs::select(connection, "WHERE state = 'waiting'", &[])? {
                let paused = schedules::find(connection, &run.schedule)?.is_none_or(|s| s.paused);
                if !paused && ready(&run, now) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// What a waiting run waits for, in words.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn waits_for(&self, run: &Run, now: DateTime<Utc>) -> Result<String> {
        self.read("read a run", |connection| {
            if schedules::find(connection, &run.schedule)?.is_some_and(|s| s.paused) {
                return Ok("its schedule is paused".to_owned());
            }
            if !ready(run, now) {
                let span = (run.not_before - now).num_seconds().max(1);
                return Ok(format!("the next attempt, in {span} s"));
            }
            for other in &run.definition.after {
                if run.cause != Cause::Manual
                    && let Needs::Wait = need(connection, other, run)?
                {
                    return Ok(format!("`{other}`"));
                }
            }
            let earlier = runs::open(connection, &run.schedule)?;
            if let Some(earlier) = earlier
                .iter()
                .find(|other| other.run != run.run && (other.due, other.run) < (run.due, run.run))
            {
                return Ok(format!("run {}", earlier.run));
            }
            Ok("room, or for `columna schedule run` to run".to_owned())
        })
    }
}

/// The run that should start next. On the way, runs that can never start are ended.
fn next(
    connection: &Connection,
    capacity: &Capacity,
    now: DateTime<Utc>,
) -> Result<Option<(Run, Definition)>> {
    let running = runs::select(connection, "WHERE state = 'running'", &[])?;
    if running.len() >= capacity.runs {
        return Ok(None);
    }
    let schedules: BTreeMap<String, Schedule> = schedules::all(connection)?
        .into_iter()
        .map(|schedule| (schedule.name.clone(), schedule))
        .collect();
    // By schedule in the order of time, so that only its first can start; then by priority among schedules.
    let mut first: BTreeMap<String, Run> = BTreeMap::new();
    for run in runs::select(connection, "WHERE state = 'waiting' ORDER BY due, run", &[])? {
        first.entry(run.schedule.clone()).or_insert(run);
    }
    let mut candidates: Vec<(Run, &Schedule)> = first
        .into_values()
        .filter_map(|run| {
            let schedule = schedules.get(&run.schedule)?;
            Some((run, schedule))
        })
        .collect();
    candidates.sort_by_key(|(run, schedule)| {
        (-i64::from(schedule.definition.priority), run.due, run.run)
    });
    for (run, schedule) in candidates {
        let busy = running.iter().any(|other| other.schedule == run.schedule);
        if schedule.paused || busy || !ready(&run, now) {
            continue;
        }
        match needs(connection, &schedule.definition, &run)? {
            Needs::Wait => continue,
            Needs::Never(why) => {
                finish::end(connection, &run, RunState::Skipped, &why, now)?;
                continue;
            }
            Needs::Met => {}
        }
        // A run that does not fit yet keeps its place: smaller ones behind it would hold it up for ever. One that
        // could never fit runs alone.
        if !running.is_empty() && !fits(&schedule.definition, &running, capacity) {
            return Ok(None);
        }
        return Ok(Some((run, schedule.definition.clone())));
    }
    Ok(None)
}

/// Its pause is over. A pause that is longer than any can be comes from a clock that was ahead.
pub(super) fn ready(run: &Run, now: DateTime<Utc>) -> bool {
    let longest = seconds(
        run.definition
            .backoff_max_seconds
            .max(run.definition.backoff_seconds),
    );
    run.not_before <= now || run.not_before - now > longest
}

/// A lease is over. One that is far longer than it can be comes from a clock that was ahead.
pub(super) fn is_over(lease: Option<i64>, length: TimeDelta, now: DateTime<Utc>) -> bool {
    let longest = (now + length * 10).timestamp_millis();
    lease.is_none_or(|lease| lease < now.timestamp_millis() || lease > longest)
}

fn fits(definition: &Definition, running: &[Run], capacity: &Capacity) -> bool {
    let running = || running.iter().map(|run| &run.definition);
    let memory: u64 = running().filter_map(|d| d.memory_limit).sum();
    let threads: u32 = running().filter_map(|d| d.threads).sum();
    capacity
        .memory
        .is_none_or(|room| memory + definition.memory_limit.unwrap_or(0) <= room)
        && capacity
            .threads
            .is_none_or(|room| threads + definition.threads.unwrap_or(0) <= room)
}

fn needs(connection: &Connection, definition: &Definition, run: &Run) -> Result<Needs> {
    // Who starts a run by hand knows what it needs.
    if run.cause == Cause::Manual {
        return Ok(Needs::Met);
    }
    let mut waits = false;
    for other in &definition.after {
        match need(connection, other, run)? {
            Needs::Met => {}
            Needs::Wait => waits = true,
            never @ Needs::Never(_) => return Ok(never),
        }
    }
    Ok(if waits { Needs::Wait } else { Needs::Met })
}

/// The other schedule's run for the same time or the last one before it decides.
fn need(connection: &Connection, other: &str, run: &Run) -> Result<Needs> {
    let due = run.due.timestamp_millis();
    let last: Option<(i64, RunState)> = connection
        .prepare_cached(
            "SELECT run, state FROM runs WHERE schedule = ?1 AND due <= ?2 AND state NOT IN ('skipped', 'missed') \
             ORDER BY due DESC, run DESC LIMIT 1",
        )?
        .query_row(params![other, due], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match last {
        Some((_, RunState::Succeeded)) => Needs::Met,
        Some((number, RunState::Failed | RunState::Cancelled)) => Needs::Never(format!(
            "`{other}`, which it needs, did not succeed (run {number})"
        )),
        _ => Needs::Wait,
    })
}
