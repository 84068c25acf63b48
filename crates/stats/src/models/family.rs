//! The two families of outcomes with their canonical links: what they have in common, and where they differ.
//!
//! With a canonical link, Newton's method and iteratively reweighted least squares are the same: with mean μ and
//! variance V(μ) of a row, score = Σ w (y − μ) x and information = Σ w V(μ) x x'.
//! Source: McCullagh and Nelder, Generalized Linear Models (1989), 2.5; R's `glm.fit` for the starting values.

use statrs::function::gamma::ln_gamma;

use super::{logistic_regression as logistic, poisson_regression as poisson};
use crate::{Error, Result};

/// What the outcome is: decides mean, variance and link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// 0 or 1, or a share of `weight` trials; the link is the logit.
    Binomial,
    /// A count, or a rate with the logarithm of time as offset; the link is the logarithm.
    Poisson,
}

/// What the rows of a block give at one value of the linear predictor.
#[derive(Debug)]
pub(crate) struct Working<'a> {
    /// w (y − μ).
    pub(crate) residual: &'a mut [f64],
    /// w V(μ).
    pub(crate) weight: &'a mut [f64],
}

impl Family {
    /// Whether these values can be outcomes.
    pub(crate) fn check(self, outcome: &[f64]) -> Result<()> {
        let valid = match self {
            Self::Binomial => outcome.iter().all(|y| (0.0..=1.0).contains(y)),
            Self::Poisson => outcome.iter().all(|y| *y >= 0.0 && y.is_finite()),
        };
        match (valid, self) {
            (true, _) => Ok(()),
            (false, Self::Binomial) => Err(Error::InvalidBinaryOutcome),
            (false, Self::Poisson) => Err(Error::InvalidCount),
        }
    }

    /// Residuals and weights of a block of rows; returns the part of the log-likelihood that depends on η.
    pub(crate) fn working(
        self,
        eta: &[f64],
        outcome: &[f64],
        weights: Option<&[f64]>,
        into: Working<'_>,
    ) -> f64 {
        match self {
            Self::Binomial => logistic::working(eta, outcome, weights, into),
            Self::Poisson => poisson::working(eta, outcome, weights, into),
        }
    }

    /// The mean at a value of the linear predictor.
    pub fn mean(self, eta: f64) -> f64 {
        match self {
            Self::Binomial => logistic::mean(eta),
            Self::Poisson => eta.exp(),
        }
    }

    /// The linear predictor that has this mean.
    pub fn link(self, mean: f64) -> f64 {
        match self {
            Self::Binomial => (mean / (1.0 - mean)).ln(),
            Self::Poisson => mean.ln(),
        }
    }

    /// A row's part of the deviance, for weight 1.
    pub(crate) fn deviance(self, y: f64, eta: f64) -> f64 {
        let deviance = match self {
            Self::Binomial => logistic::deviance(y, eta),
            Self::Poisson => poisson::deviance(y, eta),
        };
        deviance.max(0.0)
    }

    /// A row's part of the log-likelihood of the model that fits every row, without [`Self::constant`].
    pub(crate) fn saturated(self, y: f64) -> f64 {
        match self {
            Self::Binomial => entropy(y) + entropy(1.0 - y),
            Self::Poisson => entropy(y) - y,
        }
    }

    /// The part of the log-likelihood of a row that does not depend on the coefficients.
    ///
    /// A share of `weight` trials has a binomial coefficient, for whole numbers of trials and successes as in R.
    pub(crate) fn constant(self, y: f64, weight: f64) -> f64 {
        match self {
            Self::Binomial if y > 0.0 && y < 1.0 => {
                let (trials, successes) = (weight.round(), (weight * y).round());
                ln_gamma(trials + 1.0)
                    - ln_gamma(successes + 1.0)
                    - ln_gamma(trials - successes + 1.0)
            }
            Self::Binomial => 0.0,
            Self::Poisson if y <= 1.0 && y.fract() == 0.0 => 0.0,
            Self::Poisson => -weight * ln_gamma(y + 1.0),
        }
    }

    /// R's starting value of the mean: near the outcome, but inside the range.
    pub(crate) fn start(self, y: f64, weight: f64) -> f64 {
        match self {
            Self::Binomial => (weight * y + 0.5) / (weight + 1.0),
            Self::Poisson => y + 0.1,
        }
    }

    /// V(μ).
    pub(crate) fn variance(self, mean: f64) -> f64 {
        match self {
            Self::Binomial => mean * (1.0 - mean),
            Self::Poisson => mean,
        }
    }

    /// Whether a fitted mean is numerically at the end of its range, as R's `glm` warns of it.
    pub(crate) fn is_extreme(self, eta: f64) -> bool {
        // log(10 ε), R's margin.
        const MARGIN: f64 = -33.741_068_296_123_11;
        match self {
            Self::Binomial => eta.abs() > -MARGIN,
            Self::Poisson => eta < MARGIN,
        }
    }

    /// Whether the log-likelihood of these rows is −½ of their deviance: outcomes of 0 and 1.
    pub(crate) fn is_own_deviance(self, outcome: &[f64]) -> bool {
        self == Self::Binomial && outcome.iter().all(|y| *y == 0.0 || *y == 1.0)
    }
}

/// x log x, 0 at 0.
fn entropy(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}
