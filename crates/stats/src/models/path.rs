//! What penalised models share: the penalty, the sequence of penalties, and the solutions along it.
//!
//! The sequence goes in equal ratios from the smallest λ at which every coefficient is 0, max |gradient| /
//! max(α, 0.001), to 1e-4 of it, or 1e-2 if there are more terms than rows, and ends early where little is left to explain
//! or little more is explained. Source: R's glmnet.

use super::moments::count;
use super::{SparseColumn, SparseFrame};
use crate::{Error, Result};

/// What exceeds the penalty by less than this fraction is the rounding of a gradient: at the largest penalty of the sequence one
/// coefficient would be it, in some orders of the rows.
const ROUNDING: f64 = 1e-13;

/// Solutions of the default sequence before it may end.
const LEAST_STEPS: usize = 5;

/// When the default sequence ends, by the share of the deviance that is explained: those of glmnet, whose
/// `glmnet.control` has `devmax = 0.999` and `fdev = 1e-5`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// More than 0.999, or less than 1e-5 more than one step before.
    Binomial,
    /// More than 0.999, or less than 1e-4 of it gained in the last four steps.
    Poisson,
    /// More than 0.99, or less than 1e-3 of it gained in the last four steps.
    Cox,
}

impl Ending {
    /// Whether the solutions so far end the sequence, which has `steps` if it does not end.
    fn reached(self, points: &[PathPoint], steps: usize) -> bool {
        let least = steps.min(LEAST_STEPS);
        if points.len() < least {
            return false;
        }
        let back = |steps: usize| {
            let at = points.len().checked_sub(steps + 1);
            at.map_or(0.0, |at| points[at].deviance_ratio)
        };
        let (most, gain, enough) = match self {
            Self::Binomial => (0.999, back(0) - back(1), 1e-5),
            Self::Poisson => (0.999, back(0) - back(least - 1), 1e-4 * back(0)),
            Self::Cox => (0.99, back(0) - back(least - 1), 1e-3 * back(0)),
        };
        back(0) > most || gain < enough
    }
}

/// How to fit a path.
#[derive(Debug, Clone, PartialEq)]
pub struct PathOptions {
    /// 1 is the lasso, 0 is ridge regression.
    pub alpha: f64,
    /// Penalties, falling; the default sequence if `None`.
    pub lambda: Option<Vec<f64>>,
    /// Penalties of the default sequence, if it does not end early.
    pub lambda_count: usize,
    /// Whether covariates are penalised on the scale of their standard deviation.
    pub standardize: bool,
    /// A coefficient stands still when the square of its change, weighted by its information per row, is at most
    /// this fraction of the null deviance per row. glmnet's `thresh` is 1e-7.
    pub tolerance: f64,
    /// Passes over the columns for one penalty.
    pub max_sweeps: usize,
}

impl Default for PathOptions {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            lambda: None,
            lambda_count: 100,
            standardize: true,
            tolerance: 1e-14,
            max_sweeps: 100_000,
        }
    }
}

impl PathOptions {
    pub(crate) fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(Error::InvalidOption("alpha"));
        }
        if let Some(lambda) = &self.lambda {
            let valid = lambda.iter().all(|x| x.is_finite() && *x >= 0.0)
                && lambda.is_sorted_by(|a, b| a >= b);
            if !valid || lambda.is_empty() {
                return Err(Error::InvalidOption("lambda"));
            }
        } else if self.lambda_count == 0 {
            return Err(Error::InvalidOption("the number of penalties"));
        }
        Ok(())
    }

    /// The default sequence, from the largest gradient of a penalised coefficient where all are 0.
    pub(crate) fn sequence(&self, largest_gradient: f64, more_rows_than_terms: bool) -> Vec<f64> {
        if largest_gradient <= 0.0 {
            // Nothing to penalise: covariates that are all constant.
            return vec![0.0];
        }
        let largest = largest_gradient / self.alpha.max(1e-3);
        let smallest: f64 = if more_rows_than_terms { 1e-4 } else { 1e-2 };
        let steps = count(self.lambda_count.max(2) - 1);
        (0..self.lambda_count)
            .map(|step| largest * smallest.powf(count(step) / steps))
            .collect()
    }

    /// The solutions along the penalties that were asked for, or else along this sequence, as far as it says something.
    pub(crate) fn along(
        &self,
        sequence: Vec<f64>,
        ending: Ending,
        mut solve: impl FnMut(f64) -> PathPoint,
    ) -> Vec<PathPoint> {
        let mut points = Vec::new();
        if let Some(asked) = &self.lambda {
            points.extend(asked.iter().copied().map(solve));
            return points;
        }
        let steps = sequence.len();
        for lambda in sequence {
            points.push(solve(lambda));
            if ending.reached(&points, steps) {
                break;
            }
        }
        points
    }

    /// λ (α |b| + (1 − α)/2 b²), of a coefficient of a covariate of unit spread.
    pub(crate) fn penalty(&self, lambda: f64, b: f64) -> f64 {
        lambda * (self.alpha * b.abs() + (1.0 - self.alpha) / 2.0 * b * b)
    }

    /// The coefficient where the quadratic of this curvature has its least penalised value: without the penalty,
    /// its gradient would be `target` at 0.
    pub(crate) fn threshold(&self, lambda: f64, target: f64, curvature: f64) -> f64 {
        let excess = target.abs() - lambda * self.alpha;
        if excess > ROUNDING * lambda * self.alpha {
            excess.copysign(target) / (curvature + lambda * (1.0 - self.alpha))
        } else {
            0.0
        }
    }
}

/// The solution for one penalty.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPoint {
    /// The penalty.
    pub lambda: f64,
    /// The constant; 0 for a Cox model, which has none.
    pub intercept: f64,
    /// Term and coefficient, for the coefficients that are not 0.
    pub coefficients: Vec<(usize, f64)>,
    /// The share of the null deviance that is explained.
    pub deviance_ratio: f64,
    /// Whether the coefficients stood still within the allowed passes.
    pub converged: bool,
}

/// Solutions along the sequence of penalties.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Deviance without covariates: of the constant (and the offset) alone, with weights that sum to the number of
    /// rows as glmnet's; of a Cox model, twice the log partial likelihood of the saturated model over that of none.
    pub null_deviance: f64,
    /// By falling penalty.
    pub points: Vec<PathPoint>,
}

impl PathPoint {
    /// The linear predictor of every row.
    pub fn linear_predictor(&self, frame: &SparseFrame<'_>) -> Vec<f64> {
        let mut eta = frame
            .offset
            .map_or_else(|| vec![0.0; frame.outcome.len()], <[f64]>::to_vec);
        eta.iter_mut().for_each(|eta| *eta += self.intercept);
        for (term, slope) in &self.coefficients {
            for (row, x) in frame
                .covariates
                .get(*term)
                .into_iter()
                .flat_map(SparseColumn::iter)
            {
                eta[row] += slope * x;
            }
        }
        eta
    }
}

#[cfg(test)]
mod tests {
    use super::PathOptions;

    #[test]
    fn rounding_is_no_coefficient() {
        let options = PathOptions {
            alpha: 0.3,
            ..PathOptions::default()
        };
        assert_eq!(options.threshold(2.0, 0.6 * (1.0 + 1e-15), 1.0), 0.0);
        assert!(options.threshold(2.0, -0.6 * (1.0 + 1e-12), 1.0) < 0.0);
    }
}
