//! The box of notices: what is to be told about runs that ended, kept until it was told.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::State;
use super::claim::is_over;
use super::log::{Level, note};
use super::runs::{Run, RunState};
use crate::schedule::clock::{from_millis, seconds, stamp};
use crate::schedule::definition::Notify;
use crate::schedule::error::Result;
use crate::schedule::process::{Life, ProcessId};

/// Times a notice is tried.
const TRIES: i64 = 6;

/// The pause after the first failure; it grows fourfold.
const PAUSE_SECONDS: u64 = 5;

/// How long telling may take before another process may try.
const LEASE: TimeDelta = TimeDelta::seconds(120);

/// A notice to be told.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) notice: i64,
    /// The run that it is about.
    pub(crate) run: i64,
    /// It goes to a command, not to an address.
    pub(crate) command: bool,
    /// The command or the address.
    pub(crate) target: String,
    /// JSON, without anything of a patient's.
    pub(crate) body: String,
}

/// Puts notices of a run's end into the box.
pub(super) fn put(connection: &Connection, run: &Run, now: DateTime<Utc>) -> Result<()> {
    let wanted = match run.definition.notify {
        Notify::Always => true,
        Notify::Failure => run.state != RunState::Succeeded,
        Notify::Success => run.state == RunState::Succeeded,
    };
    let definition = &run.definition;
    if !wanted || (definition.hooks.is_empty() && definition.webhooks.is_empty()) {
        return Ok(());
    }
    let body = body(run);
    let commands = definition.hooks.iter().map(|hook| ("command", hook));
    let addresses = definition
        .webhooks
        .iter()
        .map(|address| ("webhook", address));
    for (kind, target) in commands.chain(addresses) {
        connection
            .prepare_cached(
                "INSERT INTO notices (run, kind, target, body, state, not_before) \
                 VALUES (?1, ?2, ?3, ?4, 'pending', ?5)",
            )?
            .execute(params![run.run, kind, target, body, now.timestamp_millis()])?;
    }
    Ok(())
}

/// What is told: about the run, never about what it found or printed.
fn body(run: &Run) -> String {
    let time = |time: Option<DateTime<Utc>>| time.map(stamp);
    let seconds = run
        .started
        .zip(run.ended)
        .map(|(started, ended)| (ended - started).num_seconds());
    json!({
        "event": format!("run_{}", run.state.name()),
        "schedule": run.schedule,
        "run": run.run,
        "state": run.state.name(),
        "reason": run.reason,
        "cause": run.cause.name(),
        "due": stamp(run.due),
        "started": time(run.started),
        "ended": time(run.ended),
        "seconds": seconds,
        "attempts": run.attempts,
        "snapshot": run.snapshot,
        "specification": run.definition.specification,
        "out": run.definition.out,
        "engine": format!("columna {}", env!("CARGO_PKG_VERSION")),
    })
    .to_string()
}

impl State {
    /// Takes a notice that is due to be told.
    pub(crate) fn take_notice(
        &mut self,
        me: &ProcessId,
        now: DateTime<Utc>,
    ) -> Result<Option<Notice>> {
        let open = self.open_notices()?;
        if open == 0 {
            return Ok(None);
        }
        self.write("take a notice", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT notice, run, kind, target, body, state, not_before, holder, lease FROM notices \
                 WHERE state IN ('pending', 'sending') ORDER BY notice",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let sending = row.get::<_, String>(5)? == "sending";
                let free = if sending {
                    let holder: Option<String> = row.get(7)?;
                    let lease: Option<i64> = row.get(8)?;
                    match holder.as_deref().and_then(ProcessId::decode).map(|p| p.life()) {
                        Some(Life::Alive | Life::Unknown) => is_over(lease, LEASE, now),
                        Some(Life::Dead) | None => true,
                    }
                } else {
                    let not_before = from_millis(row.get(6)?);
                    // A longer pause than there is comes from a clock that was ahead.
                    not_before <= now || not_before - now > TimeDelta::hours(2)
                };
                if !free {
                    continue;
                }
                let notice = Notice {
                    notice: row.get(0)?,
                    run: row.get(1)?,
                    command: row.get::<_, String>(2)? == "command",
                    target: row.get(3)?,
                    body: row.get(4)?,
                };
                tx.execute(
                    "UPDATE notices SET state = 'sending', holder = ?2, lease = ?3 WHERE notice = ?1",
                    params![notice.notice, me.encode(), (now + LEASE).timestamp_millis()],
                )?;
                return Ok(Some(notice));
            }
            Ok(None)
        })
    }

    /// Writes whether a notice was told. One that never gets through is given up; the run is as it was.
    pub(crate) fn told(
        &mut self,
        notice: &Notice,
        failure: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.write("write the end of a notice", |tx| {
            let tries: Option<i64> = tx
                .query_row(
                    "SELECT tries FROM notices WHERE notice = ?1 AND state = 'sending'",
                    [notice.notice],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(tries) = tries.map(|tries| tries + 1) else {
                return Ok(());
            };
            let pause = PAUSE_SECONDS.saturating_mul(4u64.saturating_pow(u32::try_from(tries - 1).unwrap_or(0)));
            let state = match failure {
                None => "sent",
                Some(_) if tries < TRIES => "pending",
                Some(_) => "given up",
            };
            tx.execute(
                "UPDATE notices SET state = ?2, tries = ?3, not_before = ?4, error = ?5, holder = NULL, lease = NULL \
                 WHERE notice = ?1",
                params![
                    notice.notice,
                    state,
                    tries,
                    (now + seconds(pause)).timestamp_millis(),
                    failure
                ],
            )?;
            let kind = if notice.command { "command" } else { "webhook" };
            let (level, message) = match failure {
                None => (Level::Info, format!("told by {kind}")),
                Some(why) if tries < TRIES => (
                    Level::Warn,
                    format!("the {kind} failed: {why}; tried again in {pause} s"),
                ),
                Some(why) => (
                    Level::Error,
                    format!("the {kind} failed {tries} times and is given up: {why}"),
                ),
            };
            let event = if failure.is_none() { "notice_sent" } else { "notice_failed" };
            note(tx, now, level, event, None, Some((notice.run, 0)), &message)
        })
    }

    /// Notices that nobody has tried to tell yet, or that are being told for the first time.
    pub(crate) fn untried_notices(&self) -> Result<i64> {
        self.read("look for notices", |connection| {
            let sql =
                "SELECT count(*) FROM notices WHERE state IN ('pending', 'sending') AND tries = 0";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?)
        })
    }

    /// Notices that were not told yet.
    pub(crate) fn open_notices(&self) -> Result<i64> {
        self.read("look for notices", |connection| {
            let sql = "SELECT count(*) FROM notices WHERE state IN ('pending', 'sending')";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?)
        })
    }
}
