//! Propensity scores: the probability of treatment given covariates, and how well it tells the groups apart.
//!
//! Scores are the fitted means of a logistic regression. The c-statistic is the share of pairs of a treated and
//! an untreated person in which the treated has the higher score, ties counting one half.
//! Sources: Rosenbaum and Rubin (1983); Hanley and McNeil (1982).

use crate::models::{Fit, Frame, Options, count, logistic_regression};
use crate::{Error, Result};

/// A propensity model and the score of every row.
#[derive(Debug, Clone)]
pub struct Propensity {
    /// The logistic regression of treatment.
    pub model: Fit,
    /// One per row of the frame.
    pub scores: Vec<f64>,
}

/// Fits the logistic regression of treatment (the frame's outcome) and gives everybody's score.
///
/// Look at the model's `separation`: where covariates determine treatment there is nothing to compare.
///
/// # Errors
///
/// Those of [`logistic_regression::fit`].
pub fn propensity_scores(treatment: &Frame<'_>, options: &Options) -> Result<Propensity> {
    let model = logistic_regression::fit(treatment, options)?;
    let scores = model.fitted(treatment)?;
    Ok(Propensity { model, scores })
}

/// The c-statistic (area under the ROC curve) of scores.
///
/// # Errors
///
/// [`Error::UnequalColumns`]; [`Error::NotANumber`]; [`Error::EmptyGroup`].
pub fn c_statistic(scores: &[f64], treated: &[bool]) -> Result<f64> {
    if scores.len() != treated.len() {
        return Err(Error::UnequalColumns);
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err(Error::NotANumber);
    }
    let mut order: Vec<(f64, bool)> = scores
        .iter()
        .copied()
        .zip(treated.iter().copied())
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the number of concordant pairs, in whole numbers.
    let (mut below, mut all, mut doubled) = (0_u128, 0_u128, 0_u128);
    for ties in order.chunk_by(|a, b| a.0 == b.0) {
        let members = ties.iter().filter(|(_, treated)| *treated).count() as u128;
        let others = ties.len() as u128 - members;
        doubled += members * (2 * below + others);
        below += others;
        all += members;
    }
    if below == 0 || all == 0 {
        return Err(Error::EmptyGroup);
    }
    Ok(ratio(doubled, 2 * below * all))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of pairs of rows in memory are far below 2^100"
)]
fn ratio(a: u128, b: u128) -> f64 {
    a as f64 / b as f64
}

/// The standard deviation (n − 1) of scores, the unit of a caliper.
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let moment = crate::models::Moment::of(values, None);
    (moment.squares / (count(values.len()) - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted() {
        // Of six pairs four are concordant and one is tied.
        let found = c_statistic(
            &[0.1, 0.4, 0.4, 0.8, 0.3],
            &[false, false, true, true, false],
        );
        assert_eq!(found, Ok(5.5 / 6.0));
        assert_eq!(
            c_statistic(&[0.1, 0.4], &[true, true]),
            Err(Error::EmptyGroup)
        );
        assert_eq!(
            c_statistic(&[0.1, f64::NAN], &[true, false]),
            Err(Error::NotANumber)
        );
        assert_eq!(c_statistic(&[0.7; 4], &[true, false, true, false]), Ok(0.5));
    }
}
