//! Columns whose every value belongs to one person: the number of a visit, wherever it stands.
//!
//! Hospitals join records to their visits by the visit's number alone. Where it is known that a number is never two
//! persons', rows with the same number are rows of the same person, and such a join runs person by person. Nothing but the
//! rows can tell, so they are read again before new ones become visible: the person and the column of every table that has it. The
//! number of a record is looked at too, by which rows that were joined with it are numbered or grouped.
//! In memory are one bucket's numbers, and all of them as one bit each, or as eight bytes each where they lie far apart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use columna_model::BucketId;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::manifest::{FileEntry, TableVersion};
use crate::table_spec::TableSpec;
use crate::{Error, Result, run_reader};

/// A column of a table whose values are one person's each, here and in every other table of the snapshot that lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedColumn {
    /// The column.
    pub name: String,
    /// Whether rows have none.
    pub nulls: bool,
    /// The few values that are several persons' all the same: the number that stands for no visit, and those that were mistaken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<i64>,
}

/// With more values than this that several persons have, a column is nobody's: a query names all of them.
const MOST_SHARED: usize = 2048;
/// And where they are more than one in so many of its values.
const ONE_IN: usize = 64;

/// The columns of each table that only one person has each value of, over all tables that have the column. Those that would
/// need more memory are not found. Blocking.
pub(crate) fn find(
    backend: &Backend,
    tables: &BTreeMap<String, Arc<TableVersion>>,
    memory: usize,
) -> Result<BTreeMap<String, Vec<OwnedColumn>>> {
    let mut found: BTreeMap<String, Vec<OwnedColumn>> = BTreeMap::new();
    for (column, tables) in numbers(tables) {
        // Numbers of records that lie far apart would have to be sorted, all of them.
        let seen = Seen::new(memory, tables.len() > 1);
        let Some((nulls, shared)) = owned(backend, column, &tables, seen)? else {
            continue;
        };
        for ((table, _), nulls) in tables.iter().zip(nulls) {
            let columns = found.entry(table.spec.name.clone()).or_default();
            columns.push(OwnedColumn {
                name: column.to_owned(),
                nulls,
                shared: shared.clone(),
            });
        }
    }
    Ok(found)
}

/// Forgets the columns whose shared values no manifest may tell: those that any table has encrypted, and all of them where
/// persons were erased, whose values may be among them.
pub(crate) fn tell_no_hidden(tables: &mut BTreeMap<String, TableVersion>, erased: bool) {
    let encrypted = tables.values().filter(|table| {
        let mut files = table.files.iter();
        files.any(|file| file.encryption.is_some())
    });
    let hidden: BTreeSet<String> = encrypted
        .flat_map(|table| table.spec.schema.fields())
        .map(|field| field.name().clone())
        .collect();
    for table in tables.values_mut() {
        table.owned.retain(|column| {
            column.shared.is_empty() || !(erased || hidden.contains(&column.name))
        });
    }
}

type Tables<'a> = Vec<(&'a TableVersion, &'a str)>;

/// Columns of numbers that several tables of persons have, and those of their records, with the tables and the columns of their
/// persons.
fn numbers(tables: &BTreeMap<String, Arc<TableVersion>>) -> Vec<(&str, Tables<'_>)> {
    let mut shared: BTreeMap<&str, Tables<'_>> = BTreeMap::new();
    for table in tables.values() {
        let TableSpec {
            schema, person_key, ..
        } = &table.spec;
        let Some(person) = person_key.as_deref().filter(|_| table.spec.is_bucketed()) else {
            continue;
        };
        for field in schema.fields() {
            let name = field.name().as_str();
            let is_number = *field.data_type() == DataType::Int64
                && name != person
                && name.ends_with("_id")
                && !name.ends_with("_concept_id");
            if is_number {
                shared.entry(name).or_default().push((table, person));
            }
        }
    }
    let is_key = |table: &TableVersion, column: &str| {
        let known = columna_model::table(&table.spec.name);
        known.and_then(|table| table.primary_key()) == Some(column)
    };
    shared.retain(|column, tables| match tables.as_slice() {
        [(table, _)] => is_key(table, column),
        _ => true,
    });
    shared.into_iter().collect()
}

/// Whether each table has rows without a value, and which values several persons have; none where these are many.
fn owned(
    backend: &Backend,
    column: &str,
    tables: &Tables<'_>,
    seen: Seen,
) -> Result<Option<(Vec<bool>, Vec<i64>)>> {
    let mut buckets: Vec<BucketId> = Vec::new();
    for (table, _) in tables {
        buckets.extend(table.files.iter().filter_map(|file| file.bucket));
    }
    buckets.sort_unstable();
    buckets.dedup();
    let seen = Mutex::new(seen);
    let nulls: Vec<AtomicBool> = tables.iter().map(|_| AtomicBool::new(false)).collect();
    let given_up = AtomicBool::new(false);
    buckets.into_par_iter().try_for_each(|bucket| {
        // Most columns are known to be shared after the first bucket.
        if given_up.load(Atomic::Relaxed) {
            return Ok(());
        }
        let mut pairs = Vec::with_capacity(tables.len());
        for ((table, person), nulls) in tables.iter().zip(&nulls) {
            for file in table.files_in(Some(bucket)) {
                let (read, without) = read(backend, file, person, column)?;
                nulls.fetch_or(without, Atomic::Relaxed);
                pairs.push(read);
            }
        }
        let values = each_once(&pairs);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.add(values) {
            given_up.store(true, Atomic::Relaxed);
        }
        Ok::<_, Error>(())
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let shared = if given_up.into_inner() {
        None
    } else {
        seen.shared()
    };
    let nulls = nulls.into_iter().map(AtomicBool::into_inner).collect();
    Ok(shared.map(|shared| (nulls, shared)))
}

/// The persons of a file with their values, in order of persons and without what repeats the row before; and whether rows have no
/// value.
fn read(
    backend: &Backend,
    file: &FileEntry,
    person: &str,
    column: &str,
) -> Result<(Vec<(i64, i64)>, bool)> {
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    let mut nulls = false;
    for batch in run_reader::reader(backend, file, Some(&[person, column]))? {
        let batch = batch.map_err(|_| Error::damaged(&file.path, "its rows cannot be read"))?;
        let numbers = |name: &str| {
            let column = batch.column_by_name(name);
            column.and_then(|column| column.as_primitive_opt::<Int64Type>())
        };
        let Some(persons) = numbers(person) else {
            return Err(Error::damaged(&file.path, "it has no persons"));
        };
        // A file from before the table had the column.
        let Some(values) = numbers(column) else {
            return Ok((Vec::new(), true));
        };
        nulls |= values.null_count() > 0;
        for (person, value) in persons.values().iter().zip(values) {
            if let Some(value) = value
                && pairs.last() != Some(&(*person, value))
            {
                pairs.push((*person, value));
            }
        }
    }
    Ok((pairs, nulls))
}

/// Each person's values once, whichever tables have them.
fn each_once(tables: &[Vec<(i64, i64)>]) -> Vec<i64> {
    let mut rest: Vec<&[(i64, i64)]> = tables.iter().map(Vec::as_slice).collect();
    let mut values = Vec::new();
    let mut of_person = Vec::new();
    while let Some(person) = rest.iter().filter_map(|rows| Some(rows.first()?.0)).min() {
        for rows in &mut rest {
            while let Some(((owner, value), behind)) = rows.split_first()
                && *owner == person
            {
                of_person.push(*value);
                *rows = behind;
            }
        }
        of_person.sort_unstable();
        of_person.dedup();
        values.append(&mut of_person);
    }
    values
}

/// The values of all persons.
struct Seen {
    values: Values,
    /// Those that came again.
    again: Vec<i64>,
    count: u64,
    memory: usize,
    /// Whether those that lie far apart may be a list.
    far: bool,
}

/// Bits are for values that lie together: of the first of many buckets, no more than this apart.
const WORDS_PER_VALUE: u64 = 32;

enum Values {
    /// One bit per possible value, from the first word's on.
    Bits { first: i64, words: VecDeque<u64> },
    /// All of them.
    List(Vec<i64>),
}

impl Seen {
    fn new(memory: usize, far: bool) -> Self {
        let values = Values::Bits {
            first: 0,
            words: VecDeque::new(),
        };
        Self {
            values,
            again: Vec::new(),
            count: 0,
            memory,
            far,
        }
    }

    /// Whether few of the values were there before, as far as can be told, and all of them fit.
    fn add(&mut self, values: Vec<i64>) -> bool {
        let bounds = values.iter().min().zip(values.iter().max());
        let Some((least, most)) = bounds.map(|(least, most)| (least >> 6, most >> 6)) else {
            return true;
        };
        self.count += values.len() as u64;
        if let Values::Bits { first, words } = &mut self.values {
            let end = first.saturating_add(words.len() as i64);
            let (from, to) = match words.is_empty() {
                true => (least, most + 1),
                false => (least.min(*first), (most + 1).max(end)),
            };
            let most = (self.memory as u64 / 8).min(self.count * WORDS_PER_VALUE);
            if to.abs_diff(from) <= most {
                if words.is_empty() {
                    *first = from;
                }
                for _ in from..*first {
                    words.push_front(0);
                }
                words.resize(usize::try_from(to.abs_diff(from)).unwrap_or(0), 0);
                *first = from;
                for value in values {
                    let at = usize::try_from((value >> 6).abs_diff(from)).ok();
                    let bit = 1_u64 << (value & 63);
                    if let Some(word) = at.and_then(|at| words.get_mut(at)) {
                        if *word & bit != 0 {
                            self.again.push(value);
                        }
                        *word |= bit;
                    }
                }
                self.again.sort_unstable();
                self.again.dedup();
                return self.again.len() <= MOST_SHARED;
            }
            if !self.far {
                return false;
            }
            self.values = Values::List(listed(*first, words));
        }
        let Values::List(list) = &mut self.values else {
            return false;
        };
        list.extend(values);
        list.len() * 8 <= self.memory
    }

    /// The values that came more than once; none where these are many.
    fn shared(self) -> Option<Vec<i64>> {
        let mut shared = self.again;
        let different = match self.values {
            Values::Bits { words, .. } => words.iter().map(|word| word.count_ones() as usize).sum(),
            Values::List(mut list) => {
                list.sort_unstable();
                let twice = list.windows(2).filter(|pair| pair[0] == pair[1]);
                shared.extend(twice.map(|pair| pair[0]));
                shared.sort_unstable();
                shared.dedup();
                list.dedup();
                list.len()
            }
        };
        (shared.len() <= MOST_SHARED.min(different / ONE_IN)).then_some(shared)
    }
}

fn listed(first: i64, words: &VecDeque<u64>) -> Vec<i64> {
    let words = (first..).zip(words);
    let bits = words.flat_map(|(at, word)| {
        (0..64)
            .filter(move |bit| word >> bit & 1 == 1)
            .map(move |bit| (at << 6) + bit)
    });
    bits.collect()
}
