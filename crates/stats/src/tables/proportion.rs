//! A single proportion: Clopper-Pearson and Wilson intervals, the exact binomial test.
//!
//! Clopper and Pearson, Biometrika 26 (1934): the interval of all p that the exact test does not reject.
//! Wilson, Journal of the American Statistical Association 22 (1927), with and without continuity correction as in
//! R's `prop.test`.

use super::two_by_two::number;
use crate::numeric::two_sided_z;
use crate::roots::{AS_LIKELY, beta_quantile, binomial_lower, binomial_upper, first_at_most};
use crate::{Error, Estimate, Result, Summary};
use statrs::function::gamma::ln_gamma;

/// Events among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Proportion {
    /// Trials with the event.
    pub events: u64,
    /// All trials.
    pub trials: u64,
}

impl Summary for Proportion {
    fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.trials += other.trials;
    }

    fn is_empty(&self) -> bool {
        self.trials == 0
    }
}

impl Proportion {
    /// Counts one trial.
    #[inline]
    pub fn add(&mut self, event: bool) {
        self.events += u64::from(event);
        self.trials += 1;
    }

    fn value(self) -> f64 {
        number(self.events) / number(self.trials)
    }

    /// The exact interval of Clopper and Pearson.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn clopper_pearson(self, conf_level: f64) -> Result<Estimate> {
        if !(conf_level > 0.0 && conf_level < 1.0) {
            return Err(Error::InvalidConfidenceLevel);
        }
        let (x, n) = (number(self.events), number(self.trials));
        let tail = (1.0 - conf_level) / 2.0;
        Ok(Estimate {
            value: self.value(),
            lower: if x == 0.0 {
                0.0
            } else {
                beta_quantile(tail, x, n - x + 1.0)
            },
            // The upper tail, by the symmetry of the beta distribution.
            upper: if self.events == self.trials {
                1.0
            } else {
                1.0 - beta_quantile(tail, n - x, x + 1.0)
            },
        })
    }

    /// Wilson's score interval.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn wilson(self, conf_level: f64) -> Result<Estimate> {
        let z = two_sided_z(conf_level)?;
        let (n, p) = (number(self.trials), self.value());
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let (middle, scale) = (p + z * z / (2.0 * n), 1.0 + z * z / n);
        Ok(self.cut((middle - half) / scale, (middle + half) / scale))
    }

    /// Wilson's score interval with continuity correction, as `prop.test` gives it by default.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn wilson_corrected(self, conf_level: f64) -> Result<Estimate> {
        let z = two_sided_z(conf_level)?;
        let (x, n) = (number(self.events), number(self.trials));
        // `prop.test` corrects by at most the distance from one half, its default null value.
        let yates = 0.5f64.min((x - 0.5 * n).abs());
        let bound = |sign: f64| {
            let p = (x + sign * yates) / n;
            let middle = p + z * z / (2.0 * n);
            let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
            (middle + sign * half) / (1.0 + z * z / n)
        };
        Ok(self.cut(bound(-1.0), bound(1.0)))
    }

    fn cut(self, lower: f64, upper: f64) -> Estimate {
        Estimate {
            value: self.value(),
            lower: if self.events == 0 {
                0.0
            } else {
                lower.max(0.0)
            },
            upper: if self.events == self.trials {
                1.0
            } else {
                upper.min(1.0)
            },
        }
    }
}

/// The two-sided exact test of `events` out of `trials` at the probability `p`: the sum over all outcomes no likelier
/// than the observed one; R's `binom.test`.
#[must_use]
pub fn binomial_test(events: u64, trials: u64, p: f64) -> f64 {
    let (x, n) = (number(events), number(trials));
    if p.is_nan() {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if (p == 0.0 && events == 0) || (p == 1.0 && events == trials) {
            1.0
        } else {
            0.0
        };
    }
    let log_density = |y: f64| {
        ln_gamma(n + 1.0) - ln_gamma(y + 1.0) - ln_gamma(n - y + 1.0)
            + y * p.ln()
            + (n - y) * (-p).ln_1p()
    };
    let mean = n * p;
    let limit = log_density(x) + AS_LIKELY.ln();
    if x == mean {
        1.0
    } else if x < mean {
        let other = first_at_most(mean.ceil(), n, limit, log_density);
        (binomial_lower(x, n, p) + other.map_or(0.0, |y| binomial_upper(y, n, p))).min(1.0)
    } else {
        let other = first_at_most(-mean.floor(), 0.0, limit, |y| log_density(-y));
        (binomial_upper(x, n, p) + other.map_or(0.0, |y| binomial_lower(-y, n, p))).min(1.0)
    }
}
