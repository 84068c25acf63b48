//! Persons as columns: those that no number tells apart are one atom, and atoms of one size may share a column.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use roaring::RoaringTreemap;

use super::super::everybody::Everybody;
use super::super::sketch::mixed;
use super::rows::{Entry, Field};

/// So many columns, and one for each number, are shared by all atoms, by those of each size in proportion to how many they are.
const SHARED: usize = 1_024;

/// So many columns are for the atoms of one size, at least.
const LEAST: usize = 64;

/// What is not zero of a number, by column.
type Vector = Vec<(usize, u32)>;

/// What a person contributes to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One.
    Person,
    /// Its rows.
    Rows,
}

impl Unit {
    fn weight(self, element: u64) -> u64 {
        match self {
            Self::Person => 1,
            Self::Rows => element >> 32,
        }
    }
}

/// Numbers as vectors over columns.
#[derive(Debug)]
pub(super) struct Columns {
    /// Persons of each column, the most first: all that it has where it is of one atom, and of one atom where several share it. The
    /// factor of each number comes after them, and is nobody.
    pub(super) sizes: Vec<u64>,
    /// So many columns are of persons.
    pub(super) people: usize,
    /// What is not zero of the numbers, by field and by column.
    pub(super) vectors: Vec<Vec<Vector>>,
    /// Their persons, where atoms share columns.
    together: Option<Together>,
}

impl Columns {
    /// All numbers that will be asked about, by their footprints.
    pub(super) fn of(numbers: &[(&RoaringTreemap, Unit)], k: u64, fields: &[Field]) -> Self {
        Self::within(numbers, k, fields, SHARED + numbers.len())
    }

    /// The same with so many columns.
    pub(super) fn within(
        numbers: &[(&RoaringTreemap, Unit)],
        k: u64,
        fields: &[Field],
        most: usize,
    ) -> Self {
        // A person's history of numbers names its atom. Whoever chooses the numbers could make two of them one under a key that is
        // known, and there is one that nobody knows beside it; the known one gives atoms the same order each time.
        let secret = RandomState::new();
        let everybody = Everybody::of(numbers.iter().map(|(print, _)| *print));
        let mut histories: Vec<History> = vec![(0, 0); everybody.places];
        for (at, (print, unit)) in numbers.iter().enumerate() {
            let own = (mixed(at as u64 + 1), secret.hash_one(at));
            for element in print.iter() {
                let history = &mut histories[everybody.place(person(element))];
                let weight = unit.weight(element).rotate_left(32);
                *history = (
                    mixed(history.0 ^ own.0 ^ weight),
                    mixed(history.1 ^ own.1 ^ weight),
                );
            }
        }
        let mut counts: HashMap<History, u64> = HashMap::new();
        for history in histories.iter().filter(|history| **history != (0, 0)) {
            *counts.entry(*history).or_default() += 1;
        }
        let mut atoms: Vec<(History, u64)> = counts.into_iter().collect();
        atoms.sort_unstable_by_key(|(history, size)| (Reverse(*size), *history));
        let mut sizes: Vec<u64> = Vec::new();
        // Of each atom its column, and what its factor there is made of.
        let mut places: Vec<(usize, u64)> = Vec::with_capacity(atoms.len());
        let mut shared = false;
        // What is of k persons or more is not few, however many they are.
        let class = |size: u64| size.min(k);
        for of_class in atoms.chunk_by(|one, next| class(one.1) == class(next.1)) {
            let first = sizes.len();
            let most = match atoms.len() <= most {
                true => most,
                false => (most * of_class.len() / atoms.len()).max(LEAST),
            };
            if of_class.len() <= most {
                sizes.extend(of_class.iter().map(|(_, size)| *size));
                places.extend((first..sizes.len()).map(|column| (column, 0)));
                continue;
            }
            shared = true;
            sizes.resize(first + most, class(of_class[0].1));
            places.extend(
                of_class
                    .iter()
                    .zip(0..)
                    .map(|((history, _), at)| (first + at % most, mixed(history.0))),
            );
        }
        let columns = sizes.len();
        sizes.resize(columns + numbers.len(), 0);
        let ranks: HashMap<History, usize> =
            atoms.iter().map(|(history, _)| *history).zip(0..).collect();
        let atom_of: Vec<Option<usize>> = histories
            .iter()
            .map(|history| ranks.get(history).copied())
            .collect();
        // By field, of each atom.
        let factors: Vec<Vec<u32>> = fields
            .iter()
            .map(|field| {
                let factor =
                    |(_, mixed): &(usize, u64)| field.small(mixed % (field.prime() - 1) + 1);
                places.iter().map(factor).collect()
            })
            .collect();
        let mut last: Vec<usize> = vec![0; atoms.len()];
        let mut sums: Vec<Vec<u32>> = vec![vec![0; columns]; fields.len()];
        let mut theirs: Vec<usize> = Vec::new();
        let mut vectors: Vec<Vec<Vector>> = vec![Vec::with_capacity(numbers.len()); fields.len()];
        for (at, (print, unit)) in numbers.iter().enumerate() {
            for element in print.iter() {
                // All persons of an atom contribute the same.
                if let Some(atom) = atom_of[everybody.place(person(element))]
                    && std::mem::replace(&mut last[atom], at + 1) != at + 1
                {
                    let (column, weight) = (places[atom].0, unit.weight(element));
                    for ((field, sums), factors) in fields.iter().zip(&mut sums).zip(&factors) {
                        sums[column] = match *field {
                            Field::LARGE => {
                                let weight = u64::from(field.small(weight));
                                let own = field.times(weight, factors[atom].into());
                                field.small(u64::from(sums[column]) + own)
                            }
                            // Less than 2^10: those of all atoms are no large number.
                            _ => sums[column] + field.small(weight) * factors[atom],
                        };
                    }
                    theirs.push(column);
                }
            }
            theirs.sort_unstable();
            theirs.dedup();
            for ((vectors, sums), field) in vectors.iter_mut().zip(&mut sums).zip(fields) {
                let vector = theirs.iter().filter_map(|column| {
                    let sum = field.small(std::mem::take(&mut sums[*column]).into());
                    (sum != 0).then_some((*column, sum))
                });
                vectors.push(vector.chain([(columns + at, 1)]).collect());
            }
            theirs.clear();
        }
        Self {
            vectors,
            sizes,
            people: columns,
            together: shared.then(|| Together {
                numbers: numbers
                    .iter()
                    .map(|(print, unit)| ((*print).clone(), *unit))
                    .collect(),
                everybody,
            }),
        }
    }

    /// The first column of persons that a row has; none where it leaves nobody.
    pub(super) fn first<E: Entry>(&self, row: &[E]) -> Option<usize> {
        row[..self.people]
            .iter()
            .position(|entry| entry.value() != 0)
    }

    /// The last one.
    pub(super) fn last<E: Entry>(&self, row: &[E]) -> Option<usize> {
        row[..self.people]
            .iter()
            .rposition(|entry| entry.value() != 0)
    }

    /// Whether each atom has a column of its own.
    pub(super) fn are_of_atoms(&self) -> bool {
        self.together.is_none()
    }

    /// How many persons a row leaves.
    pub(super) fn left<E: Entry>(&self, row: &[E], field: Field) -> u64 {
        match &self.together {
            None => self.seem_left(row),
            Some(together) => {
                let factors = row[self.people..].iter().enumerate();
                let factors = factors.map(|(at, factor)| (at, u64::from(factor.value())));
                together.left(factors.filter(|(_, factor)| *factor != 0), field)
            }
        }
    }

    /// What is seen of that: fewer where atoms share columns.
    pub(super) fn seem_left<E: Entry>(&self, row: &[E]) -> u64 {
        let columns = row.iter().zip(&self.sizes);
        columns
            .filter(|(entry, _)| entry.value() != 0)
            .map(|(_, size)| *size)
            .sum()
    }
}

/// The numbers that a person has, under a known key and a secret one.
type History = (u64, u64);

/// The persons of all numbers.
#[derive(Debug)]
struct Together {
    numbers: Vec<(RoaringTreemap, Unit)>,
    everybody: Everybody,
}

impl Together {
    /// How many persons numbers with these factors leave.
    fn left(&self, factors: impl Iterator<Item = (usize, u64)>, field: Field) -> u64 {
        let prime = field.prime();
        let mut sums: HashMap<usize, u64> = HashMap::new();
        for (at, factor) in factors {
            let (print, unit) = &self.numbers[at];
            for element in print {
                let own = field.times(unit.weight(element) % prime, factor);
                let sum = sums
                    .entry(self.everybody.place(person(element)))
                    .or_default();
                *sum = (*sum + own) % prime;
            }
        }
        sums.into_values().filter(|sum| *sum != 0).count() as u64
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half of an element is the person"
)]
pub(super) fn person(element: u64) -> u32 {
    element as u32
}
