//! `columna schedule list`.

use std::io::{Write, stdout};

use columna_study::schedule::{Definition, Run, RunFilter, RunState, Schedule, State};

use super::args::ListArgs;
use super::{failed, json, minute_time, now, open, remind, remind_of_scheduler};
use crate::commands::info::columns;
use crate::error::CliError;
use crate::settings::Settings;

/// A schedule with what is to be told of it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) schedule: Schedule,
    pub(super) next: Option<chrono::DateTime<chrono::Utc>>,
    pub(super) last: Option<Run>,
    pub(super) open: Vec<Run>,
}

pub(super) fn run(args: &ListArgs, settings: &Settings) -> Result<(), CliError> {
    let state = open(&args.state)?;
    let lines = lines(&state)?;
    if args.json {
        return json::print(&lines.iter().map(json::schedule).collect::<Vec<_>>());
    }
    if lines.is_empty() {
        remind("there is no schedule; `columna schedule add SPEC.yaml` adds one");
        return Ok(());
    }
    let rows: Vec<[String; 5]> = lines.iter().map(row).collect();
    let text = columns(["name", "when", "next", "last", "now"], &rows, [false; 5]);
    write!(stdout(), "{}", fitted(&text, settings))?;
    remind_of_scheduler(&state)
}

fn lines(state: &State) -> Result<Vec<Line>, CliError> {
    let schedules = state.schedules().map_err(failed)?;
    schedules
        .into_iter()
        .map(|schedule| {
            let filter = |wanted: Option<RunState>, limit: Option<u32>| RunFilter {
                schedule: Some(schedule.name.clone()),
                state: wanted,
                limit,
            };
            let mut open = Vec::new();
            for wanted in [RunState::Running, RunState::Waiting] {
                open.extend(state.runs(&filter(Some(wanted), None)).map_err(failed)?);
            }
            let recent = state.runs(&filter(None, Some(50))).map_err(failed)?;
            let last = recent
                .into_iter()
                .filter(|run| run.state.is_final())
                .max_by_key(|run| run.ended);
            let calendar = schedule.definition.calendar().map_err(failed)?;
            let next = calendar
                .filter(|_| !schedule.paused)
                .and_then(|calendar| calendar.next_after(now()));
            Ok(Line {
                schedule,
                next,
                last,
                open,
            })
        })
        .collect()
}

fn row(line: &Line) -> [String; 5] {
    let definition = &line.schedule.definition;
    let last = line.last.as_ref().map_or_else(
        || "-".to_owned(),
        |run| {
            let time = run
                .ended
                .map_or_else(String::new, |ended| minute_time(ended, definition));
            format!("{} {time}", run.state.name())
        },
    );
    let running = line.open.iter().find(|run| run.state == RunState::Running);
    let now = match (running, line.open.len()) {
        (Some(run), 1) => format!("run {} runs", run.run),
        (Some(run), n) => format!("run {} runs, {} wait", run.run, n - 1),
        (None, 0) if line.schedule.paused => "paused".to_owned(),
        (None, 0) => "-".to_owned(),
        (None, 1) => format!("run {} waits", line.open[0].run),
        (None, n) => format!("{n} runs wait"),
    };
    let now = if line.schedule.paused && !line.open.is_empty() {
        format!("{now}, paused")
    } else {
        now
    };
    let next = line
        .next
        .map_or_else(|| "-".to_owned(), |next| minute_time(next, definition));
    [
        line.schedule.name.clone(),
        when(definition),
        next,
        last,
        now,
    ]
}

/// The triggers, briefly.
pub(super) fn when(definition: &Definition) -> String {
    let mut parts = Vec::new();
    if let Some(cron) = &definition.cron {
        parts.push(format!("{cron} {}", definition.timezone));
    }
    if definition.on_snapshot {
        parts.push("on snapshot".to_owned());
    }
    if !definition.after.is_empty() {
        parts.push(format!("after {}", definition.after.join(", ")));
    }
    parts.join(", ")
}

/// Lines no longer than the terminal's, where it is one.
pub(super) fn fitted(text: &str, settings: &Settings) -> String {
    if !settings.stdout_terminal {
        return text.to_owned();
    }
    let (width, _) = settings.screen();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if line.chars().count() > width {
            let end = if settings.utf8 { '…' } else { '>' };
            out.extend(line.chars().take(width - 1).chain([end]));
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}
