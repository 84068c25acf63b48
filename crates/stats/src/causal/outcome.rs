//! Weighted comparison of outcomes: risks, their difference and ratio, and the marginal odds ratio.
//!
//! Hájek's mean Σwy / Σw in each group; its variance Σw²(y − mean)² / (Σw)² takes the weights as known (HC0 of
//! the weighted regression on treatment), which for inverse probability weights is on the safe side. The log
//! ratio has variance v₁/m₁² + v₀/m₀². The odds ratio is that of a weighted logistic regression on treatment
//! with HC0 errors. Sources: Hájek (1971); Lunceford and Davidian (2004); Robins, Hernán and Brumback (2000).

use crate::models::{Fit, Frame, Moment, Options, Variance, logistic_regression};
use crate::numeric::two_sided_z;
use crate::{Error, Estimate, Result, Summary};

/// Outcomes of one group: with weights w, and with w² for the variance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Arm {
    outcome: Moment,
    squared: Moment,
}

impl Arm {
    fn merge(&mut self, other: Self) {
        self.outcome.merge(other.outcome);
        self.squared.merge(other.squared);
    }

    fn mean(&self) -> f64 {
        if self.outcome.is_empty() {
            f64::NAN
        } else {
            self.outcome.mean
        }
    }

    fn variance(&self) -> f64 {
        let apart = self.squared.mean - self.outcome.mean;
        (self.squared.squares + self.squared.weight * apart * apart)
            / (self.outcome.weight * self.outcome.weight)
    }
}

/// Outcomes of the treated and the untreated.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WeightedOutcomes {
    treated: Arm,
    untreated: Arm,
}

/// Two weighted means and their comparison; NaN where a group is empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Weighted mean (risk) of the treated.
    pub treated: Estimate,
    /// Weighted mean (risk) of the untreated.
    pub untreated: Estimate,
    /// Treated less untreated.
    pub difference: Estimate,
    /// Its standard error.
    pub difference_std_err: f64,
    /// Treated over untreated.
    pub ratio: Estimate,
}

impl WeightedOutcomes {
    /// Adds a person; one of weight 0 counts for nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWeight`]; [`Error::NotANumber`] if the outcome is not finite.
    pub fn add(&mut self, outcome: f64, treated: bool, weight: f64) -> Result<()> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        if !outcome.is_finite() {
            return Err(Error::NotANumber);
        }
        let arm = if treated {
            &mut self.treated
        } else {
            &mut self.untreated
        };
        arm.outcome.add(outcome, weight);
        arm.squared.add(outcome, weight * weight);
        Ok(())
    }

    /// The comparison with intervals at `conf_level`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn compare(&self, conf_level: f64) -> Result<Comparison> {
        let z = two_sided_z(conf_level)?;
        let (m1, m0) = (self.treated.mean(), self.untreated.mean());
        let (v1, v0) = (self.treated.variance(), self.untreated.variance());
        let difference_std_err = (v1 + v0).sqrt();
        Ok(Comparison {
            treated: Estimate::symmetric(m1, z * v1.sqrt()),
            untreated: Estimate::symmetric(m0, z * v0.sqrt()),
            difference: Estimate::symmetric(m1 - m0, z * difference_std_err),
            difference_std_err,
            ratio: Estimate::log_symmetric(m1 / m0, z * (v1 / (m1 * m1) + v0 / (m0 * m0)).sqrt()),
        })
    }
}

impl Summary for WeightedOutcomes {
    fn merge(&mut self, other: Self) {
        self.treated.merge(other.treated);
        self.untreated.merge(other.untreated);
    }

    fn is_empty(&self) -> bool {
        self.treated.outcome.is_empty() && self.untreated.outcome.is_empty()
    }
}

/// The weighted logistic regression of an outcome of 0 or 1 on treatment, with HC0 errors.
///
/// The second coefficient is the marginal log odds ratio.
///
/// # Errors
///
/// Those of [`logistic_regression::fit`]; [`Error::EmptyGroup`] if the weights leave nobody in one group.
pub fn weighted_logistic(
    outcome: &[f64],
    treated: &[bool],
    weights: &[f64],
    conf_level: f64,
) -> Result<Fit> {
    let treatment: Vec<f64> = treated
        .iter()
        .map(|treated| f64::from(u8::from(*treated)))
        .collect();
    let has = |group: bool| {
        treated
            .iter()
            .zip(weights)
            .any(|(treated, weight)| *treated == group && *weight > 0.0)
    };
    if !(has(true) && has(false)) {
        return Err(Error::EmptyGroup);
    }
    let columns: [&[f64]; 1] = [&treatment];
    let frame = Frame {
        weights: Some(weights),
        ..Frame::new(outcome, &columns)
    };
    let options = Options {
        conf_level,
        variance: Variance::Robust,
        ..Options::default()
    };
    logistic_regression::fit(&frame, &options)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn unweighted_risks_have_their_usual_errors() {
        let mut outcomes = WeightedOutcomes::default();
        for row in 0..10 {
            outcomes
                .add(f64::from(u8::from(row < 4)), true, 1.0)
                .unwrap();
            outcomes
                .add(f64::from(u8::from(row < 2)), false, 1.0)
                .unwrap();
        }
        let found = outcomes.compare(0.95).unwrap();
        assert!((found.difference.value - 0.2).abs() < 1e-15);
        assert!((found.difference_std_err - 0.04_f64.sqrt()).abs() < 1e-15);
        assert!((found.ratio.value - 2.0).abs() < 1e-14);
        assert!(
            WeightedOutcomes::default()
                .compare(0.95)
                .unwrap()
                .difference
                .value
                .is_nan()
        );
        assert_eq!(outcomes.add(1.0, true, -1.0), Err(Error::InvalidWeight));
        assert_eq!(outcomes.add(f64::NAN, true, 1.0), Err(Error::NotANumber));
    }

    #[test]
    fn a_group_without_weight_is_an_error() {
        let found = weighted_logistic(
            &[1.0, 0.0, 1.0],
            &[true, true, false],
            &[1.0, 1.0, 0.0],
            0.95,
        );
        assert_eq!(found.unwrap_err(), Error::EmptyGroup);
    }
}
