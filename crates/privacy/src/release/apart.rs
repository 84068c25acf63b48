//! What is left of each covariate beside the others, and on how many persons that stands.
//!
//! Two indicators that differ in one person are each of many persons, and a model with both has a coefficient for that one; so have
//! three of which a sum is. What the others do not say of a covariate, by least squares, is what its coefficient rests on.

/// Residuals smaller than this part of their covariate are rounding.
const ROUNDING: f64 = 1e-9;

/// Whether for each covariate, whose values are given person by person, what the others and a constant do not say of it stands
/// on at least `k` persons: the number that as many equal residuals would have, of which the sum of squares and of fourth powers
/// are those. A covariate of which nothing is left stands on nobody.
pub(super) fn each_stands_on(k: u64, columns: &[Vec<f64>]) -> bool {
    let centred: Vec<Vec<f64>> = columns.iter().map(|column| standardised(column)).collect();
    (0..centred.len()).all(|at| {
        let residual = residual(at, &centred);
        let squares: f64 = residual.iter().map(|r| r * r).sum();
        let fourth: f64 = residual.iter().map(|r| r.powi(4)).sum();
        let persons = residual.len() as f64;
        squares > ROUNDING * persons && squares * squares >= k as f64 * fourth
    })
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

/// A column without what the others say of it: modified Gram-Schmidt, twice, since once leaves rounding behind.
fn residual(at: usize, columns: &[Vec<f64>]) -> Vec<f64> {
    let mut directions: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
    let others = columns.iter().enumerate().filter(|(other, _)| *other != at);
    for (_, other) in others {
        let mut left = other.clone();
        take_out(&mut left, &directions);
        take_out(&mut left, &directions);
        let size = left.iter().map(|x| x * x).sum::<f64>();
        // One that others say is no direction of its own.
        if size > ROUNDING * left.len() as f64 {
            let unit = size.sqrt();
            left.iter_mut().for_each(|x| *x /= unit);
            directions.push(left);
        }
    }
    let mut left = columns[at].clone();
    take_out(&mut left, &directions);
    take_out(&mut left, &directions);
    left
}

fn take_out(column: &mut [f64], directions: &[Vec<f64>]) {
    for direction in directions {
        let along: f64 = column.iter().zip(direction).map(|(x, d)| x * d).sum();
        for (x, d) in column.iter_mut().zip(direction) {
            *x -= along * d;
        }
    }
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
