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
//!
//! Of whole numbers more is known: |A| + |B| − |A xor B| is twice |A and B|, and odd where one more is in one of them. So the same is
//! asked modulo small primes, and of each row modulo those of its entries. What follows from others modulo one is withheld, whether it
//! is few persons or nobody that it tells of.

mod columns;
mod elimination;
mod pairs;
mod rows;

use roaring::RoaringTreemap;

use columns::Columns;
pub use columns::Unit;
use elimination::{Added, Elimination, Rest, Told};
use rows::{Field, Row, fraction};

/// Remainders by these are asked for of several numbers together.
const PRIMES: [u8; 11] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31];

/// Numbers as vectors over columns, and those that were admitted.
#[derive(Debug)]
pub struct Span {
    columns: Columns,
    fractions: Elimination<u32>,
    /// Of whole numbers: the fractions with other pivots, so that nobody can choose them all.
    backwards: Option<Elimination<u32>>,
    /// Of whole numbers, too: remainders, those by two and three with other pivots as well.
    remainders: Vec<Elimination<u16>>,
    k: u64,
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
    /// All numbers that will be asked about, by their footprints and what they count, which is known as exactly as is shown.
    #[must_use]
    pub fn new(numbers: &[(&RoaringTreemap, Unit)], k: u32) -> Self {
        let k = u64::from(k);
        Self::over(Columns::of(numbers, k, &[Field::LARGE]), k, &[])
    }

    /// The same of whole numbers.
    #[must_use]
    pub fn of_whole(numbers: &[(&RoaringTreemap, Unit)], k: u32) -> Self {
        let k = u64::from(k);
        let primes = PRIMES.map(Field::of);
        let fields: Vec<Field> = [Field::LARGE].into_iter().chain(primes).collect();
        Self::over(Columns::of(numbers, k, &fields), k, &primes)
    }

    fn over(columns: Columns, k: u64, primes: &[Field]) -> Self {
        let fractions = || Elimination::over(Field::LARGE, 0);
        let each = |primes: &[Field]| -> Vec<Elimination<u16>> {
            let fields = primes.iter().zip(1..);
            fields
                .map(|(prime, at)| Elimination::over(*prime, at))
                .collect()
        };
        let twice = each(&primes[..primes.len().min(2)]).into_iter();
        let remainders = each(primes).into_iter();
        Self {
            columns,
            fractions: fractions(),
            backwards: (!primes.is_empty()).then(|| fractions().backwards()),
            remainders: remainders
                .chain(twice.map(Elimination::backwards))
                .collect(),
            k,
        }
    }

    /// Takes numbers in without asking: they were released. The eliminations know nothing of each other.
    pub fn take(&mut self, numbers: &[usize]) {
        let (columns, k) = (&self.columns, self.k);
        if self.remainders.is_empty() {
            return self.fractions.take_all(columns, numbers, k);
        }
        std::thread::scope(|scope| {
            for elimination in std::iter::once(&mut self.fractions).chain(&mut self.backwards) {
                scope.spawn(|| elimination.take_all(columns, numbers, k));
            }
            for elimination in &mut self.remainders {
                scope.spawn(|| elimination.take_all(columns, numbers, k));
            }
        });
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
        let added = match self.fractions.take(&self.columns, at, self.k) {
            Rest::Much => return Admitted::Few,
            Rest::Nobody(row) => return self.follows(at, &row),
            Rest::News(added) => added,
        };
        let told = self
            .fractions
            .tells_of_few(&self.columns, &added, at, self.k);
        let admitted = match told {
            Told::Nothing => self.further(&added, at, take),
            Told::By(row) => self.follows(at, &row),
            Told::Much => Admitted::Few,
        };
        if !take || admitted != Admitted::New {
            self.fractions.undo(&added);
        }
        admitted
    }

    /// What becomes of a number that is news by itself.
    fn further(&mut self, added: &Added, at: usize, take: bool) -> Admitted {
        let (columns, k) = (&self.columns, self.k);
        let Some(backwards) = &mut self.backwards else {
            return Admitted::New;
        };
        if self.fractions.leaves_few_modulo(columns, added, k) {
            return Admitted::Few;
        }
        let Rest::News(other) = backwards.take(columns, at, k) else {
            return Admitted::Few;
        };
        if let Some(row) = backwards.few(columns, &other, k) {
            let row = row.to_vec();
            backwards.undo(&other);
            return self.follows(at, &row);
        }
        let mut all: Vec<Added> = Vec::with_capacity(self.remainders.len());
        let mut free = true;
        for remainders in &mut self.remainders {
            let Rest::News(added) = remainders.take(columns, at, k) else {
                free = false;
                break;
            };
            free = remainders.few(columns, &added, k).is_none();
            all.push(added);
            if !free {
                break;
            }
        }
        if !take || !free {
            backwards.undo(&other);
            for (remainders, added) in self.remainders.iter_mut().zip(&all) {
                remainders.undo(added);
            }
        }
        match free {
            true => Admitted::New,
            false => Admitted::Few,
        }
    }

    /// What a number follows from, by a row that leaves few persons or nobody.
    fn follows(&self, at: usize, row: &Row) -> Admitted {
        let field = Field::LARGE;
        let factors = &row[self.columns.people..];
        if factors[at] == 0 {
            return Admitted::Few;
        }
        let inverse = field.prime() - field.inverse(u64::from(factors[at]));
        let others = factors.iter().enumerate();
        let others = others.filter(|(other, factor)| **factor != 0 && *other != at);
        let from: Option<Vec<(usize, f64)>> = others
            .map(|(other, factor)| {
                let factor = field.times(u64::from(*factor), inverse);
                Some((other, fraction(factor)?))
            })
            .collect();
        match from {
            Some(from) => Admitted::Follows {
                left: self.columns.left(row, field),
                from,
            },
            None => Admitted::Few,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::persons::{Persons, footprint};
    use super::super::sketch::mixed;
    use super::columns::person;
    use super::*;

    fn set(members: impl IntoIterator<Item = i64>) -> RoaringTreemap {
        let mut persons = Persons::default();
        for person in members {
            persons.push(person, 0.0);
        }
        footprint(persons.contributions())
    }

    fn of(unit: Unit, sets: &[RoaringTreemap]) -> Vec<(&RoaringTreemap, Unit)> {
        sets.iter().map(|print| (print, unit)).collect()
    }

    fn admitted(sets: &[RoaringTreemap]) -> Vec<bool> {
        let mut span = Span::new(&of(Unit::Person, sets), 11);
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
            let mut span = Span::new(&of(Unit::Person, &sets), 5);
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
            let mut span = Span::new(&of(Unit::Person, &sets), 5);
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
        let (large, inverse) = (Field::LARGE, |number| Field::LARGE.inverse(number));
        assert_eq!(fraction(large.times(3, inverse(4))), Some(0.75));
        assert_eq!(fraction(large.prime() - 2), Some(-2.0));
        assert_eq!(fraction(inverse(12_345)), None);
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
            let sets: Vec<_> = sets.iter().map(|print| (print, Unit::Person)).collect();
            let within =
                |most| Span::over(Columns::within(&sets, 6, &[Field::LARGE], most), 6, &[]);
            let mut alone = within(usize::MAX);
            let mut shared = within(64);
            assert!(shared.columns.people < alone.columns.people / 2);
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
        let mut by_person = Span::new(&of(Unit::Person, &prints), 11);
        assert!((0..3).all(|at| is_free(&by_person.admit(at))));
        let mut by_rows = Span::new(&of(Unit::Rows, &prints), 11);
        let admitted: Vec<bool> = (0..3).map(|at| is_free(&by_rows.admit(at))).collect();
        assert_eq!(admitted, [true, true, false]);
    }

    #[test]
    fn persons_and_rows_say_something_together() {
        // Persons with 1 to 3 rows each, their rows after the first ones, and all rows of them and another: that one's rows.
        let rows = |of: &dyn Fn(i64) -> i64| {
            let mut all = Persons::default();
            for person in 0..41 {
                (0..of(person)).for_each(|_| all.push(person, 0.0));
            }
            footprint(all.contributions())
        };
        let own = |person: i64| person % 3 + 1;
        let without = |person: i64| person < 40;
        let persons = rows(&|person| if without(person) { own(person) } else { 0 });
        let further = rows(&|person| if without(person) { own(person) - 1 } else { 0 });
        let all = rows(&own);
        let mut span = Span::new(
            &[
                (&persons, Unit::Person),
                (&further, Unit::Rows),
                (&all, Unit::Rows),
            ],
            11,
        );
        let admitted: Vec<bool> = (0..3).map(|at| is_free(&span.admit(at))).collect();
        assert_eq!(admitted, [true, true, false]);
    }

    /// Of whole numbers: so many times a large group and whoever is left, of whom the remainder tells.
    #[test]
    fn what_is_left_of_a_multiple_is_found() {
        let whole = |sets: &[RoaringTreemap], units: &[Unit]| {
            let numbers: Vec<_> = sets.iter().zip(units.iter().copied()).collect();
            let mut span = Span::of_whole(&numbers, 11);
            let all: Vec<bool> = (0..sets.len())
                .map(|at| span.admit(at) == Admitted::New)
                .collect();
            all
        };
        // |A| + |B| − |A xor B| is twice |A and B|: whether another one is in the last shows, whether there is one or not.
        let (a, b) = (set(0..60), set(30..100));
        let xor = |further: i64| set((0..30).chain(60..100).chain(100..100 + further));
        for further in [0, 1, 5] {
            let all = whole(&[a.clone(), b.clone(), xor(further)], &[Unit::Person; 3]);
            assert_eq!(all, [true, true, false], "{further}");
        }
        let all = whole(&[a.clone(), b.clone(), xor(40)], &[Unit::Person; 3]);
        assert_eq!(all, [true; 3]);
        // Each of so many groups and a last one, less all of them: so many times the last one, less a few others.
        for (times, others) in [3_i64, 5, 6, 7, 11, 13, 37]
            .into_iter()
            .flat_map(|times| [(times, 0), (times, 4)])
        {
            let group = |at: i64| 20 * at..20 * (at + 1);
            let mut sets: Vec<RoaringTreemap> = (0..times)
                .map(|at| set(group(at).chain(group(times))))
                .collect();
            sets.push(set((0..20 * times).chain(1_000..1_000 + others)));
            let all = whole(&sets, &vec![Unit::Person; sets.len()]);
            assert!(!all[all.len() - 1], "{times} {others}");
            assert!(all[..all.len() - 1].iter().all(|shown| *shown), "{times}");
        }
        // Rows less persons are twelve times those who have thirteen, and what one more has.
        let mut rows = Persons::default();
        for person in 0..80 {
            let own = if person < 30 { 13 } else { 1 };
            (0..own).for_each(|_| rows.push(person, 0.0));
        }
        (0..4).for_each(|_| rows.push(80, 0.0));
        let sets = [set(0..80), footprint(rows.contributions())];
        assert_eq!(whole(&sets, &[Unit::Person, Unit::Rows]), [true, false]);
    }
}
