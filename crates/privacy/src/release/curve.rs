//! Curves over time: computed from rounded counts of steps that each hold enough persons.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, Float64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;
use serde::{Deserialize, Serialize};

use super::expression::is_literal;
use super::refused::refuse;
pub(super) use crate::disclosure::digits::{decimals, digits, exponent};

/// How a statistic's result may be disclosed. A statistic that declares nothing is not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// A curve over time, of the arguments time and event: a list of records with `time`, `n_risk`, `n_event`,
    /// `n_censor`, an estimate, and `cause` where causes compete. Shown with rounded counts and steps merged until each
    /// holds enough events.
    Curve {
        /// The estimate's field.
        estimate: &'static str,
        /// How it follows from the counts.
        estimator: Estimator,
    },
    /// A regression: a list of records with `term`, `coefficient` and `std_err`, of the arguments time and event, or outcome,
    /// and a `named_struct` of covariates.
    Regression {
        /// Time comes before the event.
        time: bool,
        /// Those without the event count like those with it.
        both: bool,
    },
    /// A statistic that its own function computes from numbers that are released for it.
    Recomputed(Source),
}

/// A statistic that may be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releasable {
    /// How its result may be disclosed.
    pub declared: Declared,
    /// The places of its arguments that have a value for each row, such as weights.
    pub of_rows: Vec<usize>,
}

impl Releasable {
    /// Refuses arguments that follow the statistic's own columns and are no options. Also a literal is a value of each row:
    /// all rows in one cluster, or a million times each, have no standard error, by which a coefficient is rounded.
    pub(super) fn only_options(&self, name: &str, args: &[Expr], columns: usize) -> Result<()> {
        let mut others = args.iter().enumerate().skip(columns);
        if others.all(|(at, arg)| is_null(arg) || is_literal(arg) && !self.of_rows.contains(&at)) {
            return Ok(());
        }
        refuse(
            "statistic",
            format!(
                "a released `{name}` has no strata, weights, clusters, offsets or delayed entry, and its options are literals"
            ),
            "leave them out, or use GROUP BY for strata",
        )
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        Expr::TryCast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

/// What the rows of a recomputed statistic follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// So many conditions: how many rows there are for each combination of them.
    Conditions(usize),
    /// Events and person-time, or observed and expected events: their sums, by a condition if there are groups.
    Sums {
        /// The third argument is the group.
        groups: bool,
    },
    /// A number by a condition: means, deviations and counts of both groups. Of a condition: counts.
    Means,
    /// Time and event: persons at risk and events in steps of time, by a condition if there are groups.
    Steps {
        /// The third argument is the group.
        groups: bool,
    },
}

impl Source {
    /// How many of the statistic's arguments are columns.
    pub(super) fn columns(self) -> usize {
        match self {
            Self::Conditions(columns) => columns,
            Self::Means => 2,
            Self::Sums { groups } | Self::Steps { groups } => 2 + usize::from(groups),
        }
    }
}

/// How a curve follows from events and persons at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// The product of 1 − d/n.
    KaplanMeier,
    /// The sum of d/n.
    NelsonAalen,
    /// The sum of S · d/n of each cause.
    AalenJohansen,
}

impl Declared {
    /// The time and the event of a call.
    pub(super) fn columns<'a>(&self, name: &str, args: &'a [Expr]) -> Result<(&'a Expr, &'a Expr)> {
        let given = |arg: &&Expr| !matches!(arg, Expr::Literal(value, _) if value.is_null());
        match args {
            [time, event, rest @ ..] if !rest.iter().any(|arg| given(&arg)) => Ok((time, event)),
            _ => refuse(
                "statistic",
                format!(
                    "a released `{name}` is computed from rounded counts of persons, with plain intervals at 95 %: weights, delayed entry and options have no place in it"
                ),
                format!("write {name}(time, event), and use GROUP BY for strata"),
            ),
        }
    }
}

/// Causes are told apart by whole numbers up to this one.
pub(super) const MOST_CAUSES: f64 = 9.0;

/// A person's time, and what happened then: 0 if nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Follow {
    pub(super) person: i64,
    pub(super) time: f64,
    pub(super) cause: i64,
    /// Which of the groups that are compared.
    pub(super) arm: usize,
}

/// A step of a curve. How many had an event in it, and were at risk before, is known by the names of [`counted`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) time: f64,
}

/// The causes that happened to at least `k` persons, in order: others are not listed, be it that nobody had one.
pub(super) fn causes(follows: &[Follow], k: u64) -> Vec<i64> {
    let mut causes: Vec<i64> = follows
        .iter()
        .map(|follow| follow.cause)
        .filter(|cause| *cause > 0)
        .collect();
    causes.sort_unstable();
    let often = causes.chunk_by(|a, b| a == b);
    let often = often.filter(|same| same.len() as u64 >= k);
    often.filter_map(|same| same.first().copied()).collect()
}

/// How an interval of time is parted, of which the persons of one kind are known: a number for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parted {
    /// Neither half has enough of them.
    Whole = 0,
    /// Both halves have.
    Halves = 1,
    /// The first half has; the few others count at its end.
    First = 2,
    /// The second half has; the few others count in it.
    Second = 3,
}

impl Parted {
    const ALL: [Self; 4] = [Self::Whole, Self::Halves, Self::First, Self::Second];
}

/// A kind of persons, those with one cause or those censored, up to the ends of intervals of time.
pub(super) struct UpTo {
    /// The end of an interval, and all of them up to there.
    pub(super) until: Vec<(f64, Vec<i64>)>,
}

/// An interval is parted until it is so small a part of its end.
const PARTS: f64 = 64.0;

/// Times from the first of these on are not told apart, nor those up to the second.
const LONGEST: f64 = 1_099_511_627_776.0;
const SHORTEST: f64 = 1.0 / 64.0;

/// Parts time into halves, and these again, where each has at least `k` of these persons; fewer count with the others. So no
/// interval begins or ends at a time of theirs, and whether one is parted is asked of `decide`, with who is in which half and what
/// that says: of nearly the same persons in nearly the same halves it has one answer, whatever time is measured and wherever they
/// are. So an answer of before counts fewer than 2k with the others of their kind.
pub(super) fn up_to<E>(
    mut persons: Vec<(i64, f64)>,
    k: u64,
    decide: &mut impl FnMut([&[i64]; 2], i64) -> std::result::Result<i64, E>,
) -> std::result::Result<UpTo, E> {
    let mut until = Vec::new();
    persons.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let enough = |persons: &[(i64, f64)]| persons.len() as u64 >= k;
    if !enough(&persons) {
        return Ok(UpTo { until });
    }
    let last = persons.last().map_or(0.0, |(_, time)| time.min(LONGEST));
    let mut end = SHORTEST;
    while end < last {
        end *= 2.0;
    }
    // Earlier ones on top.
    let mut left = vec![(0.0, end, &persons[..])];
    let mut before: Vec<i64> = Vec::new();
    while let Some((begin, end, theirs)) = left.pop() {
        let middle = f64::midpoint(begin, end);
        let (first, second) = theirs.split_at(theirs.partition_point(|(_, time)| *time <= middle));
        let parted = match (enough(first), enough(second)) {
            _ if end - begin <= end / PARTS || end <= SHORTEST => None,
            (true, true) => Some(Parted::Halves),
            (true, false) => Some(Parted::First),
            (false, true) => Some(Parted::Second),
            (false, false) => Some(Parted::Whole),
        };
        let parted = match parted {
            None => Parted::Whole,
            Some(own) => {
                let members = |half: &[(i64, f64)]| {
                    let mut members: Vec<i64> = half.iter().map(|(person, _)| *person).collect();
                    members.sort_unstable();
                    members
                };
                let found = decide([&members(first), &members(second)], own as i64)?;
                let found = Parted::ALL
                    .into_iter()
                    .find(|parted| *parted as i64 == found);
                found.unwrap_or(own)
            }
        };
        match parted {
            Parted::Whole => {
                before.extend(theirs.iter().map(|(person, _)| person));
                let end = if end <= SHORTEST { 0.0 } else { end };
                until.push((end, before.clone()));
            }
            Parted::Halves => left.extend([(middle, end, second), (begin, middle, first)]),
            Parted::First => left.push((begin, middle, theirs)),
            Parted::Second => left.push((middle, end, theirs)),
        }
    }
    Ok(UpTo { until })
}

/// How many had what up to when, as it is shown: of those with a cause or censored, in order of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    numbers: Vec<(f64, f64)>,
}

impl Course {
    /// A number that is withheld is that of before, and none is less.
    pub(super) fn of(numbers: impl Iterator<Item = (f64, Option<f64>)>) -> Self {
        let mut all: Vec<(f64, f64)> = Vec::new();
        for (time, number) in numbers {
            let before = all.last().map_or(0.0, |(_, before)| *before);
            if let Some(number) = number.filter(|number| *number > before) {
                all.push((time, number));
            }
        }
        Self { numbers: all }
    }

    fn before(&self, time: f64) -> f64 {
        let until = self.numbers.partition_point(|(at, _)| *at < time);
        until.checked_sub(1).map_or(0.0, |at| self.numbers[at].1)
    }

    fn up_to(&self, time: f64) -> f64 {
        let until = self.numbers.partition_point(|(at, _)| *at <= time);
        until.checked_sub(1).map_or(0.0, |at| self.numbers[at].1)
    }
}

/// The steps of a curve, from numbers as they are shown: of all persons of each group that is compared, of those with each cause, all
/// causes of the first group first, and of those censored. There is a step wherever somebody is shown to have had an event, and at
/// least `k` remain at risk after the last. With them the numbers of their counts: up to the end of each step events, and at its start
/// those at risk.
pub(super) fn counted(
    all: &[f64],
    events: &[Course],
    censored: &[Course],
    k: u64,
) -> (Vec<Step>, BTreeMap<String, f64>) {
    let causes = events.len() / all.len().max(1);
    let theirs = |arm: usize| events.iter().skip(arm * causes).take(causes);
    let mut times: Vec<f64> = events
        .iter()
        .flat_map(|of| of.numbers.iter().map(|(time, _)| *time))
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let remain = |arm: usize, time: f64| {
        let had: f64 = theirs(arm).map(|of| of.up_to(time)).sum();
        all[arm] - had - censored[arm].before(time)
    };
    while let Some(last) = times.last()
        && (0..all.len()).any(|arm| remain(arm, *last) < k as f64)
    {
        times.pop();
    }
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for (arm, all) in all.iter().enumerate() {
        counts.insert(format!("all:{arm}"), *all);
        for (place, time) in times.iter().enumerate() {
            let gone: f64 = theirs(arm)
                .chain([&censored[arm]])
                .map(|of| of.before(*time))
                .sum();
            counts.insert(format!("risk:{place}:{arm}"), all - gone);
        }
    }
    for (at, of) in events.iter().enumerate() {
        for (place, time) in times.iter().enumerate() {
            counts.insert(format!("events:{place}:{at}"), of.up_to(*time));
        }
    }
    let steps = times.into_iter().map(|time| Step { time });
    (steps.collect(), counts)
}

/// A row of a released curve.
struct Row {
    cause: i64,
    time: f64,
    at_risk: f64,
    events: f64,
    censored: Option<f64>,
    estimate: f64,
    error: Option<f64>,
}

/// The curve of steps, cause by cause, from counts as they are shown, by the names of [`counted`].
fn estimated(
    causes: &[i64],
    steps: &[Step],
    counts: &BTreeMap<String, f64>,
    estimator: Estimator,
) -> Vec<Row> {
    let count = |name: String| counts.get(&name).copied().unwrap_or(0.0);
    let at_risk = |place: usize| count(format!("risk:{place}:0"));
    // Up to the end of a step, less those before it.
    let events = |place: usize, at: usize| {
        let before = match place.checked_sub(1) {
            Some(before) => count(format!("events:{before}:{at}")),
            None => 0.0,
        };
        (count(format!("events:{place}:{at}")) - before).max(0.0)
    };
    let mut rows = Vec::new();
    for (at, cause) in causes.iter().enumerate() {
        let (mut survival, mut sum, mut greenwood, mut variance) = (1.0_f64, 0.0, 0.0, 0.0_f64);
        for (place, step) in steps.iter().enumerate() {
            let n = at_risk(place).max(1.0);
            let d = events(place, at).min(n);
            let together: f64 = (0..causes.len()).map(|at| events(place, at)).sum();
            let (estimate, error) = match estimator {
                Estimator::KaplanMeier => {
                    survival *= 1.0 - d / n;
                    greenwood += if n > d {
                        d / (n * (n - d))
                    } else {
                        f64::INFINITY
                    };
                    (survival, Some(survival * f64::sqrt(greenwood)))
                }
                Estimator::NelsonAalen => {
                    sum += d / n;
                    variance += d / (n * n);
                    (sum, Some(variance.sqrt()))
                }
                Estimator::AalenJohansen => {
                    sum += survival * d / n;
                    survival *= 1.0 - together.min(n) / n;
                    (sum, None)
                }
            };
            // Nobody is known to be at risk after the last step: what is left is not shown.
            let censored = if place + 1 < steps.len() {
                Some((n - together - at_risk(place + 1)).max(0.0))
            } else {
                None
            };
            rows.push(Row {
                cause: *cause,
                time: step.time,
                at_risk: n,
                events: d,
                censored,
                estimate,
                error: error.filter(|error| error.is_finite()),
            });
        }
    }
    rows
}

/// A curve's result, of the type that its function gives.
pub(super) fn result(
    causes: &[i64],
    steps: &[Step],
    counts: &BTreeMap<String, f64>,
    declared: &Declared,
    kind: &DataType,
) -> Result<ScalarValue> {
    let Declared::Curve {
        estimate,
        estimator,
    } = declared
    else {
        return ScalarValue::try_from(kind);
    };
    let null = ScalarValue::try_from(kind)?;
    let DataType::List(item) = kind else {
        return Ok(null);
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Ok(null);
    };
    let rows = estimated(causes, steps, counts, *estimator);
    let bound = |sign: f64| -> Float64Array {
        // The normal quantile of 95 %.
        const Z: f64 = 1.959_963_984_540_054;
        rows.iter()
            .map(|row| {
                let bound = row.estimate + sign * Z * row.error?;
                Some(match estimator {
                    Estimator::NelsonAalen => bound.max(0.0),
                    _ => bound.clamp(0.0, 1.0),
                })
            })
            .collect()
    };
    let of = |get: fn(&Row) -> f64| -> Float64Array { rows.iter().map(get).map(Some).collect() };
    let columns = fields
        .iter()
        .map(|field| {
            let numbers = match field.name().as_str() {
                "cause" => of(|row| row.cause as f64),
                "time" => of(|row| row.time),
                "n_risk" => of(|row| row.at_risk),
                "n_event" => of(|row| row.events),
                "n_censor" => rows.iter().map(|row| row.censored).collect(),
                "std_err" => rows.iter().map(|row| row.error).collect(),
                "lower" => bound(-1.0),
                "upper" => bound(1.0),
                name if name == *estimate => of(|row| row.estimate),
                _ => Float64Array::new_null(rows.len()),
            };
            Ok(cast(&numbers, field.data_type())?)
        })
        .collect::<Result<Vec<_>>>()?;
    let table = StructArray::try_new(fields.clone(), columns, None::<NullBuffer>)?;
    let list = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths([table.len()]),
        Arc::new(table),
        None,
    )?;
    Ok(ScalarValue::List(Arc::new(list)))
}

#[cfg(test)]
mod tests;
