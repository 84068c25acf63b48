//! Of which of its persons a model speaks.
//!
//! Persons of one value of a covariate who have an indicator of their own say nothing of that covariate, however many they are; nor
//! do those of a model over time who were censored before its first event. Without them it is the model of the others, and is held
//! against other models of those, too.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::cube::Dims;
use super::matching::{Match, Shown, Source};
use super::models::{Column, named, sketch};
use super::persons::{Contribution, Persons, footprint};
use super::releases::{Cell, Table, Work};
use super::unsaid::{left_beside, product, unsaid};

/// What columns leave of an indicator, smaller than this, is rounding.
const ROUNDING: f64 = 1e-6;

/// So many parts of a model are looked at.
const PARTS: usize = 24;

/// So many groups of persons who are alike in everything are looked at.
const ALIKE: usize = 64;

/// Parts of a model's persons, who say of its covariates, or of one of them, what all of them do: for each person, whether it is one
/// of them. Whoever else there is, fewer than `k`, changes nothing about which persons are left out.
pub(crate) fn parts(
    k: u64,
    event: &Column,
    covariates: &[Column],
    time: Option<&Column>,
) -> Vec<Vec<bool>> {
    let values = |column: &Column| -> Vec<f64> {
        // Zero has two signs.
        let counted = column.counted.iter();
        counted.map(|entry| entry.sum + 0.0).collect()
    };
    let columns: Vec<Vec<f64>> = covariates.iter().map(values).collect();
    let persons = event.own.len();
    let few = usize::try_from(k).unwrap_or(persons);
    let alone = apart_from_others(k, few, persons, &columns);
    let mut left_out = vec![alone.clone()];
    left_out.extend((0..columns.len()).map(|at| {
        let mut these = alone.clone();
        without_a_say(few, &columns, at, &mut these);
        these
    }));
    if let Some(time) = time {
        for before in censored_first(few, &values(event), &values(time)) {
            let pairs = before.iter().zip(&alone);
            left_out.push(pairs.map(|(one, other)| *one || *other).collect());
        }
    }
    let mut seen = BTreeSet::new();
    left_out.retain(|these| {
        let out = these.iter().filter(|out| **out).count();
        out >= few && persons - out >= few && seen.insert(these.clone())
    });
    left_out.truncate(PARTS);
    let stays = |these: Vec<bool>| these.into_iter().map(|out| !out).collect();
    left_out.into_iter().map(stays).collect()
}

/// Those of whom at least `few` have the same values in all columns, and whom the columns set apart from all but fewer others: they
/// have a parameter of their own.
fn apart_from_others(k: u64, few: usize, persons: usize, columns: &[Vec<f64>]) -> Vec<bool> {
    let mut alike: BTreeMap<Vec<u64>, Vec<usize>> = BTreeMap::new();
    for at in 0..persons {
        let values = columns.iter().map(|column| column[at].to_bits());
        alike.entry(values.collect()).or_default().push(at);
    }
    let mut alike: Vec<Vec<usize>> = alike.into_values().collect();
    alike.retain(|these| these.len() >= few);
    alike.sort_by_key(|these| std::cmp::Reverse(these.len()));
    alike.truncate(ALIKE);
    let largest = |column: &Vec<f64>| column.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let scales: Vec<f64> = columns.iter().map(largest).collect();
    let row = |these: &Vec<usize>| -> Vec<f64> {
        let first = these.first().copied().unwrap_or(0);
        let own = columns.iter().zip(&scales);
        let own = own.map(|(column, scale)| column[first] / scale.max(f64::MIN_POSITIVE));
        std::iter::once(1.0).chain(own).collect()
    };
    let rows: Vec<Vec<f64>> = alike.iter().map(row).collect();
    let ones = vec![1.0; persons];
    let mut out = vec![false; persons];
    for (at, these) in alike.iter().enumerate() {
        // Of others alone what these are may follow.
        let others = rows.iter().enumerate().filter(|(other, _)| *other != at);
        if follows(&rows[at], others.map(|(_, row)| row)) {
            continue;
        }
        let mut indicator = vec![0.0; persons];
        these.iter().for_each(|person| indicator[*person] = 1.0);
        let left = unsaid(&indicator, columns, &ones, &ones, k);
        if left.iter().filter(|left| left.abs() > ROUNDING).count() < few {
            these.iter().for_each(|person| out[*person] = true);
        }
    }
    out
}

/// Whether a row is a sum of multiples of others.
fn follows<'a>(row: &[f64], others: impl Iterator<Item = &'a Vec<f64>>) -> bool {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for other in others {
        let rest = left_beside(other, &basis);
        let length = product(&rest, &rest).sqrt();
        if length > ROUNDING {
            basis.push(rest.into_iter().map(|x| x / length).collect());
        }
    }
    let rest = left_beside(row, &basis);
    product(&rest, &rest).sqrt() <= ROUNDING
}

/// Those who have one value of a column, and whom another one, of two values, sets apart: whatever else they have, they say next to
/// nothing of the first.
fn without_a_say(few: usize, columns: &[Vec<f64>], at: usize, out: &mut [bool]) {
    for (_, other) in columns.iter().enumerate().filter(|(of, _)| *of != at) {
        let groups = by_value(other, 0..other.len());
        let two: usize = groups.iter().take(2).map(Vec::len).sum();
        if other.len() - two >= few {
            continue;
        }
        for these in groups.iter().take(2) {
            let values = by_value(&columns[at], these.iter().copied());
            let most = values.first().map_or(0, Vec::len);
            if most >= few && these.len() - most < few {
                values[0].iter().for_each(|person| out[*person] = true);
            }
        }
    }
}

/// Persons by their value; first those of whom there are most.
fn by_value(column: &[f64], persons: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for person in persons {
        groups
            .entry(column[person].to_bits())
            .or_default()
            .push(person);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
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

/// What columns are of some of their persons; those that are the same for all of them say nothing.
pub(super) fn of_part(columns: &[Column], stays: &[bool]) -> Vec<Column> {
    let some = |all: &[Contribution]| -> Vec<Contribution> {
        let pairs = all.iter().zip(stays).filter(|(_, stays)| **stays);
        pairs.map(|(entry, _)| *entry).collect()
    };
    let of = columns.iter().map(|column| Column {
        name: column.name.clone(),
        shifted: column.shifted,
        own: some(&column.own),
        counted: some(&column.counted),
    });
    let varies = |column: &Column| column.own.windows(2).any(|pair| pair[0].sum != pair[1].sum);
    of.filter(varies).collect()
}

/// What is kept of a model's parts: tables of one group each, whose numbers are those of the model.
pub(crate) fn tables_of(
    model: &str,
    measure: &str,
    words: Words<'_>,
    parts: &[Vec<bool>],
    columns: &[Column],
) -> Vec<Table> {
    let table = |stays: &Vec<bool>| {
        let theirs = of_part(columns, stays);
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
            measure: measure.to_owned(),
            atom: named(model, &theirs),
            words: words.rows.to_owned(),
            ..Table::of(vec![cell])
        }
    };
    parts.iter().map(table).collect()
}

impl Work<'_> {
    /// Whether what a model says of its parts may be shown, too.
    pub(super) fn parts_are_new(&self, parts: &mut [Table]) -> Result<bool, Error> {
        for part in parts {
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
            .map(|of| of.iter().filter(|in_it| **in_it).count());
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
        }
        let two = |at: u32| match at {
            0..30 => 16.0,
            30..60 => 17.0,
            _ => day(at),
        };
        let first = column(|at| is(at < 30));
        let second = column(|at| is((30..60).contains(&at)));
        assert_eq!(left(&[column(two), first, second], None), [100]);
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
                .map(|of| of.iter().filter(|in_it| **in_it).count());
            assert_eq!(left.collect::<Vec<_>>()[0], 100 + usize::from(early));
        }
    }
}
