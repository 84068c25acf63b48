//! Reads a run back, in the form its table has now.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::backend::Backend;
use crate::leaving::{Leaving, staying};
use crate::manifest::FileEntry;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// Batches of a run, one after the other.
pub(crate) type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>;

/// Rows per batch: small enough that merging many runs at once stays small.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Which rows of a run are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) enum Keep {
    /// All of them.
    #[default]
    All,
    /// All but these.
    AllBut(Arc<[Leaving]>),
    /// Those of persons from the first up to, not including, the second.
    Range(Option<i64>, Option<i64>),
}

/// Opens a data file. Blocking.
pub(crate) fn open(backend: &Backend, path: &str) -> Result<File> {
    let found = backend.open_file(path)?;
    found.ok_or_else(|| Error::damaged(path, "it is missing"))
}

/// Reads a file of a table. Blocking.
pub(crate) fn read(
    backend: &Backend,
    spec: &TableSpec,
    entry: &FileEntry,
    keep: Keep,
) -> Result<Batches<'static>> {
    let reader = reader(backend, entry, None)?;
    let (path, table, schema) = (
        entry.path.clone(),
        spec.name.clone(),
        Arc::clone(&spec.schema),
    );
    let person = spec.person_position()?;
    Ok(Box::new(reader.filter_map(move |batch| {
        let batch = batch
            .map_err(|_| Error::damaged(&path, "its rows cannot be read"))
            .and_then(|b| align(&table, &schema, &b))
            .and_then(|b| kept(&table, person, &keep, b));
        // Nothing left of a batch is not an empty run.
        batch.map(|b| (b.num_rows() > 0).then_some(b)).transpose()
    })))
}

/// Reads some columns of a file, as they were written; all when none are named. Blocking.
pub(crate) fn reader(
    backend: &Backend,
    entry: &FileEntry,
    columns: Option<&[&str]>,
) -> Result<ParquetRecordBatchReader> {
    let unreadable = |_| Error::damaged(&entry.path, "not a Parquet file");
    let mut builder = builder(backend, entry, open(backend, &entry.path)?)?;
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unreadable)
}

/// Begins to read a file that was opened.
pub(crate) fn builder(
    backend: &Backend,
    entry: &FileEntry,
    file: File,
) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let options = options(backend, entry)?;
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|_| Error::damaged(&entry.path, "not a Parquet file"))
}

/// How a file is read: with its keys, if it is encrypted.
pub(crate) fn options(backend: &Backend, entry: &FileEntry) -> Result<ArrowReaderOptions> {
    let keys = backend.decryption(entry)?;
    Ok(keys.into_iter().fold(
        ArrowReaderOptions::new(),
        ArrowReaderOptions::with_file_decryption_properties,
    ))
}

/// Brings a batch into a table's form: its columns in their order, NULL where the batch has none.
pub(crate) fn align(table: &str, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let given = batch.schema();
    if let Some(unknown) = given
        .fields()
        .iter()
        .find(|f| schema.index_of(f.name()).is_err())
    {
        return Err(Error::engine(format!(
            "rows of table `{table}` have the column `{}`, which was not declared",
            unknown.name()
        )));
    }
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => {
                columns.push(Arc::clone(column))
            }
            Some(column) => {
                return Err(Error::engine(format!(
                    "column `{}` of table `{table}` is declared as {} and arrived as {}",
                    field.name(),
                    field.data_type(),
                    column.data_type()
                )));
            }
            None => columns.push(new_null_array(field.data_type(), batch.num_rows())),
        }
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| Error::arrow(table, e))
}

fn kept(
    table: &str,
    person: Option<usize>,
    keep: &Keep,
    batch: RecordBatch,
) -> Result<RecordBatch> {
    match (keep, person) {
        (Keep::All, _) | (Keep::Range(..), None) => Ok(batch),
        (Keep::Range(from, to), Some(person)) => {
            // Rows are in order of persons, so a range of persons is a range of rows.
            let persons = batch.column(person).as_primitive_opt::<Int64Type>();
            let persons = persons.ok_or_else(|| {
                Error::engine(format!("the person key of table `{table}` is not Int64"))
            })?;
            let start = from.map_or(0, |from| persons.values().partition_point(|&p| p < from));
            let end = to.map_or(persons.len(), |to| {
                persons.values().partition_point(|&p| p < to)
            });
            Ok(batch.slice(start, end.saturating_sub(start)))
        }
        (Keep::AllBut(leaving), _) => match staying(table, leaving, &batch)? {
            Some(mask) => filter_record_batch(&batch, &mask).map_err(|e| Error::arrow(table, e)),
            None => Ok(batch),
        },
    }
}

/// Whether a file has rows that are to leave. Reads only the columns that say so. Blocking.
pub(crate) fn holds_any(
    backend: &Backend,
    table: &str,
    file: &FileEntry,
    leaving: &[Leaving],
) -> Result<bool> {
    let columns: Vec<&str> = leaving.iter().flat_map(Leaving::columns).collect();
    for batch in reader(backend, file, Some(&columns))? {
        let batch = batch.map_err(|_| Error::damaged(&file.path, "its rows cannot be read"))?;
        if staying(table, leaving, &batch)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Calls `each` with every value of a column of whole numbers. Blocking.
pub(crate) fn each_value(
    backend: &Backend,
    file: &FileEntry,
    column: &str,
    mut each: impl FnMut(i64),
) -> Result<()> {
    for batch in reader(backend, file, Some(&[column]))? {
        let batch = batch.map_err(|_| Error::damaged(&file.path, "its rows cannot be read"))?;
        let values = batch
            .column_by_name(column)
            .and_then(|c| c.as_primitive_opt::<Int64Type>());
        let values = values.ok_or_else(|| {
            Error::damaged(&file.path, format!("it has no whole numbers in `{column}`"))
        })?;
        values.iter().flatten().for_each(&mut each);
    }
    Ok(())
}
