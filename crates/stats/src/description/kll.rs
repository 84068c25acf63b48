//! Quantiles of data that are too many to keep: the KLL sketch, mergeable and of bounded size.
//!
//! Values wait in levels; one of level h stands for 2ʰ values. A full level is sorted, every second value moves up and
//! the others are dropped. Karnin, Lang and Liberty, Optimal Quantile Approximation in Streams (FOCS 2016); levels
//! shrink by 2/3 towards the bottom as they propose.
//!
//! The answer for p is a value whose rank differs from p·n by at most about 0.3 % of n (99 % of the time, with the
//! capacity of [`CAPACITY`]). Up to that many values nothing is dropped, and the answer is that of [`super::quantile`]
//! with type 7. Which of two neighbours survives is decided by a hash of the values at hand instead of a coin, so that
//! the same parts merged in either order give the same sketch. Other parts of the same data give another sketch within
//! the same bound: where results must not depend on how the rows were divided, take exact quantiles.

use crate::tables::number;
use crate::{Error, Result, Summary};

/// How many values the top level holds; the whole sketch holds about three times as many.
pub const CAPACITY: usize = 1000;
/// The least that a level holds.
const FLOOR: usize = 8;

/// A sketch of the values of a variable.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileSketch {
    /// Values by level, in any order.
    levels: Vec<Vec<f64>>,
    count: u64,
    kept: usize,
    min: f64,
    max: f64,
}

impl Default for QuantileSketch {
    fn default() -> Self {
        Self {
            levels: vec![Vec::new()],
            count: 0,
            kept: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

/// What a level holds that is `below` levels under the top.
fn capacity(below: usize) -> usize {
    let mut size = CAPACITY;
    for _ in 0..below {
        if size <= FLOOR {
            return FLOOR;
        }
        size = (2 * size).div_ceil(3);
    }
    size.max(FLOOR)
}

/// Bits from a set of values, the same for every order of them.
fn bits(values: &[f64]) -> u64 {
    values.iter().fold(0, |sum: u64, value| {
        let mut mixed = value.to_bits().wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum.wrapping_add(mixed ^ (mixed >> 31))
    })
}

impl QuantileSketch {
    /// Takes in a value.
    ///
    /// # Errors
    /// NaN, which has no rank.
    #[inline]
    pub fn add(&mut self, value: f64) -> Result<()> {
        if value.is_nan() {
            return Err(Error::NotANumber);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.kept += 1;
        self.levels[0].push(value);
        if self.kept > CAPACITY {
            self.compress();
        }
        Ok(())
    }

    /// Values seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether every value seen is still there, so that quantiles are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.levels.len() == 1
    }

    /// Moves values up until the sketch is within its size.
    fn compress(&mut self) {
        loop {
            let top = self.levels.len() - 1;
            let room: usize = (0..=top).map(|level| capacity(top - level)).sum();
            if self.kept <= room {
                return;
            }
            // Some level is beyond its capacity, for all of them together are.
            let Some(full) =
                (0..=top).find(|level| self.levels[*level].len() > capacity(top - level))
            else {
                return;
            };
            self.halve(full);
        }
    }

    /// Moves every second value of a level up and drops the others.
    fn halve(&mut self, level: usize) {
        let mut values = std::mem::take(&mut self.levels[level]);
        values.sort_unstable_by(f64::total_cmp);
        let coins = bits(&values);
        if values.len() % 2 == 1 {
            // One value is left out of the pairs and stays: the smallest or the largest.
            let stays = if coins & 2 == 0 { values.len() - 1 } else { 0 };
            self.levels[level].push(values.remove(stays));
        }
        self.kept -= values.len() / 2;
        let survivors = values
            .into_iter()
            .skip(usize::from(coins & 1 == 1))
            .step_by(2);
        if level + 1 == self.levels.len() {
            self.levels.push(Vec::new());
        }
        self.levels[level + 1].extend(survivors);
    }

    /// The quantiles at these probabilities, interpolated as R's type 7; NaN where no value has been seen.
    ///
    /// # Errors
    /// A probability outside [0, 1].
    pub fn quantiles(&self, probabilities: &[f64]) -> Result<Vec<f64>> {
        let mut weighted: Vec<(f64, u64)> = Vec::with_capacity(self.kept);
        for (level, values) in self.levels.iter().enumerate() {
            weighted.extend(values.iter().map(|value| (*value, 1 << level)));
        }
        weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // How many values each one and those before it stand for.
        let mut reached = 0;
        for (_, weight) in &mut weighted {
            reached += *weight;
            *weight = reached;
        }
        probabilities
            .iter()
            .map(|p| self.quantile(&weighted, *p))
            .collect()
    }

    fn quantile(&self, reached: &[(f64, u64)], p: f64) -> Result<f64> {
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::InvalidProbability);
        }
        if reached.is_empty() {
            return Ok(f64::NAN);
        }
        if p == 0.0 {
            return Ok(self.min);
        }
        if p == 1.0 {
            return Ok(self.max);
        }
        let position = number(self.count - 1) * p;
        let of_rank = |rank: f64| {
            let at = reached.partition_point(|(_, up_to)| number(*up_to) <= rank);
            reached[at.min(reached.len() - 1)].0
        };
        let (below, share) = (position.floor(), position.fract());
        let (low, high) = (of_rank(below), of_rank(below + 1.0));
        Ok(if share == 0.0 || low == high {
            low
        } else {
            (1.0 - share) * low + share * high
        })
    }

    /// The sketch as flat lists: how many values each level has, and the smallest, the largest and all kept values.
    #[must_use]
    pub fn to_parts(&self) -> (Vec<u64>, Vec<f64>) {
        let mut ints = vec![self.count];
        ints.extend(self.levels.iter().map(|level| level.len() as u64));
        let mut floats = vec![self.min, self.max];
        floats.extend(self.levels.iter().flatten());
        (ints, floats)
    }

    /// Merges a sketch that was written as flat lists.
    ///
    /// # Errors
    /// [`Error::CorruptState`].
    pub fn merge_parts(&mut self, ints: &[u64], floats: &[f64]) -> Result<()> {
        let (&count, lengths) = ints.split_first().ok_or(Error::CorruptState)?;
        let (&[min, max], mut values) = floats.split_first_chunk().ok_or(Error::CorruptState)?;
        let mut levels = Vec::with_capacity(lengths.len());
        let mut stands_for = 0_u64;
        for (level, length) in lengths.iter().enumerate() {
            let length_here = usize::try_from(*length).map_err(|_| Error::CorruptState)?;
            let (these, rest) = values
                .split_at_checked(length_here)
                .ok_or(Error::CorruptState)?;
            let weight = u32::try_from(level)
                .ok()
                .and_then(|level| 1_u64.checked_shl(level))
                .ok_or(Error::CorruptState)?;
            stands_for = length
                .checked_mul(weight)
                .and_then(|here| stands_for.checked_add(here))
                .ok_or(Error::CorruptState)?;
            levels.push(these.to_vec());
            values = rest;
        }
        if !values.is_empty() || levels.is_empty() || stands_for != count {
            return Err(Error::CorruptState);
        }
        let kept = levels.iter().map(Vec::len).sum();
        self.merge(Self {
            levels,
            count,
            kept,
            min,
            max,
        });
        Ok(())
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let values: usize = self.levels.iter().map(Vec::capacity).sum();
        values * size_of::<f64>() + self.levels.capacity() * size_of::<Vec<f64>>()
    }
}

impl Summary for QuantileSketch {
    fn merge(&mut self, other: Self) {
        if self.levels.len() < other.levels.len() {
            self.levels.resize_with(other.levels.len(), Vec::new);
        }
        for (mine, theirs) in self.levels.iter_mut().zip(other.levels) {
            mine.extend(theirs);
        }
        self.count += other.count;
        self.kept += other.kept;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.compress();
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::description::quantile::{QuantileType, Values};

    fn sketch(values: impl IntoIterator<Item = f64>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        for value in values {
            sketch.add(value).unwrap();
        }
        sketch
    }

    /// 0 … n − 1 in an order that jumps about.
    fn scattered(n: u32) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| {
            let place = u64::from(i) * 7_368_787 % u64::from(n);
            f64::from(u32::try_from(place).unwrap_or_default())
        })
    }

    /// The largest distance of an answer's rank from the one asked for, as a share of n, when value = rank.
    fn error(sketch: &QuantileSketch, n: u32) -> f64 {
        let probabilities: Vec<f64> = (1..1000).map(|i| f64::from(i) / 1000.0).collect();
        let found = sketch.quantiles(&probabilities).unwrap();
        probabilities
            .iter()
            .zip(found)
            .map(|(p, x)| (x / f64::from(n - 1) - p).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn few_values_are_exact() {
        let values: Vec<f64> = scattered(997).collect();
        let probabilities = [0.0, 0.01, 0.25, 0.333, 0.5, 0.9, 1.0];
        let exact = values
            .iter()
            .copied()
            .collect::<Values>()
            .quantiles(&probabilities, QuantileType::default())
            .unwrap();
        let sketch = sketch(values);
        assert!(sketch.is_exact());
        assert_eq!(sketch.quantiles(&probabilities).unwrap(), exact);
    }

    #[test]
    fn ranks_are_within_the_bound_in_any_order() {
        let n = 1_000_003;
        for (name, sketch) in [
            ("scattered", sketch(scattered(n))),
            ("ascending", sketch((0..n).map(f64::from))),
            ("descending", sketch((0..n).rev().map(f64::from))),
        ] {
            let error = error(&sketch, n);
            assert!(error < 0.003, "{name}: {error}");
            assert!(sketch.kept < 4 * CAPACITY, "{name}: {}", sketch.kept);
            assert_eq!(sketch.quantiles(&[0.0]).unwrap(), [0.0]);
            assert_eq!(sketch.quantiles(&[1.0]).unwrap(), [f64::from(n - 1)]);
        }
    }

    #[test]
    fn parts_merge_within_the_bound_and_in_either_order() {
        let n = 500_009;
        let all: Vec<f64> = scattered(n).collect();
        let parts: Vec<QuantileSketch> = all
            .chunks(1777)
            .map(|part| sketch(part.iter().copied()))
            .collect();
        let mut left = QuantileSketch::default();
        for part in &parts {
            left.merge(part.clone());
        }
        assert_eq!(left.count(), u64::from(n));
        assert!(error(&left, n) < 0.003);
        let (mut one, mut other) = (parts[3].clone(), left.clone());
        one.merge(left.clone());
        other.merge(parts[3].clone());
        assert_eq!(
            one.quantiles(&[0.1, 0.5, 0.9]).unwrap(),
            other.quantiles(&[0.1, 0.5, 0.9]).unwrap()
        );
    }

    #[test]
    fn parts_travel_as_lists() {
        let whole = sketch(scattered(50_021));
        let (ints, floats) = whole.to_parts();
        let mut read = QuantileSketch::default();
        read.merge_parts(&ints, &floats).unwrap();
        assert_eq!(read.quantiles(&[0.3]), whole.quantiles(&[0.3]));
        for broken in [&ints[..0], &ints[..ints.len() - 1]] {
            let mut read = QuantileSketch::default();
            assert_eq!(read.merge_parts(broken, &floats), Err(Error::CorruptState));
        }
    }

    #[test]
    fn nothing_one_and_ties() {
        assert!(QuantileSketch::default().quantiles(&[0.5]).unwrap()[0].is_nan());
        assert_eq!(sketch([7.0]).quantiles(&[0.5]).unwrap(), [7.0]);
        let tied = sketch((0..20_000).map(|_| 3.0));
        assert_eq!(tied.quantiles(&[0.01, 0.5, 0.99]).unwrap(), [3.0; 3]);
        assert_eq!(
            QuantileSketch::default().add(f64::NAN),
            Err(Error::NotANumber)
        );
        assert_eq!(
            sketch([1.0]).quantiles(&[-0.1]),
            Err(Error::InvalidProbability)
        );
    }
}
