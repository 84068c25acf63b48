//! Survival curves, their test, restricted means.

use columna_stats::survival::kaplan_meier::{self, Options};
use columna_stats::survival::{ConfType, EventTimes, logrank, rmst};
use columna_stats::{Grouped, survival::kaplan_meier as km, two_sided_z};

use super::adjust::method_words;
use super::count;
use super::data::{Data, at_risk, groups};
use super::follow_up::FollowUp;
use crate::error::Result;
use crate::findings::{Curve, Difference, Interval, KaplanMeier, Landmark, Num, Point, Rmst};
use crate::spec::Spec;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) adjusted: bool,
    pub(crate) at: &'a [i64],
    pub(crate) rmst: Option<i64>,
}

/// Draws the curves.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
    wanted: Wanted<'_>,
) -> Result<KaplanMeier> {
    let groups = groups(spec);
    let options = Options {
        conf_type: ConfType::LogLog,
        conf_level: spec.confidence,
    };
    let mut grouped = Grouped::<((), usize), EventTimes>::default();
    let mut follow_up = Grouped::<((), usize), EventTimes>::default();
    let mut weighted: Vec<EventTimes> = vec![EventTimes::new(); groups.len()];
    for row in at_risk(follow) {
        let group = usize::from(!data.people[row].target);
        let (time, event) = (
            f64::from(follow[row].days),
            u32::from(follow[row].event == 1),
        );
        grouped.entry(((), group)).add(time, event)?;
        // Turned round: how long persons would have been followed without events (reverse Kaplan-Meier).
        follow_up
            .entry(((), group))
            .add(time, u32::from(follow[row].event != 1))?;
        if let Some(adjustment) = &data.adjustment
            && adjustment.weights[row] > 0.0
        {
            weighted[group].add_weighted(None, time, event, adjustment.weights[row])?;
        }
    }
    let mut found = Vec::new();
    let mut median_follow_up = Vec::new();
    for group in 0..groups.len() {
        let empty = EventTimes::new();
        let summary = grouped.get(&((), group)).unwrap_or(&empty);
        found.push(km::curve(summary, &options)?);
        let summary = follow_up.get(&((), group)).unwrap_or(&empty);
        median_follow_up.push(Num(kaplan_meier::curve(summary, &options)?.median().time));
    }
    let adjusted = if wanted.adjusted && data.adjustment.is_some() {
        weighted
            .iter()
            .map(|summary| Ok(km::curve(summary, &options)?))
            .collect::<Result<Vec<_>>>()?
    } else {
        Vec::new()
    };
    let drawn = |found: &[km::Curve]| {
        let named = groups.iter().zip(found);
        named
            .map(|(name, found)| curve(name, found, wanted.at))
            .collect::<Vec<_>>()
    };
    let apart = |found: &[km::Curve]| {
        let steps: Vec<Vec<Step>> = found
            .iter()
            .map(|curve| curve.rows.iter().map(Step::from).collect())
            .collect();
        differences(&steps, wanted.at, 1.0, spec.confidence)
    };
    let logrank = if groups.len() == 2 {
        let test = logrank::test(&grouped, logrank::Weighting::LogRank)?;
        Some((Num(test.chi_squared), count(test.df), Num(test.p_value)))
    } else {
        None
    };
    Ok(KaplanMeier {
        outcome: outcome.to_owned(),
        adjusted_by: (!adjusted.is_empty()).then(|| method_words(&spec.propensity)),
        curves: drawn(&found),
        adjusted: drawn(&adjusted),
        differences: apart(&found)?,
        adjusted_differences: apart(&adjusted)?,
        logrank,
        rmst: wanted
            .rmst
            .map(|tau| restricted(&grouped, groups.len(), tau, spec.confidence))
            .transpose()?
            .flatten(),
        follow_up: median_follow_up,
    })
}

fn restricted(
    grouped: &Grouped<((), usize), EventTimes>,
    groups: usize,
    tau: i64,
    conf_level: f64,
) -> Result<Option<Rmst>> {
    let options = rmst::Options {
        conf_level,
        ..rmst::Options::new(f64::from(i32::try_from(tau).unwrap_or(i32::MAX)))
    };
    let interval =
        |mean: rmst::RestrictedMean| Interval::new(mean.estimate, mean.lower, mean.upper);
    let mut means = Vec::new();
    for group in 0..groups {
        let Some(summary) = grouped.get(&((), group)) else {
            return Ok(None);
        };
        // A curve that ends before has no restricted mean: the report then has none.
        let Ok(mean) = rmst::rmst(summary, &options) else {
            return Ok(None);
        };
        means.push(interval(mean));
    }
    let difference = match (grouped.get(&((), 0)), grouped.get(&((), 1))) {
        (Some(first), Some(second)) => Some(interval(rmst::difference(first, second, &options)?)),
        _ => None,
    };
    Ok(Some(Rmst {
        tau,
        means,
        difference,
    }))
}

fn curve(name: &str, found: &km::Curve, at: &[i64]) -> Curve {
    let points: Vec<Point> = found
        .rows
        .iter()
        .map(|row| Point {
            time: Num(row.time),
            n_risk: Num(row.n_risk),
            n_event: Num(row.n_event),
            n_censor: Num(row.n_censor),
            estimate: Interval::new(row.survival, row.lower, row.upper),
        })
        .collect();
    let median = found.median();
    Curve {
        group: name.to_owned(),
        persons: found.n,
        events: found.n_events,
        landmarks: landmarks(&points, at, 1.0),
        points,
        median: Interval::new(median.time, median.lower, median.upper),
    }
}

/// A step of a curve: its time, its value from then on, and the value's standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) time: f64,
    pub(crate) value: f64,
    pub(crate) std_err: f64,
}

impl From<&km::Row> for Step {
    fn from(row: &km::Row) -> Self {
        Self {
            time: row.time,
            value: row.survival,
            std_err: row.std_err,
        }
    }
}

/// How far two curves are apart on some days, as far as both are followed: their estimates are independent,
/// so that the variances add up.
pub(crate) fn differences(
    curves: &[Vec<Step>],
    at: &[i64],
    start: f64,
    conf_level: f64,
) -> Result<Vec<Difference>> {
    let [first, second] = curves else {
        return Ok(Vec::new());
    };
    let z = two_sided_z(conf_level)?;
    let on = |steps: &[Step], time: f64| {
        let next = steps.partition_point(|step| step.time <= time);
        let followed = steps.last().is_some_and(|last| time <= last.time);
        followed.then(|| {
            next.checked_sub(1)
                .map_or((start, 0.0), |at| (steps[at].value, steps[at].std_err))
        })
    };
    let mut found = Vec::new();
    for day in at {
        let Ok(time) = i32::try_from(*day).map(f64::from) else {
            continue;
        };
        if let (Some((a, a_error)), Some((b, b_error))) = (on(first, time), on(second, time)) {
            let half = z * a_error.hypot(b_error);
            let estimate = Interval::new(a - b, a - b - half, a - b + half);
            found.push(Difference {
                day: *day,
                estimate,
            });
        }
    }
    Ok(found)
}

/// The curve on some days, as far as anybody is followed.
pub(crate) fn landmarks(points: &[Point], at: &[i64], start: f64) -> Vec<Landmark> {
    let last = points.last().map_or(0.0, |point| point.time.get());
    at.iter()
        .filter_map(|day| {
            let time = f64::from(i32::try_from(*day).ok()?);
            if time > last {
                return None;
            }
            let next = points.partition_point(|point| point.time.get() <= time);
            let estimate = next.checked_sub(1).map_or_else(
                || Interval::new(start, start, start),
                |at| points[at].estimate,
            );
            let n_risk = points
                .iter()
                .find(|point| point.time.get() >= time)
                .map_or(Num(0.0), |point| point.n_risk);
            Some(Landmark {
                day: *day,
                n_risk,
                estimate,
            })
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// R 4.2, survival 3.5: `summary(survfit(Surv(time, status) ~ trt, veteran), times = c(30, 100, 365))`, then
    /// `diff(surv)` (1 less 2) and `sqrt(sum(std.err^2))`.
    #[test]
    fn differences_are_those_of_r() {
        let times = "72:1 411:1 228:1 126:1 118:1 10:1 82:1 110:1 314:1 100:0 42:1 8:1 144:1 25:0 11:1 30:1 384:1 4:1 54:1 13:1 123:0 97:0 153:1 59:1 117:1 16:1 151:1 22:1 56:1 21:1 18:1 139:1 20:1 31:1 52:1 287:1 18:1 51:1 122:1 27:1 54:1 7:1 63:1 392:1 10:1 8:1 92:1 35:1 117:1 132:1 12:1 162:1 3:1 95:1 177:1 162:1 216:1 553:1 278:1 12:1 260:1 200:1 156:1 182:0 143:1 105:1 103:1 250:1 100:1 999:1 112:1 87:0 231:0 242:1 991:1 111:1 1:1 587:1 389:1 33:1 25:1 357:1 467:1 201:1 1:1 30:1 44:1 283:1 15:1 25:1 103:0 21:1 13:1 87:1 2:1 20:1 7:1 24:1 99:1 8:1 99:1 61:1 25:1 95:1 80:1 51:1 29:1 24:1 18:1 83:0 31:1 51:1 90:1 52:1 73:1 8:1 36:1 48:1 7:1 140:1 186:1 84:1 19:1 45:1 80:1 52:1 164:1 19:1 53:1 15:1 43:1 340:1 133:1 111:1 231:1 378:1 49:1";
        let mut arms = [EventTimes::new(), EventTimes::new()];
        for (at, row) in times.split(' ').enumerate() {
            let (time, event) = row.split_once(':').unwrap();
            let arm = usize::from(at >= 69);
            let event: u32 = event.parse().unwrap();
            arms[arm].add(time.parse().unwrap(), event).unwrap();
        }
        let steps = arms.map(|arm| {
            let found = km::curve(&arm, &Options::default()).unwrap();
            found.rows.iter().map(Step::from).collect::<Vec<_>>()
        });
        // Nobody of the first arm is followed for 600 days.
        let found = differences(&steps, &[30, 100, 365, 600], 1.0, 0.95).unwrap();
        let expected = [
            (
                30,
                0.0475987496447857,
                -0.10575663669957755,
                0.200_954_135_989_149,
            ),
            (
                100,
                0.1693337846647613,
                0.00520338657732491,
                0.3334641827521977,
            ),
            (
                365,
                -0.0389645996662376,
                -0.14247234557935567,
                0.0645431462468806,
            ),
        ];
        assert_eq!(found.len(), expected.len());
        for (found, (day, value, lower, upper)) in found.iter().zip(expected) {
            assert_eq!(found.day, day);
            let one = found.estimate;
            for (found, expected) in [(one.value, value), (one.lower, lower), (one.upper, upper)] {
                assert!(
                    (found.get() - expected).abs() < 1e-12,
                    "day {day}: {found:?}"
                );
            }
        }
        let before = differences(&steps, &[0], 1.0, 0.95).unwrap();
        assert_eq!(before[0].estimate, Interval::new(0.0, 0.0, 0.0));
    }
}
