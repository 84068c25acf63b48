//! Deliveries written by hand, and what they become.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damaged;
mod events;
mod later;
mod mappings;
mod real;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;
use columna_model::progress::Silent;
use std::sync::Arc;

use super::reader::SyntheaReader;
use super::stored::Stored;
use crate::csv::TextBlocks;
use crate::files::Text;
use crate::findings::FindingKind;
use crate::reader::{Block, Reader};
use crate::source::{Encoding, Source};
use crate::{IngestOptions, Result};

/// Ann, born in 1980, and Bob, who died.
const PATIENTS: &str = "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,MARITAL,RACE,ETHNICITY,GENDER,ADDRESS,CITY,STATE,COUNTY,ZIP\n\
    ann,1980-02-29,,999-50-8136,Ann,Lee,M,white,nonhispanic,F,1 Elm Street,Boston,Massachusetts,Suffolk,02115\n\
    bob,1950-07-01,2020-03-04,999-50-8137,Bob,Roe,,native,hispanic,M,2 Elm Street,Boston,Massachusetts,Suffolk,02115\n";

const ENCOUNTERS: &str = "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION,BASE_ENCOUNTER_COST,TOTAL_CLAIM_COST,PAYER_COVERAGE,REASONCODE,REASONDESCRIPTION\n\
    e1,2019-05-01T08:00:00Z,2019-05-01T08:30:00Z,ann,o1,p1,y1,ambulatory,185345009,Encounter for symptom,77.49,3798.09,10.00,195662009,Acute viral pharyngitis\n\
    e2,2019-12-31T23:30:00Z,2020-01-02T00:15:00Z,ann,o1,p9,y1,inpatient,1,Stay,100.00,200.00,0.00,,\n\
    e3,2020-03-04T01:00:00Z,,bob,o1,,y1,virtual,308646001,Death certification,1.00,1.00,0.00,22298006,Myocardial infarction\n";

const ORGANIZATIONS: &str = "Id,NAME,ADDRESS,CITY,STATE,ZIP,LAT,LON,PHONE,REVENUE,UTILIZATION\n\
    o1,CITY HOSPITAL,3 Oak Street,Boston,MA,02115,42.3,-71.1,6175551234,0.0,5\n";

const PROVIDERS: &str = "Id,ORGANIZATION,NAME,GENDER,SPECIALITY,ADDRESS,CITY,STATE,ZIP,LAT,LON,UTILIZATION\n\
    p1,o1,Eve Poe,F,GENERAL PRACTICE,3 Oak Street,Boston,MA,02115,42.3,-71.1,5\n";

const PAYERS: &str = "Id,NAME,ADDRESS,CITY,STATE_HEADQUARTERED,ZIP,PHONE,REVENUE\n\
    y1,Medicare,7500 Security Blvd,Baltimore,MD,21244,1-800-633-4227,20250.00\n";

/// Rows as [`Output::rows`] gives them.
fn texts(rows: &[&[&str]]) -> Vec<Vec<String>> {
    rows.iter()
        .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
        .collect()
}

/// The files that others refer to.
fn base() -> Vec<(&'static str, String)> {
    [
        ("patients.csv", PATIENTS),
        ("encounters.csv", ENCOUNTERS),
        ("organizations.csv", ORGANIZATIONS),
        ("providers.csv", PROVIDERS),
        ("payers.csv", PAYERS),
    ]
    .map(|(name, text)| (name, text.to_owned()))
    .to_vec()
}

/// The files that others refer to, and one more.
fn with(name: &'static str, text: &str) -> Vec<(&'static str, String)> {
    let mut files = base();
    files.retain(|(known, _)| *known != name);
    files.push((name, text.to_owned()));
    files
}

/// What a delivery became.
#[derive(Debug, Default)]
struct Output {
    tables: BTreeMap<String, RecordBatch>,
    /// Rows of a file that are rows of a table.
    counts: BTreeMap<(String, String), u64>,
    read: BTreeMap<String, u64>,
    specs: BTreeMap<String, columna_store::TableSpec>,
    /// File, line, column and reason.
    rejects: Vec<(String, u64, Option<String>, String)>,
    /// The rejected rows, as they are kept.
    raw: Vec<String>,
    findings: Vec<crate::Finding>,
}

impl Output {
    /// The cells of some columns, as text; NULL is empty.
    fn rows(&self, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let batch = &self.tables[table];
        let cell = |column: &&str, row| {
            array_value_to_string(batch.column_by_name(column).unwrap(), row).unwrap()
        };
        (0..batch.num_rows())
            .map(|row| columns.iter().map(|column| cell(column, row)).collect())
            .collect()
    }

    fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, RecordBatch::num_rows)
    }

    fn finding(&self, table: &str, column: Option<&str>, kind: FindingKind) -> u64 {
        let wanted = self.findings.iter().filter(|finding| {
            finding.table == table && finding.column.as_deref() == column && finding.kind == kind
        });
        wanted.map(|finding| finding.count).sum()
    }
}

fn read(files: &[(&str, String)]) -> Output {
    try_read(files, Stored::default(), &IngestOptions::default()).unwrap()
}

fn try_read(files: &[(&str, String)], stored: Stored, options: &IngestOptions) -> Result<Output> {
    let folder = tempfile::tempdir().unwrap();
    // Within a folder of its own, so that nothing lies beside it.
    let folder = folder.path().join("synthea");
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    read_folder(&folder, stored, options, 1 << 20)
}

fn read_folder(
    folder: &Path,
    stored: Stored,
    options: &IngestOptions,
    block: usize,
) -> Result<Output> {
    let source = Source::discover(folder)?;
    assert!(super::is_synthea(&source)?);
    let reader = SyntheaReader::with(&source, stored, options)?;
    let mut output = Output {
        findings: reader.findings(),
        ..Output::default()
    };
    let mut batches: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
    for (at, input) in reader.inputs().iter().enumerate() {
        let Encoding::Text(compression) = input.file.encoding else {
            unreachable!()
        };
        let silent: Arc<dyn columna_model::progress::Progress> = Arc::new(Silent);
        let text = Text::open(&input.file, compression, &silent)?;
        let mut blocks = TextBlocks::new(text, input.dialect.unwrap(), block, input.numbered);
        while let Some(block) = blocks.next().unwrap() {
            let decoded = reader.decode(at, &Block::Text(block))?;
            *output.read.entry(input.file.name.clone()).or_default() += decoded.read;
            for rows in decoded.rows {
                if !rows.derived {
                    let table = reader.targets()[rows.target].spec.name.clone();
                    *output
                        .counts
                        .entry((input.file.name.clone(), table))
                        .or_default() += rows.batch.num_rows() as u64;
                }
                batches.entry(rows.target).or_default().push(rows.batch);
            }
            let name = &input.file.name;
            output
                .raw
                .extend(decoded.rejects.iter().map(|reject| reject.raw.clone()));
            output.rejects.extend(
                decoded
                    .rejects
                    .into_iter()
                    .map(|r| (name.clone(), r.line, r.column, r.reason)),
            );
            output.findings.extend(decoded.findings);
        }
    }
    for (target, batches) in batches {
        let spec = &reader.targets()[target].spec;
        assert_eq!(batches[0].schema(), spec.schema, "{}", spec.name);
        assert!(
            spec.sort
                .iter()
                .all(|column| spec.schema.index_of(column).is_ok()),
            "{}",
            spec.name
        );
        output.specs.insert(spec.name.clone(), spec.clone());
        output.tables.insert(
            spec.name.clone(),
            concat_batches(&spec.schema, &batches).unwrap(),
        );
    }
    Ok(output)
}
