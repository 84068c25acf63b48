//! Curves over time.

use serde::{Deserialize, Serialize};

use super::{Interval, Num};

/// A point of a step function, from its time on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Days.
    pub time: Num,
    /// At risk just before.
    pub n_risk: Num,
    /// Events.
    pub n_event: Num,
    /// Censored.
    pub n_censor: Num,
    /// The curve, and its interval.
    pub estimate: Interval,
}

/// A curve of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The group.
    pub group: String,
    /// Persons.
    pub persons: u64,
    /// Events.
    pub events: u64,
    /// Points with an event or the end of somebody's follow-up.
    pub points: Vec<Point>,
    /// The curve at the days that were asked for.
    pub landmarks: Vec<Landmark>,
    /// The median, where the curve reaches it.
    pub median: Interval,
}

/// The curve on a day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// The day.
    pub day: i64,
    /// At risk.
    pub n_risk: Num,
    /// The curve.
    pub estimate: Interval,
}

/// How far the curves of the two groups are apart on a day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The day.
    pub day: i64,
    /// Target less comparator, with an interval by the normal distribution.
    pub estimate: Interval,
}

/// Restricted means and their difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rmst {
    /// The restriction, in days.
    pub tau: i64,
    /// By group.
    pub means: Vec<Interval>,
    /// Target less comparator.
    pub difference: Option<Interval>,
}

/// Survival curves with their test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KaplanMeier {
    /// The outcome.
    pub outcome: String,
    /// Unadjusted curves.
    pub curves: Vec<Curve>,
    /// Adjusted curves, if asked for.
    pub adjusted: Vec<Curve>,
    /// Differences of survival between the groups, unadjusted.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// The same of the adjusted curves, weights taken as known.
    #[serde(default)]
    pub adjusted_differences: Vec<Difference>,
    /// How they are adjusted.
    pub adjusted_by: Option<String>,
    /// The log-rank test: statistic, degrees of freedom, p.
    pub logrank: Option<(Num, u64, Num)>,
    /// Restricted means.
    pub rmst: Option<Rmst>,
    /// Median follow-up in days, by group.
    pub follow_up: Vec<Num>,
}

/// Cumulative incidence of one cause in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseCurve {
    /// The group.
    pub group: String,
    /// The event.
    pub cause: String,
    /// 1 for the outcome, 2 for the competing event.
    pub code: u32,
    /// Events.
    pub events: u64,
    /// Points.
    pub points: Vec<Point>,
    /// At the days that were asked for.
    pub landmarks: Vec<Landmark>,
}

/// Fine and Gray's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FineGray {
    /// What it is adjusted for, in words.
    pub adjusted_for: String,
    /// Subdistribution hazard ratio of the target group.
    pub ratio: Interval,
    /// Its p-value.
    pub p_value: Num,
}

/// Competing risks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Competing {
    /// The outcome.
    pub outcome: String,
    /// The competing event.
    pub competing: String,
    /// Curves by group and cause.
    pub curves: Vec<CauseCurve>,
    /// Differences of cumulative incidence between the groups, by cause.
    #[serde(default)]
    pub differences: Vec<(String, Difference)>,
    /// Gray's test by cause: cause, statistic, degrees of freedom, p.
    pub gray: Vec<(String, Num, u64, Num)>,
    /// Models.
    pub fine_gray: Vec<FineGray>,
}
