//! Standardised rates: direct with the gamma interval of Fay and Feuer, indirect, and the standardised mortality ratio.
//!
//! Direct: Σwᵢxᵢ/tᵢ with w the standard population's shares; its interval from gamma distributions with the estimate's
//! mean and variance v = Σwᵢ²xᵢ/tᵢ², the upper one widened by w_max = max wᵢ/tᵢ. Fay and Feuer, Statistics in Medicine
//! 16 (1997); epitools' `ageadjust.direct`. Indirect: observed over expected events at the standard's rates.

use super::incidence::{RateInterval, count_interval, poisson_test};
use crate::numeric::two_sided_z;
use crate::roots::gamma_quantile;
use crate::tables::number;
use crate::{Error, Estimate, Result};

/// One stratum, such as an age group, with the weight of the standard population in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stratum {
    /// Events.
    pub events: u64,
    /// Person-time, or persons.
    pub time: f64,
    /// The standard population in this stratum, in any unit.
    pub standard: f64,
}

/// The directly standardised rate with the interval of Fay and Feuer.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn standardized_rate(strata: &[Stratum], conf_level: f64) -> Result<Estimate> {
    if !(conf_level > 0.0 && conf_level < 1.0) {
        return Err(Error::InvalidConfidenceLevel);
    }
    let tail = (1.0 - conf_level) / 2.0;
    let standard: f64 = strata.iter().map(|s| s.standard).sum();
    let (mut rate, mut variance, mut widest) = (0.0, 0.0, 0.0f64);
    for stratum in strata {
        let weight = stratum.standard / standard / stratum.time;
        rate += weight * number(stratum.events);
        variance += weight * weight * number(stratum.events);
        widest = widest.max(weight);
    }
    let (above, above_variance) = (rate + widest, variance + widest * widest);
    Ok(Estimate {
        value: rate,
        lower: if rate == 0.0 {
            0.0
        } else {
            variance / rate * gamma_quantile(tail, rate * rate / variance, true)
        },
        upper: above_variance / above * gamma_quantile(tail, above * above / above_variance, false),
    })
}

/// A standardised mortality (or morbidity) ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smr {
    /// Observed over expected events, with the interval asked for.
    pub ratio: Estimate,
    /// The two-sided exact p-value of a ratio of 1.
    pub p_value: f64,
}

/// Observed over expected events.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn smr(observed: u64, expected: f64, interval: RateInterval, conf_level: f64) -> Result<Smr> {
    let (lower, upper) = count_interval(observed, interval, conf_level)?;
    Ok(Smr {
        ratio: Estimate {
            value: number(observed) / expected,
            lower: lower / expected,
            upper: upper / expected,
        },
        p_value: poisson_test(observed, expected),
    })
}

/// The standard's crude rate times the standardised ratio, with an interval on the log scale, se log = 1/√observed;
/// epitools' `ageadjust.indirect`. `standard_rate` is the standard's crude rate.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn indirectly_standardized_rate(
    observed: u64,
    expected: f64,
    standard_rate: f64,
    conf_level: f64,
) -> Result<Estimate> {
    let x = number(observed);
    let half = two_sided_z(conf_level)? / x.sqrt();
    Ok(Estimate::log_symmetric(x / expected * standard_rate, half))
}
