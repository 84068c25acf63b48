//! What persons contribute to a mean and a deviation as it is counted, and how exactly both are shown.
//!
//! Who asks makes the group, and a narrow one with somebody far from it shows whether that one belongs to it: by a mean that moved, a
//! deviation of which one person is most, or one that no others can have. So a value counts as at most a little more than what k
//! persons reach, and as at least a little less.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Profile;
use super::digits::{decimals, digits, exponent};
use super::persons::Contribution;

/// So many times as far as from the 2k-th to the k-th value, a value may be beyond the k-th: all are, of numbers that end somewhere, and
/// most of those that become ever fewer.
pub(crate) const BEYOND: f64 = 1.5;

/// As many persons as make a value one of a group: k, or in small groups a third of them.
fn few_of(persons: usize, k: u64) -> usize {
    let third = (persons / 3).max(1);
    usize::try_from(k).unwrap_or(third).clamp(1, third)
}

/// The values between which others count as they are: so many `times` beyond the k-th as from there to the 2k-th. Where as many
/// persons share that value, as they do years, nothing is beyond it: how many have it can be counted.
pub(crate) fn fences(values: &[f64], k: u64, times: f64) -> (f64, f64) {
    let n = values.len();
    if n < 3 {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let few = few_of(n, k);
    let beyond = |outer: f64, inner: f64| {
        let before = sorted.partition_point(|value| *value < outer);
        let up_to = sorted.partition_point(|value| *value <= outer);
        if up_to - before >= few {
            return outer;
        }
        outer + times * (outer - inner)
    };
    (
        beyond(sorted[few - 1], sorted[2 * few - 1]),
        beyond(sorted[n - few], sorted[n - 2 * few]),
    )
}

/// What persons contribute, where none is farther from the others than k are: neither the mean of one's rows, nor how they spread.
pub(crate) fn within_fences(
    contributions: &[Contribution],
    profile: &Profile,
) -> Vec<Contribution> {
    let k = u64::from(profile.k);
    let mean = |entry: &Contribution| entry.sum / entry.rows as f64;
    let spread = |entry: &Contribution| {
        let square = entry.squares / entry.rows as f64;
        (square - mean(entry).powi(2)).max(0.0)
    };
    let means: Vec<f64> = contributions.iter().map(mean).collect();
    let spreads: Vec<f64> = contributions.iter().map(spread).collect();
    let ((low, high), (_, widest)) = (fences(&means, k, BEYOND), fences(&spreads, k, BEYOND));
    let each = contributions.iter().zip(means.iter().zip(&spreads));
    each.map(|(entry, (mean, spread))| {
        if (low..=high).contains(mean) && *spread <= widest {
            return *entry;
        }
        let rows = entry.rows as f64;
        let mean = mean.clamp(low, high);
        Contribution {
            sum: rows * mean,
            squares: rows * (spread.min(widest) + mean * mean),
            ..*entry
        }
    })
    .collect()
}

/// Mean and deviation of what persons contribute, as it `counts` within fences, as they are shown: a mean to the first digit of its
/// standard error, and a deviation to that of its own, with at most three digits. None where they stand on few; and no deviation
/// where few persons' distances are most of it.
pub(crate) fn shown(
    own: &[Contribution],
    counts: &[Contribution],
    profile: &Profile,
) -> Option<(f64, Option<f64>)> {
    if !spreads(own, counts, profile) {
        return None;
    }
    let (rows, sum, squares) = sums(counts);
    let (mean, deviation) = rounded(rows, sum, squares);
    let alone = stands_out(counts, profile);
    Some((mean, Some(deviation).filter(|_| !alone)))
}

/// How far values are from their mean, and the mean.
pub(crate) fn deviation(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let size = values.len().max(1) as f64;
    let mean = values.clone().sum::<f64>() / size;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    ((squares / size).sqrt(), mean)
}

/// The last digit of a mean of what persons contribute, as it is shown.
pub(crate) fn last_digit(counts: &[Contribution]) -> f64 {
    let (rows, sum, squares) = sums(counts);
    let (_, deviation) = moments(rows, sum, squares);
    10_f64.powi(exponent(deviation / rows.sqrt()))
}

/// Mean and deviation of so many rows with these sums, as exactly as they are shown.
pub(crate) fn rounded(rows: f64, sum: f64, squares: f64) -> (f64, f64) {
    let (mean, deviation) = moments(rows, sum, squares);
    let to = |number: f64, error: f64| decimals(number, -exponent(error));
    let error = deviation / rows.sqrt();
    let own_error = error / 2.0_f64.sqrt();
    (to(mean, error), to(digits(deviation, 3), own_error))
}

/// A measure stands on enough persons: none dominates it, whether from zero or from the middle, and at least k differ
/// from what most have. What counts of them within fences may be fewer.
pub(crate) fn spreads(own: &[Contribution], counts: &[Contribution], profile: &Profile) -> bool {
    let sums: Vec<f64> = counts.iter().map(|entry| entry.sum).collect();
    if profile.is_dominated(&sums) {
        return false;
    }
    let (own, means) = (means(own), means(counts));
    let few = few_of(means.len(), u64::from(profile.k));
    if others(&own) < profile.k as usize || others(&means) < few {
        return false;
    }
    let median = means[means.len() / 2];
    let from_median: Vec<f64> = counts
        .iter()
        .map(|entry| entry.sum - entry.rows as f64 * median)
        .collect();
    !profile.is_dominated(&from_median)
}

/// How many of them, in order, differ from what most are.
fn others(means: &[f64]) -> usize {
    let same = means.chunk_by(|a, b| a == b).map(<[f64]>::len);
    means.len() - same.max().unwrap_or(0)
}

/// How many rows are counted of each person. Where most have the same number of them, fewer than k others count as if they had
/// it too: a join or a condition gives more rows to whom it is made for, and whether there is anybody would be seen in a count of
/// rows beside one of persons. So do those whose numbers fewer than k have, if together they are fewer than k: a number that
/// many have can be made for many, to hide one.
fn rows_of(contributions: &[Contribution], profile: &Profile) -> Vec<u64> {
    let own = || contributions.iter().map(|entry| entry.rows);
    let mut each: Vec<u64> = own().collect();
    each.sort_unstable();
    let numbers = || each.chunk_by(|a, b| a == b);
    let usual = numbers()
        .max_by_key(|same| same.len())
        .and_then(|same| Some((*same.first()?, same.len())));
    let Some((usual, most)) = usual else {
        return Vec::new();
    };
    let k = profile.k as usize;
    if each.len() - most < k.min(most) {
        return vec![usual; each.len()];
    }
    let rare: BTreeMap<u64, usize> = numbers()
        .filter(|same| same.len() < k)
        .filter_map(|same| Some((*same.first()?, same.len())))
        .collect();
    if most < k || rare.values().sum::<usize>() >= k {
        return own().collect();
    }
    let counted = |rows: u64| {
        if rare.contains_key(&rows) {
            usual
        } else {
            rows
        }
    };
    own().map(counted).collect()
}

/// What persons contribute, with so many rows of each as are counted.
pub(crate) fn counted(contributions: &[Contribution], profile: &Profile) -> Vec<Contribution> {
    let each = contributions.iter().zip(rows_of(contributions, profile));
    each.map(|(entry, rows)| {
        let share = rows as f64 / entry.rows as f64;
        let own = *entry;
        if rows == own.rows {
            return own;
        }
        Contribution {
            rows,
            sum: own.sum * share,
            squares: own.squares * share,
            ..own
        }
    })
    .collect()
}

/// What persons contribute to a mean, where of each as many rows are counted: with one row each it is the same.
pub(crate) fn one_row_each<'a>(
    own: &'a [Contribution],
    counted: &[Contribution],
) -> Cow<'a, [Contribution]> {
    let rows = counted.first().map_or(1, |entry| entry.rows);
    if rows <= 1 || counted.iter().any(|entry| entry.rows != rows) {
        return Cow::Borrowed(own);
    }
    let each = counted.iter().map(|entry| Contribution {
        rows: 1,
        sum: entry.sum / rows as f64,
        squares: entry.squares / rows as f64,
        ..*entry
    });
    Cow::Owned(each.collect())
}

/// The squares of few persons' distances from the middle are most of what a deviation is made of: it would tell how far they are.
fn stands_out(contributions: &[Contribution], profile: &Profile) -> bool {
    let means = means(contributions);
    let middle = means[means.len() / 2];
    let squares: Vec<f64> = contributions
        .iter()
        .map(|entry| entry.squares - 2.0 * middle * entry.sum + entry.rows as f64 * middle * middle)
        .collect();
    profile.is_dominated(&squares)
}

/// The persons' means, in order.
fn means(contributions: &[Contribution]) -> Vec<f64> {
    let means = contributions
        .iter()
        .map(|entry| entry.sum / entry.rows as f64);
    let mut means: Vec<f64> = means.collect();
    means.sort_unstable_by(f64::total_cmp);
    means
}

/// Rows, what they add up to, and their squares.
pub(crate) fn sums(contributions: &[Contribution]) -> (f64, f64, f64) {
    let rows = contributions.iter().map(|entry| entry.rows as f64).sum();
    let sum = contributions.iter().map(|entry| entry.sum).sum();
    let squares = contributions.iter().map(|entry| entry.squares).sum();
    (rows, sum, squares)
}

/// Mean and standard deviation over rows.
fn moments(rows: f64, sum: f64, squares: f64) -> (f64, f64) {
    let mean = sum / rows;
    let variance = ((squares - sum * mean) / (rows - 1.0).max(1.0)).max(0.0);
    // Below the precision of the sums nothing is known of the spread.
    let floor = mean.abs() * 1e-7;
    (mean, variance.sqrt().max(floor).max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::disclosure::profile;

    fn of(values: impl Iterator<Item = f64>) -> Vec<Contribution> {
        let all = values
            .zip(0..)
            .map(|(value, person)| Contribution::of(person, value));
        all.collect()
    }

    fn shown_of(values: impl Iterator<Item = f64>, rules: &str) -> Option<(f64, Option<f64>)> {
        let profile = profile(rules).unwrap();
        let own = of(values);
        shown(&own, &within_fences(&own, &profile), &profile)
    }

    /// Whether somebody of another generation is among those born in three years shows neither in a mean nor in a deviation.
    #[test]
    fn nobody_is_seen_far_from_a_narrow_group() {
        for rules in ["cms", "opensafely", "ohdsi", "sacro", "datashield"] {
            for persons in [70, 200] {
                let born = || (0..persons).map(|at| f64::from(1994 + at % 3));
                let without = shown_of(born(), rules).unwrap();
                for year in [1900.0, 1955.0, 2020.0] {
                    let with = shown_of(born().chain([year]), rules).unwrap();
                    assert!((with.0 - without.0).abs() < 0.11, "{rules}: {with:?}");
                    let apart = with.1.unwrap() - without.1.unwrap();
                    assert!(apart.abs() < 0.011, "{rules}: {with:?}");
                }
            }
            // Months of which a deviation can be at most a half.
            for persons in [40, 200] {
                let months = || (0..persons).map(|at| f64::from(1 + at % 2));
                let without = shown_of(months(), rules).unwrap();
                let with = shown_of(months().chain([12.0]), rules).unwrap();
                assert!((without.0 - with.0).abs() < 0.021, "{rules}: {with:?}");
                assert_eq!(without.1, with.1, "{rules}");
            }
        }
    }

    /// What is far from the others by nature stays as it is, but for the few who are farthest.
    #[test]
    fn ordinary_numbers_are_what_they_are() {
        let sacro = profile("sacro").unwrap();
        let even = |at: u32| f64::from(at * 37 % 101);
        // As quantiles of waiting times and of a bell, in no order.
        let waiting = |at: u32| -(1.0 - (even(at) + 0.5) / 101.0).ln();
        let bell = |at: u32| {
            let p = (even(at) + 0.5) / 101.0;
            (p / (1.0 - p)).ln()
        };
        for (values, within) in [
            ((0..101).map(even).collect::<Vec<f64>>(), 1e-12),
            ((0..101).map(waiting).collect(), 0.13),
            ((0..101).map(bell).collect(), 0.1),
        ] {
            let all = of(values.iter().copied());
            let of = |all: &[Contribution]| {
                let (rows, sum, squares) = sums(all);
                moments(rows, sum, squares)
            };
            let (mean, deviation) = of(&all);
            let (fenced, narrower) = of(&within_fences(&all, &sacro));
            assert!(
                (mean - fenced).abs() <= within * deviation,
                "{mean} {fenced}"
            );
            assert!(
                (deviation - narrower).abs() <= within * deviation,
                "{deviation} {narrower}"
            );
        }
    }

    /// Rows of one person that are far apart are no reason for there to be no number.
    #[test]
    fn one_person_s_rows_spread_as_others_do() {
        let sacro = profile("sacro").unwrap();
        let with = |spread: f64| {
            let mut all = of((0..60).map(|at| f64::from(at % 20)));
            for entry in &mut all {
                entry.rows = 2;
                entry.sum *= 2.0;
                entry.squares = entry.squares * 2.0 + 2.0;
            }
            all[7].squares += 2.0 * spread * spread;
            shown(&all, &within_fences(&all, &sacro), &sacro)
        };
        assert_eq!(with(0.0), with(1e6));
    }
}
