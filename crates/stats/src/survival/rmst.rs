//! Restricted mean survival time: the area under the Kaplan-Meier curve up to tau.
//!
//! Variance Σ over event times t ≤ tau of (area from t to tau)² · d/(n(n−d)).
//! Source: Klein and Moeschberger (2003), 4.5; R survival, `survmean`.

use super::kaplan_meier;
use super::{EventTimes, RiskTable};
use crate::numeric::two_sided_z;
use crate::{Error, Result};

/// What a curve that ends before tau with S > 0 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BeyondData {
    /// The restricted mean is not known: an error.
    #[default]
    Refuse,
    /// The curve stays where it is, as R's `print(survfit, rmean = "common")` assumes.
    CarryForward,
}

/// How the restricted mean is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The restriction time, in days.
    pub tau: f64,
    /// What to do when the curve ends before `tau`.
    pub beyond_data: BeyondData,
    /// Level of the interval.
    pub conf_level: f64,
}

impl Options {
    /// Restricted to `tau`, which the data must reach, with 95 % intervals.
    pub fn new(tau: f64) -> Self {
        Self {
            tau,
            beyond_data: BeyondData::Refuse,
            conf_level: 0.95,
        }
    }
}

/// A restricted mean, or a difference of two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestrictedMean {
    /// Mean days lived event-free up to tau, or the difference of two such means.
    pub estimate: f64,
    /// Its standard error.
    pub std_err: f64,
    /// Lower limit of the normal interval.
    pub lower: f64,
    /// Upper limit of the normal interval.
    pub upper: f64,
}

/// The restricted mean of a summary.
///
/// # Errors
///
/// [`Error::HorizonBeyondData`] if the curve ends before `tau` above 0, [`Error::InvalidHorizon`], and what
/// [`kaplan_meier::curve`] refuses.
pub fn rmst(summary: &EventTimes, options: &Options) -> Result<RestrictedMean> {
    rmst_of(&summary.risk_table()?, options)
}

/// The restricted mean of a risk table.
pub fn rmst_of(table: &RiskTable, options: &Options) -> Result<RestrictedMean> {
    let Options {
        tau,
        beyond_data,
        conf_level,
    } = *options;
    if !(tau.is_finite() && tau >= 0.0) {
        return Err(Error::InvalidHorizon);
    }
    let z = two_sided_z(conf_level)?;
    let survival = kaplan_meier::survival(table)?;
    let events = table.single_event()?;
    let within = table.time.partition_point(|time| *time <= tau);
    let known = table.time.last().is_some_and(|last| *last >= tau)
        || survival.last().is_some_and(|s| *s == 0.0);
    if !known && beyond_data == BeyondData::Refuse {
        return Err(Error::HorizonBeyondData);
    }
    // Backwards, so that the area from each event time to tau is at hand.
    let (mut area, mut variance, mut until) = (0.0, 0.0, tau);
    for at in (0..within).rev() {
        area += (until - table.time[at]) * survival[at];
        until = table.time[at];
        let (n, d) = (table.at_risk[at], events[at]);
        if d > 0.0 && survival[at] > 0.0 {
            variance += area * area * d / (n * (n - d));
        }
    }
    let std_err = variance.sqrt();
    Ok(RestrictedMean::new(area + until, std_err, z))
}

/// The difference of two restricted means, first less second, of independent groups.
pub fn difference(
    first: &EventTimes,
    second: &EventTimes,
    options: &Options,
) -> Result<RestrictedMean> {
    let tables = EventTimes::risk_tables(&[first, second])?;
    let means = tables
        .iter()
        .map(|table| rmst_of(table, options))
        .collect::<Result<Vec<_>>>()?;
    let [first, second] = means.as_slice() else {
        return Err(Error::CorruptState);
    };
    let z = two_sided_z(options.conf_level)?;
    Ok(RestrictedMean::new(
        first.estimate - second.estimate,
        first.std_err.hypot(second.std_err),
        z,
    ))
}

impl RestrictedMean {
    fn new(estimate: f64, std_err: f64, z: f64) -> Self {
        Self {
            estimate,
            std_err,
            lower: estimate - z * std_err,
            upper: estimate + z * std_err,
        }
    }
}
