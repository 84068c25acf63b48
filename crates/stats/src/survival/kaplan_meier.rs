//! Kaplan-Meier: S(t) = Π over times s ≤ t of (1 − d_s/n_s), with n at risk and d events.
//!
//! Variance of log S: Greenwood's Σ d/(n(n−d)); with weights that are not whole numbers the infinitesimal
//! jackknife Σ w²u², u the derivative of log S by the row's weight, each row its own cluster.
//! Source: Kaplan and Meier, JASA 1958; Klein and Moeschberger (2003), 4.2; R survival, `survfit`.

use super::quantile::Steps;
use super::{ConfType, EventTimes, Quantile, RiskTable};
use crate::numeric::two_sided_z;
use crate::{Error, Result};

/// How the curve's intervals are built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The interval's type; R's default is `log`.
    pub conf_type: ConfType,
    /// The interval's level, 0.95 by default.
    pub conf_level: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            conf_type: ConfType::Log,
            conf_level: 0.95,
        }
    }
}

/// One step of the curve: a time at which rows left, and the estimate just after it.
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
    /// The probability of being event-free beyond `time`.
    pub survival: f64,
    /// Standard error of `survival`, as R's `summary` prints it. NaN where S has reached 0.
    pub std_err: f64,
    /// Standard error of log `survival`, R's `survfit$std.err`. Infinite where S has reached 0.
    pub std_err_log: f64,
    /// Lower limit; NaN where undefined (S = 0).
    pub lower: f64,
    /// Upper limit; NaN where undefined (S = 0).
    pub upper: f64,
}

/// A Kaplan-Meier curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Rows summarised, unweighted.
    pub n: u64,
    /// Rows with the event, unweighted.
    pub n_events: u64,
    /// One row per distinct time, censoring times included, ascending. Empty if there were no rows.
    pub rows: Vec<Row>,
}

/// The curve of a summary.
///
/// # Errors
///
/// [`Error::CompetingEvents`] if an event code is above 1, [`Error::InvalidConfidenceLevel`], and what
/// [`EventTimes::risk_table`] refuses.
///
/// # Example
///
/// ```
/// use columna_stats::survival::{EventTimes, kaplan_meier};
///
/// let mut summary = EventTimes::new();
/// for (time, event) in [(1.0, 1), (2.0, 1), (5.0, 0), (6.0, 0)] {
///     summary.add(time, event)?;
/// }
/// let curve = kaplan_meier::curve(&summary, &kaplan_meier::Options::default())?;
/// assert_eq!(curve.rows[1].survival, 0.5);
/// assert_eq!(curve.median().time, 4.0);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn curve(summary: &EventTimes, options: &Options) -> Result<Curve> {
    curve_of(&summary.risk_table()?, options)
}

/// The curve of a risk table: for several curves of one summary, or groups whose near-ties are merged together.
pub fn curve_of(table: &RiskTable, options: &Options) -> Result<Curve> {
    let z = two_sided_z(options.conf_level)?;
    let events = table.single_event()?;
    let survival = survival(table)?;
    let variance = match &table.squares {
        None => greenwood(table)?,
        Some(_) => table.jackknife(&log_survival_influence(table)?)?,
    };
    let robust = table.squares.is_some();
    let rows = (0..table.time.len()).map(|at| {
        let s = survival[at];
        // The jackknife has no log scale at S = 0: R reports a standard error of 0 there.
        let std_err_log = if robust && s == 0.0 {
            0.0
        } else {
            variance[at].sqrt()
        };
        let (lower, upper) = if robust && s == 0.0 && options.conf_type == ConfType::Plain {
            (0.0, 0.0)
        } else {
            options.conf_type.interval(s, std_err_log, z)
        };
        Row {
            time: table.time[at],
            n_risk: table.at_risk[at],
            n_event: events[at],
            n_censor: table.censored[at],
            survival: s,
            std_err: s * std_err_log,
            std_err_log,
            lower,
            upper,
        }
    });
    Ok(Curve {
        n: table.rows,
        n_events: table.event_rows,
        rows: rows.collect(),
    })
}

impl Curve {
    /// Quantiles of survival time with intervals, by R's midpoint rule.
    pub fn quantiles(&self, probabilities: &[f64]) -> Result<Vec<Quantile>> {
        if !probabilities.iter().all(|p| (0.0..=1.0).contains(p)) {
            return Err(Error::InvalidProbability);
        }
        let times: Vec<f64> = self.rows.iter().map(|row| row.time).collect();
        let [curve, lower, upper] = [
            |row: &Row| row.survival,
            |row: &Row| row.lower,
            |row: &Row| row.upper,
        ]
        .map(|height| Steps::new(&times, self.rows.iter().map(height)));
        let quantile = |p: &f64| Quantile {
            p: *p,
            time: curve.crossing(*p),
            lower: lower.crossing(*p),
            upper: upper.crossing(*p),
        };
        Ok(probabilities.iter().map(quantile).collect())
    }

    /// The median survival time; NaN fields where the curve or its limit stays above one half.
    pub fn median(&self) -> Quantile {
        let undefined = Quantile {
            p: 0.5,
            time: f64::NAN,
            lower: f64::NAN,
            upper: f64::NAN,
        };
        self.quantiles(&[0.5])
            .ok()
            .and_then(|quantiles| quantiles.first().copied())
            .unwrap_or(undefined)
    }

    /// S(t): the last step at or before `time`, 1 before the first.
    pub fn survival_at(&self, time: f64) -> f64 {
        let after = self.rows.partition_point(|row| row.time <= time);
        after
            .checked_sub(1)
            .map_or(1.0, |at| self.rows[at].survival)
    }
}

/// S at each time of the table.
pub(crate) fn survival(table: &RiskTable) -> Result<Vec<f64>> {
    let events = table.single_event()?;
    let mut s = 1.0;
    let steps = (0..table.time.len()).map(|at| {
        if events[at] > 0.0 {
            s *= table.remaining(at)? / table.at_risk[at];
        }
        Ok(s)
    });
    steps.collect()
}

/// Greenwood's variance of log S at each time: infinite from where S is 0.
fn greenwood(table: &RiskTable) -> Result<Vec<f64>> {
    let events = table.single_event()?;
    let mut sum = 0.0;
    let steps = (0..table.time.len()).map(|at| {
        if events[at] > 0.0 {
            sum += events[at] / (table.at_risk[at] * table.remaining(at)?);
        }
        Ok(sum)
    });
    steps.collect()
}

/// The derivative of log S by a row's weight: what it gains at each time it stays at risk, and what its own
/// event costs.
fn log_survival_influence(table: &RiskTable) -> Result<Vec<Influence>> {
    let events = table.single_event()?;
    let steps = (0..table.time.len()).map(|at| {
        if events[at] == 0.0 {
            return Ok(Influence {
                at_risk: 0.0,
                event: 0.0,
            });
        }
        let (n, remaining) = (table.at_risk[at], table.remaining(at)?);
        Ok(Influence {
            at_risk: events[at] / (n * remaining),
            event: -1.0 / n,
        })
    });
    steps.collect()
}

/// The derivative of a curve's step by the weight of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Influence {
    /// Of a row that is at risk and has no event at this time.
    pub(crate) at_risk: f64,
    /// Of a row that has its event at this time.
    pub(crate) event: f64,
}

impl RiskTable {
    /// The events of a table that knows one kind.
    pub(crate) fn single_event(&self) -> Result<&[f64]> {
        match self.events.as_slice() {
            [events] => Ok(events),
            [] => Ok(&[]),
            _ => Err(Error::CompetingEvents),
        }
    }

    /// At risk and without an event at this time: exactly 0 when no row is, whatever the rounding of weights.
    fn remaining(&self, at: usize) -> Result<f64> {
        let event_rows = self.events_rows.first().ok_or(Error::CorruptState)?;
        if event_rows[at] == self.at_risk_rows[at] {
            return Ok(0.0);
        }
        Ok(self.at_risk[at] - self.events[0][at])
    }

    /// Σ w²u² at each time, where u sums a row's influences up to that time.
    ///
    /// A row that left before carries its total. One still at risk has A(t) − A(start), A the running sum of
    /// `at_risk`, so Σ w²(A(t) − A(start))² expands into three running sums over those at risk.
    pub(crate) fn jackknife(&self, steps: &[Influence]) -> Result<Vec<f64>> {
        let squares = self.squares.as_ref().ok_or(Error::CorruptState)?;
        let times = self.time.len();
        let mut cumulative = vec![0.0; times + 1];
        for at in 0..times {
            cumulative[at + 1] = cumulative[at] + steps[at].at_risk;
        }
        let total = |entered: usize, left: usize, event: bool| {
            let stayed = if event {
                cumulative[left] + steps[left].event
            } else {
                cumulative[left + 1]
            };
            stayed - cumulative[entered]
        };
        // Of those at risk: Σw², Σw²A(start), Σw²A(start)²; changes by the index of the time.
        let mut come = vec![[0.0; 3]; times + 1];
        let mut go = vec![[0.0; 3]; times];
        let mut done = vec![0.0; times];
        let mut take = |entered: usize, left: usize, event: bool, square: f64| {
            let start = cumulative[entered];
            for (power, factor) in [1.0, start, start * start].into_iter().enumerate() {
                come[entered][power] += square * factor;
                go[left][power] += square * factor;
            }
            if square != 0.0 {
                let influence = total(entered, left, event);
                done[left] += square * influence * influence;
            }
        };
        for (status, by_time) in squares.whole.iter().enumerate() {
            for (left, square) in by_time.iter().enumerate() {
                take(0, left, status > 0, *square);
            }
        }
        for (entered, left, status, square) in &squares.intervals {
            take(*entered, *left, *status > 0, *square);
        }
        let mut staying = [0.0; 3];
        let mut finished = 0.0;
        let variance = (0..times).map(|at| {
            for power in 0..3 {
                staying[power] += come[at][power] - go[at][power];
            }
            finished += done[at];
            let a = cumulative[at + 1];
            // A(t) can be infinite once S is 0; nobody at risk then contributes.
            let at_risk = if a == 0.0 || self.at_risk_rows.get(at + 1).is_none_or(|rows| *rows == 0)
            {
                0.0
            } else {
                (staying[0] * a * a - 2.0 * staying[1] * a + staying[2]).max(0.0)
            };
            finished + at_risk
        });
        Ok(variance.collect())
    }
}
