//! `columna schedule run`, `install` and `runner`: the processes that do the work.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use columna_study::schedule::{
    self as schedule, Capacity, Entry, GRACE, Job, Options, Stop, SystemClock, unit,
};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{InstallArgs, LogFormatArg, RunArgs, RunnerArgs, ServiceArgs, StateArgs};
use super::{absolute, failed, folder, open};
use crate::error::{CliError, Report};
use crate::settings::Settings;
use crate::size::plural;

pub(super) fn run(args: &RunArgs, settings: &Settings) -> Result<(), CliError> {
    // Not made here: a mistyped store would be served for ever, with nothing to do.
    let state = open(&args.state)?;
    let options = Options {
        capacity: Capacity {
            runs: usize::from(args.service.max_runs),
            memory: args.service.max_memory.map(|bytes| bytes as u64),
            threads: args.service.max_threads.and_then(|n| u32::try_from(n).ok()),
        },
        once: args.once,
        stop_runs: args.service.stop_runs,
        poll: Duration::from_millis(args.poll),
        watch: Duration::from_millis(args.watch),
        program: program()?,
        study_program: args.study_program.clone().map(absolute),
        metrics: args.service.metrics,
    };
    let folder = state.folder().to_owned();
    drop(state);
    let stop = Stop::default();
    on_signal(
        &stop,
        &[
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ],
    )?;
    let format = args.service.log_format;
    let quiet = settings.quiet;
    let tell = move |entry: &Entry| {
        if !quiet || entry.level != "info" {
            say(entry, format);
        }
    };
    let summary = schedule::run(&folder, &options, &SystemClock, &stop, &tell).map_err(failed)?;
    if args.once && !summary.failed.is_empty() {
        let count = plural(summary.failed.len() as u64, "run");
        let first = summary.failed.first().copied().unwrap_or_default();
        let report = Report::new(format!("{count} did not succeed"))
            .hint(format!("`columna schedule show {first}` tells why"));
        return Err(CliError::report(report));
    }
    Ok(())
}

/// An entry of the log on standard error.
fn say(entry: &Entry, format: LogFormatArg) {
    let line = match format {
        LogFormatArg::Json => serde_json::to_string(entry).unwrap_or_default(),
        LogFormatArg::Text => {
            let about = match (&entry.schedule, entry.run) {
                (Some(schedule), Some(run)) => format!(" {schedule} run {run}:"),
                (Some(schedule), None) => format!(" {schedule}:"),
                (None, Some(run)) => format!(" run {run}:"),
                (None, None) => String::new(),
            };
            format!(
                "{} {:5} {}{about} {}",
                entry.at, entry.level, entry.event, entry.message
            )
        }
    };
    // A log that nobody reads is no reason to stop.
    let _ = writeln!(stderr(), "{line}");
}

/// This program's own file.
fn program() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| CliError::io("find", "the columna program", &error))
}

/// Lets signals ask for the stop, from a thread of its own.
fn on_signal(stop: &Stop, kinds: &[SignalKind]) -> Result<(), CliError> {
    let cannot =
        |error: std::io::Error| CliError::failed(format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    // Before anything starts: a signal that comes early counts as well.
    let signals = runtime.block_on(async {
        kinds
            .iter()
            .map(|kind| signal(*kind))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut signals = signals.map_err(cannot)?;
    let stop = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let first = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures::future::select_all(first).await;
        });
        stop.ask();
        // Later signals change nothing.
        loop {
            std::thread::park();
        }
    });
    Ok(())
}

pub(super) fn runner(args: RunnerArgs) -> Result<(), CliError> {
    let stop = Stop::default();
    // A terminal that is closed is not the run's affair.
    on_signal(&stop, &[SignalKind::interrupt(), SignalKind::terminate()])?;
    let job = Job {
        folder: args.state,
        run: args.run,
        fence: args.fence,
        program: match args.study_program {
            Some(program) => program,
            None => program()?,
        },
        grace: GRACE,
    };
    schedule::run_attempt(&job, &stop).map_err(failed)
}

pub(super) fn install(args: &InstallArgs) -> Result<(), CliError> {
    debug_assert!(args.systemd, "the only kind there is, and required");
    // Checked now, not when the machine starts.
    let folder = absolute(folder(&args.state)?);
    let mut arguments = place(&args.state, &folder);
    arguments.extend(service_arguments(&args.service));
    let mut out = stdout().lock();
    writeln!(
        out,
        "# Save as ~/.config/systemd/user/columna-schedule.service, then:\n\
         #   systemctl --user daemon-reload\n\
         #   systemctl --user enable --now columna-schedule\n\
         #   loginctl enable-linger    (so that it runs while nobody is logged in)\n\
         # or as /etc/systemd/system/columna-schedule.service with `User=` under [Service] and\n\
         # `WantedBy=multi-user.target`. Its log: journalctl --user -u columna-schedule"
    )?;
    Ok(write!(out, "{}", unit(&program()?, &arguments))?)
}

fn place(state: &StateArgs, folder: &Path) -> Vec<String> {
    match (&state.state, &state.store) {
        (None, Some(store)) => {
            let store =
                super::local(store).map_or_else(|| store.clone(), |p| p.display().to_string());
            vec!["--store".to_owned(), store]
        }
        _ => vec!["--state".to_owned(), folder.display().to_string()],
    }
}

fn service_arguments(service: &ServiceArgs) -> Vec<String> {
    let mut arguments = Vec::new();
    if service.max_runs != 1 {
        arguments.push(format!("--max-runs={}", service.max_runs));
    }
    if let Some(bytes) = service.max_memory {
        arguments.push(format!("--max-memory={bytes}"));
    }
    if let Some(threads) = service.max_threads {
        arguments.push(format!("--max-threads={threads}"));
    }
    if let Some(address) = service.metrics {
        arguments.push(format!("--metrics={address}"));
    }
    if service.log_format == LogFormatArg::Json {
        arguments.push("--log-format=json".to_owned());
    }
    if service.stop_runs {
        arguments.push("--stop-runs".to_owned());
    }
    arguments
}
