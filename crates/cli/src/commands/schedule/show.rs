//! `columna schedule show`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write, stdout};
use std::path::Path;
use std::time::Duration;

use columna_study::schedule::{Attempt, Entry, Run, RunState, State};
use serde_json::json;

use super::args::ShowArgs;
use super::history::{took, why};
use super::list::when;
use super::{clock_time, failed, json, open};
use crate::commands::info::columns;
use crate::error::CliError;
use crate::settings::Settings;
use crate::size::{human_bytes, human_time};

/// Lines of output that are shown without being asked for.
const LINES: usize = 15;

/// Bytes that hold so many lines.
const TAIL: u64 = 16 << 10;

pub(super) fn run(args: &ShowArgs, settings: &Settings) -> Result<(), CliError> {
    let state = open(&args.run.state)?;
    let run = state.run(args.run.run).map_err(failed)?;
    let log = state.log_file(run.run, run.attempts);
    if args.output {
        return output(&log, &run);
    }
    let attempts = state.attempts(run.run).map_err(failed)?;
    let entries = state.log_of(run.run).map_err(failed)?;
    if args.json {
        let mut value = json::run(&run);
        value["attempts"] = attempts.iter().map(json::attempt).collect();
        value["log"] = json!(entries);
        value["output"] = json!(log.is_file().then_some(log));
        return json::print(&value);
    }
    let (bold, off) = if settings.colour_out {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut text = format!("{bold}Run {}{off}\n{}", run.run, facts(&state, &run)?);
    if !attempts.is_empty() {
        text += &format!("\n{bold}Attempts{off}\n{}", table(&attempts, &run));
    }
    text += &format!("\n{bold}Log{off}\n{}", story(&entries));
    let end = end_of(&log);
    if !end.is_empty() {
        text += &format!("\n{bold}Output{off} ({})\n", log.display());
        for line in end {
            text += &format!("  {line}\n");
        }
    }
    Ok(write!(stdout(), "{text}")?)
}

fn output(log: &Path, run: &Run) -> Result<(), CliError> {
    let mut file = File::open(log).map_err(|_| {
        CliError::failed(format!("run {} has printed nothing yet", run.run)).hint(format!(
            "`columna schedule show {}` tells how far it is",
            run.run
        ))
    })?;
    std::io::copy(&mut file, &mut stdout().lock())?;
    Ok(())
}

fn facts(state: &State, run: &Run) -> Result<String, CliError> {
    let definition = &run.definition;
    let mut facts = vec![
        (
            "schedule",
            format!("{} ({})", run.schedule, when(definition)),
        ),
        ("state", run.state.name().to_owned()),
    ];
    let why = why(state, run)?;
    if !why.is_empty() {
        facts.push(("why", why));
    }
    let cause = match run.snapshot {
        Some(version) => format!("{} {version}", run.cause.name()),
        None => run.cause.name().to_owned(),
    };
    facts.push((
        "due",
        format!("{} by {cause}", clock_time(run.due, definition)),
    ));
    if let Some(started) = run.started {
        facts.push(("started", clock_time(started, definition)));
    }
    if let Some(ended) = run.ended {
        facts.push(("ended", clock_time(ended, definition)));
        facts.push(("took", took(run)));
    }
    facts.push(("study", definition.specification.display().to_string()));
    facts.push(("store", definition.store.clone()));
    facts.push(("results", definition.out.display().to_string()));
    let mut text = String::new();
    for (name, value) in facts {
        text += &format!("  {name:10}{value}\n");
    }
    if matches!(
        run.state,
        RunState::Failed | RunState::Cancelled | RunState::Skipped
    ) {
        text += &format!("  {:10}columna schedule retry {}\n", "again", run.run);
    }
    Ok(text)
}

fn table(attempts: &[Attempt], run: &Run) -> String {
    let rows: Vec<[String; 6]> = attempts
        .iter()
        .map(|attempt| {
            let took = attempt.ended.map_or_else(
                || "-".to_owned(),
                |ended| human_time((ended - attempt.started).to_std().unwrap_or(Duration::ZERO)),
            );
            let memory = attempt
                .memory
                .and_then(|bytes| u64::try_from(bytes).ok())
                .map_or_else(|| "-".to_owned(), human_bytes);
            [
                attempt.attempt.to_string(),
                clock_time(attempt.started, &run.definition),
                took,
                memory,
                attempt
                    .outcome
                    .map_or("running", |outcome| outcome.name())
                    .to_owned(),
                attempt.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    columns(
        ["attempt", "began", "took", "memory", "end", "why"],
        &rows,
        [true, false, true, true, false, false],
    )
}

fn story(entries: &[Entry]) -> String {
    let rows: Vec<[String; 3]> = entries
        .iter()
        .map(|entry| {
            let time = entry.at.replace('T', " ").replace('Z', " UTC");
            [time, entry.event.replace('_', " "), entry.message.clone()]
        })
        .collect();
    // Without a head: what the columns are is plain.
    let text = columns(["", "", ""], &rows, [false; 3]);
    text.split_once('\n')
        .map_or(String::new(), |(_, rest)| rest.to_owned())
}

/// The last lines of a file; none where there is no file.
fn end_of(path: &Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect())
        .collect()
}
