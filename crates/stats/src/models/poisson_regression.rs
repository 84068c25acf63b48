//! Poisson regression: log μ = offset + x'β by maximum likelihood.
//!
//! log L = Σ w [y η − μ − log Γ(y + 1)], score Σ w (y − μ) x, information Σ w μ x x'.
//! Deviance 2 Σ w [y log(y/μ) − (y − μ)]. With the logarithm of person-time as offset the coefficients are log
//! rate ratios. Source: McCullagh and Nelder (1989), chapter 6; conventions of R's `glm(family = poisson)`, but
//! that a count which is not whole has the gamma function where R has no likelihood,
//! and that means below 2.2e-16 are not raised to it.

use super::family::Working;
use super::{Family, Fit, Frame, Options};
use crate::Result;

/// Fits a Poisson regression.
///
/// # Errors
///
/// [`crate::Error::InvalidCount`] if an outcome is negative or not finite, and those of [`super::fit`].
///
/// ```
/// use columna_stats::models::{Frame, Options, poisson_regression};
///
/// // Two groups: the coefficient is the log rate ratio.
/// let (events, treated) = ([12.0, 30.0], [1.0, 0.0]);
/// let log_days = [3000_f64.ln(), 3600_f64.ln()];
/// let columns: [&[f64]; 1] = [&treated];
/// let frame = Frame { offset: Some(&log_days), ..Frame::new(&events, &columns) };
/// let fit = poisson_regression::fit(&frame, &Options::default())?;
/// assert!((fit.coefficients[1].estimate - (12.0 / 3000.0 / (30.0 / 3600.0_f64)).ln()).abs() < 1e-12);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn fit(frame: &Frame<'_>, options: &Options) -> Result<Fit> {
    super::fit(Family::Poisson, frame, options)
}

pub(super) fn working(
    eta: &[f64],
    outcome: &[f64],
    weights: Option<&[f64]>,
    into: Working<'_>,
) -> f64 {
    let mut log_likelihood = 0.0;
    let columns = into.residual.iter_mut().zip(into.weight);
    for (row, (residual, weight)) in columns.enumerate() {
        let (eta, y, w) = (
            eta[row],
            outcome[row],
            weights.map_or(1.0, |weights| weights[row]),
        );
        let mean = eta.exp();
        *residual = w * (y - mean);
        *weight = w * mean;
        log_likelihood += w * (y * eta - mean);
    }
    log_likelihood
}

pub(super) fn deviance(y: f64, eta: f64) -> f64 {
    let mean = eta.exp();
    2.0 * if y > 0.0 {
        y * (y.ln() - eta) - (y - mean)
    } else {
        mean
    }
}
