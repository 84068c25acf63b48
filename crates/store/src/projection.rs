//! Copies of data files in the order of another column, such as the concept: a query for few of its values reads
//! few row groups of the copy, where those of the file hold some of every value.
//!
//! A file is read once to count the column's values, and then once for as many neighbouring values as fit into
//! memory. Nothing is written but the copy: no rows of an encrypted table lie about in temporary files. Rows of one value keep
//! their order, by person and date, so that a value that alone is too large is passed on as it comes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};

use crate::backend::Backend;
use crate::encryption::Encryption;
use crate::layout::Layout;
use crate::manifest::{FileEntry, Projection};
use crate::run_reader::{BATCH_ROWS, Batches, align, builder, open};
use crate::run_writer::RunWriter;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// Bytes of rows that are held while copies are made, by all threads together, unless told otherwise.
pub(crate) const MEMORY: usize = 512 << 20;

/// How many steps a manifest notes of a column's values: enough to tell a hundredth of the rows from a tenth.
const STEPS: u64 = 128;

/// Checks that a table can have copies by a column.
pub(crate) fn check(spec: &TableSpec, by: &str) -> Result<()> {
    let wrong = |reason: String| {
        Err(Error::Table {
            table: spec.name.clone(),
            reason,
        })
    };
    if !spec.is_bucketed() {
        return wrong("it has no persons, and is small enough without copies".to_owned());
    }
    let Ok(field) = spec.schema.field_with_name(by) else {
        let concepts = spec.schema.fields().iter().map(|f| f.name().as_str());
        let concepts: Vec<&str> = concepts.filter(|c| c.ends_with("concept_id")).collect();
        return wrong(format!(
            "it has no column `{by}` to be copied by; its concepts are in {}",
            concepts.join(", ")
        ));
    };
    if field.data_type() != &DataType::Int64 {
        return wrong(format!(
            "column `{by}` is {}, and copies are made by columns of whole numbers (Int64), such as concepts",
            field.data_type()
        ));
    }
    if spec.person_key.as_deref() == Some(by) {
        return wrong(format!("it is in the order of `{by}` already"));
    }
    Ok(())
}

/// A table in the order of one of its columns, and its own order after it.
pub(crate) fn spec_by(spec: &TableSpec, by: &str) -> TableSpec {
    let mut sort = vec![by.to_owned()];
    sort.extend(spec.sort.iter().filter(|c| *c != by).cloned());
    TableSpec {
        sort,
        bloom: Vec::new(),
        ..spec.clone()
    }
}

/// Makes copies of files.
pub(crate) struct Copier<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) layout: Layout,
    pub(crate) encryption: Option<&'a Encryption>,
    /// Bytes of rows to hold.
    pub(crate) memory: usize,
}

/// Neighbouring values that are copied together; none for the rows without one.
type Part = Option<RangeInclusive<i64>>;

impl Copier<'_> {
    /// Writes a copy of a file in the order of a column. Blocking.
    pub(crate) fn copy(&self, spec: &TableSpec, file: &FileEntry, by: &str) -> Result<Projection> {
        let ordered = spec_by(spec, by);
        let source = Source {
            backend: self.backend,
            entry: file,
            opened: open(self.backend, &file.path)?,
        };
        let counts = counts(&source, by)?;
        let mut writer = RunWriter::new(
            self.backend,
            &ordered,
            self.layout,
            self.encryption,
            file.bucket,
        )?
        .copy_by(by);
        if let Err(e) = self.write(&ordered, &source, by, &counts, &mut writer) {
            writer.discard();
            return Err(e);
        }
        let Some(copy) = writer.finish()? else {
            return Err(Error::damaged(&file.path, "it has no rows"));
        };
        if copy.rows != file.rows {
            self.backend.discard_file(&copy.path)?;
            let what = "its rows are not as many as its manifest says";
            return Err(Error::damaged(&file.path, what));
        }
        let secret = copy.encryption.as_ref().is_some_and(|e| e.covers(by));
        Ok(Projection {
            by: by.to_owned(),
            present: counts.present.values().sum(),
            steps: if secret { Vec::new() } else { counts.steps() },
            values: (!secret).then_some(counts.present.len() as u64),
            file: copy,
        })
    }

    fn write(
        &self,
        spec: &TableSpec,
        source: &Source<'_>,
        by: &str,
        counts: &Counts,
        writer: &mut RunWriter<'_>,
    ) -> Result<()> {
        let most = (self.memory as u64 / bytes_of_row(source, spec)?).max(1);
        let parts = counts.parts(most);
        let alone = parts.len() == 1;
        for part in parts {
            let rows = source.rows(spec, by, part.clone(), alone)?;
            match part {
                Some(values) if values.start() < values.end() || (alone && counts.missing > 0) => {
                    let rows = rows.collect::<Result<Vec<_>>>()?;
                    ordered(spec, by, &rows, counts, &values, |batch| {
                        writer.write(batch)
                    })?;
                }
                // Rows of one value are in order as they are.
                _ => rows
                    .into_iter()
                    .try_for_each(|batch| writer.write(&batch?))?,
            }
        }
        Ok(())
    }
}

/// The file that is copied, opened once: one of an object store is fetched for it.
struct Source<'a> {
    backend: &'a Backend,
    entry: &'a FileEntry,
    opened: File,
}

impl Source<'_> {
    /// Begins to read it from its start. Readings come one after the other, for they share the file's position.
    fn begin(&self) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let again = self.opened.try_clone();
        let again = again.map_err(|e| Error::io(&self.entry.path, e))?;
        Ok(builder(self.backend, self.entry, again)?.with_batch_size(BATCH_ROWS))
    }

    fn unreadable(&self) -> Error {
        Error::damaged(&self.entry.path, "its rows cannot be read")
    }

    /// The rows with these values, or without one; all of them where that is so.
    fn rows(&self, spec: &TableSpec, by: &str, part: Part, all: bool) -> Result<Batches<'static>> {
        let mut rows = self.begin()?;
        if !all {
            let mask = ProjectionMask::columns(rows.parquet_schema(), [by]);
            let wanted = ArrowPredicateFn::new(mask, move |batch| keeps(&batch, part.as_ref()));
            rows = rows.with_row_filter(RowFilter::new(vec![Box::new(wanted)]));
        }
        let rows = rows.build().map_err(|_| self.unreadable())?;
        let (path, table) = (self.entry.path.clone(), spec.name.clone());
        let schema = Arc::clone(&spec.schema);
        Ok(Box::new(rows.filter_map(move |batch| {
            let batch = batch
                .map_err(|_| Error::damaged(&path, "its rows cannot be read"))
                .and_then(|b| align(&table, &schema, &b));
            batch.map(|b| (b.num_rows() > 0).then_some(b)).transpose()
        })))
    }
}

/// Which rows have one of some values, or none.
fn keeps(
    batch: &RecordBatch,
    part: Option<&RangeInclusive<i64>>,
) -> Result<BooleanArray, ArrowError> {
    let values = batch
        .columns()
        .first()
        .and_then(|c| c.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| ArrowError::CastError("not a column of whole numbers".to_owned()))?;
    Ok(match part {
        Some(part) => values
            .iter()
            .map(|v| Some(v.is_some_and(|v| part.contains(&v))))
            .collect(),
        None => values.iter().map(|v| Some(v.is_none())).collect(),
    })
}

/// Passes rows on in the order of a column's values, equal ones as they are.
fn ordered(
    spec: &TableSpec,
    by: &str,
    rows: &[RecordBatch],
    counts: &Counts,
    values: &RangeInclusive<i64>,
    mut each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let changed = || {
        Error::engine(format!(
            "rows of table `{}` changed while they were read",
            spec.name
        ))
    };
    let at = spec.position(by)?;
    let mut next: HashMap<i64, usize> = HashMap::new();
    let mut total = 0usize;
    for (&value, &count) in counts.present.range(values.clone()) {
        next.insert(value, total);
        total += usize::try_from(count).map_err(|_| changed())?;
    }
    // What has no value comes last; it is in the same part only where that is the whole file.
    let mut missing = total;
    if rows.iter().map(RecordBatch::num_rows).sum::<usize>() > total {
        total += usize::try_from(counts.missing).map_err(|_| changed())?;
    }
    let mut places = vec![(0usize, 0usize); total];
    for (batch, batch_rows) in rows.iter().enumerate() {
        let values: &Int64Array = batch_rows
            .column(at)
            .as_primitive_opt()
            .ok_or_else(changed)?;
        for (row, value) in values.iter().enumerate() {
            let place = match value {
                Some(value) => next.get_mut(&value).ok_or_else(changed)?,
                None => &mut missing,
            };
            *places.get_mut(*place).ok_or_else(changed)? = (batch, row);
            *place += 1;
        }
    }
    let rows: Vec<&RecordBatch> = rows.iter().collect();
    for piece in places.chunks(BATCH_ROWS) {
        let piece = interleave_record_batch(&rows, piece);
        each(&piece.map_err(|e| Error::arrow(&spec.name, e))?)?;
    }
    Ok(())
}

/// How many rows of a file have each value of a column.
#[derive(Debug, Default)]
struct Counts {
    present: BTreeMap<i64, u64>,
    missing: u64,
}

fn counts(source: &Source<'_>, by: &str) -> Result<Counts> {
    let file = source.entry;
    let mut counts = Counts::default();
    let rows = source.begin()?;
    let mask = ProjectionMask::columns(rows.parquet_schema(), [by]);
    let rows = rows.with_projection(mask).build();
    for batch in rows.map_err(|_| source.unreadable())? {
        let batch = batch.map_err(|_| source.unreadable())?;
        // A file from before the column was there has no value in it.
        let Some(column) = batch.column_by_name(by) else {
            counts.missing = file.rows;
            break;
        };
        let values = column.as_primitive_opt::<Int64Type>().ok_or_else(|| {
            Error::damaged(&file.path, format!("it has no whole numbers in `{by}`"))
        })?;
        counts.missing += values.null_count() as u64;
        for value in values.iter().flatten() {
            *counts.present.entry(value).or_default() += 1;
        }
    }
    Ok(counts)
}

impl Counts {
    /// Divides the values into neighbours of at most so many rows together; one that has more stands alone.
    fn parts(&self, most: u64) -> Vec<Part> {
        let all: u64 = self.present.values().sum::<u64>() + self.missing;
        let (first, last) = (self.present.keys().next(), self.present.keys().next_back());
        if let (Some(&first), Some(&last)) = (first, last)
            && all <= most
        {
            // Those without a value as well: the whole file at once.
            return vec![Some(first..=last)];
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut open: Option<(i64, i64, u64)> = None;
        for (&value, &count) in &self.present {
            open = match open {
                Some((from, _, rows)) if rows + count <= most => Some((from, value, rows + count)),
                other => {
                    parts.extend(other.map(|(from, to, _)| Some(from..=to)));
                    Some((value, value, count))
                }
            };
        }
        parts.extend(open.map(|(from, to, _)| Some(from..=to)));
        if self.missing > 0 {
            parts.push(None);
        }
        parts
    }

    /// The values at even steps through the rows that have one.
    fn steps(&self) -> Vec<i64> {
        let rows: u64 = self.present.values().sum();
        let steps = STEPS.min(rows);
        let mut found = Vec::new();
        let (mut before, mut step) = (0, 0);
        for (&value, &count) in &self.present {
            before += count;
            // The middle row of each step.
            while step < steps && (2 * step + 1) * rows / (2 * steps) < before {
                found.push(value);
                step += 1;
            }
        }
        found
    }
}

/// About how many bytes a row takes in memory, by the first ones.
fn bytes_of_row(source: &Source<'_>, spec: &TableSpec) -> Result<u64> {
    let mut rows = source.begin()?.build().map_err(|_| source.unreadable())?;
    let Some(batch) = rows.next() else {
        return Ok(1);
    };
    let batch = batch.map_err(|_| source.unreadable())?;
    let batch = align(&spec.name, &spec.schema, &batch)?;
    // The place of each row is noted as well.
    let bytes =
        batch.get_array_memory_size() / batch.num_rows().max(1) + size_of::<(usize, usize)>();
    Ok(bytes.max(1) as u64)
}
