//! Empirical calibration: what negative controls say about systematic error, taken into p-values and intervals.
//!
//! The log effect estimates of negative controls, whose true effect is none, are taken as normal with mean μ and
//! variance σ² + se²; μ and σ are their maximum-likelihood estimates. An estimate is then judged against
//! N(μ, σ² + se²), and its interval is (estimate − μ) ± z √(σ² + se²).
//! Sources: Schuemie et al., Statistics in Medicine 2014 (p-values), PNAS 2018 (intervals, with the systematic
//! error of negative controls taken to hold at any true effect: `convertNullToErrorModel` of R's
//! EmpiricalCalibration).

use statrs::function::erf::erfc;

use crate::numeric::two_sided_z;
use crate::roots::root;
use crate::{Error, Estimate, Result};

/// An effect estimate on the logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogEstimate {
    /// For example a log hazard ratio.
    pub value: f64,
    /// Its standard error, above 0.
    pub std_err: f64,
}

/// The distribution of systematic error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmpiricalNull {
    /// Average systematic error μ, on the logarithmic scale.
    pub mean: f64,
    /// Its standard deviation σ between analyses; 0 if the controls vary no more than chance allows.
    pub sd: f64,
}

/// A calibrated result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// On the logarithmic scale.
    pub estimate: Estimate,
    /// √(σ² + se²).
    pub std_err: f64,
    /// Two-sided.
    pub p_value: f64,
}

impl LogEstimate {
    fn check(&self) -> Result<()> {
        let valid = self.value.is_finite() && self.std_err.is_finite() && self.std_err > 0.0;
        if valid {
            Ok(())
        } else {
            Err(Error::InvalidEstimate)
        }
    }
}

impl EmpiricalNull {
    /// From the estimates of negative controls.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`] without controls; [`Error::InvalidEstimate`] if an estimate is not finite or its standard
    /// error is not above 0: leave out controls without events.
    pub fn fit(controls: &[LogEstimate]) -> Result<Self> {
        if controls.is_empty() {
            return Err(Error::NoRows);
        }
        controls.iter().try_for_each(LogEstimate::check)?;
        let at = |variance: f64| Self {
            mean: mean(controls, variance),
            sd: variance.sqrt(),
        };
        if slope(controls, 0.0) <= 0.0 {
            return Ok(at(0.0));
        }
        let mut upper = 1e-8;
        while slope(controls, upper) > 0.0 && upper < 1e8 {
            upper *= 2.0;
        }
        let lower = if upper > 1e-8 { upper / 2.0 } else { 0.0 };
        Ok(at(root(lower, upper, |variance| slope(controls, variance))))
    }

    /// Judges an estimate.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEstimate`]; [`Error::InvalidConfidenceLevel`].
    pub fn calibrate(&self, estimate: LogEstimate, conf_level: f64) -> Result<Calibrated> {
        estimate.check()?;
        let z = two_sided_z(conf_level)?;
        let std_err = self.sd.hypot(estimate.std_err);
        let value = estimate.value - self.mean;
        Ok(Calibrated {
            estimate: Estimate::symmetric(value, z * std_err),
            std_err,
            p_value: erfc((value / std_err).abs() / std::f64::consts::SQRT_2),
        })
    }
}

/// The best mean for a given variance between controls.
fn mean(controls: &[LogEstimate], variance: f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for control in controls {
        let weight = 1.0 / (variance + control.std_err * control.std_err);
        sum += weight * control.value;
        weights += weight;
    }
    sum / weights
}

/// The derivative of twice the log-likelihood by the variance, the mean being the best one.
fn slope(controls: &[LogEstimate], variance: f64) -> f64 {
    let mean = mean(controls, variance);
    let parts = controls.iter().map(|control| {
        let weight = 1.0 / (variance + control.std_err * control.std_err);
        let away = control.value - mean;
        weight * (away * away * weight - 1.0)
    });
    parts.sum()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const CONTROLS: [(f64, f64); 10] = [
        (0.12, 0.10),
        (0.45, 0.20),
        (-0.30, 0.25),
        (0.60, 0.15),
        (0.05, 0.30),
        (0.33, 0.12),
        (0.80, 0.40),
        (-0.10, 0.18),
        (0.25, 0.22),
        (0.51, 0.09),
    ];

    const MEAN: f64 = 0.275153252999;
    const SD: f64 = 0.199077579774;
    const CALIBRATED_P: f64 = 0.132188411997;

    fn controls() -> Vec<LogEstimate> {
        CONTROLS
            .iter()
            .map(|(value, std_err)| LogEstimate {
                value: *value,
                std_err: *std_err,
            })
            .collect()
    }

    /// R 4.2.2: `optim` of `-sum(dnorm(x, m, sqrt(exp(2 * s) + se^2), log = TRUE))`, BFGS, `reltol = 1e-16`.
    #[test]
    fn controls_with_bias() {
        let null = EmpiricalNull::fit(&controls()).unwrap();
        assert!((null.mean - MEAN).abs() < 1e-7, "{null:?}");
        assert!((null.sd - SD).abs() < 1e-7, "{null:?}");
        let found = null
            .calibrate(
                LogEstimate {
                    value: 0.7,
                    std_err: 0.2,
                },
                0.95,
            )
            .unwrap();
        let std_err = SD.hypot(0.2);
        assert!((found.estimate.lower - (0.7 - MEAN - 1.959963984540054 * std_err)).abs() < 1e-6);
        assert!((found.p_value - CALIBRATED_P).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn controls_without_more_than_chance() {
        let same: Vec<LogEstimate> = (0..5)
            .map(|_| LogEstimate {
                value: 0.1,
                std_err: 0.2,
            })
            .collect();
        let null = EmpiricalNull::fit(&same).unwrap();
        assert!((null.mean - 0.1).abs() < 1e-15 && null.sd == 0.0);
        assert_eq!(EmpiricalNull::fit(&[]), Err(Error::NoRows));
        assert_eq!(
            EmpiricalNull::fit(&[LogEstimate {
                value: 0.0,
                std_err: 0.0
            }]),
            Err(Error::InvalidEstimate)
        );
    }
}
