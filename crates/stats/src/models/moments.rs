//! Means and spreads of the columns of a regression: what a fit knows before its first step.
//!
//! Weighted mean and sum of squares about it, merged by Chan, Golub and LeVeque (1979): no difference of large
//! sums, so that a column of years or of timestamps keeps its digits.

use std::ops::Range;

use super::{Family, Frame, Spread};
use crate::{Error, Result, Summary};

/// Weight, mean and sum of squares about the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Moment {
    pub(crate) weight: f64,
    pub(crate) mean: f64,
    pub(crate) squares: f64,
}

impl Moment {
    /// Of a block of rows, by two passes.
    #[inline(always)]
    pub(crate) fn of(values: &[f64], weights: Option<&[f64]>) -> Self {
        let weight = weights.map_or(count(values.len()), |weights| {
            sum(weights, weights, |w, _| w)
        });
        if weight == 0.0 {
            return Self::default();
        }
        let total = match weights {
            None => sum(values, values, |x, _| x),
            Some(weights) => sum(values, weights, |x, w| x * w),
        };
        let mean = total / weight;
        let squares = match weights {
            None => sum(values, values, |x, _| (x - mean) * (x - mean)),
            Some(weights) => sum(values, weights, |x, w| w * (x - mean) * (x - mean)),
        };
        Self {
            weight,
            mean,
            squares,
        }
    }

    /// Of at most 2,048 whole numbers, by one pass: all its sums are exact.
    #[inline(always)]
    pub(crate) fn of_whole(values: &[i16]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let wide = |x: &i16| i32::from(*x);
        let sum: i32 = values.iter().map(wide).sum();
        let squares = values.iter().map(|x| i64::from(wide(x) * wide(x)));
        #[expect(clippy::cast_precision_loss, reason = "below 2^42")]
        let (sum, squares) = (f64::from(sum), squares.sum::<i64>() as f64);
        let weight = count(values.len());
        Self {
            weight,
            mean: sum / weight,
            squares: (squares * weight - sum * sum) / weight,
        }
    }

    pub(crate) fn add(&mut self, x: f64, weight: f64) {
        self.merge(Self {
            weight,
            mean: x,
            squares: 0.0,
        });
    }
}

impl Summary for Moment {
    fn merge(&mut self, other: Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other;
            return;
        }
        let weight = self.weight + other.weight;
        let difference = other.mean - self.mean;
        self.squares +=
            other.squares + difference * difference * (self.weight / weight * other.weight);
        self.mean += difference * (other.weight / weight);
        self.weight = weight;
    }

    fn is_empty(&self) -> bool {
        self.weight == 0.0
    }
}

/// Moments of every covariate, and the sum of the outcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Rows of weight above 0.
    pub(super) rows: u64,
    pub(super) weight: f64,
    /// Σ w y.
    pub(super) outcome: f64,
    /// Whether some row has an offset.
    pub(super) offset: bool,
    pub(super) columns: Vec<Moment>,
    /// Largest absolute value of each column.
    pub(super) largest: Vec<f64>,
    /// Whether parts of different models were merged.
    pub(super) mixed: bool,
}

impl Moments {
    /// Of some rows of a frame, which are checked on the way.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWeight`], [`Error::NonFiniteCovariate`], and what the family says of outcomes.
    pub fn of(frame: &Frame<'_>, family: Family, rows: Range<usize>) -> Result<Self> {
        frame.check(family, rows.clone())?;
        let weights = frame.weights.map(|weights| &weights[rows.clone()]);
        let outcome = &frame.outcome[rows.clone()];
        let kept = weights.map_or(rows.len(), |weights| {
            weights.iter().filter(|w| **w > 0.0).count()
        });
        let mut moments = Self {
            rows: kept as u64,
            weight: weights.map_or(count(rows.len()), |weights| weights.iter().sum()),
            outcome: weights.map_or_else(
                || outcome.iter().sum(),
                |weights| outcome.iter().zip(weights).map(|(y, w)| y * w).sum(),
            ),
            offset: frame
                .offset
                .is_some_and(|offset| offset[rows.clone()].iter().any(|x| *x != 0.0)),
            ..Self::default()
        };
        for column in frame.covariates.columns() {
            let column = column.slice(rows.clone());
            let Spread { moment, low, high } = Spread::of(column, weights);
            let finite = moment.mean.is_finite() && moment.squares.is_finite();
            if !(finite || column.is_finite()) {
                return Err(Error::NonFiniteCovariate);
            }
            moments.columns.push(moment);
            // Without rows the two are infinite, the wrong way round.
            moments.largest.push((-low).max(high).max(0.0));
        }
        Ok(moments)
    }
}

impl Summary for Moments {
    fn merge(&mut self, other: Self) {
        if self.columns.is_empty() && self.rows == 0 {
            let mixed = self.mixed;
            *self = other;
            self.mixed |= mixed;
            return;
        }
        if other.rows == 0 && other.columns.is_empty() {
            self.mixed |= other.mixed;
            return;
        }
        self.mixed |= other.mixed || self.columns.len() != other.columns.len();
        self.rows += other.rows;
        self.weight += other.weight;
        self.outcome += other.outcome;
        self.offset |= other.offset;
        for (mine, theirs) in self.columns.iter_mut().zip(other.columns) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.largest.iter_mut().zip(other.largest) {
            *mine = mine.max(theirs);
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && !self.mixed
    }
}

const LANES: usize = 8;

/// Σ of(x, y), by lanes so that the compiler may use vector instructions.
#[inline(always)]
fn sum(x: &[f64], y: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    let ((x, rest_x), (y, rest_y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += of(x[lane], y[lane]);
        }
    }
    let rest: f64 = rest_x.iter().zip(rest_y).map(|(x, y)| of(*x, *y)).sum();
    sums.iter().sum::<f64>() + rest
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
pub(crate) fn count(rows: usize) -> f64 {
    rows as f64
}
