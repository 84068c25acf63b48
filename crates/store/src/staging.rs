//! The runs that a transaction writes, before a snapshot names them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use columna_model::BucketId;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::backend::Backend;
use crate::buckets::Buckets;
use crate::encryption::Encryption;
use crate::layout::Layout;
use crate::leaving::Leaving;
use crate::manifest::FileEntry;
use crate::merge::merge;
use crate::projection::Copier;
use crate::run_reader::{Batches, Keep, align, holds_any, read};
use crate::run_writer::RunWriter;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// A table's part in a bucket; none for a table that is not bucketed.
pub(crate) type Place = (String, Option<BucketId>);

/// What an append made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSummary {
    /// The rows of the run as it is now.
    pub rows: u64,
    /// The rows that were added to it.
    pub added: u64,
    /// The size of its file.
    pub bytes: u64,
}

/// The state of every place that a transaction touches.
#[derive(Debug)]
pub(crate) struct Staging {
    backend: Backend,
    layout: Layout,
    encryption: Option<Encryption>,
    slots: Mutex<BTreeMap<Place, Arc<Mutex<Slot>>>>,
}

/// What a place holds in a transaction.
#[derive(Debug, Default)]
struct Slot {
    files: Vec<FileEntry>,
    /// The files were written by this transaction, so that nobody else refers to them.
    staged: bool,
    changed: bool,
    /// What leaves `files`; applied by the next write.
    leaving: Vec<Leaving>,
    /// The paths of copies in other orders that this transaction made of `files`.
    copies: Vec<String>,
}

impl Staging {
    pub(crate) fn new(backend: Backend, layout: Layout, encryption: Option<Encryption>) -> Self {
        Self {
            backend,
            layout,
            encryption,
            slots: Mutex::default(),
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Place, Arc<Mutex<Slot>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a place, which begins with the files the place has in the base.
    fn slot(&self, place: Place, base: impl FnOnce() -> Vec<FileEntry>) -> Arc<Mutex<Slot>> {
        let mut slots = self.slots();
        let slot = slots.entry(place).or_insert_with(|| {
            Arc::new(Mutex::new(Slot {
                files: base(),
                ..Slot::default()
            }))
        });
        Arc::clone(slot)
    }

    /// Merges sorted rows into the run of a place. Blocking; different places run in parallel.
    pub(crate) fn append(
        &self,
        spec: &TableSpec,
        bucket: Option<BucketId>,
        buckets: &Buckets,
        base: impl FnOnce() -> Vec<FileEntry>,
        batches: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<RunSummary> {
        let slot = self.slot((spec.name.clone(), bucket), base);
        let mut slot = locked(&slot);
        let mut added = 0;
        let mut runs = self.existing(spec, &slot)?;
        let arriving = batches.map(|batch| {
            let batch = batch.map_err(|e| Error::arrow(&spec.name, e))?;
            added += batch.num_rows() as u64;
            align(&spec.name, &spec.schema, &batch)
        });
        // A batch without rows has nothing to merge.
        let mut arriving = arriving
            .filter(|b| b.as_ref().map_or(true, |b| b.num_rows() > 0))
            .peekable();
        if arriving.peek().is_none() {
            drop(arriving);
            let (rows, bytes) = (rows(&slot.files), slot.files.iter().map(|f| f.bytes).sum());
            return Ok(RunSummary {
                rows,
                added: 0,
                bytes,
            });
        }
        runs.push(Box::new(arriving));
        let files: Vec<FileEntry> = self
            .write(spec, bucket, buckets, runs)?
            .into_iter()
            .collect();
        let bytes = files.iter().map(|f| f.bytes).sum();
        let summary = RunSummary {
            rows: rows(&files),
            added,
            bytes,
        };
        self.set(&mut slot, files)?;
        Ok(summary)
    }

    /// Gives a place a new run, written from the rows of others. Blocking.
    pub(crate) fn rewrite(
        &self,
        spec: &TableSpec,
        bucket: Option<BucketId>,
        buckets: &Buckets,
        base: impl FnOnce() -> Vec<FileEntry>,
        runs: Vec<Batches<'_>>,
    ) -> Result<()> {
        let files: Vec<FileEntry> = self
            .write(spec, bucket, buckets, runs)?
            .into_iter()
            .collect();
        let slot = self.slot((spec.name.clone(), bucket), base);
        self.set(&mut locked(&slot), files)
    }

    /// Empties a place.
    pub(crate) fn clear(&self, place: Place, base: impl FnOnce() -> Vec<FileEntry>) -> Result<()> {
        let slot = self.slot(place, base);
        self.set(&mut locked(&slot), Vec::new())
    }

    /// Marks rows for leaving a place.
    pub(crate) fn delete(
        &self,
        place: Place,
        base: impl FnOnce() -> Vec<FileEntry>,
        leaving: Leaving,
    ) {
        let slot = self.slot(place, base);
        let mut slot = locked(&slot);
        if slot.files.is_empty() {
            return;
        }
        let same = |l: &&mut Leaving| l.column == leaving.column && l.domain == leaving.domain;
        match slot.leaving.iter_mut().find(same) {
            Some(known) => known.extend(&leaving.keys),
            None => slot.leaving.push(leaving),
        }
    }

    /// Applies all marked deletions. Returns the rows that left each table. Blocking.
    pub(crate) fn settle(
        &self,
        specs: &BTreeMap<String, TableSpec>,
        buckets: &Buckets,
    ) -> Result<BTreeMap<String, u64>> {
        let slots: Vec<(Place, Arc<Mutex<Slot>>)> = self
            .slots()
            .iter()
            .map(|(place, slot)| (place.clone(), Arc::clone(slot)))
            .collect();
        let removed: Vec<(String, u64)> = slots
            .into_par_iter()
            .map(|((table, bucket), slot)| {
                let spec = specs
                    .get(&table)
                    .ok_or_else(|| Error::engine(format!("table `{table}` was not declared")))?;
                let mut slot = locked(&slot);
                let rows = self.settle_slot(spec, bucket, buckets, &mut slot)?;
                Ok((table, rows))
            })
            .collect::<Result<_>>()?;
        let mut tables = BTreeMap::new();
        for (table, rows) in removed.into_iter().filter(|(_, rows)| *rows > 0) {
            *tables.entry(table).or_default() += rows;
        }
        Ok(tables)
    }

    fn settle_slot(
        &self,
        spec: &TableSpec,
        bucket: Option<BucketId>,
        buckets: &Buckets,
        slot: &mut Slot,
    ) -> Result<u64> {
        let mut found = false;
        for file in &slot.files {
            let near = slot.leaving.iter().any(|l| l.may_be_in(file));
            found = found || (near && holds_any(&self.backend, &spec.name, file, &slot.leaving)?);
        }
        if !found {
            slot.leaving.clear();
            return Ok(0);
        }
        let before = rows(&slot.files);
        let runs = self.existing(spec, slot)?;
        let files: Vec<FileEntry> = self
            .write(spec, bucket, buckets, runs)?
            .into_iter()
            .collect();
        let removed = before - rows(&files);
        self.set(slot, files)?;
        Ok(removed)
    }

    /// Says that the files of a place are to have copies by these columns, which some of them lack.
    pub(crate) fn touch(
        &self,
        place: Place,
        base: impl FnOnce() -> Vec<FileEntry>,
        columns: &[String],
    ) {
        let slot = self.slot(place, base);
        let mut slot = locked(&slot);
        let lacks = |f: &FileEntry| columns.iter().any(|by| f.projection(by).is_none());
        slot.changed |= slot.files.iter().any(lacks);
    }

    /// Makes the copies in other orders that changed places lack. Blocking.
    pub(crate) fn project(
        &self,
        specs: &BTreeMap<String, TableSpec>,
        columns: &BTreeMap<String, Vec<String>>,
        memory: usize,
    ) -> Result<()> {
        let slots: Vec<(Place, Arc<Mutex<Slot>>)> = self
            .slots()
            .iter()
            .filter(|((table, _), slot)| {
                columns.get(table).is_some_and(|c| !c.is_empty()) && locked(slot).changed
            })
            .map(|(place, slot)| (place.clone(), Arc::clone(slot)))
            .collect();
        let at_once = rayon::current_num_threads().min(slots.len()).max(1);
        let copier = Copier {
            backend: &self.backend,
            layout: self.layout,
            encryption: self.encryption.as_ref(),
            memory: memory / at_once,
        };
        slots.into_par_iter().try_for_each(|((table, _), slot)| {
            let (Some(spec), Some(columns)) = (specs.get(&table), columns.get(&table)) else {
                return Ok(());
            };
            let mut slot = locked(&slot);
            let Slot { files, copies, .. } = &mut *slot;
            for file in files {
                for by in columns {
                    if file.projection(by).is_none() {
                        let copy = copier.copy(spec, file, by)?;
                        copies.push(copy.file.path.clone());
                        file.projections.push(copy);
                    }
                }
            }
            Ok(())
        })
    }

    /// The places that this transaction changed, and what they hold now.
    pub(crate) fn changes(&self) -> BTreeMap<Place, Vec<FileEntry>> {
        let slots = self.slots();
        let changed = slots.iter().filter_map(|(place, slot)| {
            let slot = locked(slot);
            slot.changed.then(|| (place.clone(), slot.files.clone()))
        });
        changed.collect()
    }

    /// Removes all staged files, as far as possible: what is left is found by vacuum.
    pub(crate) fn discard(&self) {
        for slot in self.slots().values() {
            let mut slot = locked(slot);
            for path in slot.copies.drain(..) {
                let _ = self.backend.discard_file(&path);
            }
            if slot.staged {
                for file in slot.files.drain(..) {
                    let _ = self.backend.discard_file(&file.path);
                }
            }
        }
    }

    /// The rows of a place that stay, one run for each of its files.
    fn existing(&self, spec: &TableSpec, slot: &Slot) -> Result<Vec<Batches<'static>>> {
        let keep = if slot.leaving.is_empty() {
            Keep::All
        } else {
            Keep::AllBut(slot.leaving.as_slice().into())
        };
        let runs = slot
            .files
            .iter()
            .map(|file| read(&self.backend, spec, file, keep.clone()));
        runs.collect()
    }

    /// Merges runs into one new file. None when they have no rows.
    fn write(
        &self,
        spec: &TableSpec,
        bucket: Option<BucketId>,
        buckets: &Buckets,
        runs: Vec<Batches<'_>>,
    ) -> Result<Option<FileEntry>> {
        if runs.is_empty() {
            return Ok(None);
        }
        let mut writer = RunWriter::new(
            &self.backend,
            spec,
            self.layout,
            self.encryption.as_ref(),
            bucket,
        )?;
        let written = merge(spec, runs)
            .and_then(|mut merged| merged.try_for_each(|batch| writer.write(&batch?)));
        if let Err(e) = written {
            writer.discard();
            return Err(e);
        }
        let Some(file) = writer.finish()? else {
            return Ok(None);
        };
        if let (Some(bucket), Some(min), Some(max)) = (bucket, file.min_person, file.max_person)
            && !buckets.holds(bucket, min, max)
        {
            self.backend.discard_file(&file.path)?;
            return Err(Error::OutsideBucket {
                table: spec.name.clone(),
                bucket: Some(bucket),
            });
        }
        Ok(Some(file))
    }

    /// Gives a slot its new files; those of an earlier step of this transaction are of no use any more.
    fn set(&self, slot: &mut Slot, files: Vec<FileEntry>) -> Result<()> {
        let old = std::mem::replace(&mut slot.files, files);
        let was_staged = std::mem::replace(&mut slot.staged, true);
        slot.changed = true;
        slot.leaving.clear();
        slot.copies
            .drain(..)
            .try_for_each(|path| self.backend.discard_file(&path))?;
        if was_staged {
            old.iter()
                .try_for_each(|file| self.backend.discard_file(&file.path))?;
        }
        Ok(())
    }
}

fn locked(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rows(files: &[FileEntry]) -> u64 {
    files.iter().map(|f| f.rows).sum()
}
