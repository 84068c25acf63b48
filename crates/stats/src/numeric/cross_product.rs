//! X'WX of centred columns: where a regression spends its time.

use std::ops::{AddAssign, Deref, DerefMut, Mul, Range};

use super::Symmetric;
use super::widest::widest;
use crate::Values;

/// Rows worked on at once: their columns stay in the first cache.
pub(crate) const BLOCK: usize = 256;
const LANES: usize = 8;

/// The rows of a column that are worked on at once. They begin at a cache line: a vector that lay in two would take two
/// loads.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Block<T = f64>([T; BLOCK]);

impl<T: Real> Block<T> {
    pub(crate) const ZERO: Self = Self([T::ZERO; BLOCK]);
}

impl<T> Deref for Block<T> {
    type Target = [T; BLOCK];

    #[inline(always)]
    fn deref(&self) -> &[T; BLOCK] {
        &self.0
    }
}

impl<T> DerefMut for Block<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T; BLOCK] {
        &mut self.0
    }
}

/// The sums of two columns by two columns, which share their loads.
pub(crate) type Tile = [[f64; LANES]; 4];
/// Two columns of a block.
pub(crate) type Pair<T> = [Block<T>; 2];

/// What products are made of: `f32` takes half as long and leaves six digits, which is enough for all but the last step of
/// a fit.
pub(crate) trait Real: Copy + Mul<Output = Self> {
    const ZERO: Self;

    fn of(x: f64) -> Self;

    /// Fills in x − centre of as many rows as there are.
    fn centred(values: Values<'_>, centre: f64, into: &mut [Self]);

    /// Adds the scalar products of two columns with two columns, by lanes, so that the compiler may use vectors.
    fn accumulate(tile: &mut Tile, a: &Pair<Self>, b: &Pair<Self>);
}

/// Σ over rows of w·(x − c)(x − c)', the lower triangle only, a block of rows at a time.
#[derive(Debug)]
pub(crate) struct CrossProduct<T = f64> {
    terms: usize,
    sums: Vec<Tile>,
    /// With an odd number of columns the last stays 0.
    centred: Vec<Pair<T>>,
}

impl<T: Real> CrossProduct<T> {
    pub(crate) fn new(terms: usize) -> Self {
        let pairs = terms.div_ceil(2);
        Self {
            terms,
            sums: vec![[[0.0; LANES]; 4]; pairs * (pairs + 1) / 2],
            centred: vec![[Block::ZERO; 2]; pairs],
        }
    }

    /// The columns of a block of rows, to be filled in, less their centres, before [`Self::add`].
    #[inline(always)]
    pub(crate) fn block(&mut self) -> &mut [Block<T>] {
        self.centred.as_flattened_mut()
    }

    /// Adds as many rows of the block as there are weights. To be called inside [`widest`].
    #[inline(always)]
    pub(crate) fn add(&mut self, weights: &[T]) {
        for column in self.block() {
            // A short last block: the rest counts for nothing.
            column[weights.len().min(BLOCK)..].fill(T::ZERO);
        }
        let mut weighted = [Block::ZERO; 2];
        let mut tiles = self.sums.iter_mut();
        for row in 0..self.centred.len() {
            for (weighted, centred) in weighted.iter_mut().zip(&self.centred[row]) {
                for ((out, x), w) in weighted.iter_mut().zip(&**centred).zip(weights) {
                    *out = *x * *w;
                }
            }
            for (column, tile) in self.centred[..=row].iter().zip(&mut tiles) {
                T::accumulate(tile, &weighted, column);
            }
        }
    }

    /// The lower triangle from its tiles.
    pub(crate) fn finish(&self) -> Symmetric {
        let mut product = Symmetric::zero(self.terms);
        for row in 0..self.terms {
            for column in 0..=row {
                let tile = &self.sums[(row / 2) * (row / 2 + 1) / 2 + column / 2];
                *product.get_mut(row, column) = tile[2 * (row % 2) + column % 2].iter().sum();
            }
        }
        product
    }
}

/// Σ over `rows` of w·(x − c)(x − c)', the lower triangle only. `weights` has one element per row of the range.
pub(crate) fn weighted_cross_product(
    columns: &[Values<'_>],
    centre: &[f64],
    rows: Range<usize>,
    weights: &[f64],
) -> Symmetric {
    let mut product = CrossProduct::<f64>::new(columns.len());
    widest!({
        for (begin, weights) in rows.clone().step_by(BLOCK).zip(weights.chunks(BLOCK)) {
            let rows = begin..begin + weights.len();
            for ((out, column), centre) in product.block().iter_mut().zip(columns).zip(centre) {
                column.slice(rows.clone()).centred(*centre, &mut **out);
            }
            product.add(weights);
        }
    });
    product.finish()
}

impl Real for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn centred(values: Values<'_>, centre: f64, into: &mut [Self]) {
        values.centred(centre, into);
    }

    #[inline(always)]
    fn accumulate(tile: &mut Tile, a: &Pair<Self>, b: &Pair<Self>) {
        *tile = products(*tile, a, b);
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;

    #[expect(clippy::cast_possible_truncation, reason = "six digits are enough")]
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as Self
    }

    #[inline(always)]
    fn centred(values: Values<'_>, centre: f64, into: &mut [Self]) {
        match values {
            Values::Whole(values) => {
                let centre = Self::of(centre);
                for (into, x) in into.iter_mut().zip(values) {
                    *into = Self::from(*x) - centre;
                }
            }
            Values::Any(values) => {
                for (into, x) in into.iter_mut().zip(values) {
                    *into = Self::of(x - centre);
                }
            }
        }
    }

    /// A block at a time, so that few small numbers are added to a large one.
    #[inline(always)]
    fn accumulate(tile: &mut Tile, a: &Pair<Self>, b: &Pair<Self>) {
        let sums = products([[0.0; 2 * LANES]; 4], a, b);
        for (tile, sums) in tile.iter_mut().zip(sums) {
            for lane in 0..LANES {
                tile[lane] += f64::from(sums[lane] + sums[lane + LANES]);
            }
        }
    }
}

#[inline(always)]
fn products<T: Real + AddAssign, const N: usize>(
    [mut s, mut t, mut u, mut v]: [[T; N]; 4],
    a: &Pair<T>,
    b: &Pair<T>,
) -> [[T; N]; 4] {
    let [a0, a1] = a.each_ref().map(|column| column.as_chunks::<N>().0);
    let [b0, b1] = b.each_ref().map(|column| column.as_chunks::<N>().0);
    for ((a0, a1), (b0, b1)) in a0.iter().zip(a1).zip(b0.iter().zip(b1)) {
        // Loops as short as this one are what the compiler keeps in registers.
        add_product(&mut s, a0, b0);
        add_product(&mut t, a0, b1);
        add_product(&mut u, a1, b0);
        add_product(&mut v, a1, b1);
    }
    [s, t, u, v]
}

#[inline(always)]
fn add_product<T: Real + AddAssign, const N: usize>(sums: &mut [T; N], a: &[T; N], b: &[T; N]) {
    for lane in 0..N {
        sums[lane] += a[lane] * b[lane];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition() {
        let n = 300;
        let column = |k: usize| {
            (0..n)
                .map(|row| ((row * (k + 3)) % 17) as f64 - 4.0)
                .collect::<Vec<_>>()
        };
        let columns = [column(0), column(5), column(9)];
        let values = columns.each_ref().map(|column| Values::Any(column));
        let centre = [0.5, -1.0, 2.0];
        let weights: Vec<f64> = (5..n).map(|row| (row % 5) as f64 / 2.0).collect();
        let product = weighted_cross_product(&values, &centre, 5..n, &weights);
        for i in 0..3 {
            for j in 0..=i {
                let expected: f64 = (5..n)
                    .map(|row| {
                        weights[row - 5]
                            * (columns[i][row] - centre[i])
                            * (columns[j][row] - centre[j])
                    })
                    .sum();
                assert!((product.get(i, j) - expected).abs() < 1e-9);
            }
        }
    }
}
