//! `columna schedule history`.

use std::io::{Write, stdout};
use std::time::Duration;

use columna_study::schedule::{Run, RunFilter, RunState, State};

use super::args::{HistoryArgs, RunStateArg};
use super::list::fitted;
use super::{failed, json, minute_time, now, open, remind};
use crate::commands::info::columns;
use crate::error::CliError;
use crate::settings::Settings;
use crate::size::human_time;

pub(super) fn run(args: &HistoryArgs, settings: &Settings) -> Result<(), CliError> {
    let state = open(&args.state)?;
    let filter = RunFilter {
        schedule: args.name.clone(),
        state: args.in_state.map(wanted),
        limit: Some(args.limit),
    };
    let runs = state.runs(&filter).map_err(failed)?;
    if args.json {
        return json::print(&runs.iter().map(json::run).collect::<Vec<_>>());
    }
    if runs.is_empty() {
        if let Some(name) = &args.name {
            // A name that nobody has is a mistake, not an empty history.
            state.schedule(name).map_err(failed)?;
        }
        remind("there is no run yet");
        return Ok(());
    }
    let rows = runs
        .iter()
        .map(|run| row(&state, run))
        .collect::<Result<Vec<_>, _>>()?;
    let text = columns(
        [
            "run", "schedule", "by", "due", "state", "took", "tries", "why",
        ],
        &rows,
        [true, false, false, false, false, true, true, false],
    );
    Ok(write!(stdout(), "{}", fitted(&text, settings))?)
}

fn wanted(state: RunStateArg) -> RunState {
    match state {
        RunStateArg::Waiting => RunState::Waiting,
        RunStateArg::Running => RunState::Running,
        RunStateArg::Succeeded => RunState::Succeeded,
        RunStateArg::Failed => RunState::Failed,
        RunStateArg::Cancelled => RunState::Cancelled,
        RunStateArg::Skipped => RunState::Skipped,
        RunStateArg::Missed => RunState::Missed,
    }
}

fn row(state: &State, run: &Run) -> Result<[String; 8], CliError> {
    Ok([
        run.run.to_string(),
        run.schedule.clone(),
        run.cause.name().to_owned(),
        minute_time(run.due, &run.definition),
        run.state.name().to_owned(),
        took(run),
        run.attempts.to_string(),
        why(state, run)?,
    ])
}

/// How long a run took, from its first attempt on, or has taken.
pub(super) fn took(run: &Run) -> String {
    let end = match run.state {
        RunState::Waiting => None,
        RunState::Running => Some(now()),
        _ => run.ended,
    };
    run.started.zip(end).map_or_else(
        || "-".to_owned(),
        |(started, ended)| human_time((ended - started).to_std().unwrap_or(Duration::ZERO)),
    )
}

/// Why a run is in its state.
pub(super) fn why(state: &State, run: &Run) -> Result<String, CliError> {
    let reason = run.reason.clone().unwrap_or_default();
    if run.state != RunState::Waiting {
        return Ok(reason);
    }
    let waits = state.waits_for(run, now()).map_err(failed)?;
    Ok(if reason.is_empty() {
        format!("waits for {waits}")
    } else {
        format!("waits for {waits} ({reason})")
    })
}
