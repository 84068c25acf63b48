//! The penalty of an elastic net by cross-validation, with folds that depend on persons and not on row order.
//!
//! The path is fitted without each fold in turn, and the deviance of the fold is measured; the loss of a penalty
//! is the mean over the folds, weighted by their weights, and its standard error is
//! √(Σ W (loss − mean)² / Σ W / (K − 1)). Chosen are the penalty of least loss and the largest penalty within one
//! standard error of it. Probabilities are held within [1e-5, 1 − 1e-5]. Convention: R's `cv.glmnet(type.measure
//! = "deviance")`.

use rayon::prelude::*;

use super::elastic_net::path;
use super::{Family, Path, PathOptions, SparseFrame};
use crate::{Error, Result};

/// A path with the loss of each penalty.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// The path over all rows.
    pub path: Path,
    /// Mean deviance of the rows left out, by penalty: per row, of a Cox model per event.
    pub loss: Vec<f64>,
    /// Its standard error.
    pub loss_std_err: Vec<f64>,
    /// Index of the penalty of least loss.
    pub best: usize,
    /// Index of the largest penalty whose loss is within one standard error of the least.
    pub one_std_err: usize,
}

/// Fits the path over all rows, and without each fold; `folds` has the fold of each row.
///
/// # Errors
///
/// Those of [`path`], for the whole and for every part; [`Error::UnequalColumns`]; [`Error::InvalidOption`] for
/// fewer than two folds.
pub fn cross_validate(
    family: Family,
    frame: &SparseFrame<'_>,
    folds: &[u32],
    options: &PathOptions,
) -> Result<CrossValidation> {
    if folds.len() != frame.outcome.len() {
        return Err(Error::UnequalColumns);
    }
    validate(
        folds,
        options,
        |options| path(family, frame, options),
        |fold, options| fold_losses(family, frame, folds, fold, options),
    )
}

/// The weight of a fold, and its loss for each penalty of the path fitted without it.
pub(crate) type FoldLosses = (f64, Vec<f64>);

/// Cross-validation of any model: its path over all rows, and the losses of each fold along the same penalties.
pub(crate) fn validate(
    folds: &[u32],
    options: &PathOptions,
    whole: impl FnOnce(&PathOptions) -> Result<Path>,
    losses_of: impl Fn(u32, &PathOptions) -> Result<FoldLosses> + Sync,
) -> Result<CrossValidation> {
    let mut names = folds.to_vec();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return Err(Error::InvalidOption("the number of folds"));
    }
    let whole = whole(options)?;
    let lambda: Vec<f64> = whole.points.iter().map(|point| point.lambda).collect();
    let options = PathOptions {
        lambda: Some(lambda),
        ..options.clone()
    };
    let parts = names.into_par_iter().map(|fold| losses_of(fold, &options));
    let mut parts = parts.collect::<Result<Vec<FoldLosses>>>()?;
    // A fold that weighs nothing says nothing.
    parts.retain(|(weight, _)| *weight > 0.0);
    let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
    let spread = super::count(parts.len().saturating_sub(1));
    let mean_of = |of: &dyn Fn(&[f64]) -> f64| {
        let weighted = parts.iter().map(|(weight, losses)| weight * of(losses));
        weighted.sum::<f64>() / total
    };
    let (mut loss, mut loss_std_err) = (Vec::new(), Vec::new());
    for at in 0..whole.points.len() {
        let mean = mean_of(&|losses| losses[at]);
        let variance = mean_of(&|losses| (losses[at] - mean).powi(2));
        loss.push(mean);
        loss_std_err.push((variance / spread).sqrt());
    }
    let best = (1..loss.len()).fold(0, |best, at| if loss[at] < loss[best] { at } else { best });
    let limit = loss
        .get(best)
        .zip(loss_std_err.get(best))
        .map_or(f64::NAN, |(loss, error)| loss + error);
    let one_std_err = (0..best).find(|at| loss[*at] <= limit).unwrap_or(best);
    Ok(CrossValidation {
        path: whole,
        loss,
        loss_std_err,
        best,
        one_std_err,
    })
}

/// The weight of a fold, and its mean deviance for each penalty of the path fitted without it.
fn fold_losses(
    family: Family,
    frame: &SparseFrame<'_>,
    folds: &[u32],
    fold: u32,
    options: &PathOptions,
) -> Result<FoldLosses> {
    let weight = |row: usize| frame.weights.map_or(1.0, |weights| weights[row]);
    let others: Vec<f64> = (0..folds.len())
        .map(|row| if folds[row] == fold { 0.0 } else { weight(row) })
        .collect();
    let fitted = path(
        family,
        &SparseFrame {
            weights: Some(&others),
            ..*frame
        },
        options,
    )?;
    let members: Vec<usize> = (0..folds.len()).filter(|row| folds[*row] == fold).collect();
    let total: f64 = members.iter().map(|row| weight(*row)).sum();
    let losses = fitted.points.iter().map(|point| {
        let eta = point.linear_predictor(frame);
        let sum: f64 = members
            .iter()
            .map(|row| weight(*row) * deviance(family, frame.outcome[*row], eta[*row]))
            .sum();
        if total > 0.0 { sum / total } else { 0.0 }
    });
    Ok((total, losses.collect()))
}

fn deviance(family: Family, y: f64, eta: f64) -> f64 {
    const LIMIT: f64 = 1e-5;
    match family {
        Family::Binomial => {
            let mean = family.mean(eta).clamp(LIMIT, 1.0 - LIMIT);
            family.deviance(y, family.link(mean))
        }
        Family::Poisson => family.deviance(y, eta),
    }
}
