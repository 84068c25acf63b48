//! Reads what was written: columns of Parquet tables, and CSV files.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type};
use columna_synth::{SynthFormat, SynthOptions, SynthReport, generate};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Options that differ from the usual ones by format, patients and seed.
pub(crate) fn options(format: SynthFormat, patients: u64, seed: u64) -> SynthOptions {
    SynthOptions {
        patients,
        seed,
        format,
        threads: 2,
        ..SynthOptions::default()
    }
}

/// Makes hospitals in a new folder.
pub(crate) fn make(options: &SynthOptions) -> (tempfile::TempDir, SynthReport) {
    let folder = tempfile::tempdir().unwrap();
    let report = generate(&folder.path().join("out"), options).unwrap();
    (folder, report)
}

/// The batches of a table, in the order of its parts.
pub(crate) fn batches(out: &Path, table: &str, columns: Option<&[&str]>) -> Vec<RecordBatch> {
    let mut parts: Vec<_> = std::fs::read_dir(out.join(table))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    parts.sort();
    let mut batches = Vec::new();
    for part in parts {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(part).unwrap()).unwrap();
        let mask = match columns {
            Some(columns) => {
                ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied())
            }
            None => ProjectionMask::all(),
        };
        batches.extend(
            builder
                .with_projection(mask)
                .with_batch_size(65_536)
                .build()
                .unwrap()
                .map(Result::unwrap),
        );
    }
    batches
}

/// A column of numbers or days as numbers; NULL as NaN.
pub(crate) fn column(out: &Path, table: &str, name: &str) -> Vec<f64> {
    let mut values = Vec::new();
    for batch in batches(out, table, Some(&[name])) {
        let array = batch.column(0);
        for row in 0..array.len() {
            values.push(if array.is_null(row) {
                f64::NAN
            } else {
                match array.data_type() {
                    DataType::Int64 => array.as_primitive::<Int64Type>().value(row) as f64,
                    DataType::Int32 => f64::from(array.as_primitive::<Int32Type>().value(row)),
                    DataType::Date32 => f64::from(array.as_primitive::<Date32Type>().value(row)),
                    DataType::Float64 => array.as_primitive::<Float64Type>().value(row),
                    other => panic!("{name} is {other}"),
                }
            });
        }
    }
    values
}

/// A column of whole numbers or days without NULL.
pub(crate) fn whole(out: &Path, table: &str, name: &str) -> Vec<i64> {
    column(out, table, name)
        .into_iter()
        .map(|value| {
            assert!(value.is_finite(), "{table}.{name} has NULL");
            value as i64
        })
        .collect()
}

/// The lines of a CSV file of this crate's own, split at commas outside of quotes.
pub(crate) fn csv(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| {
        let mut fields = vec![String::new()];
        let mut quoted = false;
        for character in line.chars() {
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                other => fields.last_mut().unwrap().push(other),
            }
        }
        fields
    });
    let header = lines.next().unwrap();
    (header, lines.collect())
}
