//! Nearest-neighbour matching on a distance such as the propensity score, greedy and deterministic.
//!
//! The treated choose in order of falling distance measure, equal ones in row order; each takes the nearest
//! untreated that is left, of equally near ones the one that comes first. With a ratio of k, everybody chooses
//! once before anybody chooses again. A caliper is the largest difference allowed, its unit the standard
//! deviation of the measure over all rows. What differs by less than 1e-9 standard deviations is equal: the last
//! digits of a fitted score depend on the order in which rows were summed, and decide nothing. Order, ratio and
//! caliper are those of R's `MatchIt::matchit(method = "nearest", m.order = "largest")`. MatchIt 4.5.1 takes the
//! nearest at or below the treated's measure though there be a nearer one above it, and pairs may be further apart
//! than the caliper: [`Search::BelowFirst`] gives its pairs, for comparison with published results. Source: Rubin
//! (1973); Austin (2014).

use super::propensity::standard_deviation;
use crate::models::count;
use crate::{Error, Result};

/// What differs by less than this share of the standard deviation is equal.
const EQUAL_SPREAD: f64 = 1e-9;
/// Where the measure hardly varies: what differs by less than this share of its largest value is rounding.
const ROUNDING: f64 = 1e-12;

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
    let spread = standard_deviation(measure);
    let caliper = match options.caliper {
        None => f64::INFINITY,
        Some(Caliper::Absolute(width)) => width,
        Some(Caliper::StandardDeviations(width)) => width * spread,
    };
    if caliper.is_nan() || caliper < 0.0 {
        return Err(Error::InvalidOption("the caliper"));
    }
    let largest = measure.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    // The deviation may have overflowed; it is never more than √2 of the largest.
    let tolerance = (EQUAL_SPREAD * spread.min(2.0 * largest)).max(ROUNDING * largest);
    let measure = settled(measure, tolerance);
    let measure = measure.as_slice();
    let rows_of = |group: bool| (0..measure.len()).filter(move |row| treated[*row] == group);
    let mut order: Vec<usize> = rows_of(true).collect();
    let rule = Rule {
        tolerance,
        // A pair exactly as far apart as the caliper stays one, whatever its last digit.
        furthest: caliper + tolerance,
        search: options.search,
    };
    let mut pool = Pool::new(measure, rows_of(false).collect(), rule);
    // Stable: equal measures stay in row order.
    order.sort_by(|a, b| measure[*b].total_cmp(&measure[*a]));
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); measure.len()];
    if options.replacement {
        for row in &order {
            chosen[*row] = pool.nearest_of_all(measure[*row], options.ratio);
        }
    } else {
        for _ in 0..options.ratio {
            for row in &order {
                if let Some(found) = pool.take(measure[*row]) {
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

/// The measure, with the least value of those that are equal for each of them: sorted, neighbours no further apart than
/// the tolerance. Values that differ then differ by more than it.
fn settled(measure: &[f64], tolerance: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..measure.len()).collect();
    order.sort_unstable_by(|a, b| measure[*a].total_cmp(&measure[*b]));
    let mut settled = measure.to_vec();
    for equal in order.chunk_by(|a, b| measure[*b] - measure[*a] <= tolerance) {
        for row in equal {
            settled[*row] = measure[equal[0]];
        }
    }
    settled
}

/// Which pairs are allowed, and which of two is the better.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Distances that differ by no more are equal.
    tolerance: f64,
    furthest: f64,
    search: Search,
}

/// The untreated by measure and row, with the next one left in both directions (union-find with path halving).
#[derive(Debug)]
struct Pool {
    rule: Rule,
    rows: Vec<usize>,
    measure: Vec<f64>,
    /// `after[i]` leads to the first one left at or after i; `rows.len()` if none is.
    after: Vec<usize>,
    /// `before[i]` leads to one more than the last one left before i; 0 if none is.
    before: Vec<usize>,
}

impl Pool {
    fn new(measure: &[f64], mut rows: Vec<usize>, rule: Rule) -> Self {
        // Stable: equal measures stay in row order.
        rows.sort_by(|a, b| measure[*a].total_cmp(&measure[*b]));
        let places = rows.len() + 1;
        Self {
            rule,
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

    /// The better of the nearest above `value` and the nearest at or below it, each the first row of its measure.
    fn better(&self, value: f64, above: Option<usize>, below: Option<usize>) -> Option<usize> {
        let distance = |at: usize| (value - self.measure[at]).abs();
        let within = |at: &usize| distance(*at) <= self.rule.furthest;
        let (above, below) = match (above.filter(within), below.filter(within)) {
            (Some(above), Some(below)) => (above, below),
            (above, below) => return above.or(below),
        };
        let further = distance(above) - distance(below);
        let is_below = match self.rule.search {
            Search::BelowFirst => true,
            Search::Nearest if further.abs() <= self.rule.tolerance => {
                self.rows[below] < self.rows[above]
            }
            Search::Nearest => further > 0.0,
        };
        Some(if is_below { below } else { above })
    }

    fn take(&mut self, value: f64) -> Option<usize> {
        let place = self.place_above(value);
        let above = Some(root(&mut self.after, place)).filter(|at| *at < self.rows.len());
        let below = root(&mut self.before, place).checked_sub(1).map(|last| {
            // Of equally near ones the first row: they lie together, in row order.
            let first = self.place(self.measure[last]);
            root(&mut self.after, first)
        });
        let best = self.better(value, above, below)?;
        self.after[best] = best + 1;
        self.before[best + 1] = best;
        Some(self.rows[best])
    }

    /// The best of all, whether taken or not, the best first.
    fn nearest_of_all(&self, value: f64, ratio: usize) -> Vec<usize> {
        let mut above = self.place_above(value);
        // Those of the nearest measure below that are left, and where they begin.
        let (mut below, mut begin, mut end) = (above, above, above);
        let mut found = Vec::new();
        while found.len() < ratio {
            if below == end && begin > 0 {
                (below, end) = (self.place(self.measure[begin - 1]), begin);
                begin = below;
            }
            let next_above = Some(above).filter(|at| *at < self.rows.len());
            let next_below = Some(below).filter(|at| *at < end);
            let Some(best) = self.better(value, next_above, next_below) else {
                break;
            };
            found.push(self.rows[best]);
            if next_below == Some(best) {
                below += 1;
            } else {
                above += 1;
            }
        }
        found
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
    use crate::causal::propensity::propensity_scores;
    use crate::models::{Frame, Options};

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

    /// Pseudo-random numbers in [0, 1).
    fn random(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            count((state >> 33) as usize) / count(1 << 31)
        }
    }

    /// An age, a sex and a weight: many share a score, and many lie between two others of equal distance.
    fn persons() -> (Vec<[f64; 3]>, Vec<bool>) {
        let mut random = random(7);
        let rows = (0..2000).map(|_| {
            let (age, sex) = ((random() * 60.0).floor(), f64::from(random() < 0.5));
            let treated = random() < 0.1 + 0.004 * age + 0.1 * sex;
            let weight = 60.1 + (random() * 3.0).floor() / 10.0;
            ([20.0 + age, sex, weight], treated)
        });
        rows.unzip()
    }

    fn variants() -> Vec<MatchOptions> {
        let mut all = Vec::new();
        for ratio in [1, 3] {
            for replacement in [false, true] {
                for caliper in [
                    None,
                    Some(Caliper::StandardDeviations(0.2)),
                    // As far apart as two years.
                    Some(Caliper::Absolute(2.0 * 0.017)),
                ] {
                    for search in [Search::Nearest, Search::BelowFirst] {
                        all.push(MatchOptions {
                            ratio,
                            replacement,
                            caliper,
                            search,
                        });
                    }
                }
            }
        }
        all
    }

    #[test]
    fn last_digits_decide_nothing() {
        let (persons, treated) = persons();
        let logit = |x: &[f64; 3]| -2.1 + 0.017 * x[0] + 0.43 * x[1];
        for scale in [1.0, 1e-6] {
            // Of the second, all lie within 1e-6 of each other.
            let scores: Vec<f64> = persons
                .iter()
                .map(|x| 1.0 / (1.0 + (-scale * logit(x)).exp()))
                .collect();
            let logits: Vec<f64> = persons.iter().map(logit).collect();
            for measure in [logits, scores] {
                for options in variants() {
                    let first = nearest(&measure, &treated, &options).unwrap();
                    for seed in 0..4 {
                        let mut random = random(seed);
                        let noisy: Vec<f64> = measure
                            .iter()
                            .map(|x| x * (1.0 + 1e-14 * (2.0 * random() - 1.0)))
                            .collect();
                        let found = nearest(&noisy, &treated, &options).unwrap();
                        assert!(found.sets == first.sets, "{options:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn fitted_scores_match_alike_in_any_order_of_rows() {
        let (persons, treated) = persons();
        let logits = |order: &[usize]| -> Vec<f64> {
            let columns: Vec<Vec<f64>> = (0..3)
                .map(|term| order.iter().map(|row| persons[*row][term]).collect())
                .collect();
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let outcome: Vec<f64> = order.iter().map(|row| f64::from(treated[*row])).collect();
            let frame = Frame::new(&outcome, &columns);
            let fitted = propensity_scores(&frame, &Options::default()).unwrap();
            let mut logits = vec![0.0; order.len()];
            for (row, score) in order.iter().zip(fitted.scores) {
                logits[*row] = (score / (1.0 - score)).ln();
            }
            logits
        };
        let mut order: Vec<usize> = (0..persons.len()).collect();
        let measure = logits(&order);
        let mut random = random(3);
        let mut differed = false;
        for _ in 0..4 {
            let keys: Vec<f64> = order.iter().map(|_| random()).collect();
            order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
            let others = logits(&order);
            differed |= others != measure;
            for options in variants() {
                let first = nearest(&measure, &treated, &options).unwrap();
                let found = nearest(&others, &treated, &options).unwrap();
                assert!(found.sets == first.sets, "{options:?}");
            }
        }
        assert!(differed, "the scores of all orders have the same bits");
    }

    /// What is no tie stays none.
    #[test]
    fn small_differences_count() {
        let step = 1e-7;
        let measure = [0.0, 1.0 + step, 1.0 - 0.9 * step, 1.0, 2.0];
        let treated = [false, false, false, true, true];
        let found = nearest(&measure, &treated, &MatchOptions::default()).unwrap();
        assert_eq!(found.sets[1].untreated, [1]);
        assert_eq!(found.sets[0].untreated, [2]);
        let huge = measure.map(|x| x * 1e300);
        let again = nearest(&huge, &treated, &MatchOptions::default()).unwrap();
        assert_eq!(again.sets, found.sets);
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
