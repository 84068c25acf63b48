//! A run: threads, progress, the folders, and what stands beside the tables.

use std::path::Path;
use std::sync::Arc;

use columna_model::progress::Progress;

use crate::hospital::Hospital;
use crate::identity::record_number;
use crate::truth::Tally;
use crate::{Error, SynthFormat, SynthOptions, parquet_output, text_output};

/// What every writer needs to know about the run.
pub(crate) struct Run<'a> {
    /// Threads of the pool.
    pub(crate) threads: usize,
    /// Where to report.
    pub(crate) progress: &'a Arc<dyn Progress>,
}

/// Rows written, by table in the order of writing.
#[derive(Debug, Default)]
pub(crate) struct Written(pub(crate) Vec<(String, u64)>);

impl Written {
    /// Counts rows of a table.
    pub(crate) fn add(&mut self, table: &str, rows: u64) {
        match self.0.iter_mut().find(|(name, _)| name == table) {
            Some((_, count)) => *count += rows,
            None => self.0.push((table.to_owned(), rows)),
        }
    }
}

/// Writes one hospital into a folder.
pub(crate) fn hospital(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
    format: SynthFormat,
) -> Result<Written, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    let (written, tally) = match format {
        SynthFormat::OmopCsv => text_output::omop(run, hospital, folder)?,
        SynthFormat::OmopParquet => parquet_output::omop(run, hospital, folder)?,
        SynthFormat::SourceCsv => text_output::source(run, hospital, folder)?,
    };
    truth(hospital, &tally, folder)?;
    readme(hospital, format, folder)?;
    Ok(written)
}

fn truth(hospital: &Hospital, tally: &Tally, folder: &Path) -> Result<(), Error> {
    let path = folder.join("truth.json");
    let document = tally.document(hospital.patients, hospital.seed, hospital.hospitals);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    std::fs::write(&path, text).map_err(|error| Error::write(&path, error))
}

fn readme(hospital: &Hospital, format: SynthFormat, folder: &Path) -> Result<(), Error> {
    let path = folder.join("README.txt");
    let tables = match format {
        SynthFormat::OmopCsv => "OMOP CDM 5.4, one CSV file per table",
        SynthFormat::OmopParquet => "OMOP CDM 5.4, one folder of Parquet files per table",
        SynthFormat::SourceCsv => {
            "the hospital's own extract as CSV, with made-up direct identifiers"
        }
    };
    let text = format!(
        "SYNTHETIC DATA. Nobody in these files exists: names, numbers, phones and addresses are random.\n\n\
         Hospital {} of {}, {} patients, seed {}, persons from {}.\n\
         Tables: {tables}.\n\
         truth.json: how the data were made, and what a right analysis of them finds.\n\
         Concept names and ids are those of the OMOP Standardized Vocabularies.\n",
        hospital.number + 1,
        hospital.hospitals,
        hospital.patients,
        hospital.seed,
        hospital.first_person(),
    );
    std::fs::write(&path, text).map_err(|error| Error::write(&path, error))
}

/// Writes who is who in both hospitals.
pub(crate) fn linkage_truth(options: &SynthOptions, out: &Path) -> Result<u64, Error> {
    let folder = out.join("truth");
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    let path = folder.join("linkage_truth.csv");
    let [first, second] = [0, 1].map(|number| Hospital::of(options, number));
    let mut lines =
        String::from("hospital_1_person_id,hospital_2_person_id,hospital_1_mrn,hospital_2_mrn\n");
    let mut pairs: Vec<(i64, i64)> = (0..options.patients)
        .filter(|&position| second.identity(position).1)
        .map(|position| {
            (
                first.person(second.at_first(position)),
                second.person(position),
            )
        })
        .collect();
    pairs.sort_unstable();
    for (one, two) in &pairs {
        lines.push_str(&format!(
            "{one},{two},{},{}\n",
            record_number(*one),
            record_number(*two)
        ));
    }
    std::fs::write(&path, lines).map_err(|error| Error::write(&path, error))?;
    Ok(u64::try_from(pairs.len()).unwrap_or(0))
}
