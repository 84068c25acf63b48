//! The covariates of a regression: centres, spreads and ranges, found once.

use std::ops::Range;

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
    /// Columns of whole numbers in 16 bits, which every pass reads instead: a quarter of the bytes. Others are empty.
    pub(crate) whole: Vec<Vec<i16>>,
}

impl Columns {
    pub(crate) fn new(rows: &Rows) -> Self {
        // In parts whose sums are merged in order, so that the number of threads changes nothing.
        let column = |column: &Vec<f64>| {
            let mut whole = vec![0; column.len()];
            let parts: Vec<Spread> = column
                .par_chunks(PART)
                .zip(whole.par_chunks_mut(PART))
                .enumerate()
                .map(|(part, (values, whole))| {
                    let weights = rows.weight.get(part * PART..part * PART + values.len());
                    widest!(Spread::of(values, weights, whole))
                })
                .collect();
            let spread = parts.into_iter().reduce(Spread::merged).unwrap_or_default();
            if !spread.whole {
                whole = Vec::new();
            }
            (spread, whole)
        };
        let columns: Vec<(Spread, Vec<i16>)> = rows.covariates.par_iter().map(column).collect();
        let (spreads, whole): (Vec<Spread>, Vec<Vec<i16>>) = columns.into_iter().unzip();
        Self {
            whole,
            ..Self::of_spreads(&spreads)
        }
    }

    /// Of columns that lie elsewhere.
    pub(crate) fn of_spreads(spreads: &[Spread]) -> Self {
        let each = |of: fn(&Spread) -> f64| spreads.iter().map(of).collect();
        Self {
            centre: each(Spread::centre),
            spread: each(|column| column.moment.squares / column.moment.weight),
            range: each(|column| column.high - column.low),
            whole: vec![Vec::new(); spreads.len()],
        }
    }

    /// Of some of the rows of a model whose columns have these centres.
    pub(crate) fn centred_at(centre: Vec<f64>) -> Self {
        Self {
            spread: Vec::new(),
            range: Vec::new(),
            whole: vec![Vec::new(); centre.len()],
            centre,
        }
    }

    /// x − centre of some rows of a term.
    #[inline(always)]
    pub(crate) fn centred(&self, rows: &Rows, term: usize, of: Range<usize>, into: &mut [f64]) {
        let centre = self.centre[term];
        if let Some(column) = self.whole[term].get(of.clone()) {
            for (into, x) in into.iter_mut().zip(column) {
                *into = f64::from(*x) - centre;
            }
        } else {
            for (into, x) in into.iter_mut().zip(&rows.covariates[term][of]) {
                *into = x - centre;
            }
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
        let indicator =
            |column: &[f64], range: f64| range <= 2.0 && column.par_chunks(PART).all(is_indicator);
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
pub(crate) fn is_indicator(column: &[f64]) -> bool {
    // Without a way out in the middle: the compiler then uses vector instructions.
    let known = |so_far: bool, x: &f64| so_far & ((*x == 0.0) | (x.abs() == 1.0));
    column.iter().fold(true, known)
}

/// What is known of some rows of a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) moment: Moment,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether all are whole numbers of 16 bits.
    whole: bool,
}

impl Spread {
    /// What is known of columns that lie elsewhere.
    pub(crate) fn known(moment: Moment, low: f64, high: f64) -> Self {
        Self {
            moment,
            low,
            high,
            whole: false,
        }
    }

    /// Of some rows.
    pub(crate) fn of_part(column: &[f64], weights: Option<&[f64]>) -> Self {
        widest!(Self::of(column, weights, &mut vec![0; column.len()]))
    }

    #[inline(always)]
    fn of(column: &[f64], weights: Option<&[f64]>, whole: &mut [i16]) -> Self {
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
            whole: all_whole(column, whole),
            low: low.into_iter().fold(f64::INFINITY, f64::min),
            high: high.into_iter().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    pub(crate) fn centre(&self) -> f64 {
        if self.moment.mean.is_finite() {
            self.moment.mean
        } else {
            0.0
        }
    }

    pub(crate) fn merged(mut self, other: Self) -> Self {
        self.moment.merge(other.moment);
        self.whole &= other.whole;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self
    }
}

/// Turns numbers into whole ones of 16 bits; whether that is what they are.
#[inline(always)]
fn all_whole(values: &[f64], into: &mut [i16]) -> bool {
    // 1.5·2^52: a sum with it is rounded to a whole number, which its last bits then are.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    let mut all = true;
    for (into, x) in into.iter_mut().zip(values) {
        let sum = x + WHOLE;
        all &= (x.abs() < 32_767.0) & (sum - WHOLE == *x);
        #[expect(clippy::cast_possible_truncation, reason = "the last bits are wanted")]
        {
            *into = sum.to_bits() as i16;
        }
    }
    all
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of rows stay far below 2^53"
)]
fn count(rows: usize) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::survival::cox::RowColumns;

    /// What passes read is what was given, however it is kept.
    #[test]
    fn whole_numbers_and_others_are_read_as_they_are() {
        let whole: Vec<f64> = (0..300)
            .map(|row| f64::from(row * 211 % 65_533 - 32_766))
            .collect();
        let mut large = whole.clone();
        large[7] = 32_768.0;
        let fractions: Vec<f64> = whole.iter().map(|x| x / 8.0).collect();
        let covariates = vec![whole, large, fractions];
        let rows = Rows::from_columns(RowColumns {
            time: vec![1.0; 300],
            event: vec![true; 300],
            covariates: covariates.clone(),
            ..RowColumns::default()
        })
        .unwrap();
        let columns = Columns::new(&rows);
        let kept: Vec<usize> = columns.whole.iter().map(Vec::len).collect();
        assert_eq!(kept, [300, 0, 0]);
        for (term, column) in covariates.iter().enumerate() {
            let mut centred = vec![f64::NAN; 120];
            columns.centred(&rows, term, 100..220, &mut centred);
            let expected = column[100..220].iter().map(|x| x - columns.centre[term]);
            assert_eq!(centred, expected.collect::<Vec<_>>());
        }
    }
}
