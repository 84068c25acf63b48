//! What numbers that were shown say together of those that are asked for: of persons and rows in one space, of measures in each.

use roaring::RoaringTreemap;

use super::Error;
use super::by_steps::Known as Mean;
use super::known::{Known, KnownSet, Set};
use super::matching::{Part, of_this_result};
use super::releases::{Table, Work};
use super::span::{Admitted, Span, Unit};

/// Whether a number may be shown beside others.
pub(super) enum Free {
    News,
    /// By the words of the queries it follows from these, but for fewer than k persons or nobody.
    Follows(Vec<(i64, f64)>),
    No,
}

/// Exact numbers that may say something together.
pub(super) struct Numbers {
    pub(super) span: Span,
    /// Some of them are known but for some rows.
    pub(super) rough: bool,
    unit: Unit,
    /// What each of them is in the record, and the words of its rows.
    sets: Vec<(Part, String)>,
}

impl Numbers {
    /// Where the numbers of a set are: of its persons, and then of its rows.
    pub(super) fn of(&self, set: i64) -> impl Iterator<Item = usize> {
        let sets = self.sets.iter().zip(0..);
        sets.filter(move |(((id, ..), _), _)| *id == set)
            .map(|(_, vector)| vector)
    }

    pub(super) fn named(&self, from: &[(usize, f64)]) -> Vec<Part> {
        let named = from.iter().map(|(at, factor)| {
            let (id, unit, times) = self.sets[*at].0;
            (id, unit, times * factor)
        });
        named.collect()
    }

    /// Whether a number of a measure is free, which is not taken in here. It is where it does not follow from others but for few
    /// persons or nobody, or where enough contribute something else than to those others. Which of few and nobody it is decides
    /// nothing: it would tell of those few.
    fn is_free(&self, admitted: Admitted, set: Set<'_>, known: &Known, k: u64) -> Free {
        let (left, from) = match admitted {
            Admitted::New => return Free::News,
            Admitted::Few => return Free::No,
            Admitted::Follows { left, from } => (left, from),
        };
        let mut words = from.iter().map(|(at, _)| &self.sets[*at].1);
        let by_words = !set.words.is_empty() && words.all(|words| words == set.words);
        let from: Vec<(i64, f64)> = self
            .named(&from)
            .into_iter()
            .map(|(id, _, factor)| (id, factor))
            .collect();
        if known.is_other_than(set, &from, k + left) {
            Free::News
        } else if by_words {
            Free::Follows(from)
        } else {
            Free::No
        }
    }
}

/// A set of persons of which there are numbers.
struct Number<'a> {
    print: &'a RoaringTreemap,
    id: i64,
    words: &'a str,
    /// Its own number of persons was shown, or is asked for, and not that of its rows alone.
    counted: bool,
    /// So was that of its rows.
    has_rows: bool,
    /// It was shown before.
    taken: bool,
    /// It is known but for some rows.
    rough: bool,
}

impl<'a> Number<'a> {
    /// A mean as a number of persons, or of rows where not each has as many.
    fn of_mean(mean: &'a Mean, k: u64) -> Self {
        Self {
            print: &mean.print,
            id: mean.id,
            words: "",
            counted: even(&mean.print, k).is_some(),
            has_rows: true,
            taken: true,
            rough: !mean.alone || mean.print.bitmaps().count() > 1,
        }
    }

    fn of_set(set: &'a KnownSet) -> Self {
        Self {
            print: &set.print,
            id: set.id,
            words: &set.words,
            counted: set.counted,
            has_rows: set.has_rows,
            taken: true,
            rough: false,
        }
    }
}

impl Number<'_> {
    /// What is counted of it: persons, and rows where not each person has as many. With how many of what is shown it is, and whether it
    /// was shown.
    fn counts(&self, k: u64) -> impl Iterator<Item = (&Self, Unit, f64, bool)> {
        let even = even(self.print, k);
        let persons = match (self.counted, even) {
            (true, _) => Some(1.0),
            (false, Some(times)) => Some(1.0 / times),
            (false, None) => None,
        };
        let persons = persons.map(|times| (self, Unit::Person, times, self.taken));
        let rows = (even.is_none() && self.has_rows).then_some((self, Unit::Rows, 1.0, self.taken));
        persons.into_iter().chain(rows)
    }
}

/// How many rows are counted of each of the persons, where that is as many of all.
pub(super) fn even(print: &RoaringTreemap, k: u64) -> Option<f64> {
    let marks = print.bitmaps();
    let (rows, most) = marks
        .map(|(rows, persons)| (rows, persons.len()))
        .max_by_key(|(_, persons)| *persons)?;
    // As `spread` counts them.
    (print.len() - most < k.min(most)).then(|| f64::from(rows))
}

/// Whether a measure may be shown beside others. Every unit is asked, so that each knows what was admitted. What persons are counted
/// once in, and their rows not, is news where rows are.
pub(super) fn free_beside(
    spans: &mut [Numbers],
    (at, take): (usize, bool),
    set: Set<'_>,
    known: &Known,
    k: u64,
) -> Free {
    let several = spans.len() > 1;
    let mut all = Free::News;
    for numbers in spans {
        let Some(vector) = numbers.of(of_this_result(at)).next() else {
            continue;
        };
        let admitted = match take {
            true => numbers.span.admit(vector),
            false => numbers.span.asked(vector),
        };
        let of_rows = !several || numbers.unit == Unit::Rows;
        match (numbers.is_free(admitted, set, known, k), &all) {
            (Free::No, _) => all = Free::No,
            (Free::Follows(from), Free::News) if of_rows => all = Free::Follows(from),
            _ => {}
        }
    }
    all
}

impl Work<'_> {
    /// What earlier exact numbers say together, ready for those of this result. Rounded counts say little together:
    /// each of them may be off by half a step, but beside exact ones it says who is in it. Means are as exact with them as without.
    pub(super) fn spans(
        &self,
        earlier: &[KnownSet],
        prints: &[Option<RoaringTreemap>],
        table: &Table,
    ) -> Result<Vec<Numbers>, Error> {
        let rounded = !self.profile.is_exact() && table.measure.is_empty();
        let known = |set: &KnownSet| set.is_shown() && (set.exact || !rounded);
        // A curve says no more than the counts that it is of.
        if rounded && !earlier.iter().any(known)
            || table.measure.starts_with(super::CURVE_OF)
            || table.is_part()
        {
            return Ok(Vec::new());
        }
        let none = RoaringTreemap::new();
        // In the same order each time: which combinations are found depends on it.
        let mut own: Vec<usize> = (0..prints.len()).collect();
        own.sort_by_cached_key(|at| table.place(*at));
        let own = own.into_iter().map(|at| Number {
            print: prints[at].as_ref().unwrap_or(&none),
            id: of_this_result(at),
            words: &table.words,
            counted: true,
            has_rows: true,
            taken: false,
            rough: false,
        });
        let earlier = earlier.iter().filter(|set| known(set)).map(Number::of_set);
        let all: Vec<Number<'_>> = own.chain(earlier).collect();
        if table.measure.is_empty() {
            let means = self.means_as_steps()?;
            return Ok(self.with_means(&all, &means, !rounded));
        }
        let several = all
            .iter()
            .any(|number| number.print.max().is_some_and(|last| last >> 32 > 1));
        let units = [Some(Unit::Person), several.then_some(Unit::Rows)];
        let of_model = table.measure.starts_with(super::MODEL_OF);
        let spans = units.into_iter().flatten().map(|unit| {
            let rows = unit == Unit::Rows && !of_model;
            let numbers = all.iter().map(|number| {
                let taken = number.taken && (number.counted || rows);
                (number, unit, 1.0, taken)
            });
            self.together(numbers, false)
        });
        Ok(spans.collect())
    }

    /// What exact counts of before say, ready for what means say as numbers of rows.
    pub(super) fn beside_counts(&self, own: &[Mean], words: &str) -> Result<Vec<Numbers>, Error> {
        let k = u64::from(self.profile.k);
        let earlier = self.earlier_sets(&Table::of(Vec::new()))?;
        let own = own.iter().map(|mean| Number {
            words,
            taken: false,
            ..Number::of_mean(mean, k)
        });
        let counts = earlier.iter().filter(|set| set.is_shown() && set.exact);
        let all: Vec<Number<'_>> = own.chain(counts.map(Number::of_set)).collect();
        Ok(self.with_means(&all, &self.means_as_steps()?, true))
    }

    /// Persons and rows, which say something together, and what means say as numbers of rows. Those of several steps, or beside other
    /// values, are known but for some rows, and say nothing modulo anything: they are in a span of their own with all others.
    fn with_means(&self, all: &[Number<'_>], means: &[Mean], whole: bool) -> Vec<Numbers> {
        let k = u64::from(self.profile.k);
        let means = || means.iter().map(|mean| Number::of_mean(mean, k));
        let counts = |number: &Number<'_>| !number.rough;
        let numbers = all.iter().filter(|number| counts(number));
        let of_two: Vec<Number<'_>> = means().filter(counts).collect();
        let exact = numbers.chain(&of_two).flat_map(|number| number.counts(k));
        let mut spans = vec![self.together(exact, whole)];
        let of_all: Vec<Number<'_>> = means().collect();
        if all.iter().chain(&of_all).any(|number| number.rough) {
            let numbers = all.iter().chain(&of_all);
            spans.push(Numbers {
                rough: true,
                ..self.together(numbers.flat_map(|number| number.counts(k)), false)
            });
        }
        spans
    }

    /// Numbers in one span, those that were shown taken in; counts that are shown as they are, are whole.
    fn together<'a>(
        &self,
        all: impl Iterator<Item = (&'a Number<'a>, Unit, f64, bool)>,
        whole: bool,
    ) -> Numbers {
        let all: Vec<_> = all.collect();
        let prints: Vec<(&RoaringTreemap, Unit)> = all
            .iter()
            .map(|(number, unit, ..)| (number.print, *unit))
            .collect();
        let mut span = match whole {
            true => Span::of_whole(&prints, self.profile.k),
            false => Span::new(&prints, self.profile.k),
        };
        let taken = all.iter().zip(0..).filter(|((.., taken), _)| *taken);
        span.take(&taken.map(|(_, at)| at).collect::<Vec<usize>>());
        let unit = all.first().map_or(Unit::Person, |(_, unit, ..)| *unit);
        let sets = all.iter().map(|(number, unit, times, _)| {
            let shown = match (unit, number.counted) {
                (Unit::Person, false) => Unit::Rows,
                (unit, _) => *unit,
            };
            ((number.id, shown, *times), number.words.to_owned())
        });
        Numbers {
            span,
            rough: false,
            unit,
            sets: sets.collect(),
        }
    }
}
