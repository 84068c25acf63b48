//! The ratio and the difference of two incidence rates.
//!
//! Given both counts, the exposed events are binomial with probability r·t₁/(r·t₁ + t₀): the exact interval is
//! Clopper-Pearson's, turned into a ratio, and the test is the binomial one. R's `poisson.test` with two samples.
//! The difference has Wald's interval, variance x₁/t₁² + x₀/t₀².

use super::PersonTime;
use crate::numeric::two_sided_z;
use crate::tables::number;
use crate::tables::proportion::{Proportion, binomial_test};
use crate::{Estimate, Result};

/// A rate ratio with its exact test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRatio {
    /// The ratio with its exact interval.
    pub ratio: Estimate,
    /// The two-sided exact p-value of equal rates.
    pub p_value: f64,
}

/// The exposed rate divided by the unexposed one. Without unexposed events it is infinite, without any it is NaN.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn rate_ratio(
    exposed: PersonTime,
    unexposed: PersonTime,
    conf_level: f64,
) -> Result<RateRatio> {
    let share = Proportion {
        events: exposed.events,
        trials: exposed.events + unexposed.events,
    };
    let bounds = share.clopper_pearson(conf_level)?;
    let times = unexposed.time / exposed.time;
    let odds = |p: f64| p / (1.0 - p) * times;
    Ok(RateRatio {
        ratio: Estimate {
            value: (number(exposed.events) / exposed.time)
                / (number(unexposed.events) / unexposed.time),
            lower: odds(bounds.lower),
            upper: odds(bounds.upper),
        },
        p_value: binomial_test(
            share.events,
            share.trials,
            exposed.time / (exposed.time + unexposed.time),
        ),
    })
}

/// The exposed rate less the unexposed one, with Wald's interval.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn rate_difference(
    exposed: PersonTime,
    unexposed: PersonTime,
    conf_level: f64,
) -> Result<Estimate> {
    let part = |x: PersonTime| {
        (
            number(x.events) / x.time,
            number(x.events) / (x.time * x.time),
        )
    };
    let ((rate1, variance1), (rate0, variance0)) = (part(exposed), part(unexposed));
    Ok(Estimate::symmetric(
        rate1 - rate0,
        two_sided_z(conf_level)? * (variance1 + variance0).sqrt(),
    ))
}
