//! Metrics for Prometheus, on this machine only.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::clock::Clock;
use super::error::{Error, Result};
use super::state::{Run, RunFilter, RunState, State};
use super::stop::Stop;

/// How long a reader may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Listens on an address of this machine.
///
/// # Errors
/// When the address is not of this machine, or is taken.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(Error::refused(
            format!("metrics are served on this machine only, and `{address}` is open to others"),
            "give `--metrics 127.0.0.1:9464`, and let a proxy with access control stand before it",
        ));
    }
    TcpListener::bind(address)
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .map_err(|error| {
            Error::refused(
                format!("cannot listen on `{address}`: {error}"),
                "give another port after `--metrics`",
            )
        })
}

/// Answers until it is over.
pub(crate) fn serve(listener: &TcpListener, folder: &Path, clock: &dyn Clock, over: &Stop) {
    while !over.is_asked() {
        match listener.accept() {
            // A reader that goes away is its own affair.
            Ok((stream, _)) => drop(answer(stream, folder, clock)),
            Err(_) => over.wait(Duration::from_millis(50)),
        }
    }
}

fn answer(mut stream: TcpStream, folder: &Path, clock: &dyn Clock) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut head = Vec::new();
    let mut buffer = [0u8; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16_384 {
        match stream.read(&mut buffer)? {
            0 => break,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    let asked = head.starts_with(b"GET /metrics ") || head.starts_with(b"GET / ");
    let (status, body) = if asked {
        match State::open(folder).and_then(|state| text(&state, clock)) {
            Ok(body) => ("200 OK", body),
            Err(error) => ("503 Service Unavailable", format!("# {error}\n")),
        }
    } else {
        ("404 Not Found", "metrics are at /metrics\n".to_owned())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What the state says, in Prometheus' text format. Labels are names of schedules and states, nothing else.
///
/// # Errors
/// When the state cannot be read.
pub fn text(state: &State, clock: &dyn Clock) -> Result<String> {
    let now = clock.now();
    let schedules = state.schedules()?;
    let counts = state.counts()?;
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, f64)]| {
        let _ = writeln!(out, "# HELP columna_schedule_{name} {help}");
        let _ = writeln!(out, "# TYPE columna_schedule_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(out, "columna_schedule_{name}{labels} {value}");
        }
    };
    let single = |value: f64| vec![(String::new(), value)];
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let number = |count: i64| count as f64;
    let schedulers = i64::try_from(state.schedulers(now)?).unwrap_or(i64::MAX);
    family(
        "schedulers",
        "gauge",
        "Schedulers at work.",
        &single(number(schedulers)),
    );
    let notices = number(state.open_notices()?);
    family(
        "notices_open",
        "gauge",
        "Notices that were not delivered yet.",
        &single(notices),
    );
    let mut runs = Vec::new();
    let mut open = Vec::new();
    for (schedule, state, count) in &counts {
        let labels = format!("{{schedule=\"{schedule}\",state=\"{}\"}}", state.name());
        let list = if state.is_final() {
            &mut runs
        } else {
            &mut open
        };
        list.push((labels, number(*count)));
    }
    family(
        "runs",
        "gauge",
        "Finished runs on record, by how they ended.",
        &runs,
    );
    family("runs_open", "gauge", "Runs that wait or run.", &open);
    let (mut paused, mut ended, mut succeeded, mut took, mut well) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for schedule in &schedules {
        let label = format!("{{schedule=\"{}\"}}", schedule.name);
        paused.push((label.clone(), f64::from(u8::from(schedule.paused))));
        let newest = |states: &[RunState]| -> Result<Option<Run>> {
            let mut found: Option<Run> = None;
            for state_wanted in states {
                let filter = RunFilter {
                    schedule: Some(schedule.name.clone()),
                    state: Some(*state_wanted),
                    limit: Some(1),
                };
                let run = state.runs(&filter)?.pop();
                if run.as_ref().map(|run| run.ended) > found.as_ref().map(|run| run.ended) {
                    found = run;
                }
            }
            Ok(found)
        };
        if let Some(run) = newest(&[RunState::Succeeded])?
            && let Some(end) = run.ended
        {
            succeeded.push((label.clone(), number(end.timestamp())));
        }
        if let Some(run) = newest(&[RunState::Succeeded, RunState::Failed])?
            && let (Some(start), Some(end)) = (run.started, run.ended)
        {
            ended.push((label.clone(), number(end.timestamp())));
            took.push((
                label.clone(),
                number((end - start).num_milliseconds()) / 1_000.0,
            ));
            let good = run.state == RunState::Succeeded;
            well.push((label, f64::from(u8::from(good))));
        }
    }
    family(
        "paused",
        "gauge",
        "Whether the schedule is paused.",
        &paused,
    );
    family(
        "last_success_timestamp_seconds",
        "gauge",
        "When a run last ended well.",
        &succeeded,
    );
    family(
        "last_end_timestamp_seconds",
        "gauge",
        "When a run last succeeded or failed.",
        &ended,
    );
    family(
        "last_duration_seconds",
        "gauge",
        "How long the last run took that succeeded or failed, from its first attempt on.",
        &took,
    );
    family(
        "last_succeeded",
        "gauge",
        "Whether the last run that succeeded or failed did succeed.",
        &well,
    );
    Ok(out)
}
