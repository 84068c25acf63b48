//! Schedules and runs as JSON.

use std::io::{Write, stdout};

use chrono::{DateTime, Utc};
use columna_study::schedule::{Attempt, Run, stamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::list::Line;
use crate::error::CliError;

/// Prints a value over several lines.
pub(super) fn print(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::engine(&error))?;
    Ok(writeln!(stdout(), "{text}")?)
}

fn time(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(stamp)
}

pub(super) fn schedule(line: &Line) -> Value {
    json!({
        "name": line.schedule.name,
        "paused": line.schedule.paused,
        "added": stamp(line.schedule.created),
        "next": time(line.next),
        "last": line.last.as_ref().map(run),
        "open": line.open.iter().map(run).collect::<Vec<_>>(),
        "definition": line.schedule.definition,
    })
}

pub(super) fn run(run: &Run) -> Value {
    json!({
        "run": run.run,
        "schedule": run.schedule,
        "cause": run.cause,
        "due": stamp(run.due),
        "state": run.state,
        "reason": run.reason,
        "snapshot": run.snapshot,
        "attempts": run.attempts,
        "failures": run.failures,
        "started": time(run.started),
        "ended": time(run.ended),
        "specification": run.definition.specification,
        "store": run.definition.store,
        "out": run.definition.out,
    })
}

pub(super) fn attempt(attempt: &Attempt) -> Value {
    json!({
        "attempt": attempt.attempt,
        "started": stamp(attempt.started),
        "ended": time(attempt.ended),
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "memory": attempt.memory,
    })
}
