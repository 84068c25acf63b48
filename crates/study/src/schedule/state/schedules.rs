//! Schedules: add, remove, pause, look.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::{Level, note};
use super::runs::{self, RunState};
use super::{Newest, State, finish};
use crate::schedule::clock::from_millis;
use crate::schedule::definition::Definition;
use crate::schedule::error::{Error, Result};

/// A schedule as the state has it.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// What it does.
    pub definition: Definition,
    /// Nothing of it starts.
    pub paused: bool,
    /// When it was added.
    pub created: DateTime<Utc>,
    /// Times up to here have been dealt with.
    pub(crate) cursor: DateTime<Utc>,
    pub(crate) snapshot: Option<String>,
    pub(crate) followed: i64,
}

const COLUMNS: &str = "name, definition, created, paused, cursor, snapshot, followed";

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Schedule, String)> {
    let definition: String = row.get(1)?;
    let schedule = Schedule {
        name: row.get(0)?,
        definition: Definition::new("".into(), String::new(), "".into()),
        created: from_millis(row.get(2)?),
        paused: row.get(3)?,
        cursor: from_millis(row.get(4)?),
        snapshot: row.get(5)?,
        followed: row.get(6)?,
    };
    Ok((schedule, definition))
}

fn whole((mut schedule, definition): (Schedule, String)) -> Result<Schedule> {
    schedule.definition = decode(&definition)?;
    Ok(schedule)
}

pub(super) fn decode(definition: &str) -> Result<Definition> {
    serde_json::from_str(definition)
        .map_err(|error| Error::engine(format!("a schedule's definition: {error}")))
}

pub(super) fn encode(definition: &Definition) -> Result<String> {
    serde_json::to_string(definition)
        .map_err(|error| Error::engine(format!("a schedule's definition: {error}")))
}

/// All schedules, by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<Schedule>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM schedules ORDER BY name"))?;
    let rows = statement.query_map([], from_row)?;
    rows.map(|row| whole(row?)).collect()
}

/// One schedule.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<Schedule>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM schedules WHERE name = ?1"))?
        .query_row([name], from_row)
        .optional()?
        .map(whole)
        .transpose()
}

/// One schedule that must be there.
pub(super) fn must(connection: &Connection, name: &str) -> Result<Schedule> {
    if let Some(schedule) = find(connection, name)? {
        return Ok(schedule);
    }
    let names: Vec<String> = all(connection)?.into_iter().map(|s| s.name).collect();
    Err(Error::NoSuchSchedule {
        name: name.to_owned(),
        near: near(name, &names),
    })
}

/// A name that differs in a letter or two, or has the same beginning.
fn near(name: &str, names: &[String]) -> Option<String> {
    let distance = |other: &str| {
        let (a, b): (Vec<char>, Vec<char>) = (name.chars().collect(), other.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut before = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let change = before + usize::from(!x.eq_ignore_ascii_case(y));
                before = row[j + 1];
                row[j + 1] = change.min(before + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    };
    let begins = |other: &&String| name.len() >= 3 && other.starts_with(name);
    names
        .iter()
        .min_by_key(|other| distance(other))
        .filter(|other| distance(other) <= 2)
        .or_else(|| names.iter().find(begins))
        .cloned()
}

impl State {
    /// Adds a schedule, or puts its definition in place of the old one. Of the times and snapshots there have been,
    /// none counts for a new schedule.
    ///
    /// # Errors
    /// When it cannot be, or there is one of this name and `replace` was not asked for.
    pub fn add(
        &mut self,
        name: &str,
        definition: &Definition,
        newest: Option<&Newest>,
        replace: bool,
        now: DateTime<Utc>,
    ) -> Result<()> {
        definition.check(name)?;
        let text = encode(definition)?;
        self.write("add a schedule", |tx| {
            let schedules = all(tx)?;
            for other in &definition.after {
                must(tx, other)?;
            }
            if let Some(circle) = circle(name, definition, &schedules) {
                return Err(Error::refused(
                    format!("the schedules would wait for each other: {circle}"),
                    "leave one `--after` out",
                ));
            }
            let same_folder = schedules
                .iter()
                .find(|s| s.name != name && s.definition.out == definition.out);
            if let Some(other) = same_folder {
                return Err(Error::refused(
                    format!("the results of `{}` are in the same folder", other.name),
                    "give another folder after `--out`",
                ));
            }
            let old = schedules.iter().find(|s| s.name == name);
            if old.is_some() && !replace {
                return Err(Error::refused(
                    format!("there is a schedule named `{name}` already"),
                    "give another `--name`, or `--replace` to change this one",
                ));
            }
            let sequence = finish::last_sequence(tx)?;
            let snapshot = newest.map(Newest::key);
            // A changed clock begins now: what the old one would have run before is dealt with or gone.
            let changed = if old.is_some() {
                tx.execute(
                    "UPDATE schedules SET definition = ?2, \
                       cursor = CASE WHEN ?3 THEN ?4 ELSE cursor END, \
                       snapshot = coalesce(snapshot, ?5) WHERE name = ?1",
                    params![
                        name,
                        text,
                        old.is_some_and(|old| old.definition.cron != definition.cron
                            || old.definition.timezone != definition.timezone),
                        now.timestamp_millis(),
                        snapshot
                    ],
                )?
            } else {
                tx.execute(
                    "INSERT INTO schedules (name, definition, created, cursor, snapshot, followed) \
                     VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
                    params![name, text, now.timestamp_millis(), snapshot, sequence],
                )?
            };
            let (event, message) = if old.is_some() {
                ("schedule_changed", "changed")
            } else {
                ("schedule_added", "added")
            };
            debug_assert_eq!(changed, 1, "one schedule");
            note(tx, now, Level::Info, event, Some(name), None, message)
        })
    }

    /// Removes a schedule and its runs that wait. A run under way goes on to its end, and is not tried again.
    ///
    /// # Errors
    /// When there is none of this name, or others wait for it.
    pub fn remove(&mut self, name: &str, now: DateTime<Utc>) -> Result<()> {
        self.write("remove a schedule", |tx| {
            must(tx, name)?;
            let schedules = all(tx)?;
            let follower = schedules
                .iter()
                .find(|s| s.definition.after.iter().any(|other| other == name));
            if let Some(follower) = follower {
                return Err(Error::refused(
                    format!("`{}` waits for `{name}`", follower.name),
                    format!("remove `{}` first, or change its `--after`", follower.name),
                ));
            }
            for run in runs::open(tx, name)? {
                if run.state == RunState::Waiting {
                    finish::end(
                        tx,
                        &run,
                        RunState::Cancelled,
                        "the schedule was removed",
                        now,
                    )?;
                }
            }
            tx.execute("DELETE FROM schedules WHERE name = ?1", [name])?;
            note(
                tx,
                now,
                Level::Info,
                "schedule_removed",
                Some(name),
                None,
                "removed",
            )
        })
    }

    /// Stops anything of a schedule from starting, or lets it start again; whether that is a change. Times that came
    /// while it was paused are left out; a snapshot that came is not.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn pause(&mut self, name: &str, paused: bool, now: DateTime<Utc>) -> Result<bool> {
        self.write("pause a schedule", |tx| {
            if must(tx, name)?.paused == paused {
                return Ok(false);
            }
            tx.execute(
                "UPDATE schedules SET paused = ?2, cursor = max(cursor, ?3) WHERE name = ?1",
                params![name, paused, now.timestamp_millis()],
            )?;
            let (event, message) = if paused {
                ("schedule_paused", "paused")
            } else {
                ("schedule_resumed", "goes on")
            };
            note(tx, now, Level::Info, event, Some(name), None, message)?;
            Ok(true)
        })
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn schedules(&self) -> Result<Vec<Schedule>> {
        self.read("read the schedules", all)
    }

    /// One schedule.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn schedule(&self, name: &str) -> Result<Schedule> {
        self.read("read a schedule", |connection| must(connection, name))
    }
}

/// The names along which a schedule would wait for itself.
fn circle(name: &str, definition: &Definition, schedules: &[Schedule]) -> Option<String> {
    let mut paths: Vec<Vec<String>> = definition.after.iter().map(|n| vec![n.clone()]).collect();
    let mut seen: Vec<String> = Vec::new();
    while let Some(path) = paths.pop() {
        let last = path.last()?.clone();
        if last == name {
            return Some(format!("{name} after {}", path.join(" after ")));
        }
        if seen.contains(&last) {
            continue;
        }
        seen.push(last.clone());
        let next = schedules.iter().find(|s| s.name == last);
        for other in next.iter().flat_map(|s| &s.definition.after) {
            let mut longer = path.clone();
            longer.push(other.clone());
            paths.push(longer);
        }
    }
    None
}
