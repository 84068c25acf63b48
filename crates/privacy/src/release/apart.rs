//! What is left of each covariate beside the others, and on how many persons that stands.
//!
//! Two indicators that differ in one person are each of many persons, and a model with both has a coefficient for that one; so have
//! three of which a sum is. What the others do not say of a covariate, by least squares, is what its coefficient rests on.

use std::collections::BinaryHeap;

use crate::disclosure::spread::{self, fences};
use crate::disclosure::unsaid::{self, unsaid};

/// What is left of a covariate, smaller than this part of it, is rounding.
const ROUNDING: f64 = 1e-9;

/// Covariates as they count in a model: among those with the event, and among those without, nobody has a value that is farther
/// from theirs than k others have, and none that is farther from what the covariates before it say than those of k others. Who
/// asks can make a group of which a coefficient rests on one person, and so whether there is a model.
pub(super) fn within_outcomes(k: u64, columns: &mut [Vec<f64>], events: &[bool]) {
    let persons = || 0..events.len();
    let of = |event: bool| persons().filter(move |at| events[*at] == event);
    // Of all first: of those without the event there may be few.
    for theirs in [
        persons().collect(),
        of(true).collect(),
        of(false).collect::<Vec<usize>>(),
    ] {
        let ones = vec![1.0; theirs.len()];
        let mut said: Vec<Vec<f64>> = Vec::new();
        for column in columns.iter_mut() {
            let mut values: Vec<f64> = theirs.iter().map(|at| column[*at]).collect();
            let (low, high) = fences(&values, k, spread::BEYOND);
            values
                .iter_mut()
                .for_each(|value| *value = value.clamp(low, high));
            if !said.is_empty() {
                let left = unsaid(&values, &said, &ones, &ones, k);
                let (low, high) = fences(&left, k, unsaid::BEYOND);
                for (value, left) in values.iter_mut().zip(left) {
                    *value += left.clamp(low, high) - left;
                }
            }
            for (at, value) in theirs.iter().zip(&values) {
                column[*at] = *value;
            }
            said.push(values);
        }
    }
}

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
    /// Columns as they count, and whether a model of them stands.
    fn stand(columns: &[Vec<f64>], events: &[bool]) -> (Vec<Vec<f64>>, bool) {
        let mut columns = columns.to_vec();
        within_outcomes(10, &mut columns, events);
        let of = |event: bool| -> Vec<Vec<f64>> {
            let of = |column: &Vec<f64>| -> Vec<f64> {
                let each = column.iter().zip(events).filter(|(_, of)| **of == event);
                each.map(|(value, _)| *value).collect()
            };
            columns.iter().map(of).collect()
        };
        let all = [columns.clone(), of(true), of(false)];
        let varied = all.iter().flatten().all(|column| varies(10, column));
        let stand = varied && all.iter().all(|columns| each_stands_on(10, columns));
        (columns, stand)
    }

    /// Men of four years of birth and women of all, and perhaps a man who is older than the other men, but not than the women.
    #[test]
    fn nobody_far_from_those_of_one_outcome_empties_a_model() {
        for men in [40, 90] {
            let women = (0..120).map(|at| f64::from(1930 + at % 70));
            let born: Vec<f64> = (0..men)
                .map(|at| f64::from(1964 + at % 4))
                .chain(women)
                .collect();
            let man: Vec<bool> = (0..born.len()).map(|at| at < men as usize).collect();
            let (without, stands) = stand(std::slice::from_ref(&born), &man);
            assert!(stands && without[0] == born);
            for year in [1931.0, 1955.0, 1999.0] {
                let with = stand(
                    &[[&born[..], &[year]].concat()],
                    &[&man[..], &[true]].concat(),
                );
                assert!(with.1, "{men} {year}");
                assert_eq!(with.0[0].last(), Some(&year.clamp(1964.0, 1967.0)));
                // Whether somebody else's values stay as they are does not hang on that one either.
                assert_eq!(with.0[0][..born.len()], born);
            }
        }
    }

    /// Two numbers that are within two of each other for all, and perhaps somebody for whom they are not.
    #[test]
    fn nobody_for_whom_covariates_differ_empties_a_model() {
        for persons in [80_u32, 300] {
            let first = |at: u32| 100.0 + f64::from(at * 37 % 61);
            let one: Vec<f64> = (0..persons).map(first).collect();
            let near = |at: u32| first(at) + f64::from(at * 29 % 41) / 10.0 - 2.0;
            let other: Vec<f64> = (0..persons).map(near).collect();
            let same: Vec<f64> = (0..persons).map(|at| 2.0 * first(at) - 7.0).collect();
            for event in [true, false] {
                let events: Vec<bool> = (0..persons).map(|at| at % 2 == 0).collect();
                let more = |column: &[f64], value: f64| [column, &[value]].concat();
                let events_too = [&events[..], &[event]].concat();
                assert!(stand(&[one.clone(), other.clone()], &events).1);
                for far in [-40.0, 3.0, 15.0, 500.0] {
                    for columns in [[&one, &other], [&other, &one]] {
                        let (columns, value) = ([columns[0], columns[1]], [120.0, 120.0 + far]);
                        let with = [more(columns[0], value[0]), more(columns[1], value[1])];
                        assert!(stand(&with, &events_too).1, "{persons} {far}");
                    }
                    // What says nothing else but of fewer than k is nothing.
                    assert!(!stand(&[one.clone(), same.clone()], &events).1);
                    let with = [more(&one, 120.0), more(&same, 233.0 + far)];
                    assert!(!stand(&with, &events_too).1, "{persons} {far}");
                }
            }
        }
    }

    /// Covariates that say something of their own are what they are.
    #[test]
    fn ordinary_covariates_count_as_they_are() {
        let number = |by: u32, of: u32| -> Vec<f64> {
            (0..400_u32).map(|at| f64::from(at * by % of)).collect()
        };
        let events: Vec<bool> = (0..400).map(|at| at * 7 % 20 < 6).collect();
        let columns = [
            number(37, 61),
            indicator(400, |at| at % 3 == 0),
            number(53, 89),
            indicator(400, |at| at % 11 == 0),
        ];
        let (counted, stands) = stand(&columns, &events);
        assert!(stands);
        assert_eq!(counted[..2], columns[..2]);
        let moved = |at: usize| {
            counted[at]
                .iter()
                .zip(&columns[at])
                .filter(|(a, b)| (*a - *b).abs() > 1e-6)
                .count()
        };
        assert!(moved(2) < 8 && moved(3) < 8, "{} {}", moved(2), moved(3));
    }
}
