//! What columns do not say of another one, by least squares, whoever is far from all others.

use super::spread::fences;

/// What is left of a column beside others is nothing where it is a smaller part of it.
const NOTHING: f64 = 1e-9;

/// So many times beyond, as in [`fences`], an unsaid part counts as it is: it is small where it could tell something.
pub(crate) const BEYOND: f64 = 4.0;

/// So often those who fit least are left out anew.
const ROUNDS: usize = 20;

/// Sums by their unit: of several persons together, they are farther from what is said of them than of one.
pub(super) fn each(sums: &[f64], units: &[f64]) -> Vec<f64> {
    sums.iter()
        .zip(units)
        .map(|(sum, unit)| sum / unit)
        .collect()
}

/// The sum of products.
pub(super) fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is left of a column beside others, which are of length one and say nothing of each other; taken off twice for what rounding
/// leaves.
pub(super) fn left_beside(column: &[f64], others: &[Vec<f64>]) -> Vec<f64> {
    let mut left = column.to_vec();
    for other in others.iter().chain(others) {
        let part = product(&left, other);
        left.iter_mut()
            .zip(other)
            .for_each(|(x, other)| *x -= part * other);
    }
    left
}

/// What a constant for each row and the columns do not say of sums. They are fitted to all but `few`, which a few persons could
/// else move; and at first to none that are very far from others.
pub(crate) fn unsaid(
    sums: &[f64],
    columns: &[Vec<f64>],
    rows: &[f64],
    units: &[f64],
    few: u64,
) -> Vec<f64> {
    let size = sums.len();
    let few = usize::try_from(few).unwrap_or(size).min(size / 3);
    let mut fitted = vec![true; size];
    for column in columns.iter().map(Vec::as_slice).chain([sums]) {
        let each = each(column, units);
        let (low, high) = fences(&each, few as u64, 0.0);
        let beyond = (high - low).max(0.0);
        // Where most have one value, others are what the column is about, however far they are.
        if beyond == 0.0 {
            continue;
        }
        for (fitted, value) in fitted.iter_mut().zip(&each) {
            *fitted &= (low - beyond..=high + beyond).contains(value);
        }
    }
    for _ in 0..ROUNDS {
        let left = residuals(sums, rows, columns, &fitted);
        let far: Vec<f64> = each(&left, units).into_iter().map(f64::abs).collect();
        let mut order: Vec<usize> = (0..size).collect();
        if few > 0 {
            // The same ones where several are as far.
            order.select_nth_unstable_by(size - few, |a, b| {
                far[*a].total_cmp(&far[*b]).then(a.cmp(b))
            });
        }
        let mut next = vec![false; size];
        order[..size - few].iter().for_each(|at| next[*at] = true);
        if next == fitted {
            break;
        }
        fitted = next;
    }
    residuals(sums, rows, columns, &fitted)
}

/// What is left of sums by least squares over those that are `fitted`: each column is made perpendicular to those before it.
fn residuals(sums: &[f64], rows: &[f64], columns: &[Vec<f64>], fitted: &[bool]) -> Vec<f64> {
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let pairs = a.iter().zip(b).zip(fitted);
        pairs
            .map(|((a, b), fitted)| if *fitted { a * b } else { 0.0 })
            .sum()
    };
    let mut basis: Vec<(Vec<f64>, f64)> = Vec::new();
    let left = |of: &[f64], basis: &[(Vec<f64>, f64)]| {
        let mut left = of.to_vec();
        // Twice, for what rounding leaves of the first time.
        for (other, square) in basis.iter().chain(basis) {
            let part = product(&left, other) / square;
            left.iter_mut()
                .zip(other)
                .for_each(|(x, other)| *x -= part * other);
        }
        left
    };
    for column in std::iter::once(rows).chain(columns.iter().map(Vec::as_slice)) {
        let whole = product(column, column);
        let rest = left(column, &basis);
        let square = product(&rest, &rest);
        if square > NOTHING * NOTHING * whole {
            basis.push((rest, square));
        }
    }
    left(sums, &basis)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column of two values, of which most persons have one, says all of itself, and but for few of another in which few have the
    /// other value.
    #[test]
    fn a_column_of_two_values_says_what_it_is() {
        let column = |few: usize| -> Vec<f64> {
            let one = |at: usize| f64::from(u8::from(at.is_multiple_of(5) && at >= few));
            (0..500).map(one).collect()
        };
        let ones = vec![1.0; 500];
        let news = |few: usize| {
            let unsaid = unsaid(&column(few), &[column(0)], &ones, &ones, 10);
            unsaid.iter().filter(|left| left.abs() > 1e-9).count()
        };
        assert_eq!((news(0), news(5), news(20)), (0, 1, 4));
    }
}
