//! OMOP CDM tables, as CSV or Parquet, as a reader.

mod columnar;
mod header;
mod infer;
mod plan;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use columna_model::CdmVersion;
use columna_store::Snapshot;

use self::columnar::Columnar;
use crate::csv::Decoder;
use crate::findings::{Finding, FindingKind};
use crate::options::IngestOptions;
use crate::reader::{Block, Decoded, Input, Reader, Target, TargetRows};
use crate::source::Source;
use crate::{Error, Result};

/// Tables without which hardly any question can be answered.
pub(crate) const NEEDED: [&str; 3] = ["person", "observation_period", "visit_occurrence"];

/// OMOP CDM tables of a source.
#[derive(Debug)]
pub(crate) struct OmopReader {
    version: CdmVersion,
    targets: Vec<Target>,
    inputs: Vec<Input>,
    decoders: Vec<InputDecoder>,
    findings: Vec<Finding>,
}

/// How a file's blocks become rows of its table.
#[derive(Debug)]
enum InputDecoder {
    Text(Decoder),
    Columnar(Columnar),
    Empty,
}

impl OmopReader {
    /// Reads the headers of all files, and what a look at them does not tell.
    pub(crate) fn open(
        source: &Source,
        stored: &Snapshot,
        options: &IngestOptions,
    ) -> Result<Self> {
        plan::open(source, stored, options)
    }
}

impl Reader for OmopReader {
    fn format(&self) -> String {
        format!("OMOP CDM {}", self.version)
    }

    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn findings(&self) -> Vec<Finding> {
        let missing = NEEDED
            .iter()
            .filter(|name| !self.targets.iter().any(|target| target.spec.name == **name));
        let missing = missing.map(|name| Finding::new(name, None, FindingKind::MissingTable, 1));
        self.findings.iter().cloned().chain(missing).collect()
    }

    fn decode(&self, input: usize, block: &Block) -> Result<Decoded> {
        let home = self.inputs[input].home;
        let target = &self.targets[home];
        let table = &target.spec.name;
        let rows_of = |columns: Vec<ArrayRef>| {
            let batch = RecordBatch::try_new(SchemaRef::clone(&target.spec.schema), columns);
            batch.map_err(|error| Error::arrow(table, error))
        };
        match (&self.decoders[input], block) {
            (InputDecoder::Text(decoder), Block::Text(block)) => {
                let rows = decoder
                    .decode(block)
                    .map_err(|error| Error::arrow(table, error))?;
                let mut findings = Vec::new();
                let kinds = [
                    (FindingKind::NullWord, &rows.notes.null_words),
                    (FindingKind::UnixDate, &rows.notes.unix_dates),
                ];
                for (kind, counts) in kinds {
                    for (column, count) in counts {
                        let name = target.spec.schema.field(*column).name();
                        findings.push(Finding::new(table, Some(name), kind, *count));
                    }
                }
                let stored = TargetRows {
                    target: home,
                    batch: rows_of(rows.columns)?,
                    derived: false,
                };
                Ok(Decoded {
                    read: rows.read,
                    rows: vec![stored],
                    rejects: rows.rejects,
                    findings,
                })
            }
            (InputDecoder::Columnar(columnar), Block::Rows(batch, first)) => {
                let rows = columnar
                    .decode(batch, *first)
                    .map_err(|error| Error::arrow(table, error))?;
                let stored = TargetRows {
                    target: home,
                    batch: rows_of(rows.columns)?,
                    derived: false,
                };
                let read = batch.num_rows() as u64;
                Ok(Decoded {
                    read,
                    rows: vec![stored],
                    rejects: rows.rejects,
                    findings: Vec::new(),
                })
            }
            _ => Err(Error::engine(format!(
                "a block of `{}` came in another form than its file",
                self.inputs[input].file.name
            ))),
        }
    }
}
