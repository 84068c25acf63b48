//! Small symmetric positive semi-definite matrices: factorisation that names redundant columns.
//!
//! L D L' without pivoting, a pivot below a fraction of the largest diagonal counting as zero: its column is a
//! combination of those before it. Source: the generalised Cholesky of R survival (`cholesky2.c`).

/// A dense symmetric matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symmetric {
    size: usize,
    values: Vec<f64>,
}

/// L D L' of a matrix, with redundant columns left out.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    size: usize,
    /// Unit lower triangle L below the diagonal, D on it; 0 where a column is redundant.
    values: Vec<f64>,
}

impl Symmetric {
    pub(crate) fn zero(size: usize) -> Self {
        Self {
            size,
            values: vec![0.0; size * size],
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    /// The element and its mirror image are for the caller to keep equal.
    pub(crate) fn get_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * self.size + column]
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Copies the lower triangle onto the upper.
    pub(crate) fn mirror(&mut self) {
        for row in 0..self.size {
            for column in 0..row {
                self.values[column * self.size + row] = self.values[row * self.size + column];
            }
        }
    }

    /// The lower triangle by rows.
    pub(crate) fn lower(&self) -> Vec<f64> {
        let rows = 0..self.size;
        rows.flat_map(|row| (0..=row).map(move |column| self.get(row, column)))
            .collect()
    }

    /// The matrix of a lower triangle; none if it is not one of this size.
    pub(crate) fn of_lower(size: usize, lower: &[f64]) -> Option<Self> {
        if lower.len() != size * (size + 1) / 2 {
            return None;
        }
        let mut matrix = Self::zero(size);
        let mut values = lower.iter();
        for row in 0..size {
            for column in 0..=row {
                *matrix.get_mut(row, column) = *values.next()?;
            }
        }
        matrix.mirror();
        Some(matrix)
    }

    /// The rows, for results.
    pub(crate) fn to_rows(&self) -> Vec<Vec<f64>> {
        if self.size == 0 {
            return Vec::new();
        }
        self.values.chunks(self.size).map(<[f64]>::to_vec).collect()
    }

    pub(crate) fn add_scaled(&mut self, other: &Self, factor: f64) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            *mine += factor * theirs;
        }
    }

    /// Without the rows and columns for which `keep` is false.
    pub(crate) fn restricted(&self, keep: &[bool]) -> Self {
        let kept: Vec<usize> = (0..self.size).filter(|at| keep[*at]).collect();
        let values = kept
            .iter()
            .flat_map(|row| kept.iter().map(|column| self.get(*row, *column)))
            .collect();
        Self {
            size: kept.len(),
            values,
        }
    }

    /// D M D, for D the diagonal matrix of `scale`.
    pub(crate) fn scaled(&self, scale: &[f64]) -> Self {
        let mut result = self.clone();
        for row in 0..self.size {
            for column in 0..self.size {
                *result.get_mut(row, column) *= scale[row] * scale[column];
            }
        }
        result
    }

    /// The scale that makes the diagonal 1; 0 where it is not positive.
    pub(crate) fn unit_scale(&self) -> Vec<f64> {
        (0..self.size)
            .map(|at| self.get(at, at))
            .map(|d| if d > 0.0 { 1.0 / d.sqrt() } else { 0.0 })
            .collect()
    }

    /// M x.
    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        let row = |row: usize| (0..self.size).map(move |column| self.get(row, column));
        (0..self.size)
            .map(|at| row(at).zip(x).map(|(a, b)| a * b).sum())
            .collect()
    }

    /// u' M⁻ u and the rank of M, worked out in units that make the columns comparable.
    pub(crate) fn inverse_quadratic(&self, u: &[f64], tolerance: f64) -> (f64, usize) {
        let scale = self.unit_scale();
        let factor = self.scaled(&scale).factor(tolerance);
        let u: Vec<f64> = u.iter().zip(&scale).map(|(u, scale)| u * scale).collect();
        (
            factor.solve(&u).iter().zip(&u).map(|(a, b)| a * b).sum(),
            factor.rank(),
        )
    }

    /// M N M, for M this matrix: the sandwich.
    pub(crate) fn sandwich(&self, middle: &Self) -> Self {
        let n = self.size;
        let mut left = vec![0.0; n * n];
        for row in 0..n {
            for inner in 0..n {
                let factor = self.get(row, inner);
                for column in 0..n {
                    left[row * n + column] += factor * middle.get(inner, column);
                }
            }
        }
        let mut result = Self::zero(n);
        for row in 0..n {
            for column in 0..=row {
                *result.get_mut(row, column) = (0..n)
                    .map(|inner| left[row * n + inner] * self.get(inner, column))
                    .sum();
            }
        }
        result.mirror();
        result
    }

    /// Factors the matrix; a pivot at or below `tolerance` times the largest diagonal element is redundant.
    pub(crate) fn factor(&self, tolerance: f64) -> Factor {
        let n = self.size;
        let mut values = self.values.clone();
        let threshold = tolerance * (0..n).map(|at| self.get(at, at)).fold(0.0, f64::max);
        for at in 0..n {
            let pivot = values[at * n + at];
            if !(pivot.is_finite() && pivot > threshold) {
                values[at * n + at] = 0.0;
                for row in at + 1..n {
                    values[row * n + at] = 0.0;
                }
                continue;
            }
            for row in at + 1..n {
                let ratio = values[row * n + at] / pivot;
                values[row * n + at] = ratio;
                values[row * n + row] -= ratio * ratio * pivot;
                for below in row + 1..n {
                    values[below * n + row] -= ratio * values[below * n + at];
                }
            }
        }
        Factor { size: n, values }
    }
}

impl Factor {
    /// Whether a column is not a combination of those before it.
    pub(crate) fn kept(&self) -> Vec<bool> {
        (0..self.size)
            .map(|at| self.values[at * self.size + at] != 0.0)
            .collect()
    }

    pub(crate) fn rank(&self) -> usize {
        self.kept().into_iter().filter(|kept| *kept).count()
    }

    /// The least pivot of these columns: what is left of one that is nearly a combination of those before it.
    pub(crate) fn least_pivot(&self, columns: &[bool]) -> f64 {
        let columns = (0..self.size).filter(|at| columns[*at]);
        let pivots = columns.map(|at| self.values[at * self.size + at]);
        pivots.fold(f64::INFINITY, f64::min)
    }

    /// Solves M x = b, with 0 at redundant columns.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (n, l) = (self.size, &self.values);
        let mut x = b.to_vec();
        for row in 0..n {
            let sum: f64 = (0..row).map(|column| l[row * n + column] * x[column]).sum();
            x[row] -= sum;
        }
        for row in (0..n).rev() {
            let pivot = l[row * n + row];
            if pivot == 0.0 {
                x[row] = 0.0;
                continue;
            }
            let sum: f64 = (row + 1..n)
                .map(|below| l[below * n + row] * x[below])
                .sum();
            x[row] = x[row] / pivot - sum;
        }
        x
    }

    /// The generalised inverse: zero rows and columns where redundant.
    pub(crate) fn inverse(&self) -> Symmetric {
        let n = self.size;
        let kept = self.kept();
        let mut inverse = Symmetric::zero(n);
        for column in (0..n).filter(|column| kept[*column]) {
            let mut unit = vec![0.0; n];
            unit[column] = 1.0;
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                if row >= column {
                    *inverse.get_mut(row, column) = value;
                }
            }
        }
        inverse.mirror();
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gram(columns: &[Vec<f64>]) -> Symmetric {
        let n = columns.len();
        let mut matrix = Symmetric::zero(n);
        for row in 0..n {
            for column in 0..n {
                *matrix.get_mut(row, column) = columns[row]
                    .iter()
                    .zip(&columns[column])
                    .map(|(a, b)| a * b)
                    .sum();
            }
        }
        matrix
    }

    #[test]
    fn inverse_times_matrix_is_identity() {
        let m = gram(&[
            vec![1.0, 2.0, 3.0, 5.0],
            vec![2.0, 0.0, 1.0, 1.0],
            vec![0.5, 1.0, 0.0, 4.0],
        ]);
        let inverse = m.factor(1e-12).inverse();
        for at in 0..3 {
            let mut unit = [0.0; 3];
            unit[at] = 1.0;
            for (row, value) in m.times(&inverse.times(&unit)).into_iter().enumerate() {
                assert!((value - unit[row]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_redundant_column_is_named() {
        let x = vec![1.0, 2.0, 3.0, 5.0];
        let m = gram(&[
            x.clone(),
            x.iter().map(|x| 2.0 * x).collect(),
            vec![1.0, 0.0, 2.0, 1.0],
        ]);
        let factor = m.factor(1e-12);
        assert_eq!(factor.kept(), [true, false, true]);
        assert_eq!(factor.rank(), 2);
        let solved = factor.solve(&m.times(&[1.0, 0.0, -2.0]));
        assert!(
            (solved[0] - 1.0).abs() < 1e-12 && solved[1] == 0.0 && (solved[2] + 2.0).abs() < 1e-12
        );
    }
}
