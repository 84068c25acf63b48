//! The log: what happened, in the same transaction as the change itself.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::State;
use crate::schedule::clock::{from_millis, stamp};
use crate::schedule::error::Result;

/// Entries about no run are kept this long.
const KEPT_DAYS: i64 = 90;

/// How much an entry matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its number.
    #[serde(skip)]
    pub entry: i64,
    /// When, in UTC.
    pub at: String,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What kind of thing.
    pub event: String,
    /// About which schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// About which run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// About which of its attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// In words.
    pub message: String,
}

/// Puts an entry into the log; `run` is a run and its attempt.
pub(super) fn note(
    connection: &Connection,
    at: DateTime<Utc>,
    level: Level,
    event: &str,
    schedule: Option<&str>,
    run: Option<(i64, i64)>,
    message: &str,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO log (at, level, event, schedule, run, attempt, message) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            at.timestamp_millis(),
            level.name(),
            event,
            schedule,
            run.map(|(run, _)| run),
            run.map(|(_, attempt)| attempt)
                .filter(|attempt| *attempt > 0),
            message
        ])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        entry: row.get(0)?,
        at: stamp(from_millis(row.get(1)?)),
        level: row.get(2)?,
        event: row.get(3)?,
        schedule: row.get(4)?,
        run: row.get(5)?,
        attempt: row.get(6)?,
        message: row.get(7)?,
    })
}

const COLUMNS: &str = "entry, at, level, event, schedule, run, attempt, message";

impl State {
    /// Puts an entry into the log.
    pub(crate) fn log(
        &mut self,
        at: DateTime<Utc>,
        level: Level,
        event: &str,
        run: Option<(i64, i64)>,
        message: &str,
    ) -> Result<()> {
        self.write("write the log", |tx| {
            note(tx, at, level, event, None, run, message)
        })
    }

    /// The number of the newest entry.
    pub(crate) fn last_entry(&self) -> Result<i64> {
        self.read("read the log", |connection| {
            let sql = "SELECT coalesce(max(entry), 0) FROM log";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        })
    }

    /// What came into the log after an entry.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn log_after(&self, entry: i64) -> Result<Vec<Entry>> {
        self.read("read the log", |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM log WHERE entry > ?1 ORDER BY entry LIMIT 1000");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([entry], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What the log says about a run.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn log_of(&self, run: i64) -> Result<Vec<Entry>> {
        self.read("read the log", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM log WHERE run = ?1 ORDER BY entry");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([run], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Forgets old entries that are about no run, and notices that were sent long ago.
    pub(crate) fn prune(&mut self, now: DateTime<Utc>) -> Result<()> {
        let oldest = now.timestamp_millis() - KEPT_DAYS * 86_400_000;
        self.write("forget old entries", |tx| {
            tx.execute("DELETE FROM log WHERE run IS NULL AND at < ?1", [oldest])?;
            tx.execute(
                "DELETE FROM notices WHERE state NOT IN ('pending', 'sending') AND not_before < ?1",
                [oldest],
            )?;
            Ok(())
        })
    }
}
