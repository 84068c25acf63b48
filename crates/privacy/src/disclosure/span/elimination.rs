//! The elimination over one field, and what its rows tell of few persons.

use std::collections::{BTreeMap, HashSet};

use super::columns::Columns;
use super::pairs::{Alike, Sparse, sparse};
use super::rows::{Entry, Field, Row, parts};

/// More work than this is not done: the number is withheld.
const MOST_WORK: usize = 20_000_000_000;

/// So many numbers are taken in at a time.
const TOGETHER: usize = 4;

/// A larger prime than this is not looked for: what is left modulo it is left of a few persons' numbers by chance, too.
const LARGEST_PRIME: u64 = 1_000;

/// Takes the pivots of others, of which none has another one's, out of a row. How much work that was.
fn subtract<'a, E: Entry + 'a>(
    field: Field,
    width: usize,
    row: &mut [E],
    others: impl IntoIterator<Item = (&'a usize, &'a Vec<E>)>,
) -> usize {
    let others = others
        .into_iter()
        .map(|(pivot, other)| (row[*pivot].value(), &other[..width]));
    let others: Vec<_> = others.filter(|(factor, _)| *factor != 0).collect();
    E::subtract(field, &mut row[..width], &others);
    others.len() * width
}

fn pivots<E>(rows: &[(usize, Vec<E>)]) -> impl Iterator<Item = (&usize, &Vec<E>)> {
    rows.iter().map(|(pivot, row)| (pivot, row))
}

/// Numbers that were taken in, reduced, by pivot.
#[derive(Debug)]
pub(super) struct Elimination<E> {
    field: Field,
    /// Which of the columns' vectors are over the field.
    vectors: usize,
    basis: BTreeMap<usize, Vec<E>>,
    /// What is behind so many columns is zero of all: the factors of numbers that were not asked about.
    width: usize,
    work: usize,
    /// Of small atoms the last is a pivot, and not the first.
    backwards: bool,
}

/// A number that was taken in.
pub(super) struct Added {
    pivot: usize,
    /// The rows that had its first column, and how many times.
    taken_out: Vec<(usize, u32)>,
}

/// What the others say of a number.
pub(super) enum Rest<E> {
    /// Nothing but this: it was taken in.
    News(Added),
    /// All of it, by this combination.
    Nobody(Vec<E>),
    /// That was too much to look at.
    Much,
}

/// What rows tell of few persons.
pub(super) enum Told {
    Nothing,
    /// By this combination.
    By(Row),
    /// That was too much to look at.
    Much,
}

impl<E: Entry> Elimination<E> {
    pub(super) fn over(field: Field, vectors: usize) -> Self {
        Self {
            field,
            vectors,
            basis: BTreeMap::new(),
            width: 0,
            work: 0,
            backwards: false,
        }
    }

    /// The same with other pivots.
    pub(super) fn backwards(self) -> Self {
        Self {
            backwards: true,
            ..self
        }
    }

    /// Takes in what is left of each.
    pub(super) fn take_all(&mut self, columns: &Columns, numbers: &[usize], k: u64) {
        for numbers in numbers.chunks(TOGETHER) {
            let Some(rests) = self.reduced(columns, numbers) else {
                return;
            };
            let mut new: Vec<(usize, Vec<E>)> = Vec::with_capacity(rests.len());
            for mut rest in rests {
                self.work += subtract(self.field, self.width, &mut rest, pivots(&new));
                let Some(pivot) = self.pivot(columns, &rest, k) else {
                    continue;
                };
                self.normalise(&mut rest, pivot);
                for (_, row) in &mut new {
                    subtract(self.field, self.width, row, [(&pivot, &rest)]);
                }
                new.push((pivot, rest));
            }
            for row in self.basis.values_mut() {
                self.work += subtract(self.field, self.width, row, pivots(&new));
            }
            self.basis.extend(new);
        }
    }

    /// Takes in what the others leave of a number.
    pub(super) fn take(&mut self, columns: &Columns, at: usize, k: u64) -> Rest<E> {
        let rest = self.reduced(columns, &[at]).and_then(|mut all| all.pop());
        let Some(rest) = rest else {
            return Rest::Much;
        };
        match self.pivot(columns, &rest, k) {
            Some(pivot) => Rest::News(self.add(pivot, rest)),
            None => Rest::Nobody(rest),
        }
    }

    fn pivot(&self, columns: &Columns, rest: &[E], k: u64) -> Option<usize> {
        let first = columns.first(rest)?;
        Some(match self.backwards && columns.sizes[first] < k {
            true => columns.last(rest).unwrap_or(first),
            false => first,
        })
    }

    /// What the others leave of each number.
    fn reduced(&mut self, columns: &Columns, numbers: &[usize]) -> Option<Vec<Vec<E>>> {
        let mut rests = Vec::with_capacity(numbers.len());
        for at in numbers {
            let mut rest = vec![E::default(); columns.sizes.len()];
            for (column, value) in &columns.vectors[self.vectors][*at] {
                rest[*column] = E::of(*value);
            }
            rests.push(rest);
            self.width = self.width.max(columns.people + at + 1);
        }
        // No row has another one's pivot, so that they can be taken out in any order. Some rows at a time stay near for all numbers.
        let rows: Vec<_> = self.basis.iter().collect();
        for rows in rows.chunks(TOGETHER) {
            for rest in &mut rests {
                self.work += subtract(self.field, self.width, rest, rows.iter().copied());
            }
        }
        (self.work <= MOST_WORK).then_some(rests)
    }

    /// Adds what is left of a number, and takes its first column out of the other rows.
    fn add(&mut self, pivot: usize, mut new: Vec<E>) -> Added {
        self.normalise(&mut new, pivot);
        let mut taken_out = Vec::new();
        for (of, row) in &mut self.basis {
            let value = row[pivot].value();
            if value != 0 {
                self.work += subtract(self.field, self.width, row, [(&pivot, &new)]);
                taken_out.push((*of, value));
            }
        }
        self.basis.insert(pivot, new);
        Added { pivot, taken_out }
    }

    /// Makes the entry of its pivot one.
    fn normalise(&self, row: &mut [E], pivot: usize) {
        let inverse = self.field.inverse(u64::from(row[pivot].value()));
        self.field.scale(row, inverse);
    }

    /// Takes a number out again.
    pub(super) fn undo(&mut self, added: &Added) {
        let field = self.field;
        let Some(new) = self.basis.remove(&added.pivot) else {
            return;
        };
        for (of, value) in &added.taken_out {
            if let Some(row) = self.basis.get_mut(of) {
                E::subtract(field, row, &[(field.negative(*value), new.as_slice())]);
            }
        }
    }

    /// The pivots of few persons whose rows have changed, in the order in which they are looked at. Every combination of rows has all
    /// their pivots in it, so that small pivots alone matter.
    fn changed(columns: &Columns, added: &Added, k: u64) -> Vec<usize> {
        let others = added.taken_out.iter().map(|(pivot, _)| *pivot);
        let all = [added.pivot].into_iter().chain(others);
        all.filter(|pivot| columns.sizes[*pivot] < k).collect()
    }

    /// One of the rows that have changed that leaves fewer than k persons.
    pub(super) fn few(&self, columns: &Columns, added: &Added, k: u64) -> Option<&[E]> {
        let mut few: Vec<(u64, &Vec<E>)> = Self::changed(columns, added, k)
            .iter()
            .map(|pivot| &self.basis[pivot])
            .map(|row| (columns.seem_left(row), row))
            .filter(|(persons, _)| *persons < k)
            .collect();
        few.sort_by_key(|(persons, _)| *persons);
        let found = few
            .into_iter()
            .find(|(_, row)| columns.left(row, self.field) < k);
        found.map(|(_, row)| row.as_slice())
    }
}

impl Elimination<u32> {
    /// Whether one of the rows that have changed, or two rows of which it is one, leave fewer than k persons by this number.
    pub(super) fn tells_of_few(
        &mut self,
        columns: &Columns,
        added: &Added,
        at: usize,
        k: u64,
    ) -> Told {
        let field = self.field;
        let own_factor = columns.people + at;
        if let Some(row) = self.few(columns, added, k) {
            return Told::By(row.to_vec());
        }
        let changed = Self::changed(columns, added, k);
        if changed.is_empty() {
            return Told::Nothing;
        }
        let is_small = |pivot: &usize| columns.sizes[*pivot] < k;
        let (pivots, rows): (Vec<usize>, Vec<Sparse>) = self
            .basis
            .iter()
            .filter(|(pivot, _)| is_small(pivot))
            .map(|(pivot, row)| (*pivot, sparse(&row[..columns.people])))
            .unzip();
        let alike = Alike::of(rows, columns.people, k);
        let new: HashSet<usize> = changed.iter().copied().collect();
        for own in changed {
            let Ok(at) = pivots.binary_search(&own) else {
                continue;
            };
            let others = alike.with(at);
            self.work += others.len();
            for other in others {
                let pivot = pivots[other];
                // Of two that have changed the later one looks at both.
                let again = pivot > own && new.contains(&pivot);
                if again || columns.sizes[pivot] + columns.sizes[own] >= k {
                    continue;
                }
                for ratio in alike.ratios(at, other, &columns.sizes) {
                    let mut both = self.basis[&own].clone();
                    let other = (field.small(ratio), self.basis[&pivot].as_slice());
                    u32::subtract(field, &mut both, &[other]);
                    // Without it they said so before.
                    if both[own_factor] != 0 && columns.left(&both, field) < k {
                        return Told::By(both);
                    }
                }
            }
        }
        // Too much to be sure.
        if self.work > MOST_WORK {
            Told::Much
        } else {
            Told::Nothing
        }
    }

    /// Whether one of the rows that have changed leaves fewer than k persons modulo a prime: so many times a large group and those of a
    /// few, of which the remainder tells. Entries of two atoms in one column say nothing of either.
    pub(super) fn leaves_few_modulo(&self, columns: &Columns, added: &Added, k: u64) -> bool {
        let pivots = added.taken_out.iter().map(|(pivot, _)| *pivot);
        let mut rows = pivots.chain([added.pivot]).map(|pivot| &self.basis[&pivot]);
        columns.are_of_atoms() && rows.any(|row| left_modulo(row, columns) < k)
    }
}

/// The fewest persons that a row of the large field leaves modulo any prime, where its numbers are taken whole times.
fn left_modulo(row: &[u32], columns: &Columns) -> u64 {
    let fraction =
        |entry: u32| parts(u64::from(entry).min(Field::LARGE.prime() - u64::from(entry)));
    // The persons of each entry, which is a fraction; none where it is none that is known. The numbers' factors are nobody.
    let mut persons: BTreeMap<Option<(u64, u64)>, u64> = BTreeMap::new();
    for (entry, size) in row.iter().zip(&columns.sizes) {
        if *entry != 0 {
            *persons.entry(fraction(*entry)).or_default() += size;
        }
    }
    let known = || persons.keys().flatten();
    let parts = known().flat_map(|(above, below)| [*above, *below]);
    let mut primes: Vec<u64> = parts.flat_map(primes).collect();
    primes.sort_unstable();
    primes.dedup();
    let left = |prime: u64| {
        let power = |of: &(u64, u64)| exponent(of.0, prime) - exponent(of.1, prime);
        let least = known().map(power).min().unwrap_or(0);
        let stays = |of: &Option<(u64, u64)>| of.as_ref().is_none_or(|of| power(of) == least);
        let stay = persons.iter().filter(|(of, _)| stays(of));
        stay.map(|(_, size)| size).sum()
    };
    primes.into_iter().map(left).min().unwrap_or(u64::MAX)
}

/// How often a prime divides a number.
fn exponent(mut number: u64, prime: u64) -> i32 {
    let mut times = 0;
    while number > 0 && number.is_multiple_of(prime) {
        number /= prime;
        times += 1;
    }
    times
}

/// The primes that divide a number below 2^15, but for those above the largest that is looked for.
fn primes(mut number: u64) -> Vec<u64> {
    let mut all = Vec::new();
    let mut prime = 2;
    while prime * prime <= number {
        if number.is_multiple_of(prime) {
            all.push(prime);
            while number.is_multiple_of(prime) {
                number /= prime;
            }
        }
        prime += 1;
    }
    all.extend(Some(number).filter(|rest| (2..=LARGEST_PRIME).contains(rest)));
    all
}

#[cfg(test)]
mod tests {
    use roaring::RoaringTreemap;

    use super::super::columns::Unit;
    use super::*;
    use crate::disclosure::sketch::mixed;

    /// With and without other pivots, over each kind of field.
    #[test]
    fn numbers_that_are_taken_in_together_leave_what_they_leave_one_by_one() {
        let bit = |person: u64, bit: u64| mixed(person) >> bit & 1 == 1;
        let sets: Vec<RoaringTreemap> = (0..30_u64)
            .map(|set| {
                let in_one =
                    |person: u64| bit(person, set % 20) && (set < 20 || bit(person, set - 15));
                (0..900)
                    .filter(|person| in_one(person / 3 % 200))
                    .map(|person| person | 1 << 32)
                    .collect()
            })
            .collect();
        let numbers: Vec<_> = sets.iter().map(|print| (print, Unit::Person)).collect();
        let fields = [Field::LARGE, Field::of(2), Field::of(31)];
        let columns = Columns::of(&numbers, 6, &fields);
        let all: Vec<usize> = (3..30).chain([1]).collect();
        fn same<E: Entry + PartialEq>(
            start: impl Fn() -> Elimination<E>,
            columns: &Columns,
            all: &[usize],
        ) {
            let (mut together, mut each) = (start(), start());
            together.take_all(columns, all, 6);
            for at in all {
                each.take(columns, *at, 6);
            }
            assert!(together.basis.len() > 15);
            assert_eq!(together.basis, each.basis);
        }
        same(|| Elimination::<u32>::over(fields[0], 0), &columns, &all);
        same(
            || Elimination::<u32>::over(fields[0], 0).backwards(),
            &columns,
            &all,
        );
        same(|| Elimination::<u16>::over(fields[1], 1), &columns, &all);
        same(
            || Elimination::<u16>::over(fields[2], 2).backwards(),
            &columns,
            &all,
        );
    }
}
