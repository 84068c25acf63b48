//! Separation: a direction in which the likelihood grows for ever, so that no maximum exists.
//!
//! A direction d separates if no row loses by moving along it: x'd ≥ 0 where the outcome is 1, ≤ 0 where it is 0,
//! = 0 between them (Poisson: ≤ 0 where the count is 0, = 0 elsewhere), and some row gains. If every row gains
//! the separation is complete, else quasi-complete. The direction tried is that of the last Newton step, which
//! is where a fit without maximum goes. Source: Albert and Anderson, Biometrika 1984; Correia, Guimarães and
//! Zylkin (2019) for counts.

use std::ops::Range;

use super::step::{Buffer, Point, blocks};
use super::{Family, Frame};
use crate::Summary;

/// Why a maximum-likelihood estimate does not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Separation {
    /// Every outcome is predicted perfectly; otherwise only some are.
    pub complete: bool,
    /// The terms without an estimate, counted with the intercept: those whose coefficients go to infinity, and all if the
    /// separation is complete.
    pub terms: Vec<usize>,
}

/// Rows that gain, lose, or stay as they are along a direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Directions {
    pub(super) rows: u64,
    pub(super) gain: u64,
    pub(super) lose: u64,
}

/// x'd smaller than this fraction of its largest value is taken as 0.
const NEGLIGIBLE: f64 = 1e-6;

/// The largest |x'd| of some rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    pub(super) rows: u64,
    pub(super) largest: f64,
}

impl Summary for Reach {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.largest = self.largest.max(other.largest);
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

impl Reach {
    pub(super) fn of(frame: &Frame<'_>, direction: &Point, rows: Range<usize>) -> Self {
        let mut reach = Self {
            rows: rows.len() as u64,
            largest: 0.0,
        };
        each(frame, direction, rows, |_, moves| {
            reach.largest = reach.largest.max(moves.abs())
        });
        reach
    }
}

impl Directions {
    /// Of some rows; `largest` is the largest |x'd| of all rows.
    pub(super) fn of(
        frame: &Frame<'_>,
        direction: &Point,
        largest: f64,
        rows: Range<usize>,
    ) -> Self {
        let mut directions = Self {
            rows: rows.len() as u64,
            ..Self::default()
        };
        let negligible = NEGLIGIBLE * largest;
        each(frame, direction, rows, |y, moves| {
            let gain = match direction.family {
                Family::Binomial if y == 1.0 => moves,
                Family::Binomial if y == 0.0 => -moves,
                Family::Poisson if y == 0.0 => -moves,
                _ => -moves.abs(),
            };
            directions.gain += u64::from(gain > negligible);
            directions.lose += u64::from(gain < -negligible);
        });
        directions
    }

    pub(super) fn separates(self) -> bool {
        self.gain > 0 && self.lose == 0
    }

    /// Every row that counts gains.
    pub(super) fn complete(self, rows: u64) -> bool {
        self.separates() && self.gain == rows
    }
}

impl Summary for Directions {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.gain += other.gain;
        self.lose += other.lose;
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// Outcome and x'd of every row of weight above 0.
fn each(
    frame: &Frame<'_>,
    direction: &Point,
    rows: Range<usize>,
    mut use_row: impl FnMut(f64, f64),
) {
    let frame = Frame {
        offset: None,
        ..*frame
    };
    let mut buffer = Buffer::new();
    for block in blocks(rows) {
        let moves = &mut buffer.eta[..block.len()];
        direction.linear_predictor(&frame, block.clone(), moves);
        for (row, moves) in block.zip(moves) {
            if frame.weights.is_none_or(|weights| weights[row] > 0.0) {
                use_row(frame.outcome[row], *moves);
            }
        }
    }
}

/// The terms that move along a direction; `scale` makes coefficients comparable.
pub(super) fn moving(direction: &[f64], scale: &[f64]) -> Vec<usize> {
    let size = |term: usize| (direction[term] * scale[term]).abs();
    let largest = (0..direction.len()).map(size).fold(0.0, f64::max);
    (0..direction.len())
        .filter(|term| size(*term) > NEGLIGIBLE * largest)
        .collect()
}
