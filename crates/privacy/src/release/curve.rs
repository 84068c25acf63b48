//! Curves over time: computed from rounded counts of steps that each hold enough persons.

use std::collections::{BTreeMap, HashSet};
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

/// A step of a curve: who had an event of each cause in it, who was censored, and how many were at risk before. Where groups
/// are compared, the first one's causes come first. Kept is its time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) time: f64,
    #[serde(skip)]
    pub(super) at_risk: u64,
    #[serde(skip)]
    pub(super) events: Vec<Vec<i64>>,
    /// By group.
    #[serde(skip)]
    pub(super) censored: Vec<Vec<i64>>,
}

impl Step {
    fn all_events(&self) -> u64 {
        self.events.iter().map(|events| events.len() as u64).sum()
    }

    #[cfg(test)]
    fn persons(&self) -> u64 {
        self.all_events() + self.censored.iter().map(|c| c.len() as u64).sum::<u64>()
    }
}

/// The causes that happened, in order.
pub(super) fn causes(follows: &[Follow]) -> Vec<i64> {
    let mut causes: Vec<i64> = follows
        .iter()
        .map(|follow| follow.cause)
        .filter(|cause| *cause > 0)
        .collect();
    causes.sort_unstable();
    causes.dedup();
    causes
}

/// Steps of at least `least` events, none or at least `k` of each cause and of those censored, and with none or at least
/// `k` left at risk. What remains at the end is not shown. Times are raised to a grid of a hundredth of their range, or a
/// day, and cut at the time that `k` persons reach: no step ends at a single person's time. Of several groups that are
/// compared, all this holds for each.
pub(super) fn steps(
    follows: &[Follow],
    causes: &[i64],
    arms: usize,
    k: u64,
    least: u64,
) -> Vec<Step> {
    // The time that as many persons reach as make a group: neither the grid nor the curve's end is a single person's.
    let at = usize::try_from(k.max(1) - 1).unwrap_or(usize::MAX);
    let reached = |arm: usize| {
        let theirs = follows.iter().filter(|follow| follow.arm == arm);
        let mut times: Vec<f64> = theirs.map(|follow| follow.time).collect();
        times.sort_by(|a, b| b.total_cmp(a));
        times.get(at).copied().unwrap_or(0.0).max(0.0)
    };
    let last = (0..arms).map(reached).reduce(f64::min).unwrap_or(0.0);
    let grid = if last > 100.0 {
        10_f64.powi(exponent(last / 100.0))
    } else {
        1.0
    };
    let raised = |time: f64| (time.min(last) / grid).ceil() * grid;
    let mut ordered = follows.to_vec();
    ordered.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut left = vec![0_u64; arms];
    for follow in follows {
        left[follow.arm] += 1;
    }
    let few = |number: u64| number > 0 && number < k;
    let empty = |at_risk: &[u64]| Step {
        time: 0.0,
        at_risk: at_risk.iter().sum(),
        events: vec![Vec::new(); causes.len() * arms],
        censored: vec![Vec::new(); arms],
    };
    let mut open = empty(&left);
    let mut steps = Vec::new();
    for together in ordered.chunk_by(|a, b| raised(a.time) == raised(b.time)) {
        for follow in together {
            match causes.binary_search(&follow.cause) {
                Ok(at) => open.events[follow.arm * causes.len() + at].push(follow.person),
                Err(_) => open.censored[follow.arm].push(follow.person),
            }
            left[follow.arm] -= 1;
        }
        open.time = raised(together[0].time);
        let rare = open.events.iter().any(|events| few(events.len() as u64));
        let seldom = open.censored.iter().any(|gone| few(gone.len() as u64));
        let ending = left.iter().any(|left| few(*left));
        if open.all_events() < least || rare || seldom || ending {
            continue;
        }
        steps.push(std::mem::replace(&mut open, empty(&left)));
    }
    steps
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

/// The curve of steps, cause by cause, from counts as they are shown: of all persons, and of each group of
/// [`groups`]. Groups of nobody are not among them.
fn estimated(
    causes: &[i64],
    steps: &[Step],
    all: f64,
    counts: &BTreeMap<String, f64>,
    estimator: Estimator,
) -> Vec<Row> {
    let count = |name: String| counts.get(&name).copied().unwrap_or(0.0);
    let at_risk = |place: usize| {
        if place == 0 {
            all
        } else {
            count(format!("risk:{place}:0"))
        }
    };
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
    all: f64,
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
    let rows = estimated(causes, steps, all, counts, *estimator);
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

/// The groups of persons whose numbers a curve shows: those with an event up to the end of each step, by cause, and those
/// at risk at the start of each but the first. Rounded, sums of events keep their distance from the truth; rounded
/// steps would drift away from it.
pub(super) fn groups(steps: &[Step], follows: &[Follow], arms: usize) -> Vec<(String, Vec<i64>)> {
    let mut groups = Vec::new();
    let mut had: Vec<Vec<i64>> =
        vec![Vec::new(); steps.first().map_or(0, |step| step.events.len())];
    let mut left: Vec<HashSet<i64>> = vec![HashSet::new(); arms];
    for follow in follows {
        left[follow.arm].insert(follow.person);
    }
    for (at, step) in steps.iter().enumerate() {
        if at > 0 {
            for (arm, left) in left.iter().enumerate() {
                groups.push((format!("risk:{at}:{arm}"), left.iter().copied().collect()));
            }
        }
        for (cause, events) in step.events.iter().enumerate() {
            had[cause].extend(events);
            groups.push((format!("events:{at}:{cause}"), had[cause].clone()));
        }
        for person in step.events.iter().chain(&step.censored).flatten() {
            for left in &mut left {
                left.remove(person);
            }
        }
    }
    groups.retain(|(_, persons)| !persons.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(rows: &[(i64, f64, i64)]) -> Vec<Follow> {
        rows.iter()
            .map(|(person, time, cause)| Follow {
                person: *person,
                time: *time,
                cause: *cause,
                arm: 0,
            })
            .collect()
    }

    #[test]
    fn steps_hold_enough_events_and_leave_enough_at_risk() {
        // Two events a day.
        let all = follows(
            &(0..100)
                .map(|n| (n, 1.0 + (n / 2) as f64, 1))
                .collect::<Vec<_>>(),
        );
        let shown = steps(&all, &[1], 1, 11, 11);
        assert!(shown.iter().all(|step| step.all_events() >= 11));
        let left = 100 - shown.iter().map(Step::persons).sum::<u64>();
        assert!(left == 0 || left >= 11, "{left} are left");
        assert_eq!(shown[1].at_risk, 100 - shown[0].persons());
        // Few censored do not show, nor a cause of few.
        let mut few = follows(
            &(0..60)
                .map(|n| (n, 1.0 + (n / 20) as f64, 1))
                .collect::<Vec<_>>(),
        );
        few[0].cause = 0;
        assert!(steps(&few, &[1], 1, 11, 11).is_empty());
        few[0].cause = 2;
        assert!(steps(&few, &[1, 2], 1, 11, 11).is_empty());
    }

    #[test]
    fn estimates_follow_from_what_is_shown() {
        let step = |time: f64, at_risk: u64, events: &[usize]| Step {
            time,
            at_risk,
            events: events
                .iter()
                .enumerate()
                .map(|(cause, n)| {
                    let first = 100 - at_risk as i64 + cause as i64 * 20;
                    (first..first + *n as i64).collect()
                })
                .collect(),
            censored: vec![Vec::new()],
        };
        let run = |causes: &[i64], steps: &[Step], estimator: Estimator| {
            let follows: Vec<Follow> = follows(&(0..100).map(|n| (n, 1.0, 1)).collect::<Vec<_>>());
            let counts = groups(steps, &follows, 1)
                .into_iter()
                .map(|(name, members)| (name, members.len() as f64))
                .collect();
            estimated(causes, steps, 100.0, &counts, estimator)
        };
        // By hand: S = (1 - 20/100)(1 - 40/80); F1 = 20/100 + 0.8·20/80, F2 = 0 + 0.8·20/80.
        let two = [step(1.0, 100, &[20]), step(2.0, 80, &[40])];
        let rows = run(&[1], &two, Estimator::KaplanMeier);
        assert!((rows[1].estimate - 0.4).abs() < 1e-12 && rows[1].at_risk == 80.0);
        let competing = [step(1.0, 100, &[20, 0]), step(2.0, 80, &[20, 20])];
        let rows = run(&[1, 2], &competing, Estimator::AalenJohansen);
        assert!((rows[1].estimate - 0.4).abs() < 1e-12 && (rows[3].estimate - 0.2).abs() < 1e-12);
        let rows = run(&[1], &two, Estimator::NelsonAalen);
        assert!((rows[1].estimate - 0.7).abs() < 1e-12);
    }

    #[test]
    fn digits_are_significant_ones() {
        assert_eq!(digits(41.384, 3), 41.4);
        assert_eq!(digits(0.001_234_5, 3), 0.001_23);
        assert_eq!(digits(-98_765.0, 2), -99_000.0);
        assert_eq!(digits(0.0, 3), 0.0);
    }
}
