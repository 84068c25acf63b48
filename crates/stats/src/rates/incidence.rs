//! The incidence rate: events divided by person-time.
//!
//! Exact interval from the Poisson distribution (Garwood, Biometrika 28, 1936): χ² quantiles of 2x and 2x + 2 degrees
//! of freedom. Byar's approximation (Breslow and Day, Statistical Methods in Cancer Research II, 1987, p. 69); the
//! variant with x + ½ on both sides is epitools' `pois.byar`. Test as R's `poisson.test`.

use crate::numeric::two_sided_z;
use crate::roots::{AS_LIKELY, first_at_most, gamma_quantile, poisson_lower, poisson_upper};
use crate::tables::number;
use crate::{Error, Estimate, Result, Summary};
use statrs::function::gamma::ln_gamma;

/// Events and the person-time in which they happened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PersonTime {
    /// Events.
    pub events: u64,
    /// Person-time at risk, in any unit; the rate is per that unit.
    pub time: f64,
}

/// How the interval around a rate is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RateInterval {
    /// From the Poisson distribution.
    #[default]
    Exact,
    /// Byar's approximation: x below, x + 1 above.
    Byar,
    /// Byar's approximation with x + ½ on both sides.
    ByarMidpoint,
    /// x ± z√x.
    Wald,
}

impl Summary for PersonTime {
    fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.time += other.time;
    }

    fn is_empty(&self) -> bool {
        self.events == 0 && self.time == 0.0
    }
}

impl PersonTime {
    /// Takes in a person's events and time at risk.
    ///
    /// # Errors
    /// A time that is not finite, or negative.
    #[inline]
    pub fn add(&mut self, events: u64, time: f64) -> Result<()> {
        if !time.is_finite() {
            return Err(Error::NonFiniteTime);
        }
        if time < 0.0 {
            return Err(Error::NegativeTime);
        }
        self.events += events;
        self.time += time;
        Ok(())
    }

    /// Events per unit of person-time. Without person-time the rate is NaN.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn rate(self, interval: RateInterval, conf_level: f64) -> Result<Estimate> {
        let x = number(self.events);
        let bounds = count_interval(self.events, interval, conf_level)?;
        Ok(Estimate {
            value: x / self.time,
            lower: bounds.0 / self.time,
            upper: bounds.1 / self.time,
        })
    }
}

/// The interval of an expected count of which `events` were seen.
pub(super) fn count_interval(
    events: u64,
    interval: RateInterval,
    conf_level: f64,
) -> Result<(f64, f64)> {
    let z = two_sided_z(conf_level)?;
    let tail = (1.0 - conf_level) / 2.0;
    let x = number(events);
    let byar = |x: f64, sign: f64| {
        if x == 0.0 {
            0.0
        } else {
            x * (1.0 - 1.0 / (9.0 * x) + sign * z / (3.0 * x.sqrt())).powi(3)
        }
    };
    Ok(match interval {
        RateInterval::Exact => (
            gamma_quantile(tail, x, true),
            gamma_quantile(tail, x + 1.0, false),
        ),
        RateInterval::Byar => (byar(x, -1.0).max(0.0), byar(x + 1.0, 1.0)),
        RateInterval::ByarMidpoint => (byar(x + 0.5, -1.0).max(0.0), byar(x + 0.5, 1.0)),
        RateInterval::Wald => (x - z * x.sqrt(), x + z * x.sqrt()),
    })
}

/// The two-sided exact test that `events` come from a Poisson distribution with this mean: the sum over all counts no
/// likelier than the observed one; R's `poisson.test`.
#[must_use]
pub fn poisson_test(events: u64, mean: f64) -> f64 {
    let x = number(events);
    if mean == 0.0 {
        return if events == 0 { 1.0 } else { 0.0 };
    }
    let log_density = |y: f64| y * mean.ln() - mean - ln_gamma(y + 1.0);
    let limit = log_density(x) + AS_LIKELY.ln();
    if x == mean {
        return 1.0;
    }
    if x < mean {
        let mut far = (2.0 * mean - x).ceil().max(1.0);
        while log_density(far) > limit {
            far *= 2.0;
        }
        let other = first_at_most(mean.ceil(), far, limit, log_density);
        (poisson_lower(x, mean) + other.map_or(0.0, |y| poisson_upper(y, mean))).min(1.0)
    } else {
        let other = first_at_most(-mean.floor(), 0.0, limit, |y| log_density(-y));
        (poisson_upper(x, mean) + other.map_or(0.0, |y| poisson_lower(-y, mean))).min(1.0)
    }
}
