//! The covariates of a regression: centres, spreads and ranges, found once.

use rayon::prelude::*;

use super::cox::Rows;
use crate::models::Moment;
use crate::numeric::widest;
use crate::{Error, Result, Summary};

/// Rows whose sums are worked out at once.
const PART: usize = 65_536;
const LANES: usize = 8;

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
        let column = |column: &Vec<f64>| {
            let parts: Vec<Spread> = (0..column.len().div_ceil(PART))
                .into_par_iter()
                .map(|part| {
                    let rows_of_part = part * PART..((part + 1) * PART).min(column.len());
                    let weights = rows.weight.get(rows_of_part.clone());
                    widest!(Spread::of(&column[rows_of_part], weights))
                })
                .collect();
            let spread = parts.into_iter().reduce(Spread::merged).unwrap_or_default();
            let Spread { moment, low, high } = spread;
            let centre = if moment.mean.is_finite() {
                moment.mean
            } else {
                0.0
            };
            (centre, moment.squares / moment.weight, high - low)
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
        // Without a way out in the middle of a part: the compiler then uses vector instructions.
        let part = |part: &[f64]| {
            let known = |so_far: bool, x: &f64| so_far & ((*x == 0.0) | (x.abs() == 1.0));
            part.iter().fold(true, known)
        };
        let indicator =
            |column: &[f64], range: f64| range <= 2.0 && column.par_chunks(PART).all(part);
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

/// What is known of some rows of a column.
#[derive(Clone, Copy, Default)]
struct Spread {
    moment: Moment,
    low: f64,
    high: f64,
}

impl Spread {
    #[inline(always)]
    fn of(column: &[f64], weights: Option<&[f64]>) -> Self {
        const BLOCK: usize = 1024;
        let mut moment = Moment::default();
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        for (at, block) in column.chunks(BLOCK).enumerate() {
            let weights = weights.map(|weights| &weights[at * BLOCK..at * BLOCK + block.len()]);
            moment.merge(Moment::of(block, weights));
            for values in block.chunks(LANES) {
                for ((low, high), x) in low.iter_mut().zip(&mut high).zip(values) {
                    *low = if *x < *low { *x } else { *low };
                    *high = if *x > *high { *x } else { *high };
                }
            }
        }
        Self {
            moment,
            low: low.into_iter().fold(f64::INFINITY, f64::min),
            high: high.into_iter().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn merged(mut self, other: Self) -> Self {
        self.moment.merge(other.moment);
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of rows stay far below 2^53"
)]
fn count(rows: usize) -> f64 {
    rows as f64
}
