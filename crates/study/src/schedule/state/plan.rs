//! Which runs are due: by time, by a new snapshot, after others.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, params};

use super::log::{Level, note};
use super::runs::{self, Cause, NewRun, RunState};
use super::schedules::{self, Schedule};
use super::{State, finish};
use crate::schedule::clock::{seconds, stamp};
use crate::schedule::definition::{Missed, Overlap};
use crate::schedule::error::Result;

/// Runs that are made for missed times, at most: the newest ones.
const MOST_MISSED: usize = 1_000;

/// Runs of a schedule that wait, at most.
const MOST_WAITING: usize = 100;

/// Times looked at in one go.
const STEP: usize = 4_096;

/// A clock that goes back by less than this was set right a little.
const JITTER: TimeDelta = TimeDelta::seconds(60);

/// The newest snapshot of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// Its version.
    pub version: u64,
    /// Its hash.
    pub hash: String,
    /// When it was made.
    pub time: DateTime<Utc>,
}

impl Newest {
    /// What a run for it is called; a store that was made anew has other hashes.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}", self.version, self.hash)
    }
}

impl State {
    /// Makes the runs that are due. `newest` has the newest snapshots of stores, where they are known.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn plan(&mut self, newest: &BTreeMap<String, Newest>, now: DateTime<Utc>) -> Result<()> {
        // Most looks find nothing: those take no write lock.
        let nothing = self.read("look for due runs", |connection| {
            for schedule in schedules::all(connection)? {
                if is_due(connection, &schedule, newest, now)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if nothing {
            return Ok(());
        }
        // All schedules in one transaction: those due at the same moment see each other.
        self.write("plan runs", |tx| {
            for schedule in schedules::all(tx)? {
                if schedule.paused {
                    continue;
                }
                by_time(tx, &schedule, now)?;
                if let Some(newest) = newest.get(&schedule.definition.store) {
                    by_snapshot(tx, &schedule, newest, now)?;
                }
                by_others(tx, &schedule, now)?;
            }
            Ok(())
        })
    }
}

fn is_due(
    connection: &Connection,
    schedule: &Schedule,
    newest: &BTreeMap<String, Newest>,
    now: DateTime<Utc>,
) -> Result<bool> {
    if schedule.paused {
        return Ok(false);
    }
    let next = next_time(schedule)?;
    if schedule.cursor > now + JITTER || next.is_some_and(|next| next <= now) {
        return Ok(true);
    }
    let snapshot = newest.get(&schedule.definition.store);
    let due = snapshot.is_some_and(|newest| settled(schedule, newest, now))
        || (schedule.definition.follows() && followed(connection, schedule)?.is_some());
    Ok(due && !waits_for_own(connection, schedule)?)
}

/// What comes by data, not by the clock, is not left out under the policy `skip`: it waits for the run under way, and
/// all that came meanwhile makes one run.
fn waits_for_own(connection: &Connection, schedule: &Schedule) -> Result<bool> {
    let skip = schedule.definition.overlap == Overlap::Skip;
    Ok(skip && !runs::open(connection, &schedule.name)?.is_empty())
}

/// The first time of a schedule that has not been dealt with.
pub(super) fn next_time(schedule: &Schedule) -> Result<Option<DateTime<Utc>>> {
    let calendar = schedule.definition.calendar()?;
    Ok(calendar.and_then(|calendar| calendar.next_after(schedule.cursor)))
}

fn by_time(connection: &Connection, schedule: &Schedule, now: DateTime<Utc>) -> Result<()> {
    let definition = &schedule.definition;
    let Some(calendar) = definition.calendar()? else {
        return Ok(());
    };
    let move_cursor = || -> Result<()> {
        connection.execute(
            "UPDATE schedules SET cursor = ?2 WHERE name = ?1",
            params![schedule.name, now.timestamp_millis()],
        )?;
        Ok(())
    };
    if schedule.cursor > now + JITTER {
        // The clock was ahead and has been put right. Times that had a run keep it: none gets a second one.
        let message = format!(
            "the clock went back from {} to {}; times that had a run get no second one",
            stamp(schedule.cursor),
            stamp(now)
        );
        note(
            connection,
            now,
            Level::Warn,
            "clock_went_back",
            Some(&schedule.name),
            None,
            &message,
        )?;
        return move_cursor();
    }
    if calendar
        .next_after(schedule.cursor)
        .is_none_or(|next| next > now)
    {
        return Ok(());
    }
    let grace = seconds(definition.grace_seconds);
    let (mut late, mut late_count) = (VecDeque::new(), 0usize);
    let (mut first_late, mut in_time) = (None, Vec::new());
    let mut after = schedule.cursor;
    loop {
        let (times, more) = calendar.between(after, now, STEP);
        for time in times {
            after = time;
            if now - time <= grace {
                in_time.push(time);
                continue;
            }
            first_late.get_or_insert(time);
            late_count += 1;
            late.push_back(time);
            if late.len() > MOST_MISSED {
                late.pop_front();
            }
        }
        if !more {
            break;
        }
    }
    let mut overlap = definition.overlap;
    if let (Some(first), Some(last)) = (first_late, late.back().copied()) {
        let span = if late_count == 1 {
            format!("the time {} passed", stamp(last))
        } else {
            format!(
                "{late_count} times passed from {} to {}",
                stamp(first),
                stamp(last)
            )
        };
        match definition.missed {
            Missed::Skip => {
                let mut new = NewRun::waiting(Cause::Time, time_key(last), last);
                new.state = RunState::Missed;
                new.reason = Some(format!("{span} while no scheduler ran"));
                runs::insert(connection, schedule, &new, now)?;
            }
            // A time that is only just past stands for the missed ones as well.
            Missed::Once if in_time.is_empty() => {
                let mut new = NewRun::waiting(Cause::Time, time_key(last), last);
                new.reason = Some(format!(
                    "{span} while no scheduler ran; this run stands for all"
                ));
                add(connection, schedule, new, overlap, now)?;
            }
            Missed::Once => {}
            Missed::All => {
                overlap = Overlap::Queue;
                for time in &late {
                    let mut new = NewRun::waiting(Cause::Time, time_key(*time), *time);
                    new.reason = Some("its time passed while no scheduler ran".to_owned());
                    runs::insert(connection, schedule, &new, now)?;
                }
                if late.len() < late_count {
                    let message = format!("{span}; the newest {MOST_MISSED} of them are run");
                    let name = Some(schedule.name.as_str());
                    note(
                        connection,
                        now,
                        Level::Warn,
                        "times_left_out",
                        name,
                        None,
                        &message,
                    )?;
                }
            }
        }
    }
    for time in in_time {
        let new = NewRun::waiting(Cause::Time, time_key(time), time);
        add(connection, schedule, new, overlap, now)?;
    }
    move_cursor()
}

fn time_key(time: DateTime<Utc>) -> String {
    format!("time:{}", stamp(time))
}

/// A snapshot that the schedule has not dealt with, and that no other followed for a while.
fn settled(schedule: &Schedule, newest: &Newest, now: DateTime<Utc>) -> bool {
    let definition = &schedule.definition;
    definition.on_snapshot
        && schedule.snapshot.as_deref() != Some(newest.key().as_str())
        // A snapshot from the future has a clock that is wrong, not one that settles.
        && (newest.time > now || now - newest.time >= seconds(definition.settle_seconds))
}

fn by_snapshot(
    connection: &Connection,
    schedule: &Schedule,
    newest: &Newest,
    now: DateTime<Utc>,
) -> Result<()> {
    if !settled(schedule, newest, now) || waits_for_own(connection, schedule)? {
        return Ok(());
    }
    let key = format!("snapshot:{}", newest.key());
    let mut new = NewRun::waiting(Cause::Snapshot, key, now);
    new.snapshot = i64::try_from(newest.version).ok();
    add(connection, schedule, new, schedule.definition.overlap, now)?;
    connection.execute(
        "UPDATE schedules SET snapshot = ?2 WHERE name = ?1",
        params![schedule.name, newest.key()],
    )?;
    Ok(())
}

/// The newest success of all that a schedule follows, where each has one that was not dealt with.
fn followed(connection: &Connection, schedule: &Schedule) -> Result<Option<i64>> {
    let mut newest = 0;
    for other in &schedule.definition.after {
        let success: Option<i64> = connection
            .prepare_cached(
                "SELECT max(sequence) FROM runs WHERE schedule = ?1 AND state = 'succeeded'",
            )?
            .query_row([other], |row| row.get(0))?;
        match success {
            Some(sequence) if sequence > schedule.followed => newest = newest.max(sequence),
            _ => return Ok(None),
        }
    }
    Ok((newest > 0).then_some(newest))
}

fn by_others(connection: &Connection, schedule: &Schedule, now: DateTime<Utc>) -> Result<()> {
    if !schedule.definition.follows() || waits_for_own(connection, schedule)? {
        return Ok(());
    }
    let Some(newest) = followed(connection, schedule)? else {
        return Ok(());
    };
    let new = NewRun::waiting(Cause::After, format!("after:{newest}"), now);
    add(connection, schedule, new, schedule.definition.overlap, now)?;
    connection.execute(
        "UPDATE schedules SET followed = ?2 WHERE name = ?1",
        params![schedule.name, newest],
    )?;
    Ok(())
}

/// Makes a run under the policy for runs that are not finished.
fn add(
    connection: &Connection,
    schedule: &Schedule,
    mut new: NewRun,
    overlap: Overlap,
    now: DateTime<Utc>,
) -> Result<()> {
    let open = runs::open(connection, &schedule.name)?;
    if let Some(oldest) = open.first() {
        match overlap {
            Overlap::Skip => {
                new.state = RunState::Skipped;
                new.reason = Some(format!("run {} was not finished", oldest.run));
            }
            Overlap::Queue if open.len() >= MOST_WAITING => {
                new.state = RunState::Skipped;
                new.reason = Some(format!("{MOST_WAITING} runs wait already"));
            }
            Overlap::Queue => {}
            Overlap::Cancel => {
                for run in &open {
                    let why = "a newer run is due";
                    if run.state == RunState::Waiting {
                        finish::end(connection, run, RunState::Cancelled, why, now)?;
                    } else {
                        runs::ask_to_end(connection, run, why, now)?;
                    }
                }
            }
        }
    }
    runs::insert(connection, schedule, &new, now)?;
    Ok(())
}
