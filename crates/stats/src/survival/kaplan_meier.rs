//! Kaplan-Meier: S(t) = Π over times s ≤ t of (1 − d_s/n_s), with n at risk and d events.
//!
//! Variance of log S: Greenwood's Σ d/(n(n−d)); with weights that are not whole numbers the infinitesimal
//! jackknife Σ w²u², u the derivative of log S by the row's weight, each row its own cluster.
//! Source: Kaplan and Meier, JASA 1958; Klein and Moeschberger (2003), 4.2; R survival, `survfit`.

use super::jackknife::Influence;
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
    let robust = table.fractional;
    let variance = if robust {
        table.jackknife(&log_survival_influence(table)?)?
    } else {
        greenwood(table)?
    };
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
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::survival::nelson_aalen;

    /// start, time, event, weight.
    const WEIGHTED: [(f64, f64, u32, f64); 8] = [
        (0.0, 2.0, 1, 0.5),
        (0.0, 5.0, 0, 1.0),
        (1.0, 3.0, 1, 2.5),
        (1.0, 8.0, 1, 2.0),
        (2.0, 6.0, 1, 1.5),
        (4.0, 7.0, 0, 1.0),
        (4.0, 9.0, 1, 0.25),
        (6.0, 9.0, 0, 3.0),
    ];

    fn close(found: impl Iterator<Item = f64>, expected: &[f64]) {
        let found: Vec<f64> = found.collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-13,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn weights_and_delayed_entry_have_jackknife_variances() {
        let mut summary = EventTimes::new();
        for (start, time, event, weight) in WEIGHTED {
            summary
                .add_weighted(Some(start), time, event, weight)
                .unwrap();
        }
        // R 4.2.2, survival 3.5-3: survfit(Surv(start, time, event) ~ 1, weights = weight)
        let rows = curve(&summary, &Options::default()).unwrap().rows;
        close(
            rows.iter().map(|row| row.n_risk),
            &[6.0, 7.0, 5.75, 4.75, 6.25, 5.25, 3.25],
        );
        let std_err = [
            0.08947290782448,
            0.2413290549526879,
            0.2413290549526879,
            0.22575883485902576,
            0.22575883485902576,
            0.1349882132795885,
            0.1363398874659409,
        ];
        close(rows.iter().map(|row| row.std_err), &std_err);
        let hazard =
            nelson_aalen::cumulative_hazard(&summary, &nelson_aalen::Options::default()).unwrap();
        let std_err = [
            0.08947290782448,
            0.2659557253294638,
            0.2659557253294638,
            0.3758240110727491,
            0.3758240110727491,
            0.34818863252794136,
            0.3966064286838492,
        ];
        close(hazard.iter().map(|row| row.std_err), &std_err);
    }

    #[test]
    fn large_weights_that_left_cost_small_ones_no_digits() {
        let weights = [
            123_456_789.1,
            234_567.3,
            80.7,
            0.0171,
            0.0083,
            0.0039,
            0.000_97,
        ];
        let times = [
            (1.0, 1),
            (2.0, 0),
            (3.0, 1),
            (4.0, 1),
            (4.0, 0),
            (5.0, 1),
            (6.0, 0),
        ];
        let mut summary = EventTimes::new();
        for ((time, event), weight) in times.into_iter().zip(weights) {
            summary.add_weighted(None, time, event, weight).unwrap();
        }
        // R 4.2.2, survival 3.5-3: survfit(Surv(time, event) ~ 1, weights = weight, robust = TRUE)
        let std_err = [
            2.677274620153396e-3,
            2.677274620153396e-3,
            1.311946167339935e-6,
            5.773553524271738e-7,
            1.293989536014843e-7,
            1.293989536014843e-7,
        ];
        let rows = curve(&summary, &Options::default()).unwrap().rows;
        for (row, expected) in rows.iter().zip(std_err) {
            let found = row.std_err;
            assert!(
                (found / expected - 1.0).abs() < 1e-11,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn who_enters_after_the_curve_ended_changes_nothing_before() {
        let mut summary = EventTimes::new();
        for (start, time, weight) in [(0.0, 2.0, 0.5), (0.0, 3.0, 1.5), (4.0, 5.0, 1.0)] {
            summary.add_weighted(Some(start), time, 1, weight).unwrap();
        }
        let first = curve(&summary, &Options::default()).unwrap().rows[0];
        // R 4.2.2, survival 3.5-3: summary(survfit(Surv(c(0, 0, 4), c(2, 3, 5), c(1, 1, 1)) ~ 1, weights = c(.5, 1.5, 1)))
        for (found, expected) in [
            (first.std_err, 0.265_165_042_944_955),
            (first.lower, 0.375_073_232_794_207),
        ] {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn large_weights_that_have_not_entered_yet_cost_no_digits() {
        let rows = [
            (0.0, 3.0, 1, 1e4),
            (0.0, 5.0, 1, 3e-4),
            (1.0, 4.0, 0, 2.5e3),
            (2.0, 6.0, 1, 7e-3),
            (0.0, 7.0, 1, 1e-4),
            (3.0, 8.0, 0, 9.5e3),
            (2.0, 9.0, 1, 0.02),
            (4.0, 9.0, 0, 1e-4),
        ];
        let mut summary = EventTimes::new();
        for (start, time, event, weight) in rows {
            let start = Some(start).filter(|start| *start > 0.0);
            summary.add_weighted(start, time, event, weight).unwrap();
        }
        let curve = curve(&summary, &Options::default()).unwrap();
        // R 4.2.2, survival 3.5-3: survfit(…, robust = TRUE, id = 1:8), and the same in exact fractions.
        let std_err = [
            0.226_274_417_981_473_38,
            0.226_274_417_981_473_38,
            0.226_274_410_835_985_7,
            0.226_274_244_107_758_18,
            0.226_274_241_725_930_52,
            0.226_274_241_725_930_52,
            0.001_796_610_677_393_188_6,
        ];
        for (row, expected) in curve.rows.iter().zip(std_err) {
            let found = row.std_err;
            assert!(
                (found / expected - 1.0).abs() < 1e-11,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn limits_stand_still_where_only_censored_rows_leave() {
        let rows = [
            (59.0, 0, 0.71),
            (18.0, 1, 1.12),
            (51.0, 0, 1.53),
            (19.0, 1, 1.94),
            (24.0, 1, 2.35),
            (5.0, 0, 2.76),
            (14.0, 0, 0.3),
            (28.0, 1, 0.71),
            (3.0, 1, 1.12),
            (17.0, 0, 1.53),
            (30.0, 0, 1.94),
            (60.0, 1, 2.35),
            (8.0, 1, 2.76),
            (48.0, 0, 0.3),
        ];
        let mut summary = EventTimes::new();
        for (time, event, weight) in rows {
            summary.add_weighted(None, time, event, weight).unwrap();
        }
        let curve = curve(&summary, &Options::default()).unwrap();
        for pair in curve.rows.windows(2).filter(|pair| pair[1].n_event == 0.0) {
            assert_eq!(pair[0].std_err, pair[1].std_err);
        }
        // R 4.2.2, survival 3.5-3: quantile(survfit(Surv(time, event) ~ 1, weights = weight), c(.25, .5))
        let quantiles = curve.quantiles(&[0.25, 0.5]).unwrap();
        let found = [0, 1].map(|at: usize| (quantiles[at].time, quantiles[at].lower));
        assert_eq!(found, [(18.0, 8.0), (24.0, 18.0)]);
        assert!(quantiles.iter().all(|quantile| quantile.upper.is_nan()));
    }

    #[test]
    fn whole_weights_are_frequencies() {
        let (mut weighted, mut repeated) = (EventTimes::new(), EventTimes::new());
        for (time, event, weight) in [(3.0, 1, 2_u32), (5.0, 0, 1), (7.0, 1, 3), (9.0, 0, 2)] {
            weighted
                .add_weighted(None, time, event, f64::from(weight))
                .unwrap();
            for _ in 0..weight {
                repeated.add(time, event).unwrap();
            }
        }
        let options = Options::default();
        assert_eq!(
            curve(&weighted, &options).unwrap().rows,
            curve(&repeated, &options).unwrap().rows
        );
    }

    #[test]
    fn no_rows_are_an_empty_curve() {
        let empty = curve(&EventTimes::new(), &Options::default()).unwrap();
        assert!(empty.rows.is_empty() && empty.median().time.is_nan());
        assert_eq!(empty.survival_at(3.0), 1.0);
    }

    #[test]
    fn mistakes_are_named() {
        let mut competing = EventTimes::new();
        competing.add(3.0, 2).unwrap();
        assert_eq!(
            curve(&competing, &Options::default()),
            Err(Error::CompetingEvents)
        );
        let options = Options {
            conf_level: 95.0,
            ..Options::default()
        };
        assert_eq!(
            curve(&EventTimes::new(), &options),
            Err(Error::InvalidConfidenceLevel)
        );
        let curve = curve(&EventTimes::new(), &Options::default()).unwrap();
        assert_eq!(curve.quantiles(&[1.5]), Err(Error::InvalidProbability));
    }
}
