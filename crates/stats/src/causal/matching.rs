//! Nearest-neighbour matching on a distance such as the propensity score, greedy and deterministic.
//!
//! The treated choose in order of falling distance measure, equal ones in row order; each takes the nearest
//! untreated that is left, of equally near ones the one that comes first. With a ratio of k, everybody chooses
//! once before anybody chooses again. A caliper is the largest difference allowed, its unit the standard
//! deviation of the measure over all rows. Order, ratio and caliper are those of R's `MatchIt::matchit(method =
//! "nearest", m.order = "largest")`. MatchIt 4.5.1 takes the nearest at or below the treated's measure though
//! there be a nearer one above it, and pairs may be further apart than the caliper: [`Search::BelowFirst`] gives
//! its pairs, for comparison with published results. Source: Rubin (1973); Austin (2014).

use std::cmp::Ordering;

use super::propensity::standard_deviation;
use crate::models::count;
use crate::{Error, Result};

/// The largest difference within a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Caliper {
    /// In the unit of the measure.
    Absolute(f64),
    /// In standard deviations of the measure, for example 0.2.
    StandardDeviations(f64),
}

/// Which of the untreated is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Search {
    /// The nearest.
    #[default]
    Nearest,
    /// The nearest at or below the treated's measure; only if none is left there, the nearest above.
    BelowFirst,
}

/// How to match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchOptions {
    /// Untreated per treated.
    pub ratio: usize,
    /// Whether an untreated may be taken by several treated.
    pub replacement: bool,
    /// The largest difference; none if `None`.
    pub caliper: Option<Caliper>,
    /// Which of the untreated is taken.
    pub search: Search,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self {
            ratio: 1,
            replacement: false,
            caliper: None,
            search: Search::Nearest,
        }
    }
}

/// A treated row and its matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedSet {
    /// Row of the treated.
    pub treated: usize,
    /// Rows of the untreated in the order in which they were chosen, at least one.
    pub untreated: Vec<usize>,
}

/// The matched sets, by row of the treated, and who was left over.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// Sets with at least one match.
    pub sets: Vec<MatchedSet>,
    /// Treated rows without a match.
    pub unmatched: Vec<usize>,
    /// The caliper in the unit of the measure; infinite if there was none.
    pub caliper: f64,
    rows: usize,
}

impl Matching {
    /// Weights for an analysis of the matched sample, 0 for rows outside it: 1 for the treated; for an untreated
    /// the sum of 1/(size of the set), scaled so that the untreated weigh as many as there are of them.
    pub fn weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.rows];
        for set in &self.sets {
            for row in &set.untreated {
                weights[*row] += 1.0 / count(set.untreated.len());
            }
        }
        let members = weights.iter().filter(|weight| **weight > 0.0).count();
        let scale = count(members) / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        for set in &self.sets {
            weights[set.treated] = 1.0;
        }
        weights
    }
}

/// Matches every treated row to the nearest untreated rows.
///
/// # Errors
///
/// [`Error::UnequalColumns`]; [`Error::NotANumber`] if a measure is not finite; [`Error::EmptyGroup`];
/// [`Error::InvalidOption`] for a ratio of 0 or a negative caliper.
///
/// ```
/// use columna_stats::causal::matching::{MatchOptions, nearest};
///
/// let found = nearest(&[0.5, 0.4, 0.9], &[true, false, false], &MatchOptions::default())?;
/// assert_eq!(found.sets[0].untreated, [1]);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn nearest(measure: &[f64], treated: &[bool], options: &MatchOptions) -> Result<Matching> {
    if measure.len() != treated.len() {
        return Err(Error::UnequalColumns);
    }
    if measure.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotANumber);
    }
    if options.ratio == 0 {
        return Err(Error::InvalidOption("the ratio"));
    }
    if !treated.contains(&true) || !treated.contains(&false) {
        return Err(Error::EmptyGroup);
    }
    let caliper = match options.caliper {
        None => f64::INFINITY,
        Some(Caliper::Absolute(width)) => width,
        Some(Caliper::StandardDeviations(width)) => width * standard_deviation(measure),
    };
    if caliper.is_nan() || caliper < 0.0 {
        return Err(Error::InvalidOption("the caliper"));
    }
    let rows_of = |group: bool| (0..measure.len()).filter(move |row| treated[*row] == group);
    let mut order: Vec<usize> = rows_of(true).collect();
    let mut pool = Pool::new(measure, rows_of(false).collect());
    // Stable: equal measures stay in row order.
    order.sort_by(|a, b| measure[*b].total_cmp(&measure[*a]));
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); measure.len()];
    if options.replacement {
        for row in &order {
            chosen[*row] = pool.nearest_of_all(measure[*row], caliper, options);
        }
    } else {
        for _ in 0..options.ratio {
            for row in &order {
                if let Some(found) = pool.take(measure[*row], caliper, options.search) {
                    chosen[*row].push(found);
                }
            }
        }
    }
    let mut matching = Matching {
        sets: Vec::new(),
        unmatched: Vec::new(),
        caliper,
        rows: measure.len(),
    };
    for row in rows_of(true) {
        let untreated = std::mem::take(&mut chosen[row]);
        if untreated.is_empty() {
            matching.unmatched.push(row);
        } else {
            matching.sets.push(MatchedSet {
                treated: row,
                untreated,
            });
        }
    }
    Ok(matching)
}

/// The untreated by measure and row, with the next one left in both directions (union-find with path halving).
#[derive(Debug)]
struct Pool {
    rows: Vec<usize>,
    measure: Vec<f64>,
    /// `after[i]` leads to the first one left at or after i; `rows.len()` if none is.
    after: Vec<usize>,
    /// `before[i]` leads to one more than the last one left before i; 0 if none is.
    before: Vec<usize>,
}

impl Pool {
    fn new(measure: &[f64], mut rows: Vec<usize>) -> Self {
        rows.sort_by(|a, b| measure[*a].total_cmp(&measure[*b]));
        let places = rows.len() + 1;
        Self {
            measure: rows.iter().map(|row| measure[*row]).collect(),
            rows,
            after: (0..places).collect(),
            before: (0..places).collect(),
        }
    }

    /// The first place whose measure is above `value`.
    fn place_above(&self, value: f64) -> usize {
        self.measure.partition_point(|known| *known <= value)
    }

    /// The first place whose measure is not below `value`.
    fn place(&self, value: f64) -> usize {
        self.measure.partition_point(|known| *known < value)
    }

    /// Smaller is better.
    fn rank(&self, at: usize, value: f64, search: Search) -> (bool, f64, usize) {
        let above = search == Search::BelowFirst && self.measure[at] > value;
        (above, (value - self.measure[at]).abs(), self.rows[at])
    }

    fn take(&mut self, value: f64, caliper: f64, search: Search) -> Option<usize> {
        let place = self.place_above(value);
        let above = Some(root(&mut self.after, place)).filter(|at| *at < self.rows.len());
        let below = root(&mut self.before, place).checked_sub(1).map(|last| {
            // Of equally near ones the first row: they lie together, in row order.
            let first = self.place(self.measure[last]);
            root(&mut self.after, first)
        });
        let rank = |at: usize| self.rank(at, value, search);
        let within = |at: &usize| rank(*at).1 <= caliper;
        let best = match (above.filter(within), below.filter(within)) {
            (Some(above), Some(below)) if rank(below) < rank(above) => below,
            (Some(above), _) => above,
            (None, below) => below?,
        };
        self.after[best] = best + 1;
        self.before[best + 1] = best;
        Some(self.rows[best])
    }

    /// The best of all, whether taken or not.
    fn nearest_of_all(&self, value: f64, caliper: f64, options: &MatchOptions) -> Vec<usize> {
        let (place, ratio) = (self.place_above(value), options.ratio);
        let mut found: Vec<usize> = (place..self.rows.len().min(place + ratio)).collect();
        let (mut end, mut wanted) = (place, ratio);
        while end > 0 && wanted > 0 {
            let begin = self.place(self.measure[end - 1]);
            let taken = (end - begin).min(wanted);
            found.extend(begin..begin + taken);
            (end, wanted) = (begin, wanted - taken);
        }
        let rank = |at: usize| self.rank(at, value, options.search);
        found.retain(|at| rank(*at).1 <= caliper);
        found.sort_by(|a, b| rank(*a).partial_cmp(&rank(*b)).unwrap_or(Ordering::Equal));
        found.truncate(ratio);
        found.into_iter().map(|at| self.rows[at]).collect()
    }
}

/// The end of a chain of references, which gets shorter on the way.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    /// The definition, one comparison after another.
    fn by_definition(measure: &[f64], treated: &[bool], options: &MatchOptions) -> Vec<MatchedSet> {
        let caliper = match options.caliper {
            Some(Caliper::Absolute(width)) => width,
            _ => f64::INFINITY,
        };
        let rows = |group: bool| {
            (0..measure.len())
                .filter(|row| treated[*row] == group)
                .collect::<Vec<_>>()
        };
        let mut order = rows(true);
        order.sort_by(|a, b| measure[*b].total_cmp(&measure[*a]));
        let mut sets: Vec<MatchedSet> = rows(true)
            .into_iter()
            .map(|treated| MatchedSet {
                treated,
                untreated: Vec::new(),
            })
            .collect();
        let mut taken = Vec::new();
        for _ in 0..options.ratio {
            for row in &order {
                let set = sets.iter_mut().find(|set| set.treated == *row).unwrap();
                let free = |other: &usize| {
                    (options.replacement || !taken.contains(other))
                        && !set.untreated.contains(other)
                };
                let below_first = options.search == Search::BelowFirst;
                let near = |other: &usize| {
                    let above = below_first && measure[*other] > measure[*row];
                    (above, (measure[*row] - measure[*other]).abs(), *other)
                };
                let best = rows(false)
                    .into_iter()
                    .filter(|other| free(other) && near(other).1 <= caliper)
                    .min_by(|a, b| near(a).partial_cmp(&near(b)).unwrap());
                if let Some(best) = best {
                    taken.push(best);
                    set.untreated.push(best);
                }
            }
        }
        sets.retain(|set| !set.untreated.is_empty());
        sets
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            rows in prop::collection::vec((0_u8..20, any::<bool>()), 2..60),
            ratio in 1_usize..4,
            replacement: bool,
            width in 0_u8..8,
            below_first: bool,
        ) {
            let measure: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 4.0).collect();
            let treated: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let caliper = (width > 0).then(|| Caliper::Absolute(f64::from(width) / 4.0));
            let search = if below_first { Search::BelowFirst } else { Search::Nearest };
            let options = MatchOptions { ratio, replacement, caliper, search };
            match nearest(&measure, &treated, &options) {
                Ok(found) => prop_assert_eq!(found.sets, by_definition(&measure, &treated, &options)),
                Err(error) => prop_assert_eq!(error, Error::EmptyGroup),
            }
        }
    }

    #[test]
    fn weights_of_a_matched_sample() {
        let options = MatchOptions {
            ratio: 2,
            ..MatchOptions::default()
        };
        let found = nearest(
            &[0.5, 0.4, 0.6, 0.9, 0.8],
            &[true, false, false, true, false],
            &options,
        )
        .unwrap();
        // Row 3 chooses first, and has its second choice before row 0 has.
        assert_eq!(
            found.sets[0],
            MatchedSet {
                treated: 0,
                untreated: vec![1]
            }
        );
        assert_eq!(
            found.sets[1],
            MatchedSet {
                treated: 3,
                untreated: vec![4, 2]
            }
        );
        assert_eq!(found.weights(), [1.0, 1.5, 0.75, 1.0, 0.75]);
    }

    #[test]
    fn what_is_refused() {
        let run = |options| nearest(&[0.5, 0.4], &[true, false], &options).unwrap_err();
        assert_eq!(
            run(MatchOptions {
                ratio: 0,
                ..MatchOptions::default()
            }),
            Error::InvalidOption("the ratio")
        );
        let negative = MatchOptions {
            caliper: Some(Caliper::Absolute(-1.0)),
            ..MatchOptions::default()
        };
        assert_eq!(run(negative), Error::InvalidOption("the caliper"));
        let options = MatchOptions::default();
        assert_eq!(
            nearest(&[0.5, f64::NAN], &[true, false], &options),
            Err(Error::NotANumber)
        );
        assert_eq!(
            nearest(&[0.5, 0.1], &[true, true], &options),
            Err(Error::EmptyGroup)
        );
        let narrow = MatchOptions {
            caliper: Some(Caliper::Absolute(0.05)),
            ..options
        };
        assert_eq!(
            nearest(&[0.5, 0.4], &[true, false], &narrow)
                .unwrap()
                .unmatched,
            [0]
        );
    }
}
