//! Logistic regression: log(μ / (1 − μ)) = offset + x'β by maximum likelihood.
//!
//! log L = Σ w [y η − log(1 + exp η)], score Σ w (y − μ) x, information Σ w μ (1 − μ) x x'.
//! Deviance 2 Σ w [y log(y/μ) + (1 − y) log((1 − y)/(1 − μ))], for outcomes of 0 and 1 −2 log L.
//! Source: Cox (1958); conventions of R's `glm(family = binomial)`. A weight is a number of trials with share y,
//! or any case weight such as an inverse probability; for weights that are not whole R's log-likelihood and AIC
//! come from rounded weights, here they are the weighted sums.

use super::family::Working;
use super::{Family, Fit, Frame, Options};
use crate::Result;
use crate::numeric::{exponential, widest};

/// Fits a logistic regression.
///
/// # Errors
///
/// [`crate::Error::InvalidBinaryOutcome`] if an outcome is outside [0, 1], and those of [`super::fit`].
///
/// ```
/// use columna_stats::models::{Frame, Options, logistic_regression};
///
/// let (died, dose) = ([0.0, 0.0, 1.0, 0.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// let fit = logistic_regression::fit(&Frame::new(&died, &[&dose]), &Options::default())?;
/// assert!((fit.coefficients[1].estimate - 1.214028).abs() < 1e-6);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn fit(frame: &Frame<'_>, options: &Options) -> Result<Fit> {
    super::fit(Family::Binomial, frame, options)
}

/// 1 / (1 + exp(−η)), without overflow.
pub(crate) fn mean(eta: f64) -> f64 {
    let e = (-eta.abs()).exp();
    let small = e / (1.0 + e);
    if eta >= 0.0 { 1.0 / (1.0 + e) } else { small }
}

/// Rows whose factors 1 + exp(−|η|), each at most 2, are multiplied before one logarithm is taken.
const FACTORS: usize = 512;

pub(super) fn working(
    eta: &[f64],
    outcome: &[f64],
    weights: Option<&[f64]>,
    into: Working<'_>,
) -> f64 {
    let Working { residual, weight } = into;
    let Some(weights) = weights else {
        return widest!(unweighted(eta, outcome, residual, weight));
    };
    let mut log_likelihood = 0.0;
    for row in 0..eta.len() {
        let (eta, y, w) = (eta[row], outcome[row], weights[row]);
        let e = (-eta.abs()).exp();
        let small = e / (1.0 + e);
        // y − μ from the nearer end of the range, so that it keeps its digits when it is small.
        residual[row] = w * if eta >= 0.0 {
            (y - 1.0) + small
        } else {
            y - small
        };
        weight[row] = w * small / (1.0 + e);
        log_likelihood += w * (y * eta - eta.max(0.0) - e.ln_1p());
    }
    log_likelihood
}

#[inline(always)]
fn unweighted(eta: &[f64], outcome: &[f64], residual: &mut [f64], weight: &mut [f64]) -> f64 {
    const LANES: usize = 8;
    let mut log_likelihood = 0.0;
    let blocks = eta.chunks(FACTORS).zip(outcome.chunks(FACTORS));
    for ((eta, outcome), (residual, weight)) in
        blocks.zip(residual.chunks_mut(FACTORS).zip(weight.chunks_mut(FACTORS)))
    {
        for (weight, eta) in weight.iter_mut().zip(eta) {
            *weight = -eta.abs();
        }
        exponential(weight);
        let (mut factors, mut linear) = ([1.0; LANES], [0.0; LANES]);
        let rows = eta.chunks(LANES).zip(outcome.chunks(LANES));
        let into = residual.chunks_mut(LANES).zip(weight.chunks_mut(LANES));
        for ((eta, y), (residual, weight)) in rows.zip(into) {
            for lane in 0..eta.len().min(LANES) {
                let (eta, y, e) = (eta[lane], y[lane], weight[lane]);
                let share = 1.0 / (1.0 + e);
                let small = e * share;
                residual[lane] = if eta >= 0.0 {
                    (y - 1.0) + small
                } else {
                    y - small
                };
                weight[lane] = small * share;
                factors[lane] *= 1.0 + e;
                linear[lane] += y * eta - eta.max(0.0);
            }
        }
        log_likelihood += linear.iter().sum::<f64>() - factors.iter().product::<f64>().ln();
    }
    log_likelihood
}

/// Written without a difference of near numbers: 0 log 0 is 0.
pub(super) fn deviance(y: f64, eta: f64) -> f64 {
    // log μ = −log(1 + exp −η), log(1 − μ) = −log(1 + exp η).
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let mut deviance = 0.0;
    if y > 0.0 {
        deviance += y * (y.ln() + softplus(-eta));
    }
    if y < 1.0 {
        deviance += (1.0 - y) * ((1.0 - y).ln() + softplus(eta));
    }
    2.0 * deviance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_agree() {
        let eta: Vec<f64> = (0..1200).map(|row| f64::from(row) / 15.0 - 40.0).collect();
        let outcome: Vec<f64> = (0..1200).map(|row| f64::from(row % 3 == 0)).collect();
        let run = |weights: Option<&[f64]>| {
            let (mut residual, mut weight) = (vec![0.0; 1200], vec![0.0; 1200]);
            let into = Working {
                residual: &mut residual,
                weight: &mut weight,
            };
            (working(&eta, &outcome, weights, into), residual, weight)
        };
        let ones = vec![1.0; 1200];
        let (plain, weighted) = (run(None), run(Some(&ones)));
        assert!((plain.0 / weighted.0 - 1.0).abs() < 1e-14);
        for (a, b) in plain
            .1
            .iter()
            .zip(&weighted.1)
            .chain(plain.2.iter().zip(&weighted.2))
        {
            assert!((a - b).abs() <= 1e-15 * b.abs());
        }
    }

    #[test]
    fn means_at_the_ends_are_finite() {
        assert_eq!(mean(800.0), 1.0);
        assert_eq!(mean(-800.0), 0.0);
        assert_eq!(mean(0.0), 0.5);
    }
}
