//! The covariates of a regression: centres, spreads and ranges, found once.

use rayon::prelude::*;

use super::cox::Rows;
use crate::{Error, Result};

/// What is known of each column before a fit.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Weighted means. Fits work on x − centre, so that years and the like lose no digits.
    pub(crate) centre: Vec<f64>,
    /// Weighted variances.
    pub(crate) spread: Vec<f64>,
    pub(crate) range: Vec<f64>,
}

impl Columns {
    pub(crate) fn new(rows: &Rows) -> Self {
        let weights = if rows.weight.is_empty() {
            count(rows.len())
        } else {
            rows.weight.iter().sum()
        };
        // Each column is summed in one go, so that the number of threads changes nothing.
        let column = |column: &Vec<f64>| {
            let rough = sum(column, &rows.weight, |x| x) / weights;
            // A second pass takes out the rounding of large offsets.
            let centre = rough + sum(column, &rows.weight, |x| x - rough) / weights;
            let centre = if centre.is_finite() { centre } else { 0.0 };
            let extremes = |(low, high): (f64, f64), x: &f64| (low.min(*x), high.max(*x));
            let nothing = (f64::INFINITY, f64::NEG_INFINITY);
            let (low, high) = column.iter().fold(nothing, extremes);
            let spread = sum(column, &rows.weight, |x| (x - centre) * (x - centre)) / weights;
            (centre, spread, high - low)
        };
        let columns: Vec<(f64, f64, f64)> = rows.covariates.par_iter().map(column).collect();
        Self {
            centre: columns.iter().map(|(centre, _, _)| *centre).collect(),
            spread: columns.iter().map(|(_, spread, _)| *spread).collect(),
            range: columns.iter().map(|(_, _, range)| *range).collect(),
        }
    }

    /// Refuses columns whose squares overflow, or vanish although the values differ.
    pub(crate) fn check(&self) -> Result<()> {
        let mut columns = self.spread.iter().zip(&self.range);
        let usable = columns.all(|(spread, range)| {
            spread.is_finite() && (*range == 0.0 || *spread >= f64::MIN_POSITIVE)
        });
        if usable {
            Ok(())
        } else {
            Err(Error::CovariateOutOfRange)
        }
    }

    pub(crate) fn terms(&self) -> usize {
        self.centre.len()
    }

    /// R's means: 0 for columns that hold only −1, 0 and 1; without the weights for (start, stop] data.
    pub(crate) fn means(&self, rows: &Rows) -> Vec<f64> {
        let indicator = |column: &[f64]| column.iter().all(|x| [-1.0, 0.0, 1.0].contains(x));
        let unweighted = !rows.start.is_empty() && !rows.weight.is_empty();
        let n = count(rows.len());
        let columns = rows.covariates.iter().zip(&self.centre);
        let mean = columns.map(|(column, centre)| {
            if indicator(column) {
                0.0
            } else if unweighted {
                centre + column.iter().map(|x| x - centre).sum::<f64>() / n
            } else {
                *centre
            }
        });
        mean.collect()
    }
}

/// Σ w·f(x), w being 1 without weights: in lanes, so that additions do not wait for each other.
fn sum(column: &[f64], weights: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (blocks, rest) = column.as_chunks::<LANES>();
    if weights.is_empty() {
        for block in blocks {
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum += f(*x);
            }
        }
        return sums.iter().sum::<f64>() + rest.iter().map(|x| f(*x)).sum::<f64>();
    }
    let (weight_blocks, weights_of_rest) = weights.as_chunks::<LANES>();
    for (block, weights) in blocks.iter().zip(weight_blocks) {
        for ((sum, x), w) in sums.iter_mut().zip(block).zip(weights) {
            *sum += w * f(*x);
        }
    }
    let rest = rest.iter().zip(weights_of_rest);
    sums.iter().sum::<f64>() + rest.map(|(x, w)| w * f(*x)).sum::<f64>()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of rows stay far below 2^53"
)]
fn count(rows: usize) -> f64 {
    rows as f64
}
