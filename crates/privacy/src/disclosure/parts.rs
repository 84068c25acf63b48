//! Of which of its persons a model speaks.
//!
//! Persons who have parameters of their own say nothing of the others, however many they are: a model of both is that of each. So
//! it is but for some covariates where the columns that both have in common are those only; and those of a model over time who were
//! censored before its first event say nothing at all. Without them it is the model of the others, and is held against other models
//! of those, too.

use std::collections::BTreeMap;

use super::at_risk::AtRisk;
use super::components::{Component, components};
use super::cube::Dims;
use super::matching::{Match, Shown, Source};
use super::models::{Column, named, sketch};
use super::persons::{Contribution, Persons, footprint};
use super::releases::{Cell, Table, Work};
use super::sketch::mixed;
use super::spread::deviation;
use super::{Error, FEW_OF_MODEL};

/// So many parts of a model are looked at.
const PARTS: usize = 24;

/// Of so many covariates each choice is looked at by itself; of more, all of them, all but one, and each two.
const EACH_CHOICE: usize = 6;

/// So often components are looked for, in other orders of persons.
const ORDERS: u64 = 8;

/// The rows of a model's matrix: a constant, and some covariates at the same scale.
pub(super) struct Columns<'a> {
    of: Vec<&'a Vec<f64>>,
    persons: usize,
}

impl Columns<'_> {
    pub(super) fn width(&self) -> usize {
        self.of.len() + 1
    }

    pub(super) fn persons(&self) -> usize {
        self.persons
    }

    pub(super) fn row(&self, at: usize) -> Vec<f64> {
        let own = self.of.iter().map(|column| column[at]);
        std::iter::once(1.0).chain(own).collect()
    }
}

/// Values less their mean, by their deviation.
fn at_one_scale(column: &Column) -> Vec<f64> {
    let values = column.counted.iter().map(|entry| entry.sum);
    let (deviation, mean) = deviation(values.clone());
    let deviation = deviation.max(f64::MIN_POSITIVE);
    values.map(|value| (value - mean) / deviation).collect()
}

/// Which covariates are looked at together: all of them first.
fn choices(covariates: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..covariates).collect();
    let mut choices = vec![all.clone()];
    if covariates <= EACH_CHOICE {
        let some = (0..1_usize << covariates).map(|bits| -> Vec<usize> {
            let of = all.iter().filter(|at| bits >> **at & 1 == 1);
            of.copied().collect()
        });
        choices.extend(some.filter(|some| some.len() > 1));
    } else {
        let without = |one: usize| all.iter().copied().filter(|at| *at != one).collect();
        choices.extend((0..covariates).map(without));
        let two = |a: usize| (0..a).map(move |b| vec![b, a]);
        choices.extend((0..covariates).flat_map(two));
    }
    choices.sort_by_key(|some| std::cmp::Reverse(some.len()));
    choices.dedup();
    choices
}

/// Some of a model's persons, of whom it speaks.
#[derive(Debug)]
pub(crate) struct Part {
    /// For each person, whether it is one of them.
    pub(crate) stays: Vec<bool>,
    pub(super) kind: Kind,
}

/// Of which of its persons a model speaks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// The covariates tell.
    Covariates,
    /// The outcome and the time alone tell.
    Time,
    /// The others are in groups of so many who have the same values, the largest first: of those it says how many they are, and who
    /// knows that knows what it says of them, whoever they are.
    Few(Vec<u64>),
}

impl Kind {
    /// What a part's measure is called, of a model that is called this.
    pub(super) fn measure<'a>(&self, model: &'a str) -> &'a str {
        match self {
            Self::Few(_) => FEW_OF_MODEL,
            _ => model,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Covariates => String::new(),
            Self::Time => "by time".to_owned(),
            Self::Few(sizes) => {
                let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
                sizes.join(" ")
            }
        }
    }

    /// Whether groups are as large as others, by the words of these: numbers that fewer than `k` persons tell apart may be shown as
    /// the same.
    pub(super) fn is_nearly(&self, words: &str, k: u64) -> bool {
        let Self::Few(sizes) = self else {
            return true;
        };
        let others: Vec<u64> = words
            .split(' ')
            .filter_map(|size| size.parse().ok())
            .collect();
        let both = 0..sizes.len().max(others.len());
        let size = |of: &[u64], at: usize| of.get(at).copied().unwrap_or(0);
        both.into_iter()
            .all(|at| size(sizes, at).abs_diff(size(&others, at)) < k)
    }
}

impl Part {
    /// Those who are in none of the groups of so many who have the same values; nothing where they, or all others, are fewer than `k`.
    pub(crate) fn few(k: u64, persons: usize, few: &[usize], mut sizes: Vec<u64>) -> Option<Self> {
        let mut stays = vec![false; persons];
        few.iter().for_each(|at| stays[*at] = true);
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        let enough = |persons: usize| persons as u64 >= k;
        let kind = Kind::Few(sizes);
        (enough(few.len()) && enough(persons - few.len())).then_some(Self { stays, kind })
    }
}

/// Parts of a model's persons, who say of its covariates, or of one of them, what all of them do. Whoever else there is, fewer than
/// `k`, changes nothing about which persons are left out.
pub(crate) fn parts(
    k: u64,
    event: &Column,
    covariates: &[Column],
    time: Option<&Column>,
) -> Vec<Part> {
    let columns: Vec<Vec<f64>> = covariates.iter().map(at_one_scale).collect();
    let persons = event.own.len();
    let few = usize::try_from(k).unwrap_or(persons);
    let orders: Vec<Vec<usize>> = (0..ORDERS).map(|order| in_order(order, event)).collect();
    let mut parts = Parts {
        few,
        found: Vec::new(),
    };
    let mut alone = vec![false; persons];
    for some in choices(columns.len()) {
        let whole = some.len() == columns.len();
        let some = Columns {
            of: some.iter().map(|at| &columns[*at]).collect(),
            persons,
        };
        for order in &orders {
            let found = components(&some, order, few);
            let own = those_of(persons, found.iter().filter(|of| of.rank == 1));
            for out in without_others(persons, &found, &own) {
                parts.add(out, Kind::Covariates);
            }
            if whole && !found.is_empty() {
                alone = own;
            }
        }
    }
    if let Some(time) = time {
        let values = |column: &Column| -> Vec<f64> {
            let counted = column.counted.iter();
            counted.map(|entry| entry.sum).collect()
        };
        let kind = match alone.contains(&true) {
            true => Kind::Covariates,
            false => Kind::Time,
        };
        for before in censored_first(few, &values(event), &values(time)) {
            let pairs = before.iter().zip(&alone);
            let out = pairs.map(|(one, other)| *one || *other).collect();
            parts.add(out, kind.clone());
        }
    }
    parts.found.truncate(PARTS);
    parts.found
}

struct Parts {
    few: usize,
    found: Vec<Part>,
}

impl Parts {
    /// Adds one that leaves out some and leaves some, and is not nearly one that is there.
    fn add(&mut self, out: Vec<bool>, kind: Kind) {
        let stays: Vec<bool> = out.into_iter().map(|out| !out).collect();
        let left = stays.iter().filter(|stays| **stays).count();
        let between = |other: &Part| {
            let pairs = other.stays.iter().zip(&stays);
            pairs.filter(|(a, b)| a != b).count()
        };
        let is_new = || self.found.iter().all(|other| between(other) >= self.few);
        if left >= self.few && stays.len() - left >= self.few && is_new() {
            self.found.push(Part { stays, kind });
        }
    }
}

/// Persons in an order of their own.
fn in_order(order: u64, event: &Column) -> Vec<usize> {
    let place = |at: &usize| mixed(event.own[*at].person.cast_unsigned() ^ mixed(order));
    let mut persons: Vec<usize> = (0..event.own.len()).collect();
    persons.sort_by_cached_key(place);
    persons
}

fn those_of<'a>(persons: usize, components: impl Iterator<Item = &'a Component>) -> Vec<bool> {
    let mut these = vec![false; persons];
    for person in components.flat_map(|of| &of.persons) {
        these[*person] = true;
    }
    these
}

/// Who is left out: those who have one parameter of their own, of whom nothing but their number is said; and beside each component
/// the others, and the others beside each.
fn without_others(persons: usize, found: &[Component], alone: &[bool]) -> Vec<Vec<bool>> {
    let large: Vec<&Component> = found.iter().filter(|of| of.rank > 1).collect();
    let mut left_out = vec![alone.to_vec()];
    if large.len() < 2 {
        return left_out;
    }
    for own in &large {
        let others = found.iter().filter(|of| of != own);
        left_out.push(those_of(persons, others));
        let with_own = found.iter().filter(|of| of.rank == 1 || of == own);
        left_out.push(those_of(persons, with_own));
    }
    left_out
}

/// Those who were censored before each of the first `few` events.
fn censored_first(few: usize, events: &[f64], times: &[f64]) -> Vec<Vec<bool>> {
    let all = || events.iter().zip(times);
    let mut first: Vec<f64> = all()
        .filter(|(event, _)| **event > 0.0)
        .map(|(_, time)| *time)
        .collect();
    first.sort_unstable_by(f64::total_cmp);
    first.truncate(few);
    first.dedup();
    let before = |end: &f64| {
        all()
            .map(|(event, time)| *event <= 0.0 && time < end)
            .collect()
    };
    first.iter().map(before).collect()
}

/// Where the words of a query place a model that speaks of some of its persons only.
pub(super) const PART: &str = "part";

/// Whose a model is, in the words of its query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    /// The rows.
    pub(crate) rows: &'a str,
    /// The group of them.
    pub(crate) group: &'a Dims,
}

impl Table {
    /// Means and deviations, which are the same of rows that each of the persons has as often.
    pub(super) fn is_mean(&self) -> bool {
        let of = |other: &str| self.measure.starts_with(other);
        !(self.measure.is_empty() || of(super::CURVE_OF) || of(super::MODEL_OF) || self.is_part())
    }

    /// What is said of some of a model's persons.
    pub(super) fn is_part(&self) -> bool {
        self.cells.iter().any(|cell| cell.dims.contains_key(PART))
    }
}

/// Where a part of a group is.
pub(super) fn part_of(group: &Dims) -> Dims {
    let place = group.values().cloned().collect::<Vec<_>>().join("; ");
    Dims::from([(PART.to_owned(), place)])
}

/// What columns are of some of their persons.
pub(crate) fn of_part(columns: &[Column], stays: &[bool]) -> Vec<Column> {
    let some = |all: &[Contribution]| -> Vec<Contribution> {
        let pairs = all.iter().zip(stays).filter(|(_, stays)| **stays);
        pairs.map(|(entry, _)| *entry).collect()
    };
    let of = columns.iter().map(|column| Column {
        name: column.name.clone(),
        shifted: column.shifted,
        own: some(&column.own),
        counted: some(&column.counted),
        is_time: column.is_time,
    });
    of.collect()
}

/// Those that are not the same for all persons: others say nothing.
pub(super) fn that_vary(mut columns: Vec<Column>) -> Vec<Column> {
    let varies = |column: &Column| column.own.windows(2).any(|pair| pair[0].sum != pair[1].sum);
    columns.retain(varies);
    columns
}

/// What is kept of a model's parts: tables of one group each, whose numbers are those of the model. Any model that has the same
/// columns there says the same of a part: how it takes out the others is not among its words, but for whether times alone do.
pub(crate) fn tables_of(
    measure: &str,
    words: Words<'_>,
    (k, parts): (u64, &[Part]),
    columns: &[Column],
) -> Vec<Table> {
    let table = |part: &Part| {
        let theirs = of_part(columns, &part.stays);
        let at_risk = AtRisk::of(k, &theirs);
        let mut theirs = that_vary(theirs);
        theirs.sort_by(|one, other| one.name.cmp(&other.name));
        let mut persons = Persons::default();
        for entry in theirs.first().iter().flat_map(|column| &column.own) {
            persons.push_rows(entry.person, entry.rows);
        }
        let cell = Cell {
            dims: part_of(words.group),
            persons,
            sketch: Some(sketch(&theirs, |column| &column.own)),
            held: Some(sketch(&theirs, |column| &column.counted)),
            common: None,
            safe: true,
            values: BTreeMap::new(),
        };
        Table {
            measure: part.kind.measure(measure).to_owned(),
            atom: named(&part.kind.words(), &theirs),
            words: words.rows.to_owned(),
            at_risk,
            ..Table::of(vec![cell])
        }
    };
    parts.iter().map(table).collect()
}

impl Work<'_> {
    /// Whether what a model says of its parts may be shown, too.
    pub(super) fn parts_are_new(&self, parts: &mut [Table]) -> Result<bool, Error> {
        let of_columns = |part: &&mut Table| part.measure != FEW_OF_MODEL;
        for part in parts.iter_mut().filter(of_columns) {
            let found = self.matches(part)?;
            if !found.iter().all(|found| matches!(found, Match::New(..))) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps whom a model that is shown speaks of.
    pub(super) fn keep_parts(&self, parts: &mut [Table]) -> Result<(), Error> {
        // It is no number that others could follow from.
        let shown = Shown {
            persons: Source::Withheld,
            rows: Source::Own,
        };
        for part in parts {
            let print = footprint(part.cells[0].persons.contributions());
            self.keep(part, 0, &print, &shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const PERSONS: u32 = 160;

    fn column(value: impl Fn(u32) -> f64) -> Column {
        let all = (0..PERSONS).map(|at| Contribution::of(at.into(), value(at)));
        let own: Vec<Contribution> = all.collect();
        Column {
            name: String::new(),
            shifted: 0.0,
            counted: own.clone(),
            own,
            is_time: false,
        }
    }

    fn day(at: u32) -> f64 {
        f64::from(1 + at * 37 % 31)
    }

    fn year(at: u32) -> f64 {
        f64::from(1930 + at * 53 % 70)
    }

    /// How many persons are left in each part.
    fn left(covariates: &[Column], time: Option<&Column>) -> Vec<usize> {
        let event = column(|at| f64::from(u8::from(at % 2 == 0)));
        let found = parts(10, &event, covariates, time);
        let left = found
            .iter()
            .map(|of| of.stays.iter().filter(|in_it| **in_it).count());
        left.collect()
    }

    fn is(condition: bool) -> f64 {
        f64::from(u8::from(condition))
    }

    /// Those of one day whom an indicator sets apart, with few others of its own, and without; and those of two days with two.
    #[test]
    fn whom_an_indicator_takes_out_is_left_out() {
        for others in [0, 1, 9] {
            let of_day = |at: u32| if at < 60 { 16.0 } else { day(at) };
            let own = |at: u32| is(at < 60 + others);
            assert_eq!(left(&[column(of_day), column(own)], None), [100]);
            // Another column that varies among them as among all.
            let found = left(&[column(of_day), column(own), column(year)], None);
            assert_eq!(found, [100]);
            // So it is of nearly one day.
            let nearly = |at: u32| of_day(at) + year(at) * 1e-7;
            assert_eq!(left(&[column(nearly), column(own)], None), [100]);
        }
        let two = |at: u32| match at {
            0..30 => 16.0,
            30..60 => 17.0,
            _ => day(at),
        };
        let first = column(|at| is(at < 30));
        let second = column(|at| is((30..60).contains(&at)));
        assert_eq!(left(&[column(two), first, second], None)[0], 100);
    }

    /// Those of whom a line says which day it is, and who have a line of their own, by whichever columns; and who has none.
    #[test]
    fn who_has_lines_of_their_own_is_left_out() {
        for others in [0, 1, 9] {
            let own = move |at: u32| is(at < 60 + others);
            // Others of these, if any, are on no line.
            let line = move |at: u32| if at < 60 + others { year(at) } else { 1930.0 };
            let on_it = move |at: u32| {
                if at < 60 {
                    20.0 - (year(at) - 1930.0) / 7.0
                } else {
                    day(at)
                }
            };
            let columns = || vec![column(line), column(own), column(on_it)];
            for covariates in [
                columns(),
                columns()
                    .into_iter()
                    .chain([column(|at| f64::from(at % 12))])
                    .collect(),
                vec![
                    column(move |at| line(at) + 40.0 * own(at) + on_it(at)),
                    column(own),
                    column(on_it),
                ],
            ] {
                let found = left(&covariates, None);
                assert!(found.contains(&100), "{others}: {found:?}");
            }
            // Days of their own are no line; of the line they alone say something.
            let covariates = vec![column(line), column(own), column(day)];
            assert!(!left(&covariates, None).contains(&100));
        }
    }

    /// Ordinary models have none.
    #[test]
    fn who_has_a_say_stays() {
        let sex = || column(|at| is(at * 7 % 20 < 9));
        for covariates in [
            vec![column(day)],
            vec![sex()],
            vec![column(day), sex()],
            vec![column(day), column(year), sex()],
            vec![sex(), column(|at| is(at % 3 == 0))],
        ] {
            assert!(left(&covariates, None).is_empty());
            let time = column(|at| f64::from(at % 2) * 100.0 + year(at));
            assert!(left(&covariates, Some(&time)).is_empty());
        }
    }

    /// Groups are as large as others, in whatever order, where fewer than ten persons tell each from another.
    #[test]
    fn groups_are_as_large_as_others() {
        let few: Vec<usize> = (0..60).collect();
        let of = |sizes: &[u64]| Part::few(10, 160, &few, sizes.to_vec()).unwrap().kind;
        let known = of(&[60, 40]);
        assert_eq!(known.words(), "60 40");
        for (sizes, is_nearly) in [
            (&[40, 60][..], true),
            (&[49, 51], true),
            (&[60, 40, 9], true),
            (&[50, 50], false),
            (&[60, 30, 10], false),
        ] {
            assert_eq!(of(sizes).is_nearly(&known.words(), 10), is_nearly);
        }
        assert!(Part::few(10, 160, &few[..9], vec![100]).is_none());
        assert!(Part::few(10, 69, &few, vec![9]).is_none());
    }

    /// Sixty who are censored first, and perhaps an event before.
    #[test]
    fn who_is_censored_before_the_first_events_is_left_out() {
        for early in [false, true] {
            let event = column(|at| is(at >= 60 && at % 2 == 0 || early && at == 7));
            let time = column(|at| match at {
                7 if early => 10.0,
                0..60 => 100.0,
                _ => 200.0 + f64::from(at),
            });
            let found = parts(10, &event, &[column(day)], Some(&time));
            let left = found
                .iter()
                .map(|of| of.stays.iter().filter(|in_it| **in_it).count());
            assert!(found.iter().all(|of| of.kind == Kind::Time));
            assert_eq!(left.collect::<Vec<_>>()[0], 100 + usize::from(early));
        }
    }
}
