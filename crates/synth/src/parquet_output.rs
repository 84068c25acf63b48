//! Parquet output: every table is a folder of parts, and each part of persons is simulated and written by one thread.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use columna_model::ColumnType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::hospital::Hospital;
use crate::output::{Run, Written};
use crate::records::Records;
use crate::truth::Tally;
use crate::{Error, omop, reference};

/// Persons of a part at most; fewer for small hospitals, so that all threads have work.
const PART: u64 = 32_768;
/// Persons that are simulated before their rows go to the writers.
const CHUNK: u64 = 1024;
const ROW_GROUP_ROWS: usize = 131_072;

/// Writes OMOP tables as `table/part-00000.parquet`.
pub(crate) fn omop(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
) -> Result<(Written, Tally), Error> {
    let mut written = Written::default();
    for (name, batch) in reference::tables(hospital)? {
        let mut part = Part::create(folder, name, 0)?;
        part.write(&batch)?;
        written.add(name, part.finish()?);
    }
    let size = hospital.patients.div_ceil(16).clamp(1024, PART);
    let parts = usize::try_from(hospital.patients.div_ceil(size)).unwrap_or(usize::MAX);
    let results: Vec<Result<(Vec<u64>, Tally), Error>> = (0..parts)
        .into_par_iter()
        .with_max_len(1)
        .map(|number| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            let positions = number * size..((number + 1) * size).min(hospital.patients);
            part(run, hospital, folder, number, positions)
        })
        .collect();
    let mut tally = Tally::default();
    for result in results {
        let (rows, part) = result?;
        tally.merge(&part);
        for (name, rows) in omop::CLINICAL.iter().zip(rows) {
            written.add(name, rows);
        }
    }
    Ok((written, tally))
}

fn part(
    run: &Run<'_>,
    hospital: &Hospital,
    folder: &Path,
    number: u64,
    positions: std::ops::Range<u64>,
) -> Result<(Vec<u64>, Tally), Error> {
    let mut files = omop::CLINICAL
        .iter()
        .map(|name| Part::create(folder, name, number))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut tally = Tally::default();
    let mut start = positions.start;
    while start < positions.end {
        let end = (start + CHUNK).min(positions.end);
        let mut records = Records::default();
        for position in start..end {
            hospital.simulate(position, &mut records, &mut tally);
        }
        for (file, batch) in files.iter_mut().zip(omop::clinical(hospital, &records)?) {
            file.write(&batch)?;
        }
        run.progress.advance(end - start);
        start = end;
    }
    let rows = files
        .into_iter()
        .map(Part::finish)
        .collect::<Result<Vec<u64>, Error>>()?;
    Ok((rows, tally))
}

/// One file of a table.
struct Part {
    path: std::path::PathBuf,
    writer: ArrowWriter<File>,
    rows: u64,
}

impl Part {
    fn create(folder: &Path, table: &str, number: u64) -> Result<Self, Error> {
        let definition = columna_model::table(table)
            .ok_or_else(|| Error::Internal(format!("the model has no table {table}")))?;
        let folder = folder.join(table);
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        let path = folder.join(format!("part-{number:05}.parquet"));
        let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
        // Keys rise by small steps: differences are smaller and quicker than a dictionary of nearly every value.
        for column in definition.columns {
            let is_key = column.primary_key
                || column.name == "visit_occurrence_id"
                || column.name == "preceding_visit_occurrence_id";
            if is_key && column.data_type == ColumnType::BigInt {
                let column = ColumnPath::from(column.name);
                properties = properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let writer = ArrowWriter::try_new(file, definition.schema(), Some(properties.build()))?;
        Ok(Self {
            path,
            writer,
            rows: 0,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        Ok(self.writer.write(batch)?)
    }

    fn finish(self) -> Result<u64, Error> {
        let file = self.writer.into_inner()?;
        file.sync_data()
            .map_err(|error| Error::write(&self.path, error))?;
        Ok(self.rows)
    }
}
