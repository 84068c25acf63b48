//! The numbers of one group, kept so that exact quantiles can be told.
//!
//! What is measured comes in few different values: a thousand blood pressures are some hundred numbers. So numbers are gathered,
//! and from time to time sorted and counted; they are kept one by one where they prove to be all different. Sorting some thousand
//! takes a fifth of what a hash table of them does, as most are equal.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Up to so many are not worth counting.
const FEW: usize = 1024;
/// Where half of these are different, it is found out again of so many whether values come often.
const MANY: usize = 16 * FEW;
/// Of so many different values, each must have come this often on average for counting to go on.
const LEAST_DIFFERENT: usize = 4096;
const LEAST_OFTEN: u64 = 4;
/// What an entry of a hash table takes, with its byte of control and the room that is free.
const ENTRY_BYTES: usize = 20;

type Counts = HashMap<u64, u64, BuildHasherDefault<Fold>>;

const SIGN: u64 = 1 << 63;

/// A number as one without a sign, which is greater where the number is. Minus zero is zero, and what is no number is one value,
/// greater than all others.
#[inline]
fn rising(value: f64) -> u64 {
    let value = if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    };
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn number(rising: u64) -> f64 {
    f64::from_bits(if rising & SIGN == 0 {
        !rising
    } else {
        rising ^ SIGN
    })
}

/// Which quantile, by its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Asked {
    /// Between two values by straight line.
    Between(f64),
    /// The first value that so many reach.
    Reached(f64),
    /// The same from the greatest down.
    ReachedDown(f64),
}

impl Asked {
    /// Where it lies among so many sorted values: the one before, and how far to the next.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is not negative and below 2^53"
    )]
    fn rank(self, count: u64) -> (u64, f64) {
        // As DuckDB counts, so that 0.1 of ten values is one and not the next.
        let reached = |p: f64| {
            let left = (count as f64 - p * count as f64).floor() as u64;
            (count - left.min(count)).max(1)
        };
        match self {
            Self::Between(p) => {
                let position = (count - 1) as f64 * p;
                (position.floor() as u64, position.fract())
            }
            Self::Reached(p) => (reached(p) - 1, 0.0),
            Self::ReachedDown(p) => (count - reached(p), 0.0),
        }
    }
}

/// The numbers of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    /// Those that are not counted.
    loose: Vec<u64>,
    /// The others in order, and how often each came.
    counted: Vec<(u64, u64)>,
    /// They have proved to be different: all are loose.
    scattered: bool,
    /// Values also leave: all are in here.
    sliding: Option<Box<Counts>>,
}

impl Numbers {
    /// Whether the next number takes no more memory.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.loose.len() < self.loose.capacity() && self.sliding.is_none()
    }

    /// Adds a number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if self.has_room() {
            self.loose.push(rising(value));
        } else {
            self.add_slowly(value);
        }
    }

    #[cold]
    fn add_slowly(&mut self, value: f64) {
        if let Some(counts) = &mut self.sliding {
            *counts.entry(rising(value)).or_insert(0) += 1;
            return;
        }
        let loose = self.loose.len();
        match self.counted.is_empty() {
            _ if self.scattered => {}
            true if loose == FEW || loose >= MANY => {
                self.loose.sort_unstable();
                let different = self.loose.chunk_by(|a, b| a == b).count();
                if loose >= MANY && different * 4 > loose {
                    self.scattered = true;
                } else if different * 2 <= loose {
                    self.count();
                    self.loose.shrink_to(FEW.max(different * 2));
                }
            }
            false if loose >= FEW.max(self.counted.len() * 2) => {
                self.count();
                self.scatter();
            }
            _ => {}
        }
        self.loose.push(rising(value));
    }

    /// Sorts and counts what is loose.
    fn count(&mut self) {
        self.loose.sort_unstable();
        let runs = self.loose.chunk_by(|a, b| a == b);
        let runs: Vec<(u64, u64)> = runs.map(|run| (run[0], run.len() as u64)).collect();
        self.loose.clear();
        self.add_counted(runs);
    }

    /// Adds what is in order.
    fn add_counted(&mut self, added: Vec<(u64, u64)>) {
        if self.counted.is_empty() {
            self.counted = added;
            return;
        }
        let mut all = Vec::with_capacity(self.counted.len() + added.len() / 8);
        let mut added = added.into_iter().peekable();
        for (value, mut count) in self.counted.drain(..) {
            while let Some(before) = added.next_if(|(other, _)| *other < value) {
                all.push(before);
            }
            if let Some((_, more)) = added.next_if(|(other, _)| *other == value) {
                count += more;
            }
            all.push((value, count));
        }
        all.extend(added);
        self.counted = all;
    }

    /// Takes the values one by one if they have proved to be different.
    fn scatter(&mut self) {
        let different = self.counted.len();
        let total: u64 = self.counted.iter().map(|(_, count)| count).sum();
        if different < LEAST_DIFFERENT || different as u64 * LEAST_OFTEN <= total {
            return;
        }
        self.scattered = true;
        for (value, count) in std::mem::take(&mut self.counted) {
            self.loose.extend((0..count).map(|_| value));
        }
    }

    /// Adds numbers that came so often; once each without counts.
    pub(super) fn merge(&mut self, values: &[f64], counts: &[u64]) {
        if counts.is_empty() {
            // Whoever sends so many one by one has found them to be different.
            self.scattered |= self.is_empty() && values.len() >= LEAST_DIFFERENT;
            if self.scattered {
                self.loose.extend(values.iter().map(|value| rising(*value)));
            } else {
                values.iter().for_each(|value| self.add(*value));
            }
            return;
        }
        let values = values.iter().map(|value| rising(*value));
        let both = values.zip(counts.iter().copied());
        if self.scattered {
            let each = both.flat_map(|(value, count)| (0..count).map(move |_| value));
            self.loose.extend(each);
            return;
        }
        let mut both: Vec<(u64, u64)> = both.collect();
        both.sort_unstable();
        self.add_counted(both);
        self.scatter();
    }

    fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.counted.is_empty() && self.sliding.is_none()
    }

    /// Takes out a number that was added.
    pub(super) fn remove(&mut self, value: f64) {
        let counts = self.sliding.get_or_insert_with(|| {
            let mut counts = Box::<Counts>::default();
            for value in self.loose.drain(..) {
                *counts.entry(value).or_insert(0) += 1;
            }
            for (value, count) in self.counted.drain(..) {
                *counts.entry(value).or_insert(0) += count;
            }
            counts
        });
        let value = rising(value);
        if let Some(count) = counts.get_mut(&value) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&value);
            }
        }
    }

    /// What it takes beside its own size.
    pub(super) fn heap_bytes(&self) -> usize {
        let sliding = self.sliding.as_ref();
        self.loose.capacity() * size_of::<u64>()
            + self.counted.capacity() * size_of::<(u64, u64)>()
            + sliding.map_or(0, |counts| {
                size_of::<Counts>() + counts.capacity() * ENTRY_BYTES
            })
    }

    /// Writes the numbers and how often each came; no counts for numbers one by one.
    pub(super) fn write(&mut self, values: &mut Vec<f64>, counts: &mut Vec<u64>) {
        if self.scattered || self.counted.is_empty() {
            values.extend(self.loose.iter().map(|value| number(*value)));
            return;
        }
        self.count();
        values.extend(self.counted.iter().map(|(value, _)| number(*value)));
        counts.extend(self.counted.iter().map(|(_, count)| count));
    }

    /// The quantiles; none of nothing. `distinct`: of the different values, each once.
    pub(super) fn quantiles(&mut self, asked: &[Asked], distinct: bool) -> Option<Vec<f64>> {
        if let Some(counts) = &self.sliding {
            let mut counted: Vec<(u64, u64)> = counts.iter().map(|(v, c)| (*v, *c)).collect();
            counted.sort_unstable();
            return of_counts(&counted, distinct, asked);
        }
        if self.counted.is_empty() && !distinct {
            return of_values(&mut self.loose, asked);
        }
        self.count();
        of_counts(&self.counted, distinct, asked)
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

fn of_values(values: &mut [u64], asked: &[Asked]) -> Option<Vec<f64>> {
    let count = values.len() as u64;
    if count == 0 {
        return None;
    }
    let ranks = asked.iter().map(|asked| asked.rank(count));
    let mut ranks: Vec<(usize, (u64, f64))> = ranks.enumerate().collect();
    ranks.sort_by_key(|(_, (rank, _))| *rank);
    let mut quantiles = vec![0.0; asked.len()];
    // What lies before `from` is smaller than all that is left.
    let mut from = 0;
    for (at, (rank, fraction)) in ranks {
        let rank = usize::try_from(rank).ok()?;
        let rest = &mut values[from..];
        let (_, lower, above) = rest.select_nth_unstable(rank - from);
        let upper = if fraction == 0.0 {
            *lower
        } else {
            above.iter().copied().min().unwrap_or(*lower)
        };
        quantiles[at] = between(number(*lower), number(upper), fraction);
        from = rank;
    }
    Some(quantiles)
}

fn of_counts(counted: &[(u64, u64)], distinct: bool, asked: &[Asked]) -> Option<Vec<f64>> {
    // How many values there are up to and with each.
    let reached: Vec<u64> = counted
        .iter()
        .scan(0, |reached, (_, count)| {
            *reached += if distinct { 1 } else { *count };
            Some(*reached)
        })
        .collect();
    let all = *reached.last()?;
    let at = |rank: u64| {
        let entry = reached.partition_point(|reached| *reached <= rank);
        counted.get(entry).map(|(value, _)| number(*value))
    };
    let quantile = |asked: &Asked| {
        let (rank, fraction) = asked.rank(all);
        let lower = at(rank)?;
        let upper = at(rank + 1).unwrap_or(lower);
        Some(between(lower, upper, fraction))
    };
    asked.iter().map(quantile).collect()
}

/// A hasher for the bits of numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::functions::aggregate) struct Fold(u64);

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
    #![expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of a few thousand values"
    )]

    use proptest::prelude::*;

    use super::*;

    const ASKED: [Asked; 12] = [
        Asked::Between(0.5),
        Asked::Between(0.0),
        Asked::Between(0.25),
        Asked::Between(1.0),
        Asked::Between(0.9),
        Asked::Between(0.123),
        Asked::Reached(0.5),
        Asked::Reached(0.0),
        Asked::Reached(1.0),
        Asked::ReachedDown(0.25),
        Asked::ReachedDown(0.0),
        Asked::ReachedDown(1.0),
    ];

    /// The definition: sort, and go from one value to the next by straight line, or to the first that is reached.
    fn sorted(values: &[f64], distinct: bool) -> Option<Vec<f64>> {
        let mut values: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
        values.sort_by_key(|value| rising(*value));
        if distinct {
            values.dedup();
        }
        let last = values.len().checked_sub(1)?;
        let reached = |p: f64| ((values.len() as f64 * p).ceil() as usize).max(1);
        let quantile = |asked: &Asked| match asked {
            Asked::Between(p) => {
                let position = last as f64 * p;
                let rank = position.floor() as usize;
                let next = values[(rank + 1).min(last)];
                between(values[rank], next, position.fract())
            }
            Asked::Reached(p) => values[reached(*p) - 1],
            Asked::ReachedDown(p) => values[values.len() - reached(*p)],
        };
        Some(ASKED.iter().map(quantile).collect())
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
            prop_assert_eq!(all.quantiles(&ASKED, distinct), expected);
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
        assert_eq!(window.quantiles(&ASKED, false), expected);
        for value in &values[7000..] {
            window.remove(*value);
        }
        assert_eq!(window.quantiles(&ASKED, false), None);
    }

    #[test]
    fn what_is_different_is_kept_one_by_one_and_what_repeats_is_counted() {
        let mut different = Numbers::default();
        let mut repeated = Numbers::default();
        for row in 0..100_000u32 {
            different.add(f64::from(row));
            repeated.add(f64::from(row % 1000));
        }
        assert!(different.scattered && different.counted.is_empty());
        assert!(!repeated.scattered && repeated.counted.len() == 1000);
        assert!(repeated.heap_bytes() < 60_000);
    }

    #[test]
    fn what_is_no_number_is_greatest_and_infinities_have_a_middle() {
        let mut numbers = Numbers::default();
        for value in [f64::NAN, 1.0, -0.0, f64::INFINITY] {
            numbers.add(value);
        }
        let quantiles = numbers.quantiles(&[0.0, 1.0 / 3.0, 2.0 / 3.0].map(Asked::Between), false);
        assert_eq!(quantiles, Some(vec![0.0, 1.0, f64::INFINITY]));
        assert!(numbers.quantiles(&[Asked::Between(1.0)], false).unwrap()[0].is_nan());
        let mut same = Numbers::default();
        same.add(f64::INFINITY);
        same.add(f64::INFINITY);
        assert_eq!(
            same.quantiles(&[Asked::Between(0.5)], false),
            Some(vec![f64::INFINITY])
        );
    }
}
