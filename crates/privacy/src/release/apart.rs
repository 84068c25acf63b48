//! What is left of each covariate beside the others, and on how many persons that stands.
//!
//! Two indicators that differ in one person are each of many persons, and a model with both has a coefficient for that one; so have
//! three of which a sum is. What the others do not say of a covariate, by least squares, is what its coefficient rests on.

/// What is left of a covariate, smaller than this part of it, is rounding.
const ROUNDING: f64 = 1e-9;

/// Whether for each covariate, whose values are given person by person, what the others and a constant do not say of it stands
/// on at least `k` persons: the number that as many equal residuals would have, of which the sum of squares and of fourth powers
/// are those. A covariate of which nothing is left stands on nobody.
pub(super) fn each_stands_on(k: u64, columns: &[Vec<f64>]) -> bool {
    let columns: Vec<Vec<f64>> = columns.iter().map(|column| standardised(column)).collect();
    let persons = columns.first().map_or(0, Vec::len);
    let products: Vec<Vec<f64>> = columns
        .iter()
        .map(|a| columns.iter().map(|b| mean_product(a, b)).collect())
        .collect();
    let Some(inverse) = inverse(products) else {
        return false;
    };
    // Column by column, the inverse holds the coefficients of the others, and what is left of the column's square.
    let mut squares = vec![0.0; columns.len()];
    let mut fourth = vec![0.0; columns.len()];
    for person in 0..persons {
        for (at, of_column) in inverse.iter().enumerate() {
            let terms = of_column.iter().zip(&columns);
            let residual: f64 = terms.map(|(b, column)| b * column[person]).sum();
            let square = residual * residual;
            squares[at] += square;
            fourth[at] += square * square;
        }
    }
    squares
        .iter()
        .zip(fourth)
        .all(|(squares, fourth)| squares * squares >= k as f64 * fourth)
}

/// Around its mean, in units of its deviation.
fn standardised(column: &[f64]) -> Vec<f64> {
    let persons = column.len() as f64;
    let mean = column.iter().sum::<f64>() / persons;
    let squares: f64 = column.iter().map(|x| (x - mean) * (x - mean)).sum();
    let unit = (squares / persons).sqrt();
    let unit = if unit > 0.0 { unit } else { 1.0 };
    column.iter().map(|x| (x - mean) / unit).collect()
}

fn mean_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
}

/// The inverse of a symmetric matrix, by elimination on its diagonal; none where one of the columns follows from others.
fn inverse(mut left: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = left.len();
    let mut right: Vec<Vec<f64>> = (0..size)
        .map(|row| (0..size).map(|at| f64::from(u8::from(row == at))).collect())
        .collect();
    for pivot in 0..size {
        // What is left of a column of length one beside those before it.
        let value = left[pivot][pivot];
        if value <= ROUNDING {
            return None;
        }
        for matrix in [&mut left, &mut right] {
            matrix[pivot].iter_mut().for_each(|x| *x /= value);
        }
        for row in (0..size).filter(|row| *row != pivot) {
            let factor = left[row][pivot];
            for matrix in [&mut left, &mut right] {
                let of_pivot = matrix[pivot].clone();
                for (x, p) in matrix[row].iter_mut().zip(of_pivot) {
                    *x -= factor * p;
                }
            }
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indicator(persons: u32, of: impl Fn(u32) -> bool) -> Vec<f64> {
        (0..persons).map(|at| f64::from(u8::from(of(at)))).collect()
    }

    #[test]
    fn covariates_that_differ_in_few_persons_do_not_stand() {
        let older = |least: u32| indicator(400, move |at| at * 7 % 400 >= least);
        for (second, stands) in [
            (200, false),
            (201, false),
            (205, false),
            (212, true),
            (300, true),
        ] {
            let found = each_stands_on(11, &[older(200), older(second)]);
            assert_eq!(found, stands, "{second}");
        }
        // Three sets of which two together are the third but for one person, or for nobody.
        for alone in [399, 400] {
            let (a, b) = (|at: u32| at & 3 == 0, |at: u32| at & 3 == 1);
            let both = indicator(400, |at| (a(at) || b(at)) && at != alone - 2);
            let of = |set: fn(u32) -> bool| indicator(400, set);
            assert!(!each_stands_on(11, &[of(a), of(b), both]));
        }
        let smooth = |by: f64| (0..400).map(|at| (f64::from(at) * by).sin()).collect();
        assert!(each_stands_on(11, &[smooth(0.7), smooth(1.1), older(150)]));
    }
}
