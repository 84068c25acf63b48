//! What follows from several exact numbers together: a total less its parts, A + B − (A or B), and the like.
//!
//! Each number adds up what every person contributes, so it is a vector over persons. Persons that no number tells
//! apart form an atom. A number may join the others unless some combination of it with them leaves nothing but fewer
//! than k persons. Gauss-Jordan elimination, with the largest atoms as pivots, finds such a combination: each row is what is left
//! of numbers in its own pivot and in atoms that are nobody's pivot. What leaves fewer than k persons is looked for in each row,
//! and in each two rows with any factors. Beside its atoms each row has the factors of the numbers that it is made of, so that it
//! is known what a number that leaves few, or nobody, follows from. (Fewest persons of any combination is the least weight of a word of a linear
//! code, which takes exponential time: three small pivots at once are not looked at.)
//!
//! After many questions nearly every person is an atom. Atoms of one size, or of k persons and more, share columns where there are
//! many, each with another factor: the elimination takes as long for a million persons as for some thousand. A combination that
//! leaves few persons leaves few columns, and one that leaves few columns is looked at person by person.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roaring::RoaringTreemap;

use super::everybody::Everybody;
use super::sketch::mixed;

/// The field of the elimination: a Mersenne prime, so that no fraction is rounded.
const P: u64 = (1 << 31) - 1;

/// More work than this is not done: the number is withheld.
const MOST_WORK: usize = 3_000_000_000;

/// So many columns, and two for each number, are shared by atoms of one size.
const SHARED: usize = 1_024;

/// Numbers as vectors over columns, and those that were admitted.
#[derive(Debug)]
pub struct Span {
    /// Persons of each column, the most first: all that it has where it is of one atom, and of one atom where several share it. The
    /// factor of each number comes after them, and is nobody.
    sizes: Vec<u64>,
    columns: usize,
    /// The numbers, by column.
    vectors: Vec<Row>,
    /// Their persons, where atoms share columns.
    persons: Option<Together>,
    /// The admitted ones, reduced, by pivot.
    basis: BTreeMap<usize, Row>,
    /// For each column the pivots of the rows that had it when they were added.
    holders: HashMap<usize, Vec<usize>>,
    /// The pivots of rows that have changed since.
    filled: BTreeSet<usize>,
    k: u64,
    work: usize,
}

/// The persons of all numbers.
#[derive(Debug)]
struct Together {
    prints: Vec<RoaringTreemap>,
    everybody: Everybody,
    unit: Unit,
}

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

impl Together {
    /// How many persons numbers with these factors leave.
    fn left(&self, factors: impl Iterator<Item = (usize, u64)>) -> u64 {
        let mut sums: HashMap<usize, u64> = HashMap::new();
        for (at, factor) in factors {
            for element in &self.prints[at] {
                let own = times(self.unit.weight(element) % P, factor);
                let sum = sums
                    .entry(self.everybody.place(person(element)))
                    .or_default();
                *sum = (*sum + own) % P;
            }
        }
        sums.into_values().filter(|sum| *sum != 0).count() as u64
    }
}

/// What became of a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Admitted {
    /// It joined the others.
    New,
    /// Combined so, the others leave this many persons of it, fewer than k, or nobody.
    Follows {
        /// How many.
        left: u64,
        /// The numbers, with their factors.
        from: Vec<(usize, f64)>,
    },
    /// So do others, by factors that are not known.
    Few,
}

impl Span {
    /// All numbers that will be asked about, by their footprints.
    #[must_use]
    pub fn new(footprints: &[&RoaringTreemap], unit: Unit, k: u32) -> Self {
        Self::within(footprints, unit, k, SHARED.max(2 * footprints.len()))
    }

    /// The same with so many columns for the atoms of one size.
    fn within(footprints: &[&RoaringTreemap], unit: Unit, k: u32, most: usize) -> Self {
        // A person's history of numbers names its atom.
        let everybody = Everybody::of(footprints);
        let mut histories: Vec<u64> = vec![0; everybody.places];
        for (at, print) in footprints.iter().enumerate() {
            let own = mixed(at as u64 + 1);
            for element in *print {
                let history = &mut histories[everybody.place(person(element))];
                *history = mixed(*history ^ own ^ unit.weight(element).rotate_left(32));
            }
        }
        let mut counts: HashMap<u64, u64> = HashMap::new();
        for history in histories.iter().filter(|history| **history != 0) {
            *counts.entry(*history).or_default() += 1;
        }
        let mut atoms: Vec<(u64, u64)> = counts.into_iter().collect();
        atoms.sort_unstable_by_key(|(history, size)| (Reverse(*size), *history));
        let mut sizes: Vec<u64> = Vec::new();
        // Of each atom its column, and its factor there.
        let mut places: Vec<(usize, u64)> = Vec::with_capacity(atoms.len());
        let mut shared = false;
        // What is of k persons or more is not few, however many they are.
        let class = |size: u64| size.min(u64::from(k));
        for of_class in atoms.chunk_by(|one, next| class(one.1) == class(next.1)) {
            let first = sizes.len();
            if of_class.len() <= most {
                sizes.extend(of_class.iter().map(|(_, size)| *size));
                places.extend((first..sizes.len()).map(|column| (column, 1)));
                continue;
            }
            shared = true;
            sizes.resize(first + most, class(of_class[0].1));
            let factor = |history: u64| mixed(history) % (P - 1) + 1;
            places.extend(
                of_class
                    .iter()
                    .zip(0..)
                    .map(|((history, _), at)| (first + at % most, factor(*history))),
            );
        }
        let columns = sizes.len();
        sizes.resize(columns + footprints.len(), 0);
        let ranks: HashMap<u64, usize> =
            atoms.iter().map(|(history, _)| *history).zip(0..).collect();
        let atom_of: Vec<Option<usize>> = histories
            .iter()
            .map(|history| ranks.get(history).copied())
            .collect();
        let mut last: Vec<usize> = vec![0; atoms.len()];
        let mut sums: Vec<u64> = vec![0; columns];
        let mut theirs: Vec<usize> = Vec::new();
        let vectors = footprints.iter().enumerate().map(|(at, print)| {
            for element in *print {
                // All persons of an atom contribute the same.
                if let Some(atom) = atom_of[everybody.place(person(element))]
                    && std::mem::replace(&mut last[atom], at + 1) != at + 1
                {
                    let (column, factor) = places[atom];
                    let own = times(unit.weight(element) % P, factor);
                    sums[column] = (sums[column] + own) % P;
                    theirs.push(column);
                }
            }
            theirs.sort_unstable();
            let vector = theirs.drain(..).filter_map(|column| {
                let sum = std::mem::take(&mut sums[column]);
                (sum != 0).then_some((column, sum))
            });
            vector.chain([(columns + at, 1)]).collect()
        });
        Self {
            vectors: vectors.collect(),
            sizes,
            columns,
            persons: shared.then(|| Together {
                prints: footprints.iter().copied().cloned().collect(),
                everybody,
                unit,
            }),
            basis: BTreeMap::new(),
            holders: HashMap::new(),
            filled: BTreeSet::new(),
            k: u64::from(k),
            work: 0,
        }
    }

    /// Takes a number in without asking: it was released.
    pub fn take(&mut self, at: usize) {
        if let Some(rest) = self.reduced(at)
            && !self.is_nobody(&rest)
        {
            self.add(rest);
        }
    }

    fn is_nobody(&self, row: &[(usize, u64)]) -> bool {
        row.first().is_none_or(|(atom, _)| *atom >= self.columns)
    }

    /// Takes a number in, unless a combination with the others leaves fewer than k persons, or nobody.
    pub fn admit(&mut self, at: usize) -> Admitted {
        self.tried(at, true)
    }

    /// What would become of a number that is not taken in.
    pub fn asked(&mut self, at: usize) -> Admitted {
        self.tried(at, false)
    }

    fn tried(&mut self, at: usize, take: bool) -> Admitted {
        let Some(rest) = self.reduced(at) else {
            return Admitted::Few;
        };
        if self.is_nobody(&rest) {
            return self.follows(at, &rest);
        }
        let changed = self.add(rest);
        let told = self.tells_of_few(&changed);
        if take && matches!(told, Told::Nothing) {
            return Admitted::New;
        }
        for (pivot, before) in changed {
            match before {
                Some(row) => self.basis.insert(pivot, row),
                None => self.basis.remove(&pivot),
            };
        }
        match told {
            Told::By(row) => self.follows(at, &row),
            Told::Nothing => Admitted::New,
            Told::Much => Admitted::Few,
        }
    }

    /// What a number follows from, by a row that leaves few persons or nobody.
    fn follows(&self, at: usize, row: &[(usize, u64)]) -> Admitted {
        let own = row.iter().find(|(atom, _)| *atom == self.columns + at);
        let Some((_, own)) = own else {
            return Admitted::Few;
        };
        let inverse = P - power(*own, P - 2);
        let others = row
            .iter()
            .filter(|(atom, _)| *atom >= self.columns && *atom != self.columns + at);
        let from: Option<Vec<(usize, f64)>> = others
            .map(|(atom, factor)| Some((atom - self.columns, fraction(times(*factor, inverse))?)))
            .collect();
        match from {
            Some(from) => Admitted::Follows {
                left: self.left(row),
                from,
            },
            None => Admitted::Few,
        }
    }

    /// How many persons a row leaves.
    fn left(&self, row: &[(usize, u64)]) -> u64 {
        let of = |(column, _): &(usize, u64)| self.sizes[*column];
        match &self.persons {
            None => row.iter().map(of).sum(),
            Some(together) => {
                let factors = row.iter().filter(|(column, _)| *column >= self.columns);
                together.left(factors.map(|(column, factor)| (*column - self.columns, *factor)))
            }
        }
    }

    /// The row leaves fewer than k persons, as it seems to.
    fn leaves_few(&self, row: &[(usize, u64)]) -> bool {
        self.persons.is_none() || self.left(row) < self.k
    }

    fn reduced(&mut self, at: usize) -> Option<Row> {
        let mut rest: BTreeMap<usize, u64> = self.vectors[at].iter().copied().collect();
        let mut from = 0;
        while rest.len() < self.columns / 16
            && let Some((atom, value)) = rest.range(from..).next().map(|(a, v)| (*a, *v))
        {
            from = atom + 1;
            let Some(row) = self.basis.get(&atom) else {
                continue;
            };
            self.work += row.len();
            if self.work > MOST_WORK {
                return None;
            }
            for (column, entry) in row {
                let left = rest.entry(*column).or_insert(0);
                *left = (*left + P - times(value, *entry)) % P;
                if *left == 0 {
                    rest.remove(column);
                }
            }
        }
        if rest.range(from..).next().is_none() {
            return Some(rest.into_iter().collect());
        }
        // With most atoms in it, every atom has a place.
        let mut places = vec![0; self.sizes.len()];
        for (atom, value) in rest {
            places[atom] = value;
        }
        for atom in from..places.len() {
            let value = places[atom];
            let row = (value != 0).then(|| self.basis.get(&atom)).flatten();
            let Some(row) = row else { continue };
            self.work += row.len();
            if self.work > MOST_WORK {
                return None;
            }
            for (column, entry) in row {
                places[*column] = (places[*column] + P - times(value, *entry)) % P;
            }
        }
        let left = places.into_iter().enumerate();
        Some(left.filter(|(_, value)| *value != 0).collect())
    }

    /// Adds what is left of a number, and takes its first atom out of the other rows. The rows that are new or others now, as they
    /// were before.
    fn add(&mut self, mut new: Row) -> Vec<(usize, Option<Row>)> {
        let Some((pivot, value)) = new.first().copied() else {
            return Vec::new();
        };
        let inverse = power(value, P - 2);
        for (_, entry) in &mut new {
            *entry = times(*entry, inverse);
        }
        let mut changed = vec![(pivot, None)];
        let mut holding = self.filled.clone();
        holding.extend(self.holders.remove(&pivot).unwrap_or_default());
        for of in holding {
            let Some(row) = self.basis.get_mut(&of) else {
                continue;
            };
            let Ok(place) = row.binary_search_by_key(&pivot, |(atom, _)| *atom) else {
                continue;
            };
            self.work += row.len() + new.len();
            let less = less(row, row[place].1, &new);
            changed.push((of, Some(std::mem::replace(row, less))));
            self.filled.insert(of);
        }
        for (atom, _) in new.iter().filter(|(atom, _)| *atom < self.columns) {
            self.holders.entry(*atom).or_default().push(pivot);
        }
        self.basis.insert(pivot, new);
        changed
    }

    /// Whether one of these rows, or two rows of which it is one, leave fewer than k persons. Every combination of rows has all
    /// their pivots in it, so that small pivots alone matter.
    fn tells_of_few(&mut self, changed: &[(usize, Option<Row>)]) -> Told {
        let rows = || {
            changed
                .iter()
                .filter_map(|(pivot, _)| self.basis.get(pivot))
        };
        let (sizes, k) = (&self.sizes, self.k);
        let new: HashSet<&usize> = changed.iter().map(|(pivot, _)| pivot).collect();
        let most = usize::try_from(k).unwrap_or(usize::MAX);
        let width = |row: &Row| row.partition_point(|(column, _)| *column < self.columns);
        let mut looked = 0;
        let persons = |row: &Row| -> u64 { row.iter().map(|(column, _)| sizes[*column]).sum() };
        let mut few: Vec<(u64, &Row)> = rows()
            .map(|row| (persons(row), row))
            .filter(|(persons, _)| *persons < k)
            .collect();
        few.sort_by_key(|(persons, _)| *persons);
        if let Some((_, row)) = few.into_iter().find(|(_, row)| self.leaves_few(row)) {
            return Told::By(row.clone());
        }
        for row in rows() {
            let Some((pivot, _)) = row.first().filter(|(pivot, _)| sizes[*pivot] < k) else {
                continue;
            };
            let wide = width(row);
            for (other, beside) in &self.basis {
                // Of two that have changed the later one looks at both.
                let again = other > pivot && new.contains(other);
                let few = sizes[*other] + sizes[*pivot] < k;
                if other == pivot || again || !few || wide.abs_diff(width(beside)) >= most {
                    continue;
                }
                looked += 1;
                for ratio in leave_few(row, beside, sizes, k) {
                    let both = less(row, ratio, beside);
                    if self.leaves_few(&both) {
                        return Told::By(both);
                    }
                }
            }
        }
        self.work += looked;
        // Too much to be sure.
        if self.work > MOST_WORK {
            Told::Much
        } else {
            Told::Nothing
        }
    }
}

/// What rows tell of few persons.
enum Told {
    Nothing,
    /// By this combination.
    By(Row),
    /// That was too much to look at.
    Much,
}

/// A small fraction that is this number of the field.
fn fraction(number: u64) -> Option<f64> {
    const LARGEST: u64 = 1 << 12;
    (1..=12).find_map(|below| {
        let above = times(number, below);
        let whole = |above: u64| (above <= LARGEST).then(|| above as f64 / below as f64);
        whole(above).or_else(|| whole(P - above).map(|number| -number))
    })
}

/// A number as what is left of it by atom, in their order.
type Row = Vec<(usize, u64)>;

/// Entries of two rows by atom, zero where there is none.
fn beside<'a>(
    a: &'a [(usize, u64)],
    b: &'a [(usize, u64)],
) -> impl Iterator<Item = (usize, u64, u64)> + 'a {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || {
        let atom = match (a.peek(), b.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((atom, _)), None) | (None, Some((atom, _))) => *atom,
            (None, None) => return None,
        };
        let x = a
            .next_if(|(of, _)| *of == atom)
            .map_or(0, |(_, value)| value);
        let y = b
            .next_if(|(of, _)| *of == atom)
            .map_or(0, |(_, value)| value);
        Some((atom, x, y))
    })
}

/// A row less a multiple of another.
fn less(row: &[(usize, u64)], factor: u64, other: &[(usize, u64)]) -> Row {
    let factor = P - factor;
    let mut left = Row::with_capacity(row.len() + other.len());
    let mut rest = other;
    for (column, value) in row {
        while let [(before, own), after @ ..] = rest
            && before < column
        {
            left.push((*before, times(factor, *own)));
            rest = after;
        }
        match rest {
            [(same, own), after @ ..] if same == column => {
                rest = after;
                let sum = value + times(factor, *own);
                let sum = if sum >= P { sum - P } else { sum };
                if sum != 0 {
                    left.push((*column, sum));
                }
            }
            _ => left.push((*column, *value)),
        }
    }
    left.extend(
        rest.iter()
            .map(|(column, own)| (*column, times(factor, *own))),
    );
    left
}

/// How many times the second of two rows leaves fewer than k persons of the first.
fn leave_few(a: &[(usize, u64)], b: &[(usize, u64)], sizes: &[u64], k: u64) -> Vec<u64> {
    // What only one of them has stays, and so does what has another ratio: of any k columns, one has the ratio that leaves few, and
    // of any two times k more than half have it.
    let (mut alone, mut both) = (0, Vec::new());
    let many = 2 * usize::try_from(k).unwrap_or(usize::MAX / 2);
    for (column, x, y) in beside(a, b).filter(|(column, _, _)| sizes[*column] > 0) {
        if x > 0 && y > 0 {
            both.push((x, y));
            if both.len() == many {
                break;
            }
            continue;
        }
        alone += sizes[column];
        if alone >= k {
            return Vec::new();
        }
    }
    let same = |one: (u64, u64), other: (u64, u64)| times(one.0, other.1) == times(one.1, other.0);
    let candidates: Vec<(u64, u64)> = match both.len() == many {
        true => {
            // The only one that more than half may have, by Boyer and Moore (1991).
            let (mut most, mut votes) = (both[0], 0_usize);
            for pair in &both {
                match (votes, same(most, *pair)) {
                    (0, _) => (most, votes) = (*pair, 1),
                    (_, true) => votes += 1,
                    (_, false) => votes -= 1,
                }
            }
            let agree = both.iter().filter(|pair| same(most, **pair)).count();
            (2 * agree > many).then_some(most).into_iter().collect()
        }
        false => both,
    };
    let mut ratios: Vec<u64> = Vec::new();
    for (x, y) in candidates {
        let ratio = times(x, power(y, P - 2));
        if !ratios.contains(&ratio) {
            ratios.push(ratio);
        }
    }
    ratios.retain(|ratio| {
        let mut left = 0;
        beside(a, b).all(|(column, x, y)| {
            if x != times(*ratio, y) {
                left += sizes[column];
            }
            left < k
        })
    });
    ratios
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half of an element is the person"
)]
fn person(element: u64) -> u32 {
    element as u32
}

fn times(a: u64, b: u64) -> u64 {
    // 2^31 is 1 in this field: what is above the lowest 31 bits is added to them.
    let product = a * b;
    let folded = (product & P) + (product >> 31);
    if folded >= P { folded - P } else { folded }
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
        (0..sets.len()).map(|at| is_free(&span.admit(at))).collect()
    }

    /// It joined the others, or follows from them.
    fn is_free(admitted: &Admitted) -> bool {
        matches!(admitted, Admitted::New | Admitted::Follows { left: 0, .. })
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
    fn no_combination_of_admitted_numbers_with_small_factors_tells_of_few() {
        // Numbers of overlapping groups of 40 persons, as many as somebody may ask for, in every order of asking.
        let mut state = 7u64;
        let mut next = move |below: u64| {
            state = mixed(state);
            state % below
        };
        let mut refused = 0;
        for _ in 0..150 {
            let traits: Vec<[u64; 3]> = (0..40).map(|_| [next(2), next(3), next(2)]).collect();
            let sets: Vec<RoaringTreemap> = (0..8)
                .map(|_| {
                    let (which, value) = (next(3), next(2));
                    let (and, also) = (next(3), next(2));
                    let either = next(2) == 0;
                    set((0..40i64).filter(|person| {
                        let of = &traits[usize::try_from(*person).unwrap_or(0)];
                        let first = of[usize::try_from(which).unwrap_or(0)] == value;
                        let second = of[usize::try_from(and).unwrap_or(0)] == also;
                        if either {
                            first || second
                        } else {
                            first && second
                        }
                    }))
                })
                .filter(|set| set.len() >= 5)
                .collect();
            let mut span = Span::new(&sets.iter().collect::<Vec<_>>(), Unit::Person, 5);
            let shown: Vec<&RoaringTreemap> = sets
                .iter()
                .enumerate()
                .filter(|(at, _)| is_free(&span.admit(*at)))
                .map(|(_, set)| set)
                .collect();
            refused += sets.len() - shown.len();
            // All factors of -1, 0 and 1.
            for combination in 0..3i32.pow(u32::try_from(shown.len()).unwrap_or(0)) {
                let mut rest = combination;
                let mut sum = [0i32; 40];
                for set in &shown {
                    let factor = rest % 3 - 1;
                    rest /= 3;
                    for element in *set {
                        sum[person(element) as usize] += factor;
                    }
                }
                let left = sum.iter().filter(|sum| **sum != 0).count();
                assert!(left == 0 || left >= 5, "{shown:?}: {combination}");
            }
        }
        assert!(refused > 40, "{refused}");
    }

    #[test]
    fn what_follows_from_the_others_is_free() {
        let sets = [set(0..50), set(50..100), set(0..100), set(0..50)];
        assert_eq!(admitted(&sets), [true; 4]);
    }

    /// What is left is one person or nobody: the same numbers give it, by the same factors.
    #[test]
    fn a_number_follows_from_the_same_others_without_one_person() {
        let (a, b) = (set(0..50), set(40..100));
        let of = |either: RoaringTreemap| {
            let sets = [a.clone(), b.clone(), set(40..50), either];
            let mut span = Span::new(&sets.iter().collect::<Vec<_>>(), Unit::Person, 5);
            assert!((0..3).all(|at| span.admit(at) == Admitted::New));
            span.admit(3)
        };
        let from = vec![(0, 1.0), (1, 1.0), (2, -1.0)];
        let follows = |left| Admitted::Follows {
            left,
            from: from.clone(),
        };
        assert_eq!(of(set(0..100)), follows(0));
        assert_eq!(of(set((0..100).filter(|person| *person != 7))), follows(1));
        assert_eq!(of(set((0..102).filter(|person| *person != 45))), follows(3));
        assert_eq!(of(set(5..100)), Admitted::New);
        assert_eq!(fraction(times(3, power(4, P - 2))), Some(0.75));
        assert_eq!(fraction(P - 2), Some(-2.0));
        assert_eq!(fraction(power(12_345, P - 2)), None);
    }

    /// Whether atoms share columns or not, what follows from others, and what leaves few persons, is found.
    #[test]
    fn shared_columns_find_what_atoms_of_their_own_do() {
        let mut state = 3u64;
        let mut next = move |below: u64| {
            state = mixed(state);
            state % below
        };
        let mut found = [0; 3];
        for _ in 0..12 {
            // Three quarters of a thousand persons have a history of their own in ten sets, and the others are alike by the dozen.
            let histories: Vec<u64> = (0..1_000)
                .map(|person| {
                    mixed(if person < 750 {
                        person
                    } else {
                        person / 12 + next(2)
                    })
                })
                .collect();
            let of = |which: &dyn Fn(u64) -> bool| {
                set((0..1_000)
                    .filter(|person| which(histories[usize::try_from(*person).unwrap_or(0)])))
            };
            let mut sets: Vec<RoaringTreemap> =
                (0..10).map(|bit| of(&|own| own >> bit & 1 == 1)).collect();
            for _ in 0..6 {
                let (a, b) = (next(10), next(10));
                sets.push(of(&|own| own >> a & 1 == 1 && own >> b & 1 == 1));
                let mut either = of(&|own| own >> a & 1 == 1 || own >> b & 1 == 1);
                for _ in 0..next(8) {
                    either.remove(next(1_000) | 1 << 32);
                }
                sets.push(either);
            }
            let sets: Vec<&RoaringTreemap> = sets.iter().collect();
            let mut alone = Span::within(&sets, Unit::Person, 6, usize::MAX);
            let mut shared = Span::within(&sets, Unit::Person, 6, 64);
            assert!(shared.persons.is_some() && shared.columns < alone.columns / 2);
            for at in 0..sets.len() {
                let admitted = alone.admit(at);
                assert_eq!(shared.admit(at), admitted);
                match admitted {
                    Admitted::New => found[0] += 1,
                    Admitted::Follows { left: 0, .. } => found[1] += 1,
                    _ => found[2] += 1,
                }
            }
        }
        assert!(found.iter().all(|times| *times > 10), "{found:?}");
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
        assert!((0..3).all(|at| is_free(&by_person.admit(at))));
        let mut by_rows = Span::new(&refs, Unit::Rows, 11);
        let admitted: Vec<bool> = (0..3).map(|at| is_free(&by_rows.admit(at))).collect();
        assert_eq!(admitted, [true, true, false]);
    }
}
