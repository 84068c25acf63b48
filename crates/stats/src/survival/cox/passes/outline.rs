//! What a fit by passes knows before its first step: event days, and the spread of the covariates.

use std::collections::BTreeMap;

use super::MAX_DAYS;
use crate::models::Moment;
use crate::models::Spread;
use crate::numeric::{Sequence, whole};
use crate::survival::columns::is_indicator;
use crate::survival::cox::Rows;
use crate::survival::is_whole;
use crate::{Error, Result, Summary};

/// What a fit knows before its first step.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) rows: usize,
    pub(super) events: usize,
    /// Whether all times are whole days.
    pub(super) whole: bool,
    /// Whether some weight is not a whole number.
    pub(super) fractional: bool,
    /// Whether R's means are those without the weights.
    unweighted: bool,
    /// One more than the last stratum's number.
    pub(super) strata: u64,
    /// Events and their weight, by stratum and day.
    pub(super) days: BTreeMap<(u64, u32), (u32, f64)>,
    pub(super) columns: Vec<Column>,
    pub(super) mixed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Column {
    pub(super) spread: Spread,
    indicator: bool,
    /// Without the weights.
    plain: Moment,
}

impl Outline {
    pub(super) fn of(rows: &Rows) -> Self {
        const PART: usize = 65_536;
        let whole = |time: &f64| is_whole(*time) && *time < MAX_DAYS;
        let mut outline = Self {
            rows: rows.len(),
            whole: rows.time.iter().chain(&rows.start).all(whole),
            fractional: rows.fractional_weights(),
            unweighted: !rows.start.is_empty() && !rows.weight.is_empty(),
            strata: rows.stratum.iter().max().map_or(1, |last| last + 1),
            ..Self::default()
        };
        for row in (0..rows.len()).filter(|row| rows.event[*row]) {
            outline.events += 1;
            if outline.whole {
                let stratum = rows.stratum.get(row).copied().unwrap_or(0);
                let (events, weight) = outline
                    .days
                    .entry((stratum, day(rows.time[row])))
                    .or_default();
                *events += 1;
                *weight += rows.weight_of(row);
            }
        }
        let columns = rows.covariates.iter().map(|column| {
            let parts = (0..column.len()).step_by(PART).map(|begin| {
                let part = begin..(begin + PART).min(column.len());
                let values = column.values().slice(part.clone());
                let weights = rows.weight.get(part);
                let spread = Spread::of(values, weights);
                Column {
                    spread,
                    indicator: is_indicator(values),
                    plain: weights.map_or(spread, |_| Spread::of(values, None)).moment,
                }
            });
            parts.reduce(Column::merged).unwrap_or_default()
        });
        outline.columns = columns.collect();
        outline
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.mixed |= other.mixed || self.columns.len() != other.columns.len();
        self.rows += other.rows;
        self.events += other.events;
        self.whole &= other.whole;
        self.fractional |= other.fractional;
        self.unweighted |= other.unweighted;
        self.strata = self.strata.max(other.strata);
        for (day, (events, weight)) in other.days {
            let known = self.days.entry(day).or_default();
            known.0 += events;
            known.1 += weight;
        }
        for (mine, theirs) in self.columns.iter_mut().zip(other.columns) {
            *mine = mine.merged(theirs);
        }
    }

    pub(super) fn means(&self) -> Vec<f64> {
        let mean = |column: &Column| {
            if column.indicator {
                0.0
            } else if self.unweighted {
                column.plain.mean
            } else {
                column.spread.centre()
            }
        };
        self.columns.iter().map(mean).collect()
    }

    pub(super) fn put(&self, numbers: &mut Vec<f64>) {
        let flag = |flag: bool| whole(usize::from(flag));
        numbers.extend([
            whole(self.rows),
            whole(self.events),
            flag(self.whole),
            flag(self.fractional),
            flag(self.unweighted),
            whole(usize::try_from(self.strata).unwrap_or(usize::MAX)),
            flag(self.mixed),
            whole(self.days.len()),
            whole(self.columns.len()),
        ]);
        for ((stratum, day), (events, weight)) in &self.days {
            let stratum = whole(usize::try_from(*stratum).unwrap_or(usize::MAX));
            numbers.extend([stratum, f64::from(*day), f64::from(*events), *weight]);
        }
        for column in &self.columns {
            let Moment {
                weight,
                mean,
                squares,
            } = column.spread.moment;
            numbers.extend([weight, mean, squares, column.spread.low, column.spread.high]);
            let plain = column.plain;
            numbers.extend([plain.weight, plain.mean, plain.squares]);
            numbers.push(flag(column.indicator));
        }
    }

    pub(super) fn read(numbers: &mut Sequence<'_>) -> Result<Self> {
        let mut outline = Self {
            rows: numbers.count()?,
            events: numbers.count()?,
            whole: numbers.count()? == 1,
            fractional: numbers.count()? == 1,
            unweighted: numbers.count()? == 1,
            strata: numbers.count()? as u64,
            mixed: numbers.count()? == 1,
            ..Self::default()
        };
        let (days, columns) = (numbers.count()?, numbers.count()?);
        let small = |count: usize| u32::try_from(count).map_err(|_| Error::CorruptState);
        for _ in 0..days {
            let day = (numbers.count()? as u64, small(numbers.count()?)?);
            let events = small(numbers.count()?)?;
            outline.days.insert(day, (events, numbers.number()?));
        }
        for _ in 0..columns {
            let spread = Spread::known(moment(numbers)?, numbers.number()?, numbers.number()?);
            outline.columns.push(Column {
                spread,
                plain: moment(numbers)?,
                indicator: numbers.count()? == 1,
            });
        }
        Ok(outline)
    }
}

impl Column {
    fn merged(mut self, other: Self) -> Self {
        self.spread = self.spread.merged(other.spread);
        self.indicator &= other.indicator;
        self.plain.merge(other.plain);
        self
    }
}

fn moment(numbers: &mut Sequence<'_>) -> Result<Moment> {
    Ok(Moment {
        weight: numbers.number()?,
        mean: numbers.number()?,
        squares: numbers.number()?,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole day in range"
)]
fn day(time: f64) -> u32 {
    time as u32
}
