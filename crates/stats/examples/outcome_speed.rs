//! Times outcome statistics over resident columns, for `benches/statistics_compare.py`.
//!
//! `outcome_speed FOLDER TASK [RUNS]` reads the columns that the script wrote, keeps them in memory, and prints the
//! seconds of each run, the processor's seconds for each, and a number to compare, as JSON. `km` is both arms' Kaplan-Meier curve with log-log intervals
//! and the log-rank test between them.

#![expect(clippy::print_stdout, reason = "the timing is the point")]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use columna_stats::models::{self, Family, Frame};
use columna_stats::survival::concordance::{self, concordance};
use columna_stats::survival::cox::{Cox, Options, RowColumns, Rows};
use columna_stats::survival::{ConfType, EventTimes, kaplan_meier, logrank};
use columna_stats::{Grouped, Numbers, Summary};
use rayon::prelude::*;

type Done<T> = Result<T, Box<dyn Error>>;

/// The script's columns: days and covariates as 16-bit integers, flags as bytes.
struct Columns {
    days: Vec<i16>,
    event: Vec<u8>,
    arm: Vec<u8>,
    outcome: Vec<u8>,
    terms: Vec<Vec<f64>>,
}

impl Columns {
    fn read(folder: &Path, terms: usize) -> Done<Self> {
        let shorts = |name: &str| -> Done<Vec<i16>> {
            let bytes = fs::read(folder.join(name))?;
            let pairs = bytes.chunks_exact(2);
            Ok(pairs
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect())
        };
        let term = |term: usize| -> Done<Vec<f64>> {
            let column = shorts(&format!("x{}.i16", term + 1))?;
            Ok(column.into_iter().map(f64::from).collect())
        };
        Ok(Self {
            days: shorts("time.i16")?,
            event: fs::read(folder.join("event.u8"))?,
            arm: fs::read(folder.join("arm.u8"))?,
            outcome: fs::read(folder.join("outcome.u8"))?,
            terms: (0..terms).map(term).collect::<Done<_>>()?,
        })
    }

    /// What is consumed: the last run takes the columns themselves, so that one run holds them once.
    fn cox_columns(&mut self, last: bool) -> (RowColumns, Vec<Vec<f64>>) {
        let terms = if last {
            std::mem::take(&mut self.terms)
        } else {
            self.terms.clone()
        };
        let rows = RowColumns {
            time: self.days.iter().map(|day| f64::from(*day)).collect(),
            event: self.event.iter().map(|event| *event == 1).collect(),
            ..RowColumns::default()
        };
        (rows, terms)
    }
}

fn curves_and_test(columns: &Columns) -> columna_stats::Result<f64> {
    let count = |(days, (event, arm)): (&[i16], (&[u8], &[u8]))| {
        let mut arms = [EventTimes::new(), EventTimes::new()];
        for ((day, event), arm) in days.iter().zip(event).zip(arm) {
            arms[usize::from(*arm)].add(f64::from(*day), u32::from(*event))?;
        }
        Ok(arms)
    };
    // One summary for each thread: counts are the same however rows are divided.
    let share = columns.days.len().div_ceil(rayon::current_num_threads());
    let chunks = columns.days.par_chunks(share).zip(
        columns
            .event
            .par_chunks(share)
            .zip(columns.arm.par_chunks(share)),
    );
    let merged = chunks.map(count).try_reduce(
        || [EventTimes::new(), EventTimes::new()],
        |[mut a, mut b], [c, d]| {
            a.merge(c);
            b.merge(d);
            Ok([a, b])
        },
    )?;
    let options = kaplan_meier::Options {
        conf_type: ConfType::LogLog,
        ..kaplan_meier::Options::default()
    };
    for arm in &merged {
        black_box(kaplan_meier::curve(arm, &options)?);
    }
    let mut groups = Grouped::<((), usize), EventTimes>::default();
    for (arm, times) in merged.into_iter().enumerate() {
        groups.entry(((), arm)).merge(times);
    }
    Ok(logrank::test(&groups, logrank::Weighting::LogRank)?.chi_squared)
}

fn cox(given: RowColumns, terms: Vec<Vec<f64>>, everything: bool) -> columna_stats::Result<f64> {
    let rows = Rows::from_columns(RowColumns {
        covariates: terms.into_iter().map(Numbers::from).collect(),
        ..given
    })?;
    let options = Options {
        robust: everything.then_some(true),
        ..Options::default()
    };
    let cox = Cox::fit(&rows, &options)?;
    if everything {
        let risk = cox.linear_predictors();
        let c = concordance(&rows, &risk, &concordance::Options::default())?;
        black_box((c, cox.baseline_at_means()));
    }
    Ok(cox.result().coefficients[0])
}

fn logistic(columns: &Columns, outcome: &[f64]) -> columna_stats::Result<f64> {
    let terms: Vec<&[f64]> = columns.terms.iter().map(Vec::as_slice).collect();
    let frame = Frame::new(outcome, &terms);
    let fitted = models::fit(Family::Binomial, &frame, &models::Options::default())?;
    Ok(fitted.coefficients[1].estimate)
}

/// Seconds that the threads of this process have run; 0 where the system does not say.
fn processor_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kb / 1024)
}

fn main() -> Done<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, task, rest @ ..] = arguments.as_slice() else {
        return Err("outcome_speed FOLDER km|cox|cox-all|logistic [RUNS]".into());
    };
    let runs: usize = rest.first().map_or(Ok(5), |runs| runs.parse())?;
    let terms = match task.as_str() {
        "km" => 0,
        "logistic" => 10,
        _ => 11,
    };
    let mut columns = Columns::read(Path::new(folder), terms)?;
    let outcome: Vec<f64> = columns.outcome.iter().map(|y| f64::from(*y)).collect();
    let (mut seconds, mut processor) = (Vec::with_capacity(runs), Vec::with_capacity(runs));
    let mut value = f64::NAN;
    for run in 1..=runs {
        // What is consumed is copied before the clock starts.
        let cox_task = task.starts_with("cox");
        let mut given = cox_task.then(|| columns.cox_columns(run == runs));
        let busy = processor_seconds();
        let begin = Instant::now();
        value = match (task.as_str(), given.take()) {
            ("km", _) => curves_and_test(&columns)?,
            ("logistic", _) => logistic(&columns, &outcome)?,
            (_, Some((given, terms))) => cox(given, terms, task == "cox-all")?,
            _ => return Err(format!("there is no task {task}").into()),
        };
        seconds.push(begin.elapsed().as_secs_f64());
        processor.push(processor_seconds() - busy);
    }
    println!(
        "{{\"seconds\": {seconds:?}, \"processor\": {processor:?}, \"value\": {value}, \"peak_mb\": {}}}",
        peak_mb().unwrap_or(0)
    );
    Ok(())
}
