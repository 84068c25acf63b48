//! Nelson-Aalen: H(t) = Σ over times s ≤ t of d_s/n_s, with n at risk and d events.
//!
//! Variance Σ d/n². With Fleming-Harrington's treatment of ties, d tied events are taken as following one
//! another: Σ_{j<d} 1/(n−j), variance Σ 1/(n−j)². Weights that are not whole numbers give jackknife variances.
//! Source: Aalen, Ann. Stat. 1978; Fleming and Harrington (1984); R survival, `survfit(ctype = 1, 2)`.

use super::jackknife::Influence;
use super::{ConfType, EventTimes, RiskTable};
use crate::Result;
use crate::numeric::two_sided_z;

/// How events of the same time are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ties {
    /// d/n: R's `ctype = 1`.
    #[default]
    NelsonAalen,
    /// One after another: R's `ctype = 2`.
    FlemingHarrington,
}

/// How the cumulative hazard is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Treatment of tied events.
    pub ties: Ties,
    /// The interval's type, on the scale of exp(−H): `log` is H ± z·se, `log-log` is its logarithm's.
    pub conf_type: ConfType,
    /// The interval's level.
    pub conf_level: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ties: Ties::NelsonAalen,
            conf_type: ConfType::Log,
            conf_level: 0.95,
        }
    }
}

/// One step of the cumulative hazard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Days since time zero.
    pub time: f64,
    /// At risk just before `time`, weighted if the rows are.
    pub n_risk: f64,
    /// Events at `time`, weighted if the rows are.
    pub n_event: f64,
    /// Censored at `time`, weighted if the rows are.
    pub n_censor: f64,
    /// H(t).
    pub cumulative_hazard: f64,
    /// Standard error of H(t).
    pub std_err: f64,
    /// Lower limit of H(t).
    pub lower: f64,
    /// Upper limit of H(t).
    pub upper: f64,
    /// exp(−H(t)), the Fleming-Harrington (Breslow) estimate of survival.
    pub survival: f64,
}

/// The cumulative hazard of a summary.
///
/// # Errors
///
/// As [`super::kaplan_meier::curve`].
pub fn cumulative_hazard(summary: &EventTimes, options: &Options) -> Result<Vec<Row>> {
    cumulative_hazard_of(&summary.risk_table()?, options)
}

/// The cumulative hazard of a risk table.
pub fn cumulative_hazard_of(table: &RiskTable, options: &Options) -> Result<Vec<Row>> {
    let z = two_sided_z(options.conf_level)?;
    let events = table.single_event()?;
    let steps: Vec<Step> = (0..table.time.len())
        .map(|at| step(table, at, options.ties))
        .collect();
    let variance = if table.fractional {
        table.jackknife(&steps.iter().map(|step| step.influence).collect::<Vec<_>>())?
    } else {
        let sums = steps.iter().scan(0.0, |sum, step| {
            *sum += step.variance;
            Some(*sum)
        });
        sums.collect()
    };
    let mut hazard = 0.0;
    let rows = steps.iter().enumerate().map(|(at, step)| {
        hazard += step.hazard;
        let (survival, std_err) = ((-hazard).exp(), variance[at].sqrt());
        // Limits of H are those of exp(−H), turned round.
        let (lower, upper) = options.conf_type.interval(survival, std_err, z);
        Row {
            time: table.time[at],
            n_risk: table.at_risk[at],
            n_event: events[at],
            n_censor: table.censored[at],
            cumulative_hazard: hazard,
            std_err,
            lower: 0.0 - upper.ln(),
            upper: 0.0 - lower.ln(),
            survival,
        }
    });
    Ok(rows.collect())
}

/// What one time adds.
struct Step {
    hazard: f64,
    variance: f64,
    influence: Influence,
}

fn step(table: &RiskTable, at: usize, ties: Ties) -> Step {
    let (n, d) = (table.at_risk[at], table.events[0][at]);
    let mut step = Step {
        hazard: 0.0,
        variance: 0.0,
        influence: Influence {
            at_risk: 0.0,
            event: 0.0,
        },
    };
    if d == 0.0 {
        return step;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of rows stay far below 2^53"
    )]
    let tied = match ties {
        Ties::NelsonAalen => 1.0,
        Ties::FlemingHarrington => table.events_rows[0][at] as f64,
    };
    // Each of the tied events carries the mean weight, and leaves before the next.
    let each = d / tied;
    let mut before = 0.0;
    while before < tied {
        let left = n - before * each;
        step.hazard += each / left;
        step.variance += each / (left * left);
        // n − j·d/k changes by 1 with a row at risk, and by 1 − j/k with one that has its event.
        step.influence.at_risk -= each / (left * left);
        step.influence.event += 1.0 / (tied * left) - each * (1.0 - before / tied) / (left * left);
        before += 1.0;
    }
    step
}
