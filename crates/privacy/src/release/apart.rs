//! What is left of each covariate beside the others, and on how many persons that stands.
//!
//! Two indicators that differ in one person are each of many persons, and a model with both has a coefficient for that one; so have
//! three of which a sum is. What the others do not say of a covariate, by least squares, is what its coefficient rests on.

use std::collections::BinaryHeap;

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

/// Whether at least `k` persons differ from what most have.
pub(super) fn varies(k: u64, column: &[f64]) -> bool {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let same = sorted.chunk_by(|a, b| a == b).map(<[f64]>::len);
    let most = same.max().unwrap_or(0);
    (sorted.len() - most) as u64 >= k
}

/// Whether events and what a model says of them do not part persons, but for fewer than `k` of them: there is no coefficient
/// where they do, and one that rests on those few where they nearly do. At least `k` pairs of persons, each person in one of
/// them, are of somebody with the event and somebody without of whom the model says more; of those with times, of somebody who
/// was still at risk then.
pub(super) fn overlaps(
    k: u64,
    coefficients: &[f64],
    columns: &[Vec<f64>],
    events: &[bool],
    time: Option<&[f64]>,
) -> bool {
    let said: Vec<f64> = (0..events.len())
        .map(|person| {
            let terms = coefficients.iter().zip(columns);
            terms.map(|(b, column)| b * column[person]).sum()
        })
        .collect();
    if said.iter().any(|said| !said.is_finite()) {
        return false;
    }
    // Of everybody the same: nothing is parted.
    if said.windows(2).all(|pair| pair[0] == pair[1]) {
        return true;
    }
    let pairs = match time {
        None => pairs(&said, events),
        Some(time) => pairs_at_risk(&said, events, time),
    };
    pairs >= k
}

/// Pairs of somebody with the event and somebody without of whom more is said.
fn pairs(said: &[f64], events: &[bool]) -> u64 {
    let of = |wanted: bool| {
        let of = said.iter().zip(events);
        let of = of.filter(|(_, event)| **event == wanted);
        let mut of: Vec<f64> = of.map(|(said, _)| *said).collect();
        of.sort_unstable_by(f64::total_cmp);
        of
    };
    let (with, without) = (of(true), of(false));
    let pairs = with.iter().zip(without.iter().rev());
    pairs.take_while(|(with, without)| without > with).count() as u64
}

/// Pairs of somebody with the event and somebody who was still at risk and of whom more is said; at least half of as many as
/// there can be.
fn pairs_at_risk(said: &[f64], events: &[bool], time: &[f64]) -> u64 {
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_unstable_by(|a, b| time[*b].total_cmp(&time[*a]));
    // Those at risk, in the order of what is said of them; who is in a pair leaves.
    let mut ranks: Vec<usize> = (0..said.len()).collect();
    ranks.sort_unstable_by(|a, b| said[*a].total_cmp(&said[*b]));
    let mut rank_of = vec![0; said.len()];
    for (rank, person) in ranks.iter().enumerate() {
        rank_of[*person] = rank;
    }
    let mut at_risk = BinaryHeap::new();
    let mut paired = vec![false; said.len()];
    let mut pairs = 0;
    for together in order.chunk_by(|a, b| time[*a] == time[*b]) {
        at_risk.extend(together.iter().map(|person| rank_of[*person]));
        for person in together.iter().filter(|person| events[**person]) {
            while at_risk.peek().is_some_and(|rank| paired[ranks[*rank]]) {
                at_risk.pop();
            }
            let most = at_risk.peek().map(|rank| ranks[*rank]);
            if let Some(other) = most.filter(|other| said[*other] > said[*person])
                && !paired[*person]
            {
                paired[*person] = true;
                paired[other] = true;
                pairs += 1;
            }
        }
    }
    pairs
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

    #[test]
    fn few_who_differ_do_not_vary() {
        for (ones, found) in [(10, false), (11, true), (389, true), (390, false)] {
            let column = indicator(400, |at| at < ones);
            assert_eq!(varies(11, &column), found, "{ones}");
        }
    }

    /// An outcome that follows from a number, but for some persons.
    #[test]
    fn what_parts_persons_but_for_few_does_not_overlap() {
        let columns = [(0..400).map(f64::from).collect::<Vec<f64>>()];
        for (others, found) in [(0, false), (1, false), (8, false), (60, true)] {
            let other = |at: u32| at * 7 % 400 < others;
            let events: Vec<bool> = (0..400).map(|at| (at >= 200) != other(at)).collect();
            // Those with the highest number first, but for some who stay.
            let time = |at| f64::from(if other(at) { 800 - at } else { 400 - at });
            let time: Vec<f64> = (0..400).map(time).collect();
            for sign in [1.0, -1.0] {
                // The wrong way around, everybody is a contradiction.
                let found = found || sign < 0.0;
                let without = overlaps(11, &[sign], &columns, &events, None);
                assert_eq!(without, found, "{others} {sign}");
                let with = overlaps(11, &[sign], &columns, &[true; 400], Some(&time));
                assert_eq!(with, found, "{others} {sign}");
            }
        }
        assert!(overlaps(11, &[0.0], &columns, &[true; 400], None));
        assert!(!overlaps(11, &[f64::NAN], &columns, &[true; 400], None));
    }
}
