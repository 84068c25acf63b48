//! Rows on their way to their bucket: held in memory, or written to sorted runs when it gets short.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use columna_store::TableSpec;

use super::order::{Place, Slice, gather, sorted};
use super::spill::{Runs, SpillFolder};
use crate::{Error, Result};

/// The column of a temporary run that holds the row's place in the source.
const ORDINAL: &str = "__ordinal";

/// Rows gathered at once: large enough to amortise the call, small enough for the cache.
pub(crate) const GATHERED: usize = 8192;

/// A batch, and which of its rows belong to which bucket.
#[derive(Debug)]
struct Part {
    ordinal: u64,
    batch: RecordBatch,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    /// All in one bucket.
    In(usize),
    /// By bucket: the rows, and where those of each bucket end.
    Split { rows: Vec<u32>, ends: Vec<u32> },
}

impl Part {
    fn slice(&self, bucket: usize) -> Option<Slice<'_>> {
        let rows = match &self.rows {
            Rows::In(all) if *all == bucket => None,
            Rows::In(_) => return None,
            Rows::Split { rows, ends } => {
                let start = if bucket == 0 { 0 } else { ends[bucket - 1] };
                let rows = &rows[start as usize..ends[bucket] as usize];
                if rows.is_empty() {
                    return None;
                }
                Some(rows)
            }
        };
        Some(Slice {
            batch: &self.batch,
            rows,
            ordinal: self.ordinal,
        })
    }

    fn bytes(&self) -> usize {
        let rows = match &self.rows {
            Rows::In(_) => 0,
            Rows::Split { rows, ends } => 4 * (rows.capacity() + ends.capacity()),
        };
        self.batch.get_array_memory_size() + rows
    }
}

/// The parts of one table.
#[derive(Debug)]
pub(crate) struct Parts {
    spec: TableSpec,
    sort: Vec<usize>,
    person: Option<usize>,
    /// Lower bounds of all buckets but the first.
    splits: Arc<Vec<i64>>,
    held: Mutex<Vec<Part>>,
    runs: Mutex<Vec<Runs>>,
    /// Bytes held by all tables together.
    memory: Arc<AtomicUsize>,
}

impl Parts {
    pub(crate) fn new(
        spec: &TableSpec,
        splits: &Arc<Vec<i64>>,
        memory: &Arc<AtomicUsize>,
    ) -> Result<Self> {
        let position = |name: &String| {
            spec.schema
                .index_of(name)
                .map_err(|_| Error::engine(format!("table `{}` has no column `{name}`", spec.name)))
        };
        Ok(Self {
            sort: spec.sort.iter().map(position).collect::<Result<_>>()?,
            person: spec.person_key.as_ref().map(position).transpose()?,
            spec: spec.clone(),
            splits: Arc::clone(splits),
            held: Mutex::default(),
            runs: Mutex::default(),
            memory: Arc::clone(memory),
        })
    }

    /// How many buckets the table's rows go to.
    pub(crate) fn buckets(&self) -> usize {
        if self.person.is_some() {
            self.splits.len() + 1
        } else {
            1
        }
    }

    /// Takes rows. `ordinal` is the place in the source of the first of them.
    pub(crate) fn add(&self, batch: RecordBatch, ordinal: u64) {
        if batch.num_rows() == 0 {
            return;
        }
        let rows = self.route(&batch);
        let part = Part {
            ordinal,
            batch,
            rows,
        };
        self.memory.fetch_add(part.bytes(), Ordering::Relaxed);
        locked(&self.held).push(part);
    }

    fn route(&self, batch: &RecordBatch) -> Rows {
        let Some(persons) = self.person.filter(|_| !self.splits.is_empty()) else {
            return Rows::In(0);
        };
        let persons = batch.column(persons).as_primitive::<Int64Type>().values();
        let splits = &self.splits[..];
        let mut bucket = splits.partition_point(|split| *split <= persons[0]);
        let mut buckets: Vec<u32> = Vec::with_capacity(persons.len());
        let mut counts = vec![0_u32; splits.len() + 1];
        for person in persons {
            // Most rows follow one of the same bucket.
            let inside = (bucket == 0 || splits[bucket - 1] <= *person)
                && (bucket == splits.len() || *person < splits[bucket]);
            if !inside {
                bucket = splits.partition_point(|split| split <= person);
            }
            counts[bucket] += 1;
            buckets.push(u32::try_from(bucket).unwrap_or(u32::MAX));
        }
        if counts[bucket] as usize == persons.len() {
            return Rows::In(bucket);
        }
        let mut next = Vec::with_capacity(counts.len());
        let mut ends = counts;
        let mut end = 0;
        for count in &mut ends {
            next.push(end);
            end += *count;
            *count = end;
        }
        let mut rows = vec![0_u32; persons.len()];
        for (row, bucket) in (0_u32..).zip(&buckets) {
            let at = &mut next[*bucket as usize];
            rows[*at as usize] = row;
            *at += 1;
        }
        Rows::Split { rows, ends }
    }

    /// Whether rows are on disk.
    pub(crate) fn is_spilled(&self) -> bool {
        !locked(&self.runs).is_empty()
    }

    /// Writes what is held to sorted runs, and forgets it.
    pub(crate) fn spill(&self, folder: &SpillFolder) -> Result<()> {
        let parts = std::mem::take(&mut *locked(&self.held));
        if parts.is_empty() {
            return Ok(());
        }
        let schema = self.run_schema();
        let buckets = (0..self.buckets())
            .filter(|bucket| parts.iter().any(|part| part.slice(*bucket).is_some()));
        let runs = buckets.map(|bucket| {
            (
                bucket,
                SortedRows::new(&parts, bucket, &self.sort, Some(&schema)),
            )
        });
        let runs = Runs::write(folder, &schema, runs)?;
        locked(&self.runs).push(runs);
        self.release(&parts);
        Ok(())
    }

    fn run_schema(&self) -> SchemaRef {
        let fields = self.spec.schema.fields().iter().cloned();
        let ordinal = Arc::new(Field::new(ORDINAL, DataType::UInt64, false));
        Arc::new(Schema::new(fields.chain([ordinal]).collect::<Vec<_>>()))
    }

    fn release(&self, parts: &[Part]) {
        self.memory
            .fetch_sub(parts.iter().map(Part::bytes).sum(), Ordering::Relaxed);
    }

    /// No more rows come: what lies in memory and what lies on disk, apart.
    pub(crate) fn close(self) -> Closed {
        let parts = self
            .held
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let runs = self
            .runs
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut filled: Vec<usize> = (0..self.splits.len() + 1)
            .filter(|bucket| parts.iter().any(|part| part.slice(*bucket).is_some()))
            .collect();
        filled.extend(runs.iter().flat_map(Runs::buckets));
        filled.sort_unstable();
        filled.dedup();
        Closed {
            spec: self.spec,
            sort: self.sort,
            parts,
            runs,
            filled,
        }
    }
}

/// All rows of one table.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) spec: TableSpec,
    sort: Vec<usize>,
    parts: Vec<Part>,
    runs: Vec<Runs>,
    /// The buckets that have rows.
    pub(crate) filled: Vec<usize>,
}

/// Batches of rows in order.
pub(crate) type Ordered<'a> = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'a>;

impl Closed {
    /// The rows of a bucket in the table's order.
    pub(crate) fn ordered(&self, bucket: usize) -> Result<Ordered<'_>> {
        if self.runs.is_empty() {
            return Ok(Box::new(SortedRows::new(
                &self.parts,
                bucket,
                &self.sort,
                None,
            )));
        }
        let mut runs: Vec<Ordered<'_>> = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            if let Some(run) = run.read(bucket)? {
                runs.push(Box::new(run));
            }
        }
        let merged = super::merge::merge(runs, &self.sort, self.spec.schema.fields().len());
        Ok(Box::new(
            merged.map_err(|error| Error::arrow(&self.spec.name, error))?,
        ))
    }
}

/// The rows of a bucket, sorted when the first is asked for and gathered piece by piece.
struct SortedRows<'a> {
    batches: Vec<&'a RecordBatch>,
    slices: Vec<Slice<'a>>,
    sort: &'a [usize],
    places: Option<Vec<Place>>,
    at: usize,
    /// The schema with the ordinal, for a temporary run.
    with_ordinal: Option<&'a SchemaRef>,
}

impl<'a> SortedRows<'a> {
    fn new(
        parts: &'a [Part],
        bucket: usize,
        sort: &'a [usize],
        with_ordinal: Option<&'a SchemaRef>,
    ) -> Self {
        let slices: Vec<Slice<'a>> = parts.iter().filter_map(|part| part.slice(bucket)).collect();
        let batches = slices.iter().map(|slice| slice.batch).collect();
        Self {
            batches,
            slices,
            sort,
            places: None,
            at: 0,
            with_ordinal,
        }
    }

    fn piece(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let places = match &mut self.places {
            Some(places) => places,
            empty => empty.insert(sorted(&self.slices, self.sort)?),
        };
        let end = (self.at + GATHERED).min(places.len());
        let piece = &places[self.at..end];
        if piece.is_empty() {
            return Ok(None);
        }
        let rows = gather(&self.batches, piece)?;
        self.at = end;
        let Some(schema) = self.with_ordinal else {
            return Ok(Some(rows));
        };
        let ordinals = piece
            .iter()
            .map(|(batch, row)| self.slices[*batch].ordinal + *row as u64);
        let ordinals: ArrayRef = Arc::new(UInt64Array::from_iter_values(ordinals));
        let columns = rows.columns().iter().cloned().chain([ordinals]).collect();
        RecordBatch::try_new(Arc::clone(schema), columns).map(Some)
    }
}

impl Iterator for SortedRows<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
