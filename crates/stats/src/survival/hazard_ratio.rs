//! What regressions on time report: ratios with intervals, and tests.

use crate::Result;
use crate::numeric::{chi_squared_tail, two_sided_z};

/// A test of all coefficients, or of some.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Chi-squared statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: usize,
    /// Upper tail probability.
    pub p_value: f64,
}

impl Test {
    pub(crate) fn new(statistic: f64, df: usize) -> Self {
        Self {
            statistic,
            df,
            p_value: chi_squared_tail(statistic, df),
        }
    }
}

/// A coefficient as it is reported: the ratio of hazards, or of subdistribution hazards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HazardRatio {
    /// exp(coefficient).
    pub estimate: f64,
    /// Lower limit of the Wald interval.
    pub lower: f64,
    /// Upper limit of the Wald interval.
    pub upper: f64,
    /// Coefficient over standard error.
    pub z: f64,
    /// Two-sided Wald test of a hazard ratio of 1.
    pub p_value: f64,
}

/// Standard errors from a covariance; NaN where there is none to tell: of a dropped term, and of a coefficient without
/// bound at which no information is left.
pub(crate) fn standard_errors(variance: &[Vec<f64>]) -> Vec<f64> {
    let diagonal = variance.iter().enumerate().map(|(at, row)| row[at]);
    diagonal
        .map(|variance| {
            if variance == 0.0 {
                f64::NAN
            } else {
                variance.sqrt()
            }
        })
        .collect()
}

/// Ratios with Wald intervals from log ratios and their standard errors; NaN for dropped terms.
pub(crate) fn ratios(
    coefficients: &[f64],
    std_errs: &[f64],
    conf_level: f64,
) -> Result<Vec<HazardRatio>> {
    let quantile = two_sided_z(conf_level)?;
    let ratio = |(beta, std_err): (&f64, &f64)| {
        let z = beta / std_err;
        HazardRatio {
            estimate: beta.exp(),
            lower: (beta - quantile * std_err).exp(),
            upper: (beta + quantile * std_err).exp(),
            z,
            p_value: chi_squared_tail(z * z, 1),
        }
    };
    Ok(coefficients.iter().zip(std_errs).map(ratio).collect())
}
