//! Balance of a covariate between two groups: the standardised mean difference.
//!
//! smd = (mean₁ − mean₀) / √((s₁² + s₀²)/2), with means weighted and s² the variances of the groups:
//! weighted, Σw(x − mean)² · Σw / ((Σw)² − Σw²), which is the usual n − 1 for equal weights; or those before
//! weighting, so that weighting changes only the difference. A binary covariate has s² = p (1 − p).
//! Source: Austin and Stuart (2015); Austin (2009); conventions of R's cobalt and tableone.

use crate::models::Moment;
use crate::{Error, Result, Summary};

/// One group's values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Group {
    values: Moment,
    /// Σ w².
    squares: f64,
}

/// A covariate in the treated and in the untreated.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Balance {
    treated: Group,
    untreated: Group,
}

impl Group {
    fn variance(&self) -> f64 {
        let weight = self.values.weight;
        self.values.squares * weight / (weight * weight - self.squares)
    }

    fn merge(&mut self, other: Self) {
        self.values.merge(other.values);
        self.squares += other.squares;
    }

    fn mean(&self) -> f64 {
        if self.values.is_empty() {
            f64::NAN
        } else {
            self.values.mean
        }
    }
}

impl Balance {
    /// Adds a person; one of weight 0 counts for nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWeight`]; [`Error::NonFiniteCovariate`].
    pub fn add(&mut self, value: f64, treated: bool, weight: f64) -> Result<()> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        if !value.is_finite() {
            return Err(Error::NonFiniteCovariate);
        }
        let group = if treated {
            &mut self.treated
        } else {
            &mut self.untreated
        };
        group.values.add(value, weight);
        group.squares += weight * weight;
        Ok(())
    }

    /// The means of the treated and of the untreated; of a binary covariate, the shares. NaN for an empty group.
    pub fn means(&self) -> (f64, f64) {
        (self.treated.mean(), self.untreated.mean())
    }

    /// √((s₁² + s₀²)/2).
    pub fn pooled_sd(&self) -> f64 {
        f64::midpoint(self.treated.variance(), self.untreated.variance()).sqrt()
    }

    /// √((p₁(1 − p₁) + p₀(1 − p₀))/2), for a covariate that is 0 or 1.
    pub fn pooled_sd_binary(&self) -> f64 {
        let (p1, p0) = self.means();
        f64::midpoint(p1 * (1.0 - p1), p0 * (1.0 - p0)).sqrt()
    }

    /// The standardised mean difference of a continuous covariate.
    ///
    /// 0 if the means are equal, even without spread; infinite if they differ without spread; NaN if a group is
    /// empty or has one person.
    pub fn smd(&self) -> f64 {
        self.smd_by(self.pooled_sd())
    }

    /// The standardised mean difference of a covariate that is 0 or 1.
    pub fn smd_binary(&self) -> f64 {
        self.smd_by(self.pooled_sd_binary())
    }

    /// The mean difference in units of another standard deviation, such as that before weighting.
    pub fn smd_by(&self, standard_deviation: f64) -> f64 {
        let (treated, untreated) = self.means();
        if treated == untreated && standard_deviation == 0.0 {
            return 0.0;
        }
        (treated - untreated) / standard_deviation
    }
}

impl Summary for Balance {
    fn merge(&mut self, other: Self) {
        self.treated.merge(other.treated);
        self.untreated.merge(other.untreated);
    }

    fn is_empty(&self) -> bool {
        self.treated.values.is_empty() && self.untreated.values.is_empty()
    }
}
