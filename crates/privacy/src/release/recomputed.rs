//! Statistics that are computed by their own function from what is released, and from nothing else.
//!
//! An odds ratio follows from four counts, a rate from two sums, a standardized difference from the means and spreads of
//! two groups, a log-rank test from how many were at risk and had events in each step of time. Each of those numbers is
//! released as if it had been asked for by itself; then the function is given rows that are made of them. Where one of
//! them is withheld, so is the statistic.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{Column, Literal};

use super::curve::Step;
use super::spec::Number;

/// A statistic, and what its rows are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recomputed {
    /// Its function.
    pub(super) function: Arc<AggregateUDF>,
    /// The types of the arguments that are columns, which come first.
    pub(super) types: Vec<DataType>,
    /// The other arguments.
    pub(super) options: Vec<ScalarValue>,
    pub(super) made_of: MadeOf,
}

/// What a statistic's rows are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum MadeOf {
    /// So many rows of each kind.
    Counts(Vec<(Vec<f64>, Number)>),
    /// One row for each group; the first number of each is a whole one.
    Sums(Vec<Vec<Entry>>),
    /// For each group its value, and the mean, the deviation and the number of its rows.
    Means(Vec<(f64, [Number; 3])>),
    /// Persons at risk and events by steps of time, by the places of times, events and groups among the bases.
    Steps {
        times: usize,
        events: usize,
        groups: Option<usize>,
    },
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// A number that is released.
    Released(Number),
    /// The group's.
    Group(f64),
}

/// Rows that are the same, and how many of them there are.
pub(super) type Repeated = (Vec<f64>, f64);

/// Rows that are given to a function at once.
const ROWS: usize = 65_536;

impl Recomputed {
    /// The statistic of these rows; none where it is not defined.
    pub(super) fn of(&self, rows: &[Repeated]) -> Result<Option<ScalarValue>> {
        let mut accumulator = accumulator(&self.function, &self.types, &self.options)?;
        for (values, times) in rows {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a released count of rows, not negative"
            )]
            let mut left = times.round().max(0.0) as usize;
            while left > 0 {
                let size = left.min(ROWS);
                left -= size;
                let mut arrays = values
                    .iter()
                    .zip(&self.types)
                    .map(|(value, kind)| column(*value, kind, size))
                    .collect::<Result<Vec<_>>>()?;
                for value in &self.options {
                    arrays.push(value.to_array_of_size(size)?);
                }
                // What it refuses, it refuses of numbers that are known: there is no statistic of them.
                if accumulator.update_batch(&arrays).is_err() {
                    return Ok(None);
                }
            }
        }
        Ok(accumulator.evaluate().ok().filter(|value| !value.is_null()))
    }
}

/// What takes rows of a function's columns, whose types these are, and of its options.
pub(super) fn accumulator(
    function: &Arc<AggregateUDF>,
    types: &[DataType],
    options: &[ScalarValue],
) -> Result<Box<dyn Accumulator>> {
    let fields: Vec<Field> = types
        .iter()
        .enumerate()
        .map(|(at, kind)| Field::new(format!("c{at}"), kind.clone(), true))
        .collect();
    let columns = fields
        .iter()
        .enumerate()
        .map(|(at, field)| Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>);
    let options = options
        .iter()
        .map(|value| Arc::new(Literal::new(value.clone())) as Arc<dyn PhysicalExpr>);
    let arguments = columns.chain(options).collect();
    AggregateExprBuilder::new(Arc::clone(function), arguments)
        .schema(Arc::new(Schema::new(fields)))
        .alias("statistic")
        .build()?
        .create_accumulator()
}

/// A value, as often as it is wanted, of the type that the function takes.
fn column(value: f64, kind: &DataType, size: usize) -> Result<ArrayRef> {
    let text = if value == 0.0 { "false" } else { "true" };
    let numbers = || Arc::new(Float64Array::from_value(value, size)) as ArrayRef;
    Ok(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![value != 0.0; size])),
        // Groups are conditions.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            cast(&StringArray::from(vec![text; size]), kind)?
        }
        _ => cast(&numbers(), kind)?,
    })
}

/// The rows of two groups of values that have these means, deviations and sizes.
pub(super) fn of_means(groups: &[(f64, [f64; 3])]) -> Vec<Repeated> {
    let mut rows = Vec::new();
    for (group, [mean, deviation, count]) in groups {
        let (mean, deviation, count) = (*mean, *deviation, count.round());
        let half = (count / 2.0).floor();
        // Half above and half below the mean, and of an odd number one at it.
        let away = if half * 2.0 == count {
            deviation * ((count - 1.0) / count).sqrt()
        } else {
            deviation
        };
        rows.push((vec![mean - away, *group], half));
        rows.push((vec![mean + away, *group], half));
        rows.push((vec![mean, *group], count - 2.0 * half));
    }
    rows
}

/// Into so many parts of a step its events are spread at most.
const PARTS: u32 = 64;
/// Steps of so many whole units are of days, and events on days.
const LEAST_DAYS: f64 = 8.0;

/// The rows of persons who were at risk in steps of time, from counts as they are shown. As in a life table, events are spread evenly
/// over their step, and of those who were censored in it, half count as at risk throughout and half not at all.
pub(super) fn of_steps(
    causes: &[i64],
    arms: &[f64],
    grouped: bool,
    steps: &[Step],
    counts: &BTreeMap<String, f64>,
) -> Vec<Repeated> {
    let count = |name: String| counts.get(&name).copied().unwrap_or(0.0);
    let mut rows = Vec::new();
    for (arm, value) in arms.iter().enumerate() {
        let row = |time: f64, cause: f64| {
            let mut row = vec![time, cause];
            row.extend(grouped.then_some(*value));
            row
        };
        let mut at_risk = count(format!("all:{arm}"));
        for (place, step) in steps.iter().enumerate() {
            let mut left = at_risk;
            let begin = place
                .checked_sub(1)
                .map_or(0.0, |before| steps[before].time);
            let whole = begin.fract() == 0.0 && step.time.fract() == 0.0;
            let in_days = whole && step.time - begin >= LEAST_DAYS;
            for (at, cause) in causes.iter().enumerate() {
                let place_of = arm * causes.len() + at;
                let before = match place.checked_sub(1) {
                    Some(before) => count(format!("events:{before}:{place_of}")),
                    None => 0.0,
                };
                let events = count(format!("events:{place}:{place_of}")) - before;
                let events = events.clamp(0.0, left);
                left -= events;
                let parts = events.round().clamp(1.0, f64::from(PARTS));
                let mut placed = 0.0;
                for part in 1..=PARTS {
                    let part = f64::from(part);
                    if part > parts {
                        break;
                    }
                    let until = (events * part / parts).round();
                    let time = begin + (step.time - begin) * (part - 0.5) / parts;
                    let time = if in_days { time.ceil() } else { time };
                    rows.push((row(time, *cause as f64), until - placed));
                    placed = until;
                }
            }
            // Of those who remain after the last step nothing is known but that they were at risk in it.
            let (stay, gone) = if place + 1 < steps.len() {
                let next = count(format!("risk:{}:{arm}", place + 1)).min(left);
                (next, left - next)
            } else {
                (0.0, 0.0)
            };
            let early = (gone / 2.0).floor();
            rows.push((row(begin, 0.0), early));
            rows.push((row(step.time, 0.0), left - stay - early));
            at_risk = stay;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_values_have_the_mean_and_the_deviation() {
        for count in [10.0, 11.0] {
            let rows = of_means(&[(1.0, [50.0, 8.0, count])]);
            let n: f64 = rows.iter().map(|row| row.1).sum();
            let mean: f64 = rows.iter().map(|row| row.0[0] * row.1).sum::<f64>() / n;
            let squares: f64 = rows
                .iter()
                .map(|row| (row.0[0] - mean).powi(2) * row.1)
                .sum();
            assert!((n - count).abs() < 1e-12 && (mean - 50.0).abs() < 1e-12);
            assert!(((squares / (n - 1.0)).sqrt() - 8.0).abs() < 1e-12);
        }
    }

    #[test]
    fn made_up_persons_are_at_risk_and_have_events_as_was_shown() {
        let step = |time: f64| Step { time };
        let counts = BTreeMap::from([
            ("all:0".to_owned(), 100.0),
            ("events:0:0".to_owned(), 20.0),
            ("risk:1:0".to_owned(), 70.0),
            ("events:1:0".to_owned(), 50.0),
        ]);
        let rows = of_steps(&[1], &[0.0], false, &[step(10.0), step(20.0)], &counts);
        let (events, censored): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.0[1] == 1.0);
        let expected = [
            (vec![0.0, 0.0], 5.0),
            (vec![10.0, 0.0], 5.0),
            (vec![10.0, 0.0], 0.0),
            (vec![20.0, 0.0], 40.0),
        ];
        assert_eq!(censored, expected);
        // Two a day in the first step, three in the second.
        for day in 1..=20 {
            let on_day = events.iter().filter(|row| row.0[0] == f64::from(day));
            let on_day: f64 = on_day.map(|row| row.1).sum();
            assert_eq!(on_day, if day <= 10 { 2.0 } else { 3.0 }, "{day}");
        }
        assert_eq!(events.iter().map(|row| row.1).sum::<f64>(), 50.0);
    }
}
