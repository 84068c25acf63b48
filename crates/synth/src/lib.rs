//! Synthetic hospitals with known truth.
//!
//! [`generate`] simulates patients one by one and writes what a hospital would have recorded about them: OMOP CDM 5.4
//! as CSV or Parquet, or an extract of the hospital's own system. Beside the tables stands `truth.json`: the hazards,
//! hazard ratios and probabilities behind the data, and the counts that a right analysis of this data set finds.
//!
//! A patient depends on the seed, the hospital and the patient's number only: the same options give the same bytes
//! with any number of threads, and a delivery that starts at a later number continues the one before it. Memory does
//! not grow with the number of patients.

mod admissions;
mod chart;
mod comparison;
mod csv;
mod disease;
mod hazard;
mod hospital;
mod identity;
mod korean;
mod labs;
mod mortality;
mod omop;
mod output;
mod parquet_output;
mod population;
mod records;
mod reference;
mod rng;
mod source;
mod text_output;
mod treatment;
mod truth;
mod vocabulary;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use columna_model::progress::{Progress, Silent, Unit};
use serde::Serialize;

use crate::hospital::Hospital;
use crate::output::Run;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SynthFormat {
    /// OMOP CDM 5.4: `person.csv`, `visit_occurrence.csv` and so on.
    OmopCsv,
    /// OMOP CDM 5.4: folders `person/`, `visit_occurrence/` and so on, of Parquet files.
    OmopParquet,
    /// A hospital's own extract as CSV, with direct identifiers: `patients.csv`, `encounters.csv` and so on.
    SourceCsv,
}

/// What to make.
#[derive(Debug, Clone)]
pub struct SynthOptions {
    /// Patients of each hospital.
    pub patients: u64,
    /// Everything is determined by it.
    pub seed: u64,
    /// The form of the output.
    pub format: SynthFormat,
    /// One hospital, or two that share a fifth of their patients.
    pub hospitals: u8,
    /// The first `person_id`; all other ids move with it. Patients are numbered by it too, so that `1..=1000` and then
    /// `1001..=2000` are the same patients as `1..=2000` at once.
    pub first_person_id: i64,
    /// Threads; 0 for as many as there are cores. The output does not depend on it.
    pub threads: usize,
    /// Told about every simulated patient.
    pub progress: Arc<dyn Progress>,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self {
            patients: 10_000,
            seed: 1,
            format: SynthFormat::OmopCsv,
            hospitals: 1,
            first_person_id: 1,
            threads: 0,
            progress: Arc::new(Silent),
        }
    }
}

/// Why nothing, or not everything, was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options cannot be met.
    #[error("{0}")]
    Options(String),
    /// The folder holds something already.
    #[error("{} is not empty: give a new folder, or delete it first", .0.display())]
    NotEmpty(PathBuf),
    /// A file could not be written.
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Arrow refused a batch.
    #[error("engine fault: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet could not be written.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The truth could not be written.
    #[error("cannot write truth.json: {0}")]
    Json(#[from] serde_json::Error),
    /// The threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A fault of the generator.
    #[error("engine fault: {0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn write(path: &Path, error: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            error,
        }
    }
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct SynthReport {
    /// Patients of each hospital.
    pub patients: u64,
    /// The hospitals' folders with the rows of each table.
    pub hospitals: Vec<HospitalReport>,
    /// Patients of both hospitals.
    pub shared_patients: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// What was made for one hospital.
#[derive(Debug, Clone, Serialize)]
pub struct HospitalReport {
    /// Where its tables are.
    pub folder: PathBuf,
    /// Rows by table.
    pub tables: Vec<(String, u64)>,
}

impl SynthReport {
    /// Rows of all tables of all hospitals.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.hospitals
            .iter()
            .flat_map(|hospital| &hospital.tables)
            .map(|(_, rows)| rows)
            .sum()
    }
}

impl fmt::Display for SynthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hospital in &self.hospitals {
            writeln!(
                f,
                "{}: {} patients",
                hospital.folder.display(),
                self.patients
            )?;
            for (table, rows) in &hospital.tables {
                writeln!(f, "  {table:<24}{rows:>14}")?;
            }
        }
        if self.shared_patients > 0 {
            writeln!(
                f,
                "patients of both hospitals (truth/linkage_truth.csv): {}",
                self.shared_patients
            )?;
        }
        write!(
            f,
            "{} rows in {:.1} s",
            self.rows(),
            self.elapsed.as_secs_f64()
        )
    }
}

/// Makes the hospitals in a folder: in itself for one, in `hospital-1` and `hospital-2` for two.
///
/// # Errors
///
/// If the options are out of range, the folder is not empty, or something cannot be written.
pub fn generate(out: &Path, options: &SynthOptions) -> Result<SynthReport, Error> {
    let started = Instant::now();
    check(out, options)?;
    let threads = if options.threads == 0 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        options.threads
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("synth-{number}"))
        .build()?;
    std::fs::create_dir_all(out).map_err(|error| Error::write(out, error))?;

    let run = Run {
        threads,
        progress: &options.progress,
    };
    let total = options.patients * u64::from(options.hospitals);
    options
        .progress
        .start("Simulating patients", Some(total), Unit::Persons);
    let mut hospitals = Vec::new();
    for number in 0..options.hospitals {
        let hospital = Hospital::of(options, number);
        let folder = if options.hospitals == 1 {
            out.to_owned()
        } else {
            out.join(format!("hospital-{}", number + 1))
        };
        let written =
            pool.install(|| output::hospital(&run, &hospital, &folder, options.format))?;
        hospitals.push(HospitalReport {
            folder,
            tables: written.0,
        });
    }
    let shared_patients = if options.hospitals == 2 {
        output::linkage_truth(options, out)?
    } else {
        0
    };
    options.progress.finish();
    Ok(SynthReport {
        patients: options.patients,
        hospitals,
        shared_patients,
        elapsed: started.elapsed(),
    })
}

/// Patients of a hospital at most, so that no two have the same eight-digit record number.
const MOST_PATIENTS: u64 = 90_000_000;

fn check(out: &Path, options: &SynthOptions) -> Result<(), Error> {
    if options.patients == 0 || options.patients > MOST_PATIENTS {
        return Err(Error::Options(format!(
            "between 1 and {MOST_PATIENTS} patients can be made, not {}",
            options.patients
        )));
    }
    if !(1..=2).contains(&options.hospitals) {
        return Err(Error::Options(format!(
            "one or two hospitals can be made, not {}",
            options.hospitals
        )));
    }
    // Event ids are 10,000 times the person's; record numbers have eight digits.
    if options.first_person_id < 1 || options.first_person_id > 100_000_000_000_000 {
        return Err(Error::Options(format!(
            "the first person id must be between 1 and 100000000000000, not {}",
            options.first_person_id
        )));
    }
    let mut entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(_) => return Ok(()),
    };
    if entries.next().is_some() {
        Err(Error::NotEmpty(out.to_owned()))
    } else {
        Ok(())
    }
}
