//! Reads chosen columns and rows of a table's files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use columna_store::{FileEntry, Snapshot, Store};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::statistics::Statistics;
use rayon::prelude::*;
use roaring::RoaringTreemap;

use crate::error::{Error, Result};
use crate::plan::key;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 16_384;

/// What is read of a table without persons.
pub(crate) struct Reading<'a> {
    /// The columns; those that the table does not have are left out.
    pub(crate) columns: &'a [&'a str],
    /// Only rows that have one of these concepts in one of these columns; all rows where there is none.
    pub(crate) only: &'a [(&'a str, &'a RoaringTreemap)],
}

/// Whole numbers, any of which may be missing.
pub(crate) struct Integers(ArrayRef);

impl Integers {
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        let array = self.0.as_primitive::<Int64Type>();
        (!array.is_null(row)).then(|| array.value(row))
    }
}

/// Reads a table without persons, row group by row group in parallel; `each` turns a batch into a part.
pub(crate) fn read<T: Send>(
    store: &Store,
    snapshot: &Snapshot,
    table: &str,
    reading: &Reading<'_>,
    each: impl Fn(&RecordBatch) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    match snapshot.table(table) {
        None => Ok(Vec::new()),
        Some(version) => read_files(store, version.files.iter(), reading, each),
    }
}

/// Reads some files of a table, as [`read`] does; the parts come in the order of the rows.
pub(crate) fn read_files<'f, T: Send>(
    store: &Store,
    files: impl Iterator<Item = &'f FileEntry>,
    reading: &Reading<'_>,
    each: impl Fn(&RecordBatch) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut parts = Vec::new();
    for file in files.filter(|file| file.rows > 0) {
        let metadata = metadata(store, file)?;
        let groups = groups_in_question(&metadata, reading);
        // Each reader has a position of its own; a file of an object store is fetched once, for one reader.
        let pieces = if store.is_local() { groups.len() } else { 1 };
        let size = groups.len().div_ceil(pieces.max(1)).max(1);
        let found: Vec<Vec<T>> = groups
            .par_chunks(size)
            .map(|groups| read_groups(store, file, &metadata, groups, reading, &each))
            .collect::<Result<_>>()?;
        parts.extend(found.into_iter().flatten());
    }
    Ok(parts)
}

fn read_groups<T>(
    store: &Store,
    file: &FileEntry,
    metadata: &ArrowReaderMetadata,
    groups: &[usize],
    reading: &Reading<'_>,
    each: impl Fn(&RecordBatch) -> Result<T>,
) -> Result<Vec<T>> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
        store.open_file(file)?,
        metadata.clone(),
    );
    let schema = builder.parquet_schema();
    let mask = ProjectionMask::columns(schema, reading.columns.iter().copied());
    let filter = (!reading.only.is_empty()).then(|| {
        let wanted: Vec<(String, RoaringTreemap)> = reading
            .only
            .iter()
            .map(|(column, wanted)| ((*column).to_owned(), (*wanted).clone()))
            .collect();
        let mask = ProjectionMask::columns(schema, reading.only.iter().map(|(column, _)| *column));
        RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, move |batch| {
            let mut keep = vec![false; batch.num_rows()];
            for (column, wanted) in &wanted {
                let Some(values) = batch.column_by_name(column) else {
                    continue;
                };
                let values = cast(values, &DataType::Int64)?;
                let values = values.as_primitive::<Int64Type>();
                for (keep, value) in keep.iter_mut().zip(values) {
                    *keep |= value.is_some_and(|v| wanted.contains(key(v)));
                }
            }
            Ok(BooleanArray::from(keep))
        }))])
    });
    let mut builder = builder
        .with_projection(mask)
        .with_row_groups(groups.to_vec())
        .with_batch_size(BATCH_ROWS);
    if let Some(filter) = filter {
        builder = builder.with_row_filter(filter);
    }
    let reader = builder.build().map_err(|e| Error::parquet(&file.path, e))?;
    reader
        .map(|batch| each(&batch.map_err(|e| Error::arrow(&file.path, e))?))
        .collect()
}

/// A file's footer.
pub(crate) fn metadata(store: &Store, file: &FileEntry) -> Result<ArrowReaderMetadata> {
    ArrowReaderMetadata::load(&store.open_file(file)?, store.reader_options(file)?)
        .map_err(|e| Error::parquet(&file.path, e))
}

/// The row groups whose bounds hold one of the wanted concepts.
fn groups_in_question(metadata: &ArrowReaderMetadata, reading: &Reading<'_>) -> Vec<usize> {
    let all = 0..metadata.metadata().num_row_groups();
    if reading.only.is_empty() {
        return all.collect();
    }
    let may_hold = |group: usize, column: &str, wanted: &RoaringTreemap| {
        let columns = metadata.metadata().row_group(group).columns();
        let chunk = columns.iter().find(|c| c.column_path().string() == column);
        let Some(Statistics::Int64(bounds)) = chunk.and_then(|c| c.statistics()) else {
            return true;
        };
        match (bounds.min_opt(), bounds.max_opt()) {
            (Some(&min), Some(&max)) if min >= 0 => {
                wanted.range_cardinality(key(min)..=key(max)) > 0
            }
            _ => true,
        }
    };
    let only = reading.only.iter();
    all.filter(|&group| {
        only.clone()
            .any(|(column, wanted)| may_hold(group, column, wanted))
    })
    .collect()
}

/// A column of whole numbers.
pub(crate) fn integers(table: &str, batch: &RecordBatch, column: &str) -> Result<Integers> {
    converted(table, batch, column, &DataType::Int64).map(Integers)
}

/// A column of text, whatever its encoding.
pub(crate) fn same(table: &str, batch: &RecordBatch, column: &str) -> Result<ArrayRef> {
    converted(table, batch, column, &DataType::Utf8)
}

/// Appends a column of whole numbers, with `missing` where there is none.
pub(crate) fn push_integers(
    table: &str,
    batch: &RecordBatch,
    column: &str,
    missing: i64,
    into: &mut Vec<i64>,
) -> Result<()> {
    let array = converted(table, batch, column, &DataType::Int64)?;
    let array = array.as_primitive::<Int64Type>();
    if array.null_count() == 0 {
        into.extend_from_slice(array.values());
    } else {
        into.extend(array.iter().map(|v| v.unwrap_or(missing)));
    }
    Ok(())
}

/// Appends a column of numbers, with NaN where there is none.
pub(crate) fn push_numbers(
    table: &str,
    batch: &RecordBatch,
    column: &str,
    into: &mut Vec<f64>,
) -> Result<()> {
    let array = converted(table, batch, column, &DataType::Float64)?;
    let array = array.as_primitive::<Float64Type>();
    into.extend(array.iter().map(|v| v.unwrap_or(f64::NAN)));
    Ok(())
}

/// Appends a column of days, with `missing` where there is none.
pub(crate) fn push_days(
    table: &str,
    batch: &RecordBatch,
    column: &str,
    missing: i32,
    into: &mut Vec<i32>,
) -> Result<()> {
    let array = converted(table, batch, column, &DataType::Date32)?;
    let array = array.as_primitive::<Date32Type>();
    if array.null_count() == 0 {
        into.extend_from_slice(array.values());
    } else {
        into.extend(array.iter().map(|v| v.unwrap_or(missing)));
    }
    Ok(())
}

fn converted(table: &str, batch: &RecordBatch, column: &str, to: &DataType) -> Result<ArrayRef> {
    let array = batch
        .column_by_name(column)
        .ok_or_else(|| Error::engine(format!("column `{column}` of `{table}` was not read")))?;
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let refused = || Error::ColumnType {
        table: table.to_owned(),
        column: column.to_owned(),
        found: array.data_type().to_string(),
        needed: to.to_string(),
    };
    let fits = matches!(
        (array.data_type(), to),
        (
            DataType::Int8 | DataType::Int16 | DataType::Int32,
            DataType::Int64 | DataType::Float64
        ) | (
            DataType::Int64 | DataType::Float32 | DataType::Decimal128(..),
            DataType::Float64
        ) | (DataType::Timestamp(..) | DataType::Date64, DataType::Date32)
            | (
                DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..),
                DataType::Utf8
            )
    );
    if !fits {
        return Err(refused());
    }
    cast(array, to).map_err(|_| refused())
}
