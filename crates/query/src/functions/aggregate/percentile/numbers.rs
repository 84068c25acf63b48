//! The numbers of one group, kept so that exact quantiles can be told.
//!
//! What is measured comes in few different values: a thousand blood pressures are some hundred numbers. So values are
//! counted once there are many, and kept one by one where they prove to be all different.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Up to so many values are not worth counting.
const FEW: usize = 512;
/// Of so many different values, each must have come this often on average for counting to go on: a table of counts that does not
/// fit the processor's cache takes longer than keeping and selecting.
const LEAST_DIFFERENT: usize = 4096;
const LEAST_OFTEN: u64 = 4;
/// What an entry of a hash table takes, with its byte of control and the room that is free.
const ENTRY_BYTES: usize = 20;

type Counts = HashMap<u64, u64, BuildHasherDefault<Fold>>;

/// The numbers of one group.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    /// One by one.
    Loose(Vec<f64>),
    /// How often each came.
    Counted(Box<Counted>),
    /// One by one, for being different.
    Scattered(Vec<f64>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    counts: Counts,
    total: u64,
    /// Values also leave: they are counted however different they are.
    sliding: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Loose(Vec::new())
    }
}

impl Numbers {
    /// Adds a number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        match self {
            Self::Loose(values) => {
                values.push(value);
                if values.len() >= FEW {
                    self.count();
                }
            }
            Self::Counted(counted) => {
                if counted.add(value, 1) {
                    self.scatter();
                }
            }
            Self::Scattered(values) => values.push(value),
        }
    }

    /// Adds numbers that came so often; once each without counts.
    pub(super) fn merge(&mut self, values: &[f64], counts: &[u64]) {
        if counts.is_empty() {
            match self {
                Self::Scattered(all) => all.extend_from_slice(values),
                Self::Loose(all) if all.is_empty() && values.len() >= LEAST_DIFFERENT => {
                    // Whoever sends so many one by one has found them to be different.
                    *self = Self::Scattered(values.to_vec());
                }
                _ => values.iter().for_each(|value| self.add(*value)),
            }
            return;
        }
        if let Self::Loose(_) = self {
            self.count();
        }
        for (value, count) in values.iter().zip(counts) {
            match self {
                Self::Counted(counted) => {
                    if counted.add(*value, *count) {
                        self.scatter();
                    }
                }
                Self::Loose(all) | Self::Scattered(all) => {
                    all.extend((0..*count).map(|_| *value));
                }
            }
        }
    }

    /// Takes out a number that was added.
    pub(super) fn remove(&mut self, value: f64) {
        match self {
            Self::Counted(counted) if counted.sliding => {}
            _ => self.count(),
        }
        if let Self::Counted(counted) = self {
            counted.sliding = true;
            counted.remove(value);
        }
    }

    fn count(&mut self) {
        if let Self::Loose(values) | Self::Scattered(values) = self {
            let mut counted = Counted::default();
            for value in values {
                counted.add(*value, 1);
            }
            *self = Self::Counted(Box::new(counted));
        }
    }

    fn scatter(&mut self) {
        if let Self::Counted(counted) = self {
            let mut all = Vec::with_capacity(usize::try_from(counted.total).unwrap_or(0));
            for (bits, count) in &counted.counts {
                all.extend((0..*count).map(|_| f64::from_bits(*bits)));
            }
            *self = Self::Scattered(all);
        }
    }

    /// What it takes beside its own size.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Loose(values) | Self::Scattered(values) => values.capacity() * size_of::<f64>(),
            Self::Counted(counted) => {
                size_of::<Counted>() + counted.counts.capacity() * ENTRY_BYTES
            }
        }
    }

    /// Writes the numbers and how often each came; no counts for numbers one by one.
    pub(super) fn write(&self, values: &mut Vec<f64>, counts: &mut Vec<u64>) {
        match self {
            Self::Loose(all) | Self::Scattered(all) => values.extend_from_slice(all),
            Self::Counted(counted) => {
                values.extend(counted.counts.keys().map(|bits| f64::from_bits(*bits)));
                counts.extend(counted.counts.values());
            }
        }
    }

    /// The quantiles at these probabilities, between two values by straight line; none of nothing. `distinct`: of the
    /// different values, each once.
    pub(super) fn quantiles(&mut self, probabilities: &[f64], distinct: bool) -> Option<Vec<f64>> {
        if distinct {
            self.count();
        }
        match self {
            Self::Loose(values) | Self::Scattered(values) => of_values(values, probabilities),
            Self::Counted(counted) => {
                let entries = counted.counts.iter();
                let each = |(bits, count): (&u64, &u64)| {
                    (f64::from_bits(*bits), if distinct { 1 } else { *count })
                };
                of_counts(entries.map(each).collect(), probabilities)
            }
        }
    }
}

impl Counted {
    /// Whether the values have proved to be different.
    #[inline]
    fn add(&mut self, value: f64, count: u64) -> bool {
        // Minus zero is zero, and what is no number is one value.
        let value = if value.is_nan() {
            f64::NAN
        } else {
            value + 0.0
        };
        self.total += count;
        let entry = self.counts.entry(value.to_bits()).or_insert(0);
        *entry += count;
        *entry == count && self.scattered()
    }

    fn scattered(&self) -> bool {
        let different = self.counts.len();
        different >= LEAST_DIFFERENT && !self.sliding && different as u64 * LEAST_OFTEN > self.total
    }

    fn remove(&mut self, value: f64) {
        let value = if value.is_nan() {
            f64::NAN
        } else {
            value + 0.0
        };
        if let Some(count) = self.counts.get_mut(&value.to_bits()) {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.counts.remove(&value.to_bits());
            }
        }
    }
}

/// Where a quantile lies among so many sorted values: the one before, and how far to the next.
fn rank(count: u64, probability: f64) -> (u64, f64) {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is not negative and below 2^53"
    )]
    {
        let position = (count - 1) as f64 * probability;
        (position.floor() as u64, position.fract())
    }
}

fn between(lower: f64, upper: f64, fraction: f64) -> f64 {
    // Also between two infinities, where a difference would be no number.
    if fraction == 0.0 || lower == upper {
        lower
    } else {
        lower + (upper - lower) * fraction
    }
}

fn of_values(values: &mut [f64], probabilities: &[f64]) -> Option<Vec<f64>> {
    let count = values.len() as u64;
    if count == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut quantiles = vec![0.0; probabilities.len()];
    // What lies before `from` is smaller than all that is left.
    let mut from = 0;
    for at in order {
        let (rank, fraction) = rank(count, probabilities[at]);
        let rank = usize::try_from(rank).ok()?;
        let rest = &mut values[from..];
        let (_, lower, above) = rest.select_nth_unstable_by(rank - from, compare);
        let upper = if fraction == 0.0 {
            *lower
        } else {
            above.iter().copied().min_by(compare).unwrap_or(*lower)
        };
        quantiles[at] = between(*lower, upper, fraction);
        from = rank;
    }
    Some(quantiles)
}

fn of_counts(mut entries: Vec<(f64, u64)>, probabilities: &[f64]) -> Option<Vec<f64>> {
    entries.sort_unstable_by(|a, b| compare(&a.0, &b.0));
    let mut reached = 0;
    // How many values there are up to and with each entry.
    for entry in &mut entries {
        reached += entry.1;
        entry.1 = reached;
    }
    let at = |rank: u64| {
        let entry = entries.partition_point(|(_, reached)| *reached <= rank);
        entries.get(entry).map(|(value, _)| *value)
    };
    let quantile = |probability: &f64| {
        let (rank, fraction) = rank(reached, *probability);
        let lower = at(rank)?;
        let upper = at(rank + 1).unwrap_or(lower);
        Some(between(lower, upper, fraction))
    };
    if reached == 0 {
        return None;
    }
    probabilities.iter().map(quantile).collect()
}

/// What is no number is greater than every number.
fn compare(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => a.cmp(&b),
    }
}

/// A hasher for the bits of numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, bits: u64) {
        // An odd number without a pattern: the golden ratio in 64 bits.
        let product = u128::from(self.0 ^ bits) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        {
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    const PROBABILITIES: [f64; 6] = [0.5, 0.0, 0.25, 1.0, 0.9, 0.123];

    /// The definition: sort, and go from one value to the next by straight line.
    fn sorted(values: &[f64], distinct: bool) -> Option<Vec<f64>> {
        let mut values: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
        values.sort_by(compare);
        if distinct {
            values.dedup();
        }
        let last = values.len().checked_sub(1)?;
        let quantile = |p: &f64| {
            let (rank, fraction) = rank(values.len() as u64, *p);
            let rank = usize::try_from(rank).unwrap();
            between(values[rank], values[(rank + 1).min(last)], fraction)
        };
        Some(PROBABILITIES.iter().map(quantile).collect())
    }

    /// Few values or many, repeated or different, in one part or several that are merged: always the definition.
    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let shapes = (0usize..20_000, 1u64..40_000, 1usize..5, any::<bool>());
        proptest!(ProptestConfig::with_cases(40), |((rows, different, parts, distinct) in shapes)| {
            let value = |row: usize| ((row as u64 * 7919 + 13) % different) as f64 / 4.0 - 20.0;
            let values: Vec<f64> = (0..rows).map(value).collect();
            let mut all = Numbers::default();
            for part in values.chunks(rows.div_ceil(parts).max(1)) {
                let mut numbers = Numbers::default();
                part.iter().for_each(|v| numbers.add(*v));
                let (mut values, mut counts) = (vec![], vec![]);
                numbers.write(&mut values, &mut counts);
                all.merge(&values, &counts);
            }
            let expected = sorted(&values, distinct);
            prop_assert_eq!(all.quantiles(&PROBABILITIES, distinct), expected);
        });
    }

    #[test]
    fn values_that_leave_are_gone() {
        let values: Vec<f64> = (0..10_000).map(|v| f64::from(v % 6000)).collect();
        let mut window = Numbers::default();
        for (at, value) in values.iter().enumerate() {
            window.add(*value);
            if at >= 3000 {
                window.remove(values[at - 3000]);
            }
        }
        let expected = sorted(&values[7000..], false);
        assert_eq!(window.quantiles(&PROBABILITIES, false), expected);
        for value in &values[7000..] {
            window.remove(*value);
        }
        assert_eq!(window.quantiles(&PROBABILITIES, false), None);
    }

    #[test]
    fn what_is_different_is_kept_one_by_one_and_what_repeats_is_counted() {
        let mut different = Numbers::default();
        let mut repeated = Numbers::default();
        for row in 0..100_000u32 {
            different.add(f64::from(row));
            repeated.add(f64::from(row % 1000));
        }
        assert!(matches!(different, Numbers::Scattered(_)));
        assert!(matches!(repeated, Numbers::Counted(_)));
        assert!(repeated.heap_bytes() < 60_000);
    }

    #[test]
    fn what_is_no_number_is_greatest_and_infinities_have_a_middle() {
        let mut numbers = Numbers::default();
        for value in [f64::NAN, 1.0, -0.0, f64::INFINITY] {
            numbers.add(value);
        }
        let quantiles = numbers.quantiles(&[0.0, 1.0 / 3.0, 2.0 / 3.0], false);
        assert_eq!(quantiles, Some(vec![0.0, 1.0, f64::INFINITY]));
        assert!(numbers.quantiles(&[1.0], false).unwrap()[0].is_nan());
        let mut same = Numbers::default();
        same.add(f64::INFINITY);
        same.add(f64::INFINITY);
        assert_eq!(same.quantiles(&[0.5], false), Some(vec![f64::INFINITY]));
    }
}
