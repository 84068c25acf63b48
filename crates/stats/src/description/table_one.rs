//! Table one: what the groups of a study look like, variable by variable.
//!
//! Numbers: mean, standard deviation (n − 1), median and quartiles (R's type 7), least and greatest. Labels: how many
//! and which share of those known have each. Between groups, the absolute standardised mean difference: for numbers
//! |x̄₁ − x̄₀| / √((s₁² + s₀²)/2); for labels √((p₁ − p₀)' S⁻¹ (p₁ − p₀)) over all levels but one, with S the mean of the two
//! multinomial covariance matrices, Yang and Dalton, SAS Global Forum 335 (2012), which for two levels is
//! |p₁ − p₀| / √((p₁q₁ + p₀q₀)/2). For more than two groups, the mean over all pairs; as R's tableone.
//!
//! All sums run over the sorted values, so that the table does not depend on how the rows were divided.

use std::collections::{BTreeMap, BTreeSet};

use super::quantile::{QuantileType, Values};
use crate::models::Moment;
use crate::numeric::Symmetric;
use crate::tables::number;
use crate::{Result, Summary};

/// What is kept of one variable in one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variable {
    /// Its numbers, if it is one of numbers.
    pub numbers: Values,
    /// How often each label was seen, if it is one of labels.
    pub levels: BTreeMap<String, u64>,
    /// Rows in which it is not known.
    pub missing: u64,
}

/// Where the numbers of a variable lie. NaN where there are too few to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub n: u64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub sd: f64,
    /// Least value, first quartile, median, third quartile, greatest value.
    pub quartiles: [f64; 5],
}

impl Variable {
    /// Takes in a number.
    ///
    /// # Errors
    /// NaN: make it NULL.
    #[inline]
    pub fn add_number(&mut self, value: f64) -> Result<()> {
        self.numbers.add(value)
    }

    /// Takes in a label.
    #[inline]
    pub fn add_label(&mut self, label: &str) {
        match self.levels.get_mut(label) {
            Some(count) => *count += 1,
            None => {
                self.levels.insert(label.to_owned(), 1);
            }
        }
    }

    /// Rows in which it is known.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.numbers.values().len() as u64 + self.levels.values().sum::<u64>()
    }

    /// Where its numbers lie.
    ///
    /// # Errors
    /// None for what this type holds.
    pub fn spread(&self) -> Result<Spread> {
        let mut values = self.numbers.clone();
        values.sort();
        let moment = Moment::of(values.values(), None);
        let n = values.values().len() as u64;
        let quartiles = values.quantiles(&[0.0, 0.25, 0.5, 0.75, 1.0], QuantileType::default())?;
        Ok(Spread {
            n,
            mean: if n == 0 { f64::NAN } else { moment.mean },
            sd: if n < 2 {
                f64::NAN
            } else {
                (moment.squares / number(n - 1)).sqrt()
            },
            quartiles: std::array::from_fn(|place| quartiles[place]),
        })
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let labels: usize = self.levels.keys().map(|label| label.len() + 64).sum();
        size_of_val(self.numbers.values()) + labels
    }
}

impl Summary for Variable {
    fn merge(&mut self, other: Self) {
        self.numbers.merge(other.numbers);
        for (label, count) in other.levels {
            *self.levels.entry(label).or_insert(0) += count;
        }
        self.missing += other.missing;
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.levels.is_empty() && self.missing == 0
    }
}

/// The mean absolute standardised difference over all pairs of groups, for a variable of numbers; NaN for one group.
#[must_use]
pub fn smd_of_numbers(groups: &[Spread]) -> f64 {
    over_pairs(groups, |a, b| {
        let sd = f64::midpoint(a.sd * a.sd, b.sd * b.sd).sqrt();
        if a.mean == b.mean && sd == 0.0 {
            0.0
        } else {
            (a.mean - b.mean).abs() / sd
        }
    })
}

/// The same for a variable of labels. Infinite where two groups share no label.
#[must_use]
pub fn smd_of_labels(groups: &[&Variable]) -> f64 {
    over_pairs(groups, |a, b| labels_apart(a, b))
}

fn over_pairs<T>(groups: &[T], distance: impl Fn(&T, &T) -> f64) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0);
    for (place, one) in groups.iter().enumerate() {
        for other in &groups[place + 1..] {
            sum += distance(one, other);
            pairs += 1;
        }
    }
    sum / number(pairs)
}

fn labels_apart(a: &Variable, b: &Variable) -> f64 {
    let (of_a, of_b) = (number(a.known()), number(b.known()));
    if of_a == 0.0 || of_b == 0.0 {
        return f64::NAN;
    }
    let levels: BTreeSet<&String> = a.levels.keys().chain(b.levels.keys()).collect();
    if !a.levels.keys().any(|level| b.levels.contains_key(level)) {
        return f64::INFINITY;
    }
    let share = |of: &Variable, level: &String, all: f64| {
        number(of.levels.get(level).copied().unwrap_or(0)) / all
    };
    let shares: Vec<(f64, f64)> = levels
        .into_iter()
        .skip(1)
        .map(|level| (share(a, level, of_a), share(b, level, of_b)))
        .collect();
    let mut covariance = Symmetric::zero(shares.len());
    for (row, (a1, b1)) in shares.iter().enumerate() {
        for (column, (a2, b2)) in shares.iter().enumerate() {
            let same = if row == column { 1.0 } else { 0.0 };
            *covariance.get_mut(row, column) = f64::midpoint(a1 * (same - a2), b1 * (same - b2));
        }
    }
    let apart: Vec<f64> = shares.iter().map(|(a, b)| a - b).collect();
    let (squared, _) = covariance.inverse_quadratic(&apart, 1e-14);
    squared.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn numbers(values: &[f64]) -> Variable {
        let mut variable = Variable::default();
        for value in values {
            variable.add_number(*value).unwrap();
        }
        variable
    }

    fn labels(counts: &[(&str, u64)]) -> Variable {
        Variable {
            levels: counts
                .iter()
                .map(|(label, count)| ((*label).to_owned(), *count))
                .collect(),
            ..Variable::default()
        }
    }

    /// R 4.2.2: the weights of `chickwts` for the feeds horsebean and linseed; `mean`, `sd`, `quantile`, and
    /// `abs(diff(means)) / sqrt(mean(variances))`.
    #[test]
    fn two_feeds() {
        let horsebean = numbers(&[
            179.0, 160.0, 136.0, 227.0, 217.0, 168.0, 108.0, 124.0, 143.0, 140.0,
        ]);
        let linseed = numbers(&[
            309.0, 229.0, 181.0, 141.0, 260.0, 203.0, 148.0, 169.0, 213.0, 257.0, 244.0, 271.0,
        ]);
        let (one, other) = (horsebean.spread().unwrap(), linseed.spread().unwrap());
        assert!((one.mean - 160.2).abs() < 1e-12);
        assert!((one.sd - 38.625_840_515_845_81).abs() < 1e-12);
        assert_eq!(one.quartiles, [108.0, 137.0, 151.5, 176.25, 227.0]);
        assert!((other.sd - 52.235_698_347_185_73).abs() < 1e-12);
        assert!((smd_of_numbers(&[one, other]) - 1.274_555_418_547_165).abs() < 1e-9);
    }

    /// R 4.2.2: `p <- c(.2, .3, .5); q <- c(.4, .4, .2); S <- (diag(p[-1]) - p[-1] %o% p[-1] + diag(q[-1]) - q[-1] %o% q[-1]) / 2;
    /// sqrt(t(p[-1] - q[-1]) %*% solve(S) %*% (p[-1] - q[-1]))`.
    #[test]
    fn three_levels_and_two() {
        let p = labels(&[("a", 20), ("b", 30), ("c", 50)]);
        let q = labels(&[("a", 40), ("b", 40), ("c", 20)]);
        let found = smd_of_labels(&[&p, &q]);
        assert!((found - 0.684_167_454_928_235_2).abs() < 1e-9, "{found}");
        let (x, y) = (labels(&[("f", 3), ("m", 7)]), labels(&[("f", 5), ("m", 5)]));
        let two = smd_of_labels(&[&x, &y]);
        assert!((two - 0.2 / f64::midpoint(0.21, 0.25).sqrt()).abs() < 1e-12);
        let all = smd_of_labels(&[&x, &y, &x]);
        assert!((all - two * 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_told() {
        let one = numbers(&[3.0]).spread().unwrap();
        assert!(one.sd.is_nan() && one.mean == 3.0);
        let none = Variable::default().spread().unwrap();
        assert!(none.mean.is_nan() && none.quartiles[2].is_nan());
        assert!(smd_of_numbers(&[one]).is_nan());
        let flat = numbers(&[2.0, 2.0]).spread().unwrap();
        assert_eq!(smd_of_numbers(&[flat, flat]), 0.0);
        let (a, b) = (labels(&[("a", 3)]), labels(&[("b", 3)]));
        assert_eq!(smd_of_labels(&[&a, &a]), 0.0);
        assert!(smd_of_labels(&[&a, &b]).is_infinite());
        assert!(smd_of_labels(&[&a, &Variable::default()]).is_nan());
    }

    #[test]
    fn parts_make_the_whole() {
        let values: Vec<f64> = (0..97).map(|i| f64::from(i * 31 % 97) / 7.0).collect();
        let whole = numbers(&values).spread().unwrap();
        for cut in [0, 1, 40, 97] {
            let mut left = numbers(&values[cut..]);
            left.merge(numbers(&values[..cut]));
            assert_eq!(left.spread().unwrap(), whole);
        }
        let mut left = labels(&[("a", 1), ("b", 2)]);
        left.merge(labels(&[("b", 1), ("c", 4)]));
        assert_eq!(left, labels(&[("a", 1), ("b", 3), ("c", 4)]));
    }
}
