//! What follows from several exact numbers together: a total less its parts, A + B − (A or B), and the like.
//!
//! Each number adds up what every person contributes, so it is a vector over persons. Persons that no number tells
//! apart form an atom. A number may join the others unless some combination of it with them leaves nothing but fewer
//! than k persons. Gaussian elimination finds such a combination: with the largest atoms as pivots, what vanishes on
//! all atoms of at least k persons is exactly what is left of a number after reducing it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use roaring::RoaringTreemap;

/// The field of the elimination: a Mersenne prime, so that no fraction is rounded.
const P: u64 = (1 << 61) - 1;

/// More work than this is not done: the number is withheld.
const MOST_WORK: usize = 3_000_000_000;

/// Numbers as vectors over atoms, and those that were admitted.
#[derive(Debug)]
pub struct Span {
    /// Persons of each atom, the largest first.
    sizes: Vec<u64>,
    /// The numbers, by atom.
    vectors: Vec<Vec<(usize, u64)>>,
    /// The admitted ones, reduced, by pivot.
    basis: BTreeMap<usize, Vec<(usize, u64)>>,
    k: u64,
    work: usize,
}

/// What a person contributes to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One.
    Person,
    /// Its rows.
    Rows,
}

impl Span {
    /// All numbers that will be asked about, by their footprints.
    #[must_use]
    pub fn new(footprints: &[&RoaringTreemap], unit: Unit, k: u32) -> Self {
        // A person's history of numbers names its atom.
        let mut histories: HashMap<u32, u64> = HashMap::new();
        let weight = |element: u64| match unit {
            Unit::Person => 1,
            Unit::Rows => element >> 32,
        };
        for (at, print) in footprints.iter().enumerate() {
            for element in *print {
                let history = histories.entry(person(element)).or_insert(0);
                *history = mixed(*history ^ mixed(at as u64 + 1) ^ weight(element).rotate_left(32));
            }
        }
        let mut counts: HashMap<u64, u64> = HashMap::new();
        for history in histories.values() {
            *counts.entry(*history).or_default() += 1;
        }
        let mut atoms: Vec<(u64, u64)> = counts.into_iter().collect();
        atoms.sort_unstable_by_key(|(history, size)| (Reverse(*size), *history));
        let places: HashMap<u64, usize> = atoms
            .iter()
            .enumerate()
            .map(|(at, (history, _))| (*history, at))
            .collect();
        let vectors = footprints
            .iter()
            .map(|print| {
                let mut vector: BTreeMap<usize, u64> = BTreeMap::new();
                for element in *print {
                    if let Some(place) = histories
                        .get(&person(element))
                        .and_then(|history| places.get(history))
                    {
                        vector.entry(*place).or_insert(weight(element) % P);
                    }
                }
                vector.into_iter().collect()
            })
            .collect();
        Self {
            sizes: atoms.into_iter().map(|(_, size)| size).collect(),
            vectors,
            basis: BTreeMap::new(),
            k: u64::from(k),
            work: 0,
        }
    }

    /// Takes a number in without asking: it was released.
    pub fn take(&mut self, at: usize) {
        if let Some(rest) = self.reduced(at) {
            self.add(rest);
        }
    }

    /// Takes a number in, unless a combination with the others leaves fewer than k persons.
    pub fn admit(&mut self, at: usize) -> bool {
        let Some(rest) = self.reduced(at) else {
            return false;
        };
        let persons: u64 = rest.iter().map(|(atom, _)| self.sizes[*atom]).sum();
        // Nothing left: it follows from the others, and says nothing new.
        if !rest.is_empty() && persons < self.k {
            return false;
        }
        self.add(rest);
        true
    }

    fn reduced(&mut self, at: usize) -> Option<Vec<(usize, u64)>> {
        let mut rest: BTreeMap<usize, u64> = self.vectors[at].iter().copied().collect();
        let mut from = 0;
        while let Some((atom, value)) = rest.range(from..).next().map(|(a, v)| (*a, *v)) {
            from = atom + 1;
            let Some(row) = self.basis.get(&atom) else {
                continue;
            };
            self.work += row.len();
            if self.work > MOST_WORK {
                return None;
            }
            for (column, entry) in row {
                let less = times(value, *entry);
                let left = rest.entry(*column).or_insert(0);
                *left = (*left + P - less) % P;
                if *left == 0 {
                    rest.remove(column);
                }
            }
        }
        Some(rest.into_iter().collect())
    }

    fn add(&mut self, mut row: Vec<(usize, u64)>) {
        let Some((pivot, value)) = row.first().copied() else {
            return;
        };
        let inverse = power(value, P - 2);
        for (_, entry) in &mut row {
            *entry = times(*entry, inverse);
        }
        self.basis.insert(pivot, row);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half of an element is the person"
)]
fn person(element: u64) -> u32 {
    element as u32
}

/// The finaliser of SplitMix64.
fn mixed(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below 2^61"
)]
fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(P)) as u64
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::persons::{Persons, footprint};
    use super::*;

    fn set(members: impl IntoIterator<Item = i64>) -> RoaringTreemap {
        let mut persons = Persons::default();
        for person in members {
            persons.push(person, 0.0);
        }
        footprint(persons.contributions())
    }

    fn admitted(sets: &[RoaringTreemap]) -> Vec<bool> {
        let mut span = Span::new(&sets.iter().collect::<Vec<_>>(), Unit::Person, 11);
        (0..sets.len()).map(|at| span.admit(at)).collect()
    }

    #[test]
    fn a_total_less_its_parts_is_found_even_with_another_person_missing() {
        let groups = [set(0..40), set(40..100)];
        // Persons 100 to 104 are in neither. The total lacks person 7.
        let total = set((0..105).filter(|person| *person != 7));
        assert_eq!(
            admitted(&[groups[0].clone(), groups[1].clone(), total]),
            [true, true, false]
        );
    }

    #[test]
    fn a_tracker_is_found() {
        // |A| + |B| − |A or B| is the one person in both.
        let (a, b) = (set(0..50), set(49..100));
        let either = set(0..100);
        assert_eq!(admitted(&[a, b, either]), [true, true, false]);
        // With enough persons in both it is a number like any other.
        let (a, b) = (set(0..50), set(30..100));
        assert_eq!(admitted(&[a, b, set(0..100)]), [true, true, true]);
    }

    #[test]
    fn what_follows_from_the_others_is_free() {
        let sets = [set(0..50), set(50..100), set(0..100), set(0..50)];
        assert_eq!(admitted(&sets), [true; 4]);
    }

    #[test]
    fn rows_are_a_unit_of_their_own() {
        // One person has a second row in the total that no part has.
        let mut all = Persons::default();
        for person in 0..60 {
            all.push(person, 0.0);
        }
        all.push(5, 0.0);
        let prints = [set(0..30), set(30..60), footprint(all.contributions())];
        let refs: Vec<&RoaringTreemap> = prints.iter().collect();
        let mut by_person = Span::new(&refs, Unit::Person, 11);
        assert!((0..3).all(|at| by_person.admit(at)));
        let mut by_rows = Span::new(&refs, Unit::Rows, 11);
        let admitted: Vec<bool> = (0..3).map(|at| by_rows.admit(at)).collect();
        assert_eq!(admitted, [true, true, false]);
    }
}
