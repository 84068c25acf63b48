//! A change to a store: runs are staged in parallel, then one snapshot makes all of them visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use columna_model::BucketId;

use crate::bridge::blocking;
use crate::buckets::Buckets;
use crate::commit::{self, Change};
use crate::encryption::Encryption;
use crate::leaving::Leaving;
use crate::manifest::FileEntry;
use crate::operation::{Delivery, Operation};
use crate::projection;
use crate::pseudonymised::Pseudonymised;
use crate::run_reader::Batches;
use crate::snapshot::Snapshot;
use crate::staging::{RunSummary, Staging};
use crate::store::Store;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// A change to a store. Nothing is visible before [`Transaction::commit`]; dropped without it, the change
/// leaves nothing, and killed, only files that no snapshot names and `vacuum` removes.
#[derive(Debug)]
pub struct Transaction {
    store: Store,
    base: Snapshot,
    buckets: Buckets,
    /// The largest person that buckets were opened for in this transaction.
    opened_to: Option<i64>,
    specs: BTreeMap<String, TableSpec>,
    cleared: BTreeSet<String>,
    /// Buckets whose every table this change relies on, not only those that it writes.
    guarded: BTreeSet<BucketId>,
    deliveries: Vec<Delivery>,
    /// The columns by which each table's files are to have copies.
    projections: BTreeMap<String, Vec<String>>,
    /// Bytes of rows to hold while these are made.
    memory: usize,
    /// What is encrypted from this change on, if it says so.
    encryption: Option<Option<Encryption>>,
    pseudonymised: Option<Pseudonymised>,
    staging: Staging,
    /// Whether a snapshot may name the staged files.
    named: AtomicBool,
}

impl Transaction {
    pub(crate) fn new(store: Store, base: Snapshot) -> Self {
        let specs = base
            .tables()
            .map(|t| (t.spec.name.clone(), t.spec.clone()))
            .collect();
        Self {
            staging: Staging::new(
                store.backend().clone(),
                store.layout(),
                base.encryption().cloned(),
            ),
            encryption: None,
            pseudonymised: None,
            buckets: base.buckets().clone(),
            opened_to: None,
            specs,
            cleared: BTreeSet::new(),
            guarded: BTreeSet::new(),
            deliveries: Vec::new(),
            projections: base
                .tables()
                .map(|t| (t.spec.name.clone(), t.projections.clone()))
                .collect(),
            memory: projection::MEMORY,
            store,
            base,
            named: AtomicBool::new(false),
        }
    }

    /// The snapshot that this change is made on top of.
    #[must_use]
    pub fn base(&self) -> &Snapshot {
        &self.base
    }

    /// The buckets as this change sees them.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// A table as this change sees it.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableSpec> {
        self.specs.get(name)
    }

    /// Makes room for persons, who come sorted and distinct. The first delivery is divided evenly; later
    /// ones open buckets only beyond the largest person known, so that what is stored stays in place.
    ///
    /// # Errors
    /// When the persons are not sorted and distinct.
    pub fn open_buckets(&mut self, persons: &mut dyn Iterator<Item = i64>) -> Result<()> {
        let target = self.store.layout().persons_per_bucket;
        let stored = self
            .base
            .tables()
            .flat_map(|t| &t.files)
            .filter_map(|f| f.max_person)
            .max();
        let known = stored.max(self.opened_to);
        let mut largest = known;
        let mut noted = persons.inspect(|&p| largest = largest.max(Some(p)));
        match known {
            None if self.buckets.len() == 1 => self.buckets.divide(&mut noted, target)?,
            _ => self
                .buckets
                .extend(known, &mut noted.filter(|&p| Some(p) > known), target)?,
        }
        self.opened_to = largest;
        Ok(())
    }

    /// Declares a table, new or with more columns than before; rows stored earlier have NULL there.
    ///
    /// # Errors
    /// When a column has another type in the store, or the table cannot be stored.
    pub fn declare_table(&mut self, spec: TableSpec) -> Result<()> {
        let spec = spec.checked()?;
        let spec = match self.specs.get(&spec.name) {
            Some(known) => known.widened(&spec)?,
            None => spec,
        };
        self.specs.insert(spec.name.clone(), spec);
        Ok(())
    }

    /// Adds rows, which come in the table's order, to a table's run in a bucket; `None` for a table that
    /// is not bucketed. Rows that compare equal come after those already stored. Blocking, and callable
    /// from many threads at once: different tables and buckets do not wait for each other.
    ///
    /// # Errors
    /// When the rows are out of order, belong to another bucket or another schema, or cannot be written.
    pub fn append_run(
        &self,
        table: &str,
        bucket: Option<BucketId>,
        batches: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<RunSummary> {
        let spec = self.spec(table)?;
        let fits = match bucket {
            Some(bucket) => spec.is_bucketed() && self.buckets.position(bucket).is_some(),
            None => !spec.is_bucketed(),
        };
        if !fits {
            return Err(Error::engine(format!(
                "rows of table `{table}` came for a bucket that it does not have"
            )));
        }
        let base = || self.base_files(table, bucket);
        self.staging
            .append(spec, bucket, &self.buckets, base, batches)
    }

    /// Removes all rows of these persons, as far as stored or appended until now, from a bucketed table.
    /// In any order; persons that the table does not know are no error.
    ///
    /// # Errors
    /// When the table is unknown or has no person key.
    pub fn delete_persons(&mut self, table: &str, persons: &[i64]) -> Result<()> {
        let Some(key) = self.spec(table)?.person_key.clone() else {
            return Err(Error::engine(format!("table `{table}` has no person key")));
        };
        let mut persons = persons.to_vec();
        persons.sort_unstable();
        persons.dedup();
        let mut rest = persons.as_slice();
        while let Some(&first) = rest.first() {
            let bucket = self.buckets.bucket_of(first);
            let (_, to) = self.buckets.bounds(bucket).unwrap_or_default();
            let count = to.map_or(rest.len(), |to| rest.partition_point(|&p| p < to));
            let (here, beyond) = rest.split_at(count);
            let base = || self.base_files(table, Some(bucket));
            let leaving = Leaving {
                column: key.clone(),
                keys: here.to_vec(),
                domain: None,
            };
            self.staging
                .delete((table.to_owned(), Some(bucket)), base, leaving);
            rest = beyond;
        }
        Ok(())
    }

    /// Removes all rows of a table, those appended until now included. The table stays declared.
    ///
    /// # Errors
    /// When the table is unknown.
    pub fn clear_table(&mut self, table: &str) -> Result<()> {
        self.spec(table)?;
        let stored = self.base.table(table).map_or(&[][..], |t| &t.files);
        let mut places: BTreeSet<Option<BucketId>> = stored.iter().map(|f| f.bucket).collect();
        places.extend(
            self.staging
                .changes()
                .into_keys()
                .filter(|(t, _)| t == table)
                .map(|(_, b)| b),
        );
        for bucket in places {
            let base = || self.base_files(table, bucket);
            self.staging.clear((table.to_owned(), bucket), base)?;
        }
        self.cleared.insert(table.to_owned());
        Ok(())
    }

    /// Notes the files that this change brings, so that they are recognised when they come again.
    pub fn add_delivery(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }

    /// Notes what the rows of this change were pseudonymised with, together with all earlier ones.
    pub fn pseudonymised(&mut self, with: Pseudonymised) {
        self.pseudonymised = (self.base.pseudonymised() != Some(&with)).then_some(with);
    }

    /// Makes the change visible, all of it at once. When another writer was faster, it goes on top of
    /// theirs if they changed other tables or buckets.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another writer changed the same table and bucket; nothing is stored then.
    pub async fn commit(self, operation: Operation) -> Result<Snapshot> {
        let this = Arc::new(self);
        let settling = Arc::clone(&this);
        blocking(move || settling.settle().map(drop)).await?;
        let change = this.change();
        this.named.store(true, Ordering::SeqCst);
        let committed =
            commit::run(&this.store, &this.base, &change, &operation, this.memory).await;
        if matches!(committed, Err(Error::Conflict { .. })) {
            // Of all errors, only this one makes it certain that none does.
            this.named.store(false, Ordering::SeqCst);
        }
        committed
    }

    /// Applies the deletions, then makes the copies of new files in other orders. Returns the rows that left each
    /// table. Blocking.
    pub(crate) fn settle(&self) -> Result<BTreeMap<String, u64>> {
        let left = self.staging.settle(&self.specs, &self.buckets)?;
        self.staging
            .project(&self.specs, &self.projections, self.memory)?;
        Ok(left)
    }

    /// Has a copy of each file of a table, those of later changes included, in the order of each of these columns: a
    /// query for few values of one reads that copy. Replaces the columns named before. The copies are made by the commit.
    ///
    /// # Errors
    /// When there is no such table, it is not bucketed, or it cannot be ordered by a column.
    pub fn project(&mut self, table: &str, columns: &[String]) -> Result<()> {
        let spec = self.spec(table)?;
        for column in columns {
            projection::check(spec, column)?;
        }
        let stored = self.base.table(table).map_or(&[][..], |t| &t.files);
        for bucket in stored.iter().map(|f| f.bucket) {
            let base = || self.base_files(table, bucket);
            self.staging
                .touch((table.to_owned(), bucket), base, columns);
        }
        self.projections.insert(table.to_owned(), columns.to_vec());
        Ok(())
    }

    /// The same for one column more.
    ///
    /// # Errors
    /// See [`Self::project`].
    pub fn project_by(&mut self, table: &str, column: &str) -> Result<()> {
        let mut columns = self.projections(table).to_vec();
        if !columns.iter().any(|c| c == column) {
            columns.push(column.to_owned());
        }
        self.project(table, &columns)
    }

    /// The columns by which a table's files are to have copies.
    #[must_use]
    pub fn projections(&self, table: &str) -> &[String] {
        self.projections.get(table).map_or(&[], Vec::as_slice)
    }

    /// Bounds the bytes of rows that are held while copies in other orders are made, and then of numbers of which it is looked for
    /// whether each is one person's; 512 MB unless told.
    pub fn limit_memory(&mut self, bytes: usize) {
        self.memory = bytes;
    }

    /// Sets what is encrypted from this change on. To be called before anything is written.
    pub(crate) fn encrypt(&mut self, encryption: Option<Encryption>) {
        self.staging = Staging::new(
            self.store.backend().clone(),
            self.store.layout(),
            encryption.clone(),
        );
        self.encryption = Some(encryption);
    }

    /// Removes rows of a table that is not bucketed.
    pub(crate) fn delete_linked(&mut self, table: &str, leaving: Leaving) {
        let base = || self.base_files(table, None);
        self.staging.delete((table.to_owned(), None), base, leaving);
    }

    /// No other change may come between in any table of this bucket.
    pub(crate) fn guard(&mut self, bucket: BucketId) {
        self.guarded.insert(bucket);
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn buckets_mut(&mut self) -> &mut Buckets {
        &mut self.buckets
    }

    /// Gives a table's part in a bucket a new run, written from the rows of others. Blocking.
    pub(crate) fn rewrite(
        &self,
        table: &str,
        bucket: Option<BucketId>,
        runs: Vec<Batches<'_>>,
    ) -> Result<()> {
        let base = || self.base_files(table, bucket);
        self.staging
            .rewrite(self.spec(table)?, bucket, &self.buckets, base, runs)
    }

    fn spec(&self, table: &str) -> Result<&TableSpec> {
        let spec = self.specs.get(table);
        spec.ok_or_else(|| Error::NoSuchTable {
            table: table.to_owned(),
        })
    }

    fn base_files(&self, table: &str, bucket: Option<BucketId>) -> Vec<FileEntry> {
        let version = self.base.table(table);
        version.map_or_else(Vec::new, |t| t.files_in(bucket).cloned().collect())
    }

    fn change(&self) -> Change {
        let declared =
            |spec: &&TableSpec| self.base.table(&spec.name).is_none_or(|t| t.spec != **spec);
        Change {
            buckets: (self.buckets != *self.base.buckets()).then(|| self.buckets.clone()),
            specs: self.specs.values().filter(declared).cloned().collect(),
            places: self.staging.changes(),
            cleared: self.cleared.clone(),
            guarded: self.guarded.clone(),
            deliveries: self.deliveries.clone(),
            projections: self
                .projections
                .iter()
                .filter(|(name, columns)| {
                    self.base.table(name).map_or(&[][..], |t| &t.projections) != columns.as_slice()
                })
                .map(|(name, columns)| (name.clone(), columns.clone()))
                .collect(),
            encryption: self.encryption.clone(),
            pseudonymised: self.pseudonymised.clone(),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // A remote store would have to be waited for: vacuum finds what was left there.
        if !self.named.load(Ordering::SeqCst) && self.store.backend().folder().is_some() {
            self.staging.discard();
        }
    }
}
