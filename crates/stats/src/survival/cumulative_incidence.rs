//! Cumulative incidence with competing risks: Aalen-Johansen, I_k(t) = Σ over s ≤ t of S(s−)·d_k(s)/n(s).
//!
//! Variances: R survival's infinitesimal jackknife, Σ w²u² with u the derivative of I_k(t) by a row's weight; or
//! the delta-method estimate of `cmprsk::cuminc`, which needs only numbers at risk and so serves delayed entry.
//! Intervals as in [`ConfType`]; where nothing has happened, [0, 0].
//! Source: Aalen and Johansen, Scand. J. Stat. 1978; Klein and Moeschberger (2003), 4.7; R survival, `survfit`
//! with a multi-state event; Gray's Fortran in cmprsk (`cinc`).

use super::{ConfType, EventTimes, RiskTable};
use crate::numeric::two_sided_z;
use crate::{Error, Result};

/// Which variance the standard errors are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Variance {
    /// Infinitesimal jackknife, as R's `survfit`. Not with delayed entry.
    #[default]
    Jackknife,
    /// Delta method, as R's `cmprsk::cuminc`.
    Delta,
}

/// How the curves are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The variance.
    pub variance: Variance,
    /// The interval's type.
    pub conf_type: ConfType,
    /// The interval's level.
    pub conf_level: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            variance: Variance::Jackknife,
            conf_type: ConfType::Log,
            conf_level: 0.95,
        }
    }
}

/// One step of one curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Days since time zero.
    pub time: f64,
    /// At risk just before `time`, weighted if the rows are.
    pub n_risk: f64,
    /// Events of this cause at `time` (0 for the event-free state), weighted if the rows are.
    pub n_event: f64,
    /// Censored at `time`, weighted if the rows are.
    pub n_censor: f64,
    /// The probability of having had an event of this cause, or of having had none.
    pub estimate: f64,
    /// Its standard error.
    pub std_err: f64,
    /// Lower limit.
    pub lower: f64,
    /// Upper limit.
    pub upper: f64,
}

/// The curves of all causes, at the same times.
#[derive(Debug, Clone, PartialEq)]
pub struct CumulativeIncidence {
    /// Rows summarised.
    pub n: u64,
    /// Being event-free: the Kaplan-Meier curve of any event. Standard errors only by the jackknife.
    pub event_free: Vec<Row>,
    /// By cause: `causes[0]` has status 1. One row per distinct time, censoring times included.
    pub causes: Vec<Vec<Row>>,
}

/// The curves of a summary.
///
/// # Errors
///
/// [`Error::DelayedEntryJackknife`] for the jackknife with delayed entry, [`Error::FractionalWeights`] for the
/// delta method, [`Error::InvalidConfidenceLevel`], and what [`EventTimes::risk_table`] refuses.
///
/// # Example
///
/// ```
/// use columna_stats::survival::{EventTimes, cumulative_incidence};
///
/// let mut summary = EventTimes::new();
/// for (time, cause) in [(1.0, 1), (2.0, 2), (3.0, 0), (4.0, 1)] {
///     summary.add(time, cause)?;
/// }
/// let curves = cumulative_incidence::curves(&summary, &cumulative_incidence::Options::default())?;
/// assert_eq!(curves.causes[0].last().map(|row| row.estimate), Some(0.75));
/// assert_eq!(curves.causes[1].last().map(|row| row.estimate), Some(0.25));
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn curves(summary: &EventTimes, options: &Options) -> Result<CumulativeIncidence> {
    curves_of(&summary.risk_table()?, options)
}

/// The curves of a risk table.
pub fn curves_of(table: &RiskTable, options: &Options) -> Result<CumulativeIncidence> {
    let z = two_sided_z(options.conf_level)?;
    let states = states(table);
    let variance = match options.variance {
        Variance::Jackknife => jackknife(table, &states)?,
        Variance::Delta => delta(table, &states)?,
    };
    let rows = |state: usize| {
        let rows = (0..table.time.len()).map(|at| {
            let (estimate, std_err) = (states[state][at], variance[state][at].sqrt());
            let (lower, upper) = if state > 0 && estimate == 0.0 {
                (0.0, 0.0)
            } else {
                options.conf_type.interval(estimate, std_err / estimate, z)
            };
            Row {
                time: table.time[at],
                n_risk: table.at_risk[at],
                n_event: state
                    .checked_sub(1)
                    .map_or(0.0, |cause| table.events[cause][at]),
                n_censor: table.censored[at],
                estimate,
                std_err,
                lower,
                upper,
            }
        });
        rows.collect()
    };
    Ok(CumulativeIncidence {
        n: table.rows,
        event_free: rows(0),
        causes: (1..states.len()).map(rows).collect(),
    })
}

/// The probability of each state at each time: event-free, then the causes.
fn states(table: &RiskTable) -> Vec<Vec<f64>> {
    let times = table.time.len();
    let mut states = vec![Vec::with_capacity(times); table.events.len() + 1];
    let mut probability = vec![0.0; table.events.len() + 1];
    probability[0] = 1.0;
    for at in 0..times {
        let n = table.at_risk[at];
        let free = probability[0];
        for (cause, events) in table
            .events
            .iter()
            .enumerate()
            .filter(|(_, events)| events[at] > 0.0)
        {
            probability[cause + 1] += free * events[at] / n;
        }
        if table.any_event(at) > 0.0 {
            probability[0] = free * table.event_free_share(at);
        }
        for (state, probability) in states.iter_mut().zip(&probability) {
            state.push(*probability);
        }
    }
    states
}

impl RiskTable {
    /// Events of any kind at a time.
    pub(crate) fn any_event(&self, at: usize) -> f64 {
        self.events.iter().map(|events| events[at]).sum()
    }

    /// (n − d)/n, exactly 0 when every row at risk has an event.
    pub(crate) fn event_free_share(&self, at: usize) -> f64 {
        let rows: u64 = self.events_rows.iter().map(|events| events[at]).sum();
        if rows == self.at_risk_rows[at] {
            0.0
        } else {
            (self.at_risk[at] - self.any_event(at)) / self.at_risk[at]
        }
    }

    /// Σ w² of the rows that left at a time with a status; their number, where they have no weights.
    fn square(&self, status: usize, at: usize) -> f64 {
        match (&self.squares, status.checked_sub(1)) {
            (Some(squares), _) => squares.whole[status][at],
            (None, None) => self.censored[at],
            (None, Some(cause)) => self.events[cause][at],
        }
    }
}

/// Σ w²u² of each state at each time, whole weights too: `survfit` takes them as frequencies in a curve of one event
/// only.
///
/// All rows at risk share one derivative per state, carried forward by the same recursion as the estimate. A
/// row that leaves keeps a + b·I_k(t) for the rest of the curve, so three sums stand for all that have left.
fn jackknife(table: &RiskTable, states: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    if table.has_entries
        || table
            .squares
            .as_ref()
            .is_some_and(|squares| !squares.intervals.is_empty())
    {
        return Err(Error::DelayedEntryJackknife);
    }
    let (times, causes) = (table.time.len(), table.events.len());
    // Σ w² of those who leave after each time, from the last back: small weights keep their digits beside large ones
    // that left before.
    let mut staying_square = vec![0.0; times + 1];
    for at in (0..times).rev() {
        let leaving: f64 = (0..=causes).map(|status| table.square(status, at)).sum();
        staying_square[at] = staying_square[at + 1] + leaving;
    }
    let mut variance = vec![Vec::with_capacity(times); causes + 1];
    // Derivatives of those still at risk, and sums over those who left: b² for the event-free state, and
    // a², ab, b² for each cause.
    let mut shared = vec![0.0; causes + 1];
    let mut left_free = 0.0;
    let mut left = vec![[0.0; 3]; causes];
    for at in 0..times {
        let n = table.at_risk[at];
        let before_free = at.checked_sub(1).map_or(1.0, |before| states[0][before]);
        let share = table.event_free_share(at);
        let d = table.any_event(at);
        // The derivative of a row with this status after this time: 0 stays or is censored.
        let after = |status: usize| {
            let own = |hit: bool, d: f64| {
                if d > 0.0 || hit {
                    (f64::from(u8::from(hit)) - d / n) / n
                } else {
                    0.0
                }
            };
            let mut after = Vec::with_capacity(causes + 1);
            after.push(shared[0] * share - before_free * own(status > 0, d));
            for cause in 0..causes {
                let d_k = table.events[cause][at];
                let step = shared[0] * d_k / n + before_free * own(status == cause + 1, d_k);
                after.push(shared[cause + 1] + step);
            }
            after
        };
        let free = states[0][at];
        for status in 0..=causes {
            let square = table.square(status, at);
            if square == 0.0 {
                continue;
            }
            let derivative = after(status);
            let b = if free > 0.0 {
                derivative[0] / free
            } else {
                0.0
            };
            left_free += square * b * b;
            for cause in 0..causes {
                let a = derivative[cause + 1] - b * states[cause + 1][at];
                for (sum, term) in left[cause].iter_mut().zip([a * a, a * b, b * b]) {
                    *sum += square * term;
                }
            }
        }
        shared = after(0);
        let staying = staying_square[at + 1];
        variance[0].push(free * free * left_free + staying * shared[0] * shared[0]);
        for cause in 0..causes {
            let (i, [aa, ab, bb]) = (states[cause + 1][at], left[cause]);
            let gone = aa + 2.0 * i * ab + i * i * bb;
            variance[cause + 1]
                .push(gone.max(0.0) + staying * shared[cause + 1] * shared[cause + 1]);
        }
    }
    Ok(variance)
}

/// The variance of `cmprsk::cuminc` for each cause; none for the event-free state.
fn delta(table: &RiskTable, states: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    if table.fractional {
        return Err(Error::FractionalWeights);
    }
    let mut variance = vec![vec![f64::NAN; table.time.len()]];
    for cause in 0..table.events.len() {
        let (mut sums, mut current) = ([0.0; 3], 0.0);
        let by_time = (0..table.time.len()).map(|at| {
            let n = table.at_risk[at];
            let free = at.checked_sub(1).map_or(1.0, |before| states[0][before]);
            let after = states[0][at];
            let (own, estimate) = (table.events[cause][at], states[cause + 1][at]);
            let other = table.any_event(at) - own;
            let mut add = |d: f64, here: f64| {
                // Tied events are drawn without replacement.
                let ties = if d > 1.0 {
                    1.0 - (d - 1.0) / (n - 1.0)
                } else {
                    1.0
                };
                let step = free * free * ties * d / (n * n);
                let inverse = if after > 0.0 { 1.0 / after } else { 0.0 };
                let value = here + inverse * estimate;
                for (sum, term) in
                    sums.iter_mut()
                        .zip([value * value, inverse * value, inverse * inverse])
                {
                    *sum += term * step;
                }
            };
            if other > 0.0 && after > 0.0 {
                add(other, 0.0);
            }
            if own > 0.0 {
                add(own, 1.0);
                current = sums[0] + estimate * estimate * sums[2] - 2.0 * estimate * sums[1];
            }
            current
        });
        variance.push(by_time.collect());
    }
    Ok(variance)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Summary;
    use crate::survival::kaplan_meier;

    fn made(rows: std::ops::Range<u32>) -> EventTimes {
        let mut summary = EventTimes::new();
        for row in rows {
            summary.add(f64::from(row * 37 % 61), row * 11 % 4).unwrap();
        }
        summary
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
            (3.0, 2),
            (4.0, 1),
            (4.0, 0),
            (5.0, 2),
            (6.0, 0),
        ];
        let mut summary = EventTimes::new();
        for ((time, cause), weight) in times.into_iter().zip(weights) {
            summary.add_weighted(None, time, cause, weight).unwrap();
        }
        // R 4.2.2, survival 3.5-3: survfit(Surv(time, cause) ~ 1, weights = weight, id = 1:7)
        let second = [
            0.0,
            0.0,
            0.002676271075338978,
            0.002676271075338978,
            0.002676620718110744,
            0.002676620718110744,
        ];
        let found = curves(&summary, &Options::default()).unwrap();
        for (row, expected) in found.causes[1].iter().zip(second) {
            let found = row.std_err;
            assert!(
                (found - expected).abs() <= 1e-9 * expected,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn whole_weights_have_the_errors_of_weights() {
        let rows = [
            (1.0, 1, 2.0),
            (2.0, 2, 1.0),
            (3.0, 0, 3.0),
            (4.0, 1, 1.0),
            (4.0, 2, 4.0),
            (5.0, 0, 2.0),
            (6.0, 2, 1.0),
            (7.0, 1, 5.0),
            (8.0, 0, 1.0),
            (9.0, 1, 2.0),
        ];
        let mut summary = EventTimes::new();
        for (time, cause, weight) in rows {
            summary.add_weighted(None, time, cause, weight).unwrap();
        }
        // R 4.2.2, survival 3.5-3: survfit(Surv(time, factor(cause)) ~ 1, weights = weight)$std.err
        let first = [
            0.08881894735621768,
            0.08881894735621768,
            0.08881894735621768,
            0.10484625213675103,
            0.10484625213675103,
            0.10484625213675103,
            0.22117549178845353,
            0.22117549178845353,
            0.19185487766781312,
        ];
        let second = [
            0.0,
            0.04647612346777683,
            0.04647612346777683,
            0.18525165176354896,
            0.18525165176354896,
            0.19185487766781312,
            0.19185487766781312,
            0.19185487766781312,
            0.19185487766781312,
        ];
        let found = curves(&summary, &Options::default()).unwrap();
        for (rows, expected) in found.causes.iter().zip([first, second]) {
            for (row, expected) in rows.iter().zip(expected) {
                let found = row.std_err;
                assert!(
                    (found - expected).abs() < 1e-14,
                    "{found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn merged_is_the_whole() {
        let mut parts = made(90..150);
        parts.merge(made(0..90));
        for variance in [Variance::Jackknife, Variance::Delta] {
            let options = Options {
                variance,
                ..Options::default()
            };
            let (whole, parts) = (
                curves(&made(0..150), &options).unwrap(),
                curves(&parts, &options).unwrap(),
            );
            assert_eq!(whole.causes, parts.causes);
        }
    }

    #[test]
    fn states_add_up_to_one() {
        let curves = curves(&made(0..150), &Options::default()).unwrap();
        for at in 0..curves.event_free.len() {
            let all: f64 = curves.causes.iter().map(|rows| rows[at].estimate).sum();
            assert!((all + curves.event_free[at].estimate - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn one_cause_is_one_less_kaplan_meier() {
        let mut summary = EventTimes::new();
        for row in 0..100_u32 {
            summary.add(f64::from(row * 37 % 61), row % 2).unwrap();
        }
        let incidence = curves(&summary, &Options::default()).unwrap();
        let survival = kaplan_meier::curve(&summary, &kaplan_meier::Options::default()).unwrap();
        for (incidence, survival) in incidence.causes[0].iter().zip(&survival.rows) {
            assert!((incidence.estimate + survival.survival - 1.0).abs() < 1e-13);
            if survival.survival > 0.0 {
                // Without weights the jackknife is Greenwood's variance.
                assert!((incidence.std_err - survival.std_err).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn delayed_entry_has_only_the_delta_method() {
        let mut summary = EventTimes::new();
        summary.add_interval(0.0, 3.0, 1).unwrap();
        summary.add_interval(1.0, 4.0, 2).unwrap();
        assert_eq!(
            curves(&summary, &Options::default()),
            Err(Error::DelayedEntryJackknife)
        );
        let options = Options {
            variance: Variance::Delta,
            ..Options::default()
        };
        assert_eq!(
            curves(&summary, &options).unwrap().causes[0][0].estimate,
            0.5
        );
    }
}
