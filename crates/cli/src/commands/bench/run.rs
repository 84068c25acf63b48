//! `columna bench run`: a store, the questions, a table of what they cost.

use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use columna_ingest::{Format, IngestOptions};
use columna_query::{SessionOptions, script};
use columna_synth::{SynthFormat, SynthOptions};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;

use super::args::RunArgs;
use super::cold;
use super::digest::digest;
use super::figures::{Figures, Measured};
use super::suite::{Question, chosen};
use crate::args::Format as OutputFormat;
use crate::error::CliError;
use crate::output::{Style, printer};
use crate::progress::progress;
use crate::settings::Settings;
use crate::size::{human_bytes, human_count, plural};
use crate::temporary;

/// The seed of the synthetic hospital.
const SEED: u64 = 1;

/// The answers on synthetic hospitals, which DuckDB gave too: patients, question, digest.
const EXPECTED: &str = include_str!("../../../../../benches/queries/expected.tsv");

/// Runs `columna bench run`.
pub(super) fn run(args: &RunArgs, settings: &Settings) -> Result<(), CliError> {
    let questions = chosen(&args.queries)?;
    let url = match &args.store {
        Some(url) => {
            if let Some(policy) = columna_privacy::State::own_policy(url) {
                return Err(CliError::usage(format!(
                    "this store is under the policy `{}`, and the questions ask past it",
                    policy.display()
                ))
                .hint(
                    "leave `--store` out for a synthetic hospital, or give a copy of the store",
                ));
            }
            url.clone()
        }
        None => synthetic(args, settings)?,
    };
    let runtime = crate::commands::runtime(args.threads)?;
    let store = runtime.block_on(crate::commands::open(&url))?;
    let snapshot = runtime
        .block_on(store.snapshot(None))
        .map_err(|error| CliError::engine(&error))?;
    let mut figures = Figures {
        columna: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        threads: args
            .threads
            .unwrap_or_else(|| available_parallelism().map_or(1, usize::from)),
        memory_limit: args.memory_limit,
        patients: snapshot.table("person").map_or(0, |table| table.rows),
        rows: snapshot.rows(),
        bytes: snapshot.bytes(),
        questions: Vec::new(),
    };
    say(
        settings,
        &format!(
            "{}, {} in {}, {}",
            plural(figures.patients, "patient"),
            plural(figures.rows, "row"),
            human_bytes(figures.bytes),
            plural(figures.threads as u64, "thread"),
        ),
    );
    let options = SessionOptions {
        store: Some(store),
        memory_limit: args.memory_limit,
        threads: args.threads,
        ..temporary::session_options()?
    };
    let context = if args.cluster.is_given() {
        runtime.block_on(crate::commands::cluster::session(&args.cluster, options))?
    } else {
        runtime
            .block_on(columna_query::session(options))
            .map_err(|error| CliError::engine(&error))?
    };
    let scripts = tempfile::tempdir().map_err(|error| CliError::io("make", "a folder", &error))?;
    for question in &questions {
        let mut measured = Measured::of(&question.name);
        let mut asked = runtime.block_on(warm(&context, question, args.runs, &mut measured));
        if asked.is_ok() && !args.no_cold && !args.cluster.is_given() {
            let script = scripts.path().join("question.sql");
            fs::write(&script, &question.sql)
                .map_err(|error| CliError::io("write", script.display(), &error))?;
            asked = cold::ask(&url, &script, &limits(args)).map(|cold| {
                (measured.cold, measured.peak) = (Some(cold.seconds), cold.peak);
            });
        }
        match asked {
            Ok(()) => say(
                settings,
                &format!("{}: {:.3} s", measured.name, measured.median()),
            ),
            // The next question may well be answered.
            Err(error @ CliError::Failed(_)) => {
                let reason = reason(&error);
                say(settings, &format!("{}: failed: {reason}", measured.name));
                measured.failed = Some(reason);
            }
            Err(other) => return Err(other),
        }
        figures.questions.push(measured);
    }
    print(&figures, settings)?;
    if let Some(path) = &args.json {
        let text =
            serde_json::to_string_pretty(&figures).map_err(|error| CliError::engine(&error))?;
        fs::write(path, text).map_err(|error| CliError::io("write", path.display(), &error))?;
    }
    let failed = figures.questions.iter().filter(|m| m.failed.is_some());
    let failed: Vec<&str> = failed.map(|m| m.name.as_str()).collect();
    let differing = if args.store.is_some() {
        Vec::new()
    } else {
        differing(&figures)
    };
    let mut wrong = Vec::new();
    if !failed.is_empty() {
        let of = plural(figures.questions.len() as u64, "question");
        wrong.push(format!(
            "{} of {of} failed: {}",
            failed.len(),
            failed.join(", ")
        ));
    }
    if !differing.is_empty() {
        wrong.push(format!(
            "answers are not those recorded: {}",
            differing.join(", ")
        ));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(CliError::failed(wrong.join("; ")))
    }
}

/// An error in one line.
fn reason(error: &CliError) -> String {
    match error {
        CliError::Failed(report) => match report.causes.first() {
            Some(cause) => format!("{}: {cause}", report.message),
            None => report.message.clone(),
        },
        other => other.to_string(),
    }
}

/// The store of the synthetic hospital, made where there is none.
fn synthetic(args: &RunArgs, settings: &Settings) -> Result<String, CliError> {
    let url = args
        .dir
        .join(format!("store-{}", args.patients))
        .display()
        .to_string();
    let runtime = crate::commands::runtime(args.threads)?;
    if runtime.block_on(is_filled(&url)) {
        return Ok(url);
    }
    let hospital = args.dir.join(format!("hospital-{}", args.patients));
    remove(&hospital)?;
    remove(Path::new(&url))?;
    crate::commands::synth::make(
        &hospital,
        &SynthOptions {
            patients: args.patients,
            seed: SEED,
            format: SynthFormat::OmopParquet,
            progress: progress(settings),
            ..SynthOptions::default()
        },
    )?;
    let options = IngestOptions {
        format: Format::Omop,
        progress: progress(settings),
        ..IngestOptions::default()
    };
    runtime.block_on(crate::commands::ingest::store(
        &hospital, &url, &options, None,
    ))?;
    remove(&hospital)?;
    Ok(url)
}

async fn is_filled(url: &str) -> bool {
    let Ok(store) = crate::commands::open(url).await else {
        return false;
    };
    store
        .snapshot(None)
        .await
        .is_ok_and(|snapshot| snapshot.rows() > 0)
}

/// Removes a folder that an earlier run left half made.
fn remove(folder: &Path) -> Result<(), CliError> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .map_err(|error| CliError::io("remove", folder.display(), &error))?;
    }
    Ok(())
}

fn limits(args: &RunArgs) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(bytes) = args.memory_limit {
        limits.extend(["--memory-limit".to_owned(), bytes.to_string()]);
    }
    if let Some(threads) = args.threads {
        limits.extend(["--threads".to_owned(), threads.to_string()]);
    }
    limits
}

async fn warm(
    context: &SessionContext,
    question: &Question,
    runs: u32,
    measured: &mut Measured,
) -> Result<(), CliError> {
    for run in 0..=runs {
        let began = Instant::now();
        let frame = script::sql(context, &question.sql).await;
        let frame = frame.map_err(|error| CliError::engine(&error))?;
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await;
        let plan = plan.map_err(|error| CliError::engine(&error))?;
        let batches = collect(Arc::clone(&plan), task).await;
        let batches = batches.map_err(|error| CliError::engine(&error))?;
        if run == 0 {
            measured.rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
            measured.digest = digest(&batches).map_err(|error| CliError::engine(&error))?;
            let mut scanned = [0, 0];
            scans(&plan, &mut scanned);
            [measured.scanned_rows, measured.scanned_bytes] = scanned;
            let moved = plan
                .metrics()
                .and_then(|all| all.sum_by_name("shuffle_bytes"));
            measured.shuffled_bytes = moved.map(|bytes| bytes.as_usize() as u64);
        } else {
            measured.warm.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Adds up the rows and bytes of the scans, which are a plan's leaves.
fn scans(plan: &Arc<dyn ExecutionPlan>, into: &mut [u64; 2]) {
    for child in plan.children() {
        scans(child, into);
    }
    if let Some(metrics) = plan.metrics().filter(|_| plan.children().is_empty()) {
        let bytes = metrics.sum_by_name("bytes_scanned");
        into[0] += metrics.output_rows().unwrap_or(0) as u64;
        into[1] += bytes.map_or(0, |bytes| bytes.as_usize()) as u64;
    }
}

fn print(figures: &Figures, settings: &Settings) -> Result<(), CliError> {
    let questions = &figures.questions;
    let texts = |of: &dyn Fn(&Measured) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(questions.iter().map(of)))
    };
    let seconds = |value: f64| {
        if value.is_finite() {
            format!("{value:.3}")
        } else {
            "-".to_owned()
        }
    };
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows = questions.iter().map(|measured| measured.rows);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and its fraction does not matter"
    )]
    let rate = |measured: &Measured| human_count(measured.rows_per_second() as u64);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("question", texts(&|m| m.name.clone())),
        ("rows", Arc::new(UInt64Array::from_iter_values(rows))),
        ("median_s", texts(&|m| seconds(m.median()))),
        ("spread_s", texts(&|m| seconds(m.spread()))),
        ("cold_s", texts(&|m| or_dash(m.cold.map(seconds)))),
        ("rows_per_s", texts(&rate)),
        ("read", texts(&|m| human_bytes(m.scanned_bytes))),
        ("peak_memory", texts(&|m| or_dash(m.peak.map(human_bytes)))),
        ("answer", texts(&|m| answer(m).to_owned())),
    ];
    if questions.iter().any(|m| m.shuffled_bytes.is_some()) {
        // Scans are counted where they run, which is on the executors.
        let moved = texts(&|m| or_dash(m.shuffled_bytes.map(human_bytes)));
        columns.splice(5..8, [("shuffled", moved)]);
    }
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| CliError::engine(&error))?;
    let style = Style {
        box_drawing: settings.utf8,
        colour: settings.colour_out,
        file: false,
    };
    let mut printer = printer(
        OutputFormat::Table,
        &batch.schema(),
        Box::new(stdout()),
        style,
    )?;
    printer.write(&batch)?;
    printer.finish()
}

fn answer(measured: &Measured) -> &str {
    match measured.failed {
        Some(_) => "failed",
        None => &measured.digest,
    }
}

/// The suite's questions whose answers are recorded for this hospital and are others.
fn differing(figures: &Figures) -> Vec<&str> {
    let patients = figures.patients.to_string();
    let expected: Vec<[&str; 3]> = EXPECTED
        .lines()
        .filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok())
        .filter(|[of, _, _]: &[&str; 3]| *of == patients)
        .collect();
    let differs = |measured: &&Measured| {
        let expected = expected.iter().find(|[_, name, _]| *name == measured.name);
        let expected = expected.filter(|_| measured.failed.is_none());
        expected.is_some_and(|[_, _, digest]| *digest != measured.digest)
    };
    let questions = figures.questions.iter().filter(differs);
    questions.map(|measured| measured.name.as_str()).collect()
}

fn say(settings: &Settings, text: &str) {
    if !settings.quiet {
        // Standard error may be gone; the figures come on standard output.
        let _ = writeln!(stderr(), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_answer_is_named_and_other_hospitals_are_not_judged() {
        let measured = Measured {
            rows: 25,
            digest: "0".repeat(16),
            warm: vec![1.0],
            ..Measured::of("02_top_conditions")
        };
        let mut figures = Figures {
            columna: String::new(),
            system: String::new(),
            threads: 1,
            memory_limit: None,
            patients: 1000,
            rows: 1,
            bytes: 1,
            questions: vec![measured],
        };
        assert_eq!(differing(&figures), ["02_top_conditions"]);
        figures.patients = 999;
        assert!(differing(&figures).is_empty());
    }
}
