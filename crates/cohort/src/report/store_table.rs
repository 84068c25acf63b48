//! The cohort as a table of the store, beside the rows of other definitions.

use std::collections::{BTreeMap, BTreeSet};

use columna_model::BucketId;
use columna_store::{Operation, Snapshot, Store, TableSpec, Transaction};

use super::parquet_file::batch;
use crate::error::{Error, Result};
use crate::exec::Member;
use crate::exec::table_parts::{days, integers};
use crate::read::{Reading, read_files};

const TABLE: &str = "cohort";

/// The table `cohort`, while a run fills it. Rows of definitions that the run does not have stay.
#[derive(Debug)]
pub struct StoreTable {
    transaction: Transaction,
    added: u64,
}

impl StoreTable {
    /// Begins to fill the table: what it holds of other definitions than these is taken over.
    ///
    /// # Errors
    /// When the store is newer than the snapshot that the run reads, or cannot be read.
    pub async fn begin(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let mut transaction = store.begin().await?;
        if transaction.base().version() != snapshot.version() {
            return Err(Error::NotNewest {
                asked: snapshot.version(),
                newest: transaction.base().version(),
            });
        }
        let def = columna_model::table(TABLE)
            .ok_or_else(|| Error::engine("the model has no table `cohort`"))?;
        transaction.declare_table(TableSpec::from_model(def))?;
        Ok(Self {
            transaction,
            added: 0,
        })
    }

    /// Takes the old rows out, and returns those of other definitions by their bucket. Blocking.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn clear(
        &mut self,
        store: &Store,
        snapshot: &Snapshot,
        definitions: &BTreeSet<i64>,
    ) -> Result<BTreeMap<BucketId, Vec<Member>>> {
        let mut others = BTreeMap::new();
        if snapshot.table(TABLE).is_none() {
            return Ok(others);
        }
        for range in snapshot.buckets().iter() {
            let rows = Self::stored(store, snapshot, range.id, definitions)?;
            if !rows.is_empty() {
                others.insert(range.id, rows);
            }
        }
        self.transaction.clear_table(TABLE)?;
        Ok(others)
    }

    fn stored(
        store: &Store,
        snapshot: &Snapshot,
        bucket: BucketId,
        without: &BTreeSet<i64>,
    ) -> Result<Vec<Member>> {
        let reading = Reading {
            columns: &[
                "cohort_definition_id",
                "subject_id",
                "cohort_start_date",
                "cohort_end_date",
            ],
            only: &[],
        };
        let files = snapshot.table(TABLE).into_iter();
        let files = files.flat_map(|t| t.files_in(Some(bucket)));
        let parts = read_files(store, files, &reading, |batch| {
            let (mut ids, mut persons) = (Vec::new(), Vec::new());
            let (mut starts, mut ends) = (Vec::new(), Vec::new());
            integers(TABLE, batch, "cohort_definition_id", &mut ids)?;
            integers(TABLE, batch, "subject_id", &mut persons)?;
            days(TABLE, batch, "cohort_start_date", &mut starts)?;
            days(TABLE, batch, "cohort_end_date", &mut ends)?;
            let rows = (0..batch.num_rows()).map(|row| Member {
                subject_id: persons[row],
                cohort_definition_id: ids[row],
                start: starts[row],
                end: ends[row],
            });
            Ok(rows
                .filter(|m| !without.contains(&m.cohort_definition_id))
                .collect::<Vec<_>>())
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Adds the rows of a bucket. Blocking.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bucket: BucketId, mut members: Vec<Member>) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        // The table's own order is by person and start.
        members.sort_unstable_by_key(|m| (m.subject_id, m.start, m.cohort_definition_id, m.end));
        self.added += members.len() as u64;
        let rows = batch(&members)?;
        let mut batches = std::iter::once(Ok(rows));
        self.transaction
            .append_run(TABLE, Some(bucket), &mut batches)?;
        Ok(())
    }

    /// Makes the rows visible, all of them at once.
    ///
    /// # Errors
    /// When another writer changed the table meanwhile.
    pub async fn commit(self) -> Result<Snapshot> {
        let operation = Operation::Append {
            read: self.added,
            stored: self.added,
            rejected: 0,
        };
        Ok(self.transaction.commit(operation).await?)
    }
}
