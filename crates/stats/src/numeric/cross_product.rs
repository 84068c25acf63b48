//! X'WX of centred columns: where a regression spends its time.

use std::ops::Range;

use super::Symmetric;

/// Rows worked on at once: their columns stay in the first cache.
const BLOCK: usize = 128;
const LANES: usize = 8;

/// Σ over `rows` of w·(x − c)(x − c)', the lower triangle only. `weights` has one element per row of the range.
pub(crate) fn weighted_cross_product<C: AsRef<[f64]>>(
    columns: &[C],
    centre: &[f64],
    rows: Range<usize>,
    weights: &[f64],
) -> Symmetric {
    let p = columns.len();
    let mut sums = vec![[0.0; LANES]; p * (p + 1) / 2];
    let mut centred = vec![[0.0; BLOCK]; p];
    let mut weighted = [0.0; BLOCK];
    let mut begin = rows.start;
    while begin < rows.end {
        let end = (begin + BLOCK).min(rows.end);
        let block_weights = &weights[begin - rows.start..end - rows.start];
        for ((out, column), centre) in centred.iter_mut().zip(columns).zip(centre) {
            for (out, x) in out.iter_mut().zip(&column.as_ref()[begin..end]) {
                *out = x - centre;
            }
            // A short last block: the rest counts for nothing.
            out[end - begin..].fill(0.0);
        }
        let mut pair = 0;
        for row in 0..p {
            weighted.fill(0.0);
            for ((out, x), w) in weighted.iter_mut().zip(&centred[row]).zip(block_weights) {
                *out = x * w;
            }
            for column in &centred[..=row] {
                accumulate(&mut sums[pair], &weighted, column);
                pair += 1;
            }
        }
        begin = end;
    }
    let mut product = Symmetric::zero(p);
    let mut pair = 0;
    for row in 0..p {
        for column in 0..=row {
            *product.get_mut(row, column) = sums[pair].iter().sum();
            pair += 1;
        }
    }
    product
}

/// Adds a scalar product by lanes, so that the compiler may use vector instructions.
#[inline]
fn accumulate(sums: &mut [f64; LANES], a: &[f64; BLOCK], b: &[f64; BLOCK]) {
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
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
        let columns = vec![column(0), column(5), column(9)];
        let centre = [0.5, -1.0, 2.0];
        let weights: Vec<f64> = (5..n).map(|row| (row % 5) as f64 / 2.0).collect();
        let product = weighted_cross_product(&columns, &centre, 5..n, &weights);
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
