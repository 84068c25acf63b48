//! Means, spreads and ranges of columns: found once, before a fit.

use super::Moment;
use crate::numeric::widest;
use crate::{Summary, Values};

const LANES: usize = 8;

/// What is known of some rows of a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) moment: Moment,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// What is known of columns that lie elsewhere.
    pub(crate) fn known(moment: Moment, low: f64, high: f64) -> Self {
        Self { moment, low, high }
    }

    /// Of some rows.
    pub(crate) fn of(column: Values<'_>, weights: Option<&[f64]>) -> Self {
        widest!(Self::by_blocks(column, weights))
    }

    #[inline(always)]
    fn by_blocks(column: Values<'_>, weights: Option<&[f64]>) -> Self {
        const BLOCK: usize = 1024;
        let mut moment = Moment::default();
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let mut block = [0.0; BLOCK];
        for begin in (0..column.len()).step_by(BLOCK) {
            let rows = begin..(begin + BLOCK).min(column.len());
            let block = &mut block[..rows.len()];
            let values = column.slice(rows.clone());
            if let (Values::Whole(values), None) = (values, weights) {
                moment.merge(Moment::of_whole(values));
                let least = values.iter().fold(i16::MAX, |low, x| low.min(*x));
                let most = values.iter().fold(i16::MIN, |high, x| high.max(*x));
                low[0] = low[0].min(f64::from(least));
                high[0] = high[0].max(f64::from(most));
                continue;
            }
            values.centred(0.0, block);
            let weights = weights.map(|weights| &weights[rows]);
            moment.merge(Moment::of(block, weights));
            let (chunks, rest) = block.as_chunks::<LANES>();
            for chunk in chunks {
                for lane in 0..LANES {
                    let x = chunk[lane];
                    low[lane] = if x < low[lane] { x } else { low[lane] };
                    high[lane] = if x > high[lane] { x } else { high[lane] };
                }
            }
            for x in rest {
                low[0] = low[0].min(*x);
                high[0] = high[0].max(*x);
            }
        }
        Self {
            moment,
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
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self
    }
}
