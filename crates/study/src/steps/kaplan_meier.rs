//! Survival curves, their test, restricted means.

use columna_stats::survival::kaplan_meier::{self, Options};
use columna_stats::survival::{ConfType, EventTimes, logrank, rmst};
use columna_stats::{Grouped, survival::kaplan_meier as km};

use super::adjust::method_words;
use super::count;
use super::data::{Data, at_risk, groups};
use super::follow_up::FollowUp;
use crate::error::Result;
use crate::findings::{Curve, Interval, KaplanMeier, Landmark, Num, Point, Rmst};
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
    let mut curves = Vec::new();
    let mut median_follow_up = Vec::new();
    for (group, name) in groups.iter().enumerate() {
        let empty = EventTimes::new();
        let summary = grouped.get(&((), group)).unwrap_or(&empty);
        curves.push(curve(name, summary, &options, wanted.at)?);
        let summary = follow_up.get(&((), group)).unwrap_or(&empty);
        median_follow_up.push(Num(kaplan_meier::curve(summary, &options)?.median().time));
    }
    let adjusted = if wanted.adjusted && data.adjustment.is_some() {
        groups
            .iter()
            .zip(&weighted)
            .map(|(name, summary)| curve(name, summary, &options, wanted.at))
            .collect::<Result<Vec<_>>>()?
    } else {
        Vec::new()
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
        curves,
        adjusted,
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

fn curve(name: &str, summary: &EventTimes, options: &Options, at: &[i64]) -> Result<Curve> {
    let found = km::curve(summary, options)?;
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
    Ok(Curve {
        group: name.to_owned(),
        persons: found.n,
        events: found.n_events,
        landmarks: landmarks(&points, at, 1.0),
        points,
        median: Interval::new(median.time, median.lower, median.upper),
    })
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
