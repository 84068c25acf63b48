//! What an exact mean of a few values says as a number of rows.
//!
//! A mean of values that are far apart tells how many persons have which, as exactly as a count does: that of 3 and 28 among sixty
//! persons has a last digit that is finer than one person. So it is held against counts as a number of rows, of each person as many
//! as its value is steps above the smallest one, and they against it; where that number follows from what was shown, but for few
//! persons or for nobody, the mean is of what follows.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::cube::Dims;
use super::matching::{Shown, Source, of_this_result};
use super::persons::{Contribution, Persons, footprint};
use super::releases::{BOTH, Cell, Table, Work, decoded};
use super::span::Admitted;
use super::spread::{counted, last_digit, one_row_each, rounded, sums, within_fences};
use super::together::Numbers;
use super::{COUNT_OF_STEPS, Error, MEAN, PERSONS, Profile, ROWS};

/// The last digit of a mean, times all rows, tells nothing that is less than so many times as far.
const FAR: f64 = 4.0;

/// Of more values no mean tells who has which.
const VALUES: usize = 8;

/// No value is more steps than this above the smallest: what follows from numbers by other fractions is not told.
const MOST: u32 = 12;

/// What is left of a value where it is so many whole steps.
const OFF: f64 = 0.04;

/// Values are as good as one where they differ by no more than this part of their deviation.
const NEAR: f64 = 0.25;

/// A mean as a number of rows.
#[derive(Debug)]
pub(crate) struct Steps {
    /// How far a step is.
    step: f64,
    print: RoaringTreemap,
    /// Fewer than k persons have other values. What more of them add up to is not known, and hides how many have these.
    alone: bool,
}

impl Steps {
    /// How many there are.
    fn number(&self) -> f64 {
        let marks = self.print.bitmaps();
        let steps = marks.map(|(steps, persons)| f64::from(steps) * persons.len() as f64);
        steps.sum()
    }
}

/// A mean of before as a number of rows.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) print: RoaringTreemap,
    /// As in [`Steps`].
    pub(super) alone: bool,
}

/// What means of a result say as numbers of rows, beside all that was shown.
pub(super) struct BySteps {
    cells: Vec<Option<Steps>>,
    numbers: Vec<Numbers>,
    /// What was told of them.
    follow: BTreeMap<i64, f64>,
}

impl Cell {
    fn as_counted(&mut self, profile: &Profile) -> Vec<Contribution> {
        let by_rows = counted(self.persons.contributions(), profile);
        one_row_each(&by_rows, &by_rows).into_owned()
    }

    fn steps(&mut self, profile: &Profile) -> Option<Steps> {
        let is_mean =
            |(name, value): (&String, &Option<f64>)| name.starts_with(MEAN) && value.is_some();
        if !profile.is_exact() || !self.values.iter().any(is_mean) {
            return None;
        }
        steps(&self.as_counted(profile), profile)
    }
}

/// Of each person how many steps its rows are above the smallest value that enough have; nothing of those whose values few have, and
/// where the mean does not tell.
fn steps(own: &[Contribution], profile: &Profile) -> Option<Steps> {
    let values = values(own, profile);
    let low = values.first()?.0;
    let range = values.last()?.0 - low;
    let rows: f64 = own.iter().map(|entry| entry.rows as f64).sum();
    if values.len() > VALUES || range <= 0.0 || last_digit(own) * rows > FAR * range {
        return None;
    }
    // As few steps as say how far they are from each other.
    let part = |value: f64| (value - low) / range;
    let least = (1..=MOST).find(|steps| {
        let off = |value: f64| (part(value) * f64::from(*steps)).fract();
        values
            .iter()
            .all(|(value, _)| !(OFF..1.0 - OFF).contains(&off(*value)))
    });
    let most = least.unwrap_or(MOST);
    let rows = values.iter().flat_map(|(value, persons)| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of steps, from 0"
        )]
        let steps = (part(*value) * f64::from(most)).round() as u64;
        let theirs = persons.iter().filter(move |_| steps > 0);
        theirs.map(move |entry| Contribution {
            rows: entry.rows * steps,
            ..**entry
        })
    });
    let mut rows: Vec<Contribution> = rows.collect();
    rows.sort_unstable_by_key(|entry| entry.person);
    let theirs: usize = values.iter().map(|(_, persons)| persons.len()).sum();
    Some(Steps {
        step: range / f64::from(most),
        print: footprint(&rows),
        alone: own.len() - theirs < profile.k as usize,
    })
}

/// Values that at least k persons have, or nearly have, with these persons.
fn values<'a>(own: &'a [Contribution], profile: &Profile) -> Vec<(f64, Vec<&'a Contribution>)> {
    let value = |entry: &&Contribution| entry.sum / entry.rows as f64;
    let mut ordered: Vec<&Contribution> = own.iter().collect();
    ordered.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let (rows, sum, squares) = sums(own);
    let near = NEAR * (squares / rows - (sum / rows).powi(2)).max(0.0).sqrt();
    let mut groups: Vec<Vec<&Contribution>> = Vec::new();
    for entry in ordered {
        match groups.last_mut() {
            Some(group) if value(&entry) - value(&group[0]) <= near => group.push(entry),
            _ => groups.push(vec![entry]),
        }
    }
    groups.retain(|group| group.len() >= profile.k as usize);
    let mean =
        |group: &Vec<&Contribution>| group.iter().map(value).sum::<f64>() / group.len() as f64;
    groups
        .into_iter()
        .map(|group| (mean(&group), group))
        .collect()
}

impl Work<'_> {
    /// What means of before say as numbers of rows, with their places in the record.
    pub(super) fn means_as_steps(&self) -> Result<Vec<Known>, Error> {
        if !self.profile.is_exact() {
            return Ok(Vec::new());
        }
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, footprint, counted FROM number_set
             WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND measure = ?4 ORDER BY id",
        )?;
        let (from, to) = self.reader.of_store();
        let mut rows = statement.query((from, to, &self.reader.principal, COUNT_OF_STEPS))?;
        let mut means = Vec::new();
        while let Some(row) = rows.next()? {
            means.push(Known {
                id: row.get(0)?,
                print: decoded(&row.get::<_, Vec<u8>>(1)?)?,
                alone: row.get::<_, i64>(2)? == BOTH,
            });
        }
        Ok(means)
    }

    /// What means of this result say so, beside all that was shown.
    fn by_steps(&self, means: &mut Table) -> Result<BySteps, Error> {
        let cells = means.cells.iter_mut();
        let cells: Vec<Option<Steps>> = cells.map(|cell| cell.steps(self.profile)).collect();
        let own = cells.iter().enumerate().filter_map(|(at, steps)| {
            let steps = steps.as_ref()?;
            Some(Known {
                id: of_this_result(at),
                print: steps.print.clone(),
                alone: steps.alone,
            })
        });
        let own: Vec<Known> = own.collect();
        let numbers = match own.is_empty() {
            true => Vec::new(),
            false => self.beside_counts(&own, &means.words)?,
        };
        Ok(BySteps {
            cells,
            numbers,
            follow: BTreeMap::new(),
        })
    }

    /// Holds what a mean says as a number of rows against what was shown, and makes it that of what follows; whether it may be shown.
    /// What is new is left with the table.
    pub(super) fn holds_by_steps(
        &self,
        table: &mut Table,
        at: usize,
        by_steps: &mut Option<BySteps>,
    ) -> Result<bool, Error> {
        if !table.is_mean() {
            return Ok(true);
        }
        // Made when it is asked for, as the spans of counts are.
        let by_steps = match by_steps {
            Some(made) => made,
            None => by_steps.insert(self.by_steps(table)?),
        };
        let Some(steps) = by_steps.cells.get_mut(at).and_then(Option::take) else {
            return Ok(true);
        };
        let persons = usize::try_from(steps.print.len()).unwrap_or(usize::MAX);
        let within_noise = self.within_noise(false, persons);
        let mut follows = None;
        for numbers in &mut by_steps.numbers {
            let Some(vector) = numbers.of(of_this_result(at)).next() else {
                continue;
            };
            match numbers.span.admit(vector) {
                Admitted::New => {}
                Admitted::Follows { left, from } if left <= within_noise => {
                    follows = Some(numbers.named(&from));
                    break;
                }
                Admitted::Follows { .. } if numbers.rough => {}
                Admitted::Follows { .. } | Admitted::Few => return Ok(false),
            }
        }
        let Some(from) = follows else {
            by_steps.follow.insert(of_this_result(at), steps.number());
            table.steps.insert(at, steps);
            return Ok(true);
        };
        let mut number = 0.0;
        for (id, unit, factor) in from {
            let own = by_steps.follow.get(&id).copied();
            let Some(own) = own.map_or_else(|| self.shown_of(id, unit), |own| Ok(Some(own)))?
            else {
                return Ok(false);
            };
            number += own * factor;
        }
        let number = number.round();
        by_steps.follow.insert(of_this_result(at), number);
        let more = (number - steps.number()) * steps.step;
        if more == 0.0 {
            return Ok(true);
        }
        let cell = &mut table.cells[at];
        let own = cell.as_counted(self.profile);
        let (rows, sum, squares) = sums(&within_fences(&own, self.profile));
        // What the squares are of other persons is not known, and little of them.
        let square = 2.0 * more * sum / rows;
        let (mean, _) = rounded(rows, sum + more, squares + square);
        let means = cell
            .values
            .iter_mut()
            .filter(|(name, _)| name.starts_with(MEAN));
        means.for_each(|(_, number)| *number = Some(mean));
        Ok(true)
    }

    /// Keeps what a mean says as a number of rows.
    pub(super) fn keep_steps(&self, table: &mut Table, at: usize) -> Result<(), Error> {
        let Some(steps) = table.steps.remove(&at) else {
            return Ok(());
        };
        let number = Some(steps.number());
        let cell = Cell {
            dims: Dims::new(),
            persons: Persons::default(),
            sketch: None,
            held: None,
            common: None,
            safe: true,
            values: BTreeMap::from([(PERSONS.to_owned(), number), (ROWS.to_owned(), number)]),
        };
        let mut count = Table {
            measure: COUNT_OF_STEPS.to_owned(),
            ..Table::of(vec![cell])
        };
        let shown = Shown {
            persons: match steps.alone {
                true => Source::Own,
                false => Source::Withheld,
            },
            rows: Source::Own,
        };
        self.keep(&mut count, 0, &steps.print, &shown)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::disclosure::profile;

    fn of(persons: u32, value: impl Fn(u32) -> f64) -> Option<(f64, f64)> {
        let all = (0..persons).map(|at| Contribution::of(at.into(), value(at)));
        let found = steps(&all.collect::<Vec<_>>(), &profile("sacro").unwrap())?;
        Some((found.step, found.number()))
    }

    /// Two values among sixty are a number of persons, whatever few others have, and three are one of steps; ages are none, nor are
    /// two values among very many.
    #[test]
    fn a_mean_of_values_that_are_far_apart_is_a_number_of_rows() {
        let two = |at: u32| if at.is_multiple_of(3) { 28.5 } else { 12.5 };
        assert_eq!(of(60, two), Some((16.0, 20.0)));
        let others = |at: u32| {
            if at < 9 {
                13.0 + f64::from(at)
            } else {
                two(at)
            }
        };
        assert_eq!(of(60, others).map(|(_, number)| number), Some(17.0));
        let nearly = |at: u32| two(at) + f64::from(at) / 100.0;
        assert_eq!(of(60, nearly).map(|(_, number)| number), Some(20.0));
        // 1, 5 and 7 are none, two and three steps above the smallest.
        let three = |at: u32| [1.0, 5.0, 7.0][at as usize % 3];
        assert_eq!(of(60, three), Some((2.0, 100.0)));
        assert_eq!(of(100_000, two), None);
        assert_eq!(of(100, |at| f64::from(at * 37 % 80)), None);
        assert_eq!(of(60, |_| 5.0), None);
    }
}
