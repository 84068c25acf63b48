//! Verifies one data file: its bytes, then its schema, order, rows and persons.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int64Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::backend::Backend;
use crate::manifest::FileEntry;
use crate::run_reader::{builder, open, reader};
use crate::run_writer::{follows, is_sorted};
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// Checks a file against its manifest entry. Blocking.
pub(crate) fn check_file(backend: &Backend, spec: &TableSpec, entry: &FileEntry) -> Result<()> {
    let wrong = |what: String| Err(Error::damaged(&entry.path, what));
    let mut file = open(backend, &entry.path)?;
    let (bytes, hash) = measure(&mut file, &entry.path)?;
    if bytes != entry.bytes {
        return wrong(format!("it has {bytes} bytes instead of {}", entry.bytes));
    }
    if hash != entry.blake3 {
        return wrong("its content has changed".to_owned());
    }
    let again = file.try_clone().map_err(|e| Error::io(&entry.path, e))?;
    let footer = builder(backend, entry, again)?;
    check_schema(spec, entry, footer.schema())?;
    check_footer(spec, entry, &footer)?;
    check_rows(backend, spec, entry)
}

fn measure(file: &mut File, path: &str) -> Result<(u64, String)> {
    let failed = |e| Error::io(path, e);
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut piece).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(&piece[..count]);
        bytes += count as u64;
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

/// A file has columns of its table only; those that it lacks came later and are nullable.
fn check_schema(spec: &TableSpec, entry: &FileEntry, schema: &Schema) -> Result<()> {
    let wrong = |what: String| Err(Error::damaged(&entry.path, what));
    for field in schema.fields() {
        let name = field.name();
        match spec.schema.field_with_name(name) {
            Ok(declared) if declared.data_type() == field.data_type() => {}
            Ok(_) => {
                return wrong(format!(
                    "column `{name}` has another type than table `{}`",
                    spec.name
                ));
            }
            Err(_) => {
                return wrong(format!(
                    "column `{name}` is not one of table `{}`",
                    spec.name
                ));
            }
        }
    }
    let missing = |f: &&std::sync::Arc<arrow::datatypes::Field>| {
        !f.is_nullable() && schema.index_of(f.name()).is_err()
    };
    match spec.schema.fields().iter().find(missing) {
        Some(field) => wrong(format!("it has no column `{}`", field.name())),
        None => Ok(()),
    }
}

/// Readers take the order and the number of rows from the footer.
fn check_footer(
    spec: &TableSpec,
    entry: &FileEntry,
    footer: &ParquetRecordBatchReaderBuilder<File>,
) -> Result<()> {
    let wrong = |what: &str| Err(Error::damaged(&entry.path, what));
    let rows = footer.metadata().file_metadata().num_rows();
    if u64::try_from(rows) != Ok(entry.rows) {
        return wrong("its rows are not as many as its manifest says");
    }
    for group in footer.metadata().row_groups() {
        let sorting = group.sorting_columns().map_or(&[][..], Vec::as_slice);
        let declared = sorting.iter().map(|s| {
            let column = usize::try_from(s.column_idx)
                .ok()
                .and_then(|at| group.columns().get(at));
            column
                .map(|c| c.column_path().string())
                .filter(|_| !s.descending && !s.nulls_first)
        });
        if !declared.eq(spec.sort.iter().map(|name| Some(name.clone()))) {
            return wrong("its footer does not declare the table's order");
        }
    }
    Ok(())
}

fn check_rows(backend: &Backend, spec: &TableSpec, entry: &FileEntry) -> Result<()> {
    let wrong = |what: &str| Err(Error::damaged(&entry.path, what));
    let failed = |e| Error::arrow(&spec.name, e);
    let mut rows = 0;
    let mut persons: Option<(i64, i64)> = None;
    let mut last: Option<RecordBatch> = None;
    // Every column is read, so that every page is decoded once.
    for batch in reader(backend, entry, None)? {
        let batch = batch.map_err(|_| Error::damaged(&entry.path, "its rows cannot be read"))?;
        rows += batch.num_rows() as u64;
        let order = spec.sort.iter().map(|name| batch.schema().index_of(name));
        let order: Vec<usize> = order.collect::<Result<_, _>>().map_err(failed)?;
        let follows = last
            .as_ref()
            .map_or(Ok(true), |last| follows(&order, last, &batch));
        if !follows.map_err(failed)? || !is_sorted(&order, &batch).map_err(failed)? {
            return wrong("its rows are not in the table's order");
        }
        if let Some(key) = spec.person_key.as_deref() {
            let key = batch
                .column_by_name(key)
                .and_then(|c| c.as_primitive_opt::<Int64Type>());
            let Some(key) = key.filter(|k| k.null_count() == 0) else {
                return wrong("it has rows without a person");
            };
            if let (Some(least), Some(most)) = (min(key), max(key)) {
                persons = Some(persons.map_or((least, most), |(a, b)| (a.min(least), b.max(most))));
            }
        }
        last = Some(batch);
    }
    if rows != entry.rows {
        return wrong("its rows are not as many as its manifest says");
    }
    if persons.unzip() != (entry.min_person, entry.max_person) {
        return wrong("its persons are not from and to those that its manifest says");
    }
    Ok(())
}
