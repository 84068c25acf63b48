//! The covariates of a regression: centres, spreads and ranges, found once.

use std::ops::Range;

use rayon::prelude::*;

use super::cox::Rows;
use crate::models::Spread;
use crate::{Error, Numbers, Result, Values};

/// Rows whose sums are worked out at once.
const PART: usize = 65_536;

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
        // In parts whose sums are merged in order, so that the number of threads changes nothing.
        let part = |column: Values<'_>, begin: usize| {
            let part = begin..(begin + PART).min(column.len());
            Spread::of(column.slice(part.clone()), rows.weight.get(part))
        };
        let column = |column: &Numbers| {
            let column = column.values();
            let parts = (0..column.len().div_ceil(PART)).into_par_iter();
            let parts: Vec<Spread> = parts.map(|at| part(column, at * PART)).collect();
            parts.into_iter().reduce(Spread::merged).unwrap_or_default()
        };
        let spreads: Vec<Spread> = rows.covariates.par_iter().map(column).collect();
        Self::of_spreads(&spreads)
    }

    /// Of columns that lie elsewhere.
    pub(crate) fn of_spreads(spreads: &[Spread]) -> Self {
        let each = |of: fn(&Spread) -> f64| spreads.iter().map(of).collect();
        Self {
            centre: each(Spread::centre),
            spread: each(|column| column.moment.squares / column.moment.weight),
            range: each(|column| column.high - column.low),
        }
    }

    /// Of some of the rows of a model whose columns have these centres.
    pub(crate) fn centred_at(centre: Vec<f64>) -> Self {
        Self {
            spread: Vec::new(),
            range: Vec::new(),
            centre,
        }
    }

    /// x − centre of some rows of a term.
    #[inline(always)]
    pub(crate) fn centred(&self, rows: &Rows, term: usize, of: Range<usize>, into: &mut [f64]) {
        let column = rows.covariates[term].values().slice(of);
        column.centred(self.centre[term], into);
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
        let indicator =
            |column: &Numbers, range: f64| range <= 2.0 && is_indicator(column.values());
        let unweighted = !rows.start.is_empty() && !rows.weight.is_empty();
        let n = count(rows.len());
        let columns = rows.covariates.iter().zip(&self.centre).zip(&self.range);
        let mean = columns.map(|((column, centre), range)| {
            if indicator(column, *range) {
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

/// Whether a column holds only −1, 0 and 1.
pub(crate) fn is_indicator(column: Values<'_>) -> bool {
    // Parts without a way out in their middle: the compiler then uses vector instructions.
    match column {
        Values::Whole(column) => column.par_chunks(PART).all(|part| {
            let known = |so_far: bool, x: &i16| so_far & (-1..=1).contains(x);
            part.iter().fold(true, known)
        }),
        Values::Any(column) => column.par_chunks(PART).all(|part| {
            let known = |so_far: bool, x: &f64| so_far & ((*x == 0.0) | (x.abs() == 1.0));
            part.iter().fold(true, known)
        }),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of rows stay far below 2^53"
)]
fn count(rows: usize) -> f64 {
    rows as f64
}
