//! The penalty of a Cox model by cross-validation.
//!
//! A fold's loss is how much the deviance of all rows exceeds that of the rows without the fold, both at the
//! coefficients fitted without it, per (weight of) event of the fold: rows left out are compared with the risk sets that
//! they belong to. Means, standard errors and choices are those of [`crate::models::cross_validate`].
//! Convention: R's `cv.glmnet(family = "cox", grouped = TRUE)`; van Houwelingen et al., Statistics in Medicine 2006.

use super::layout::Layout;
use super::likelihood::Model;
use super::penalised::{path, saturated};
use super::{Rows, Ties};
use crate::models::{CrossValidation, FoldLosses, PathOptions, validate};
use crate::{Error, Result};

/// Fits the path over all rows, and without each fold; `folds` has the fold of each row.
///
/// # Errors
///
/// Those of [`path`]; [`Error::UnequalColumns`]; [`Error::InvalidOption`] for fewer than two folds, or for so many that
/// one of them has all the events.
pub fn cross_validate(
    rows: &Rows,
    folds: &[u32],
    ties: Ties,
    options: &PathOptions,
) -> Result<CrossValidation> {
    if folds.len() != rows.len() {
        return Err(Error::UnequalColumns);
    }
    let all = Model::new(rows, Layout::new(rows)?, ties);
    validate(
        folds,
        options,
        |options| path(rows, ties, options),
        |fold, options| fold_losses(&all, folds, fold, options),
    )
}

fn fold_losses(
    all: &Model<'_>,
    folds: &[u32],
    fold: u32,
    options: &PathOptions,
) -> Result<FoldLosses> {
    let rows = all.rows;
    let others = rows.kept(|row| folds[row] != fold);
    let fitted = path(&others, all.ties, options).map_err(|error| match error {
        Error::NoEvents => Error::InvalidOption("the number of folds"),
        other => other,
    })?;
    let rest = Model::new(&others, Layout::new(&others)?, all.ties);
    let mut members = (0..rows.len()).filter(|row| folds[*row] == fold && rows.event[*row]);
    let weight: f64 = members.by_ref().map(|row| rows.weight_of(row)).sum();
    let (most, most_without) = (
        saturated(&all.layout, all.ties),
        saturated(&rest.layout, rest.ties),
    );
    let losses = fitted.points.iter().map(|point| {
        let mut beta = vec![0.0; all.terms()];
        for (term, slope) in &point.coefficients {
            beta[*term] = *slope;
        }
        let deviance = most - all.first_order(&beta).log_likelihood;
        let without = most_without - rest.first_order(&beta).log_likelihood;
        2.0 * (deviance - without) / weight
    });
    Ok((weight, losses.collect()))
}
