//! The whole way of a delivery: people, buckets, rows, order, checks, runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use columna_model::progress::Unit;
use columna_store::{DeliveredFile, Delivery, Operation, Store, Transaction};
use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::checks::{Checks, Counts};
use super::keys::{KeyRange, RepeatedKeys};
use super::parts::Parts;
use super::people::{People, PeopleBuilder};
use super::pipeline::{Sink, read, silent};
use super::quarantine::{self, Quarantine, REJECTS};
use super::spill::SpillFolder;
use super::stored::known_keys;
use super::write::{self, Table, Written};
use crate::findings::{Finding, Findings};
use crate::options::{IngestOptions, Projections};
use crate::reader::{Decoded, Reader};
use crate::screen::Screen;
use crate::{Error, Result};

/// Bytes of rows to hold while copies in other orders are made, at most; a quarter of the limit where that is less.
const COPYING_MEMORY: usize = 512 << 20;

/// What became of a target's rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetCounts {
    /// Rows of the source stored in it.
    pub(crate) stored: u64,
    /// Rows made beside those of the source.
    pub(crate) derived: u64,
    /// Rows of the source meant for it that could not be stored.
    pub(crate) rejected: u64,
}

/// What became of an input's rows.
#[derive(Debug, Default, Clone)]
pub(crate) struct InputCounts {
    pub(crate) read: u64,
    pub(crate) rejected: u64,
    /// Rows stored, by target.
    pub(crate) stored: BTreeMap<usize, u64>,
}

/// A delivery, staged and counted.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) targets: Vec<TargetCounts>,
    pub(crate) inputs: Vec<InputCounts>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) rejects: Vec<String>,
    pub(crate) operation: Operation,
    pub(crate) spilled_bytes: u64,
}

/// What a delivery is staged from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) reader: &'a dyn Reader,
    /// Inputs that are not read.
    pub(crate) unchanged: &'a BTreeSet<usize>,
    /// What the delivery is called.
    pub(crate) delivery: &'a str,
    /// Where the rows go.
    pub(crate) store: &'a Store,
    pub(crate) pool: &'a ThreadPool,
    pub(crate) options: &'a IngestOptions,
}

impl Job<'_> {
    /// Stages all rows in a transaction. Blocking.
    pub(crate) fn run(
        self,
        transaction: &mut Transaction,
        stored_people: PeopleBuilder,
    ) -> Result<Outcome> {
        let Job {
            reader,
            unchanged,
            delivery,
            store,
            pool,
            options,
        } = self;
        // For temporary files beside the store.
        let folder = SpillFolder::new(store.url());
        let inputs: Vec<usize> = (0..reader.inputs().len())
            .filter(|input| !unchanged.contains(input))
            .collect();
        let people = find_people(reader, &inputs, stored_people, pool, options)?;
        transaction.open_buckets(&mut people.ids())?;
        for (at, target) in reader.targets().iter().enumerate() {
            if reader.is_stored(at) {
                transaction.declare_table(target.spec.clone())?;
            }
        }
        transaction.declare_table(quarantine::spec())?;
        transaction.limit_memory((options.memory_limit / 4).min(COPYING_MEMORY));
        if let Projections::Named(named) = &options.projections {
            for (table, column) in named {
                transaction.project_by(table, column)?;
            }
        }

        let stage = Stage::new(reader, transaction, delivery, &people, &folder, options)?;
        let bytes = inputs
            .iter()
            .map(|input| reader.inputs()[*input].file.bytes)
            .sum();
        options.progress.start("reading", Some(bytes), Unit::Bytes);
        let hashes = read(reader, &inputs, pool, options, &options.progress, &stage)?;
        options.progress.finish();
        let identifiers = stage.screen.verdict(options)?;
        let rested = stage.close(pool)?;

        let replaces = options.replace && transaction.base().tables().len() > 0;
        if replaces {
            remove_replaced(transaction, reader, &rested.persons)?;
        }
        let rows = rested.inputs.iter().map(|input| input.read).sum::<u64>();
        options
            .progress
            .start("sorting and writing", Some(rows), Unit::Rows);
        let key_memory = options.memory_limit / 8;
        let mut tables = Vec::with_capacity(rested.parts.len());
        for (at, parts) in rested.parts.into_iter().enumerate() {
            let checks = reader.targets().get(at).map(Checks::new);
            let key = checks.as_ref().and_then(|checks| checks.key);
            let keys = match (key, reader.targets().get(at)) {
                (Some(key), Some(target)) if !replaces => {
                    let known = known_keys(
                        store,
                        transaction.base(),
                        &target.spec.name,
                        target.spec.schema.field(key).name(),
                        rested.keys[at],
                        key_memory,
                        &folder,
                    );
                    Some(tokio::runtime::Handle::current().block_on(known)?)
                }
                (Some(_), _) => Some(RepeatedKeys::new(rested.keys[at], key_memory, &folder)?),
                _ => None,
            };
            tables.push(Table {
                closed: parts.close(),
                checks,
                keys,
                counts: Mutex::new(Counts::default()),
            });
        }
        let written = write::write(tables, &people, transaction, pool, &options.progress)?;
        options.progress.finish();
        if let Projections::Large(least) = options.projections {
            project_large(transaction, reader, &written, least)?;
        }

        let mut findings = rested.findings;
        for finding in reader.findings().into_iter().chain(identifiers) {
            findings.add(finding);
        }
        for (target, written) in reader.targets().iter().zip(&written) {
            for finding in
                Checks::new(target).findings(target, &people, &written.counts, written.repeated)
            {
                findings.add(finding);
            }
        }
        let rows: Vec<u64> = written.iter().map(|written| written.counts.rows).collect();
        let targets = add_up(reader, &rested.inputs, &rested.derived, &rows)?;
        let files = inputs.iter().zip(hashes).map(|(input, blake3)| {
            let file = &reader.inputs()[*input].file;
            DeliveredFile {
                name: file.name.clone(),
                bytes: file.bytes,
                blake3: reader.fingerprint(blake3),
            }
        });
        transaction.add_delivery(Delivery::new(delivery, files.collect()));
        let (read, stored, rejected) =
            rested
                .inputs
                .iter()
                .fold((0, 0, 0), |(read, stored, rejected), input| {
                    (
                        read + input.read,
                        stored + input.stored.values().sum::<u64>(),
                        rejected + input.rejected,
                    )
                });
        let operation = if replaces {
            Operation::Replace {
                read,
                stored,
                rejected,
            }
        } else if transaction.base().tables().len() > 0 {
            Operation::Append {
                read,
                stored,
                rejected,
            }
        } else {
            Operation::Ingest {
                read,
                stored,
                rejected,
            }
        };
        Ok(Outcome {
            targets,
            inputs: rested.inputs,
            findings: findings.into_vec(),
            rejects: rested.rejects,
            operation,
            spilled_bytes: folder.bytes(),
        })
    }
}

/// Has tables that come to hold so many rows once more by the concept of their rows.
fn project_large(
    transaction: &mut Transaction,
    reader: &dyn Reader,
    written: &[Written],
    least: u64,
) -> Result<()> {
    for (target, written) in reader.targets().iter().zip(written) {
        let table = &target.spec.name;
        let concept = columna_model::table(table).and_then(|def| def.concept);
        let before = transaction.base().table(table).map_or(0, |t| t.rows);
        let becomes = before < least && before + written.counts.rows >= least;
        if let Some(concept) = concept
            && becomes
            && target.spec.is_bucketed()
        {
            transaction.project_by(table, concept)?;
        }
    }
    Ok(())
}

/// Every row read is stored or rejected, and every row stored reached the store: else the engine is at fault.
fn add_up(
    reader: &dyn Reader,
    inputs: &[InputCounts],
    derived: &[u64],
    written: &[u64],
) -> Result<Vec<TargetCounts>> {
    let mut targets = vec![TargetCounts::default(); reader.targets().len()];
    let mut rejected = 0;
    for (input, counts) in reader.inputs().iter().zip(inputs) {
        let stored: u64 = counts.stored.values().sum();
        if counts.read != stored + counts.rejected {
            return Err(Error::engine(format!(
                "{}: {} rows were read, {stored} stored and {} rejected",
                input.file.name, counts.read, counts.rejected
            )));
        }
        for (target, stored) in &counts.stored {
            targets[*target].stored += stored;
        }
        targets[input.home].rejected += counts.rejected;
        rejected += counts.rejected;
    }
    for (at, target) in targets.iter_mut().enumerate() {
        target.derived = derived[at];
        if target.stored + target.derived != written[at] {
            return Err(Error::engine(format!(
                "table `{}` should have {} new rows, and {} were written",
                reader.targets()[at].spec.name,
                target.stored + target.derived,
                written[at]
            )));
        }
    }
    if written.last() != Some(&rejected) {
        return Err(Error::engine(format!(
            "{rejected} rows were rejected, and {} written to `{REJECTS}`",
            written.last().unwrap_or(&0)
        )));
    }
    Ok(targets)
}

/// Removes what the store has of the persons of a delivery, in the tables that it brings.
fn remove_replaced(
    transaction: &mut Transaction,
    reader: &dyn Reader,
    persons: &HashSet<i64>,
) -> Result<()> {
    let persons: Vec<i64> = persons.iter().copied().collect();
    for (at, target) in reader.targets().iter().enumerate() {
        if !reader.is_stored(at) && transaction.base().table(&target.spec.name).is_none() {
            continue;
        }
        if target.spec.is_bucketed() {
            transaction.delete_persons(&target.spec.name, &persons)?;
        } else {
            transaction.clear_table(&target.spec.name)?;
        }
    }
    Ok(())
}

/// The persons of the delivery and of the store. Where neither has a table of persons, those of another table stand in.
fn find_people(
    reader: &dyn Reader,
    inputs: &[usize],
    stored: PeopleBuilder,
    pool: &ThreadPool,
    options: &IngestOptions,
) -> Result<People> {
    let of = |tables: &[&str]| -> Vec<usize> {
        let is_of = |input: &&usize| {
            tables.contains(
                &reader.targets()[reader.inputs()[**input].home]
                    .spec
                    .name
                    .as_str(),
            )
        };
        inputs.iter().filter(is_of).copied().collect()
    };
    let mut chosen = of(&["person", "death"]);
    if of(&["person"]).is_empty() {
        let bucketed = inputs.iter().filter(|input| {
            reader.targets()[reader.inputs()[**input].home]
                .spec
                .is_bucketed()
        });
        let largest = bucketed.max_by_key(|input| reader.inputs()[**input].file.bytes);
        let stand_in = ["observation_period", "visit_occurrence"]
            .iter()
            .map(|table| of(&[table]))
            .find(|found| !found.is_empty());
        let largest = || {
            largest
                .map(|input| of(&[&reader.targets()[reader.inputs()[*input].home].spec.name]))
                .unwrap_or_default()
        };
        chosen.extend(stand_in.unwrap_or_else(largest));
    }
    let sink = PeopleSink {
        reader,
        people: Mutex::new(stored),
    };
    read(reader, &chosen, pool, options, &silent(), &sink)?;
    Ok(sink
        .people
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .finish())
}

struct PeopleSink<'a> {
    reader: &'a dyn Reader,
    people: Mutex<PeopleBuilder>,
}

impl Sink for PeopleSink<'_> {
    fn accept(&self, _input: usize, _ordinal: u64, decoded: Decoded) -> Result<()> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        for rows in decoded.rows {
            let spec = &self.reader.targets()[rows.target].spec;
            if let Some(key) = &spec.person_key {
                people.add(&spec.name, &rows.batch, key);
            }
        }
        Ok(())
    }

    fn rest(&self) -> Result<()> {
        Ok(())
    }

    fn must_rest(&self) -> bool {
        false
    }
}

/// Rows of all targets on their way to their buckets.
struct Stage<'a> {
    reader: &'a dyn Reader,
    delivery: &'a str,
    folder: &'a SpillFolder,
    /// One per target, and the rejects.
    parts: Vec<Parts>,
    key_columns: Vec<Option<usize>>,
    memory: Arc<AtomicUsize>,
    /// Bytes of rows that may be held.
    most: usize,
    collects_persons: bool,
    quarantine: Quarantine,
    screen: Screen,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    inputs: Vec<InputCounts>,
    derived: Vec<u64>,
    keys: Vec<KeyRange>,
    findings: Findings,
    persons: HashSet<i64>,
}

/// The stage when all rows have arrived.
struct Rested {
    parts: Vec<Parts>,
    inputs: Vec<InputCounts>,
    derived: Vec<u64>,
    keys: Vec<KeyRange>,
    findings: Findings,
    persons: HashSet<i64>,
    rejects: Vec<String>,
}

impl<'a> Stage<'a> {
    fn new(
        reader: &'a dyn Reader,
        transaction: &Transaction,
        delivery: &'a str,
        people: &People,
        folder: &'a SpillFolder,
        options: &IngestOptions,
    ) -> Result<Self> {
        let memory = Arc::new(AtomicUsize::new(0));
        let splits = Arc::new(transaction.buckets().split_points());
        let rejects = quarantine::spec();
        let specs = reader
            .targets()
            .iter()
            .map(|target| &target.spec)
            .chain([&rejects]);
        let parts: Result<Vec<Parts>> = specs
            .map(|spec| Parts::new(spec, &splits, &memory))
            .collect();
        let targets = reader.targets().len();
        let counted = Counted {
            inputs: vec![InputCounts::default(); reader.inputs().len()],
            derived: vec![0; targets],
            keys: vec![KeyRange::default(); targets + 1],
            ..Counted::default()
        };
        Ok(Self {
            reader,
            delivery,
            folder,
            parts: parts?,
            key_columns: reader
                .targets()
                .iter()
                .map(|target| Checks::new(target).key)
                .collect(),
            memory,
            // The other half is for blocks being decoded, sorting keys and the writers' row groups.
            most: (options.memory_limit / 2).saturating_sub(people.len() * 24),
            collects_persons: options.replace,
            quarantine: Quarantine::new(options.max_rejects),
            screen: Screen::new(reader.targets()),
            counted: Mutex::new(counted),
        })
    }

    /// Brings tables that are partly on disk there as a whole.
    fn close(self, pool: &ThreadPool) -> Result<Rested> {
        pool.install(|| {
            self.parts
                .par_iter()
                .filter(|parts| parts.is_spilled())
                .try_for_each(|parts| parts.spill(self.folder))
        })?;
        let counted = self
            .counted
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Rested {
            parts: self.parts,
            inputs: counted.inputs,
            derived: counted.derived,
            keys: counted.keys,
            findings: counted.findings,
            persons: counted.persons,
            rejects: self.quarantine.first(),
        })
    }
}

impl Sink for Stage<'_> {
    fn accept(&self, input: usize, ordinal: u64, decoded: Decoded) -> Result<()> {
        let given = &self.reader.inputs()[input];
        self.quarantine.admit(input, given, &decoded.rejects)?;
        self.screen.look(&decoded);
        let mut keys = Vec::new();
        for rows in &decoded.rows {
            if let Some(column) = self.key_columns[rows.target] {
                let mut range = KeyRange::default();
                range.add(&rows.batch, column);
                keys.push((rows.target, range));
            }
        }
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.inputs[input].read += decoded.read;
            counted.inputs[input].rejected += decoded.rejects.len() as u64;
            for (target, range) in keys {
                counted.keys[target].join(range);
            }
            for rows in &decoded.rows {
                let count = rows.batch.num_rows() as u64;
                if rows.derived {
                    counted.derived[rows.target] += count;
                } else {
                    *counted.inputs[input].stored.entry(rows.target).or_default() += count;
                }
                if self.collects_persons
                    && let Some(key) = &self.reader.targets()[rows.target].spec.person_key
                    && let Some(persons) = rows
                        .batch
                        .column_by_name(key)
                        .and_then(|column| column.as_primitive_opt::<Int64Type>())
                {
                    counted.persons.extend(persons.values());
                }
            }
            for finding in decoded.findings {
                counted.findings.add(finding);
            }
        }
        for rows in decoded.rows {
            self.parts[rows.target].add(rows.batch, ordinal);
        }
        if !decoded.rejects.is_empty()
            && let Some(parts) = self.parts.last()
        {
            let rejects = quarantine::batch(self.delivery, given, &decoded.rejects)
                .map_err(|error| Error::arrow(REJECTS, error))?;
            parts.add(rejects, ordinal);
        }
        Ok(())
    }

    fn rest(&self) -> Result<()> {
        self.parts
            .par_iter()
            .try_for_each(|parts| parts.spill(self.folder))
    }

    fn must_rest(&self) -> bool {
        self.memory.load(Ordering::Relaxed) > self.most
    }
}
