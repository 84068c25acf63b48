//! Each table's rows, bucket by bucket, sorted, looked at and handed to the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use columna_model::BucketId;
use columna_model::progress::Progress;
use columna_store::Transaction;
use rayon::ThreadPool;

use super::checks::{Checks, Counts};
use super::keys::RepeatedKeys;
use super::parts::Closed;
use super::people::People;
use crate::{Error, Result};

/// One table on its way into the store.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) closed: Closed,
    /// What is looked for; nothing in tables of our own.
    pub(crate) checks: Option<Checks>,
    pub(crate) keys: Option<RepeatedKeys>,
    pub(crate) counts: Mutex<Counts>,
}

/// What is left of a table once it is written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) counts: Counts,
    pub(crate) repeated: u64,
}

/// Writes all tables. A table's memory is free as soon as its last bucket is written.
pub(crate) fn write(
    tables: Vec<Table>,
    people: &People,
    transaction: &Transaction,
    pool: &ThreadPool,
    progress: &Arc<dyn Progress>,
) -> Result<Vec<Written>> {
    let ids: Vec<BucketId> = transaction.buckets().iter().map(|range| range.id).collect();
    let mut jobs = VecDeque::new();
    let mut kept = Vec::with_capacity(tables.len());
    for table in tables {
        let Table {
            closed,
            checks,
            keys,
            counts,
        } = table;
        let looked = Arc::new(Looked {
            checks,
            keys,
            counts,
        });
        let closed = Arc::new(closed);
        jobs.extend(
            closed
                .filled
                .iter()
                .map(|bucket| (Arc::clone(&closed), Arc::clone(&looked), *bucket)),
        );
        kept.push(looked);
    }
    let jobs = Mutex::new(jobs);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let context = Context {
        people,
        transaction,
        progress,
        ids: &ids,
    };
    pool.scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| {
                while let Some((closed, looked, bucket)) = next(&jobs) {
                    if let Err(error) = context.bucket(&closed, &looked, bucket) {
                        jobs.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    kept.into_iter().map(finish).collect()
}

fn finish(looked: Arc<Looked>) -> Result<Written> {
    let looked =
        Arc::into_inner(looked).ok_or_else(|| Error::engine("a table is still being written"))?;
    let repeated = looked.keys.map_or(Ok(0), RepeatedKeys::finish)?;
    Ok(Written {
        counts: looked
            .counts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        repeated,
    })
}

type Job = (Arc<Closed>, Arc<Looked>, usize);

fn next(jobs: &Mutex<VecDeque<Job>>) -> Option<Job> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front()
}

/// What is seen of a table's rows while they pass.
#[derive(Debug)]
struct Looked {
    checks: Option<Checks>,
    keys: Option<RepeatedKeys>,
    counts: Mutex<Counts>,
}

struct Context<'a> {
    people: &'a People,
    transaction: &'a Transaction,
    progress: &'a Arc<dyn Progress>,
    ids: &'a [BucketId],
}

impl Context<'_> {
    fn bucket(&self, closed: &Closed, looked: &Looked, bucket: usize) -> Result<()> {
        let name = &closed.spec.name;
        let declared = self
            .transaction
            .table(name)
            .ok_or_else(|| Error::engine(format!("table `{name}` was not declared")))?;
        let id = closed
            .spec
            .is_bucketed()
            .then(|| self.ids.get(bucket).copied())
            .flatten();
        let mut cursor = self.people.cursor();
        let mut counts = Counts::default();
        let mut look = |batch: RecordBatch| {
            if let Some(checks) = &looked.checks {
                checks.look(&batch, &mut cursor, &mut counts);
                if let (Some(keys), Some(column)) = (&looked.keys, checks.key) {
                    keys.add(&batch, column)
                        .map_err(|error| ArrowError::IoError("temporary keys".to_owned(), error))?;
                }
            } else {
                counts.rows += batch.num_rows() as u64;
            }
            self.progress.advance(batch.num_rows() as u64);
            conform(&batch, &declared.schema)
        };
        let mut batches = closed
            .ordered(bucket)?
            .map(|batch| batch.and_then(&mut look));
        let summary = self.transaction.append_run(name, id, &mut batches)?;
        drop(batches);
        if summary.added != counts.rows {
            let what = format!(
                "{} rows of table `{name}` were sent to the store and {} added",
                counts.rows, summary.added
            );
            return Err(Error::engine(what));
        }
        looked
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join(&counts);
        Ok(())
    }
}

/// The batch with the columns of the table in the store, NULL where this delivery has none.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let given = batch.column_by_name(field.name()).map(ArrayRef::clone);
        given.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    RecordBatch::try_new(
        Arc::clone(schema),
        schema.fields().iter().map(column).collect(),
    )
}
