//! A column of numbers, in 16 bits where all of them are whole and small: flags, ages, doses and most of what a
//! laboratory reports. Passes over such a column read a quarter of the bytes.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::numeric::widest;

/// Rows that are looked at together.
const PART: usize = 65_536;

/// A column of numbers. Whole ones come back exactly as they were given.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Whole numbers of 16 bits.
    Whole(Vec<i16>),
    /// Any numbers.
    Any(Vec<f64>),
}

/// Some rows of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values<'a> {
    /// Whole numbers of 16 bits.
    Whole(&'a [i16]),
    /// Any numbers.
    Any(&'a [f64]),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl From<Vec<i16>> for Numbers {
    fn from(column: Vec<i16>) -> Self {
        Self::Whole(column)
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(column: Vec<f64>) -> Self {
        match whole(&column) {
            Some(whole) => Self::Whole(whole),
            None => Self::Any(column),
        }
    }
}

impl From<Numbers> for Vec<f64> {
    fn from(column: Numbers) -> Self {
        match column {
            Numbers::Whole(column) => column.into_iter().map(f64::from).collect(),
            Numbers::Any(column) => column,
        }
    }
}

impl Numbers {
    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values().len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows.
    #[inline(always)]
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::Whole(column) => Values::Whole(column),
            Self::Any(column) => Values::Any(column),
        }
    }

    /// The rows, if all are whole numbers of 16 bits.
    #[must_use]
    pub fn whole(&self) -> Option<&[i16]> {
        match self {
            Self::Whole(column) => Some(column),
            Self::Any(_) => None,
        }
    }

    /// The number of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, row: usize) -> f64 {
        self.values().get(row)
    }

    /// All rows as floating-point numbers.
    #[must_use]
    pub fn floats(&self) -> Cow<'_, [f64]> {
        match self {
            Self::Whole(column) => column.iter().copied().map(f64::from).collect(),
            Self::Any(column) => Cow::Borrowed(column),
        }
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        self.values().iter()
    }

    /// Appends a number.
    pub fn push(&mut self, value: f64) {
        if let Self::Whole(column) = self {
            let mut whole = [0];
            if all_whole(&[value], &mut whole) {
                column.extend(whole);
                return;
            }
        }
        self.add_any(|column| column.push(value));
    }

    /// Appends numbers.
    pub fn extend_from_slice(&mut self, values: &[f64]) {
        if let Self::Whole(column) = self {
            let rows = column.len();
            column.resize(rows + values.len(), 0);
            if widest!(all_whole(values, &mut column[rows..])) {
                return;
            }
            column.truncate(rows);
        }
        self.add_any(|column| column.extend_from_slice(values));
    }

    /// Appends whole numbers.
    pub fn extend_from_whole(&mut self, values: &[i16]) {
        match self {
            Self::Whole(column) => column.extend_from_slice(values),
            Self::Any(column) => column.extend(values.iter().copied().map(f64::from)),
        }
    }

    /// Appends another column.
    pub fn append(&mut self, other: Self) {
        match other {
            other if self.is_empty() => *self = other,
            Self::Whole(other) => self.extend_from_whole(&other),
            Self::Any(other) => self.add_any(|column| column.extend(other)),
        }
    }

    /// The rows with these numbers, in their order.
    #[must_use]
    pub fn those(&self, rows: &[usize]) -> Self {
        match self {
            Self::Whole(column) => Self::Whole(rows.iter().map(|row| column[*row]).collect()),
            Self::Any(column) => Self::Any(rows.iter().map(|row| column[*row]).collect()),
        }
    }

    /// Heap bytes held, for memory accounting.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Whole(column) => size_of::<i16>() * column.capacity(),
            Self::Any(column) => size_of::<f64>() * column.capacity(),
        }
    }

    /// Adds to the column as one of any numbers.
    fn add_any(&mut self, add: impl FnOnce(&mut Vec<f64>)) {
        let mut column = std::mem::take(self).into();
        add(&mut column);
        *self = Self::Any(column);
    }
}

impl<'a> Values<'a> {
    /// Rows.
    #[inline(always)]
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Whole(values) => values.len(),
            Self::Any(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The number of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline(always)]
    #[must_use]
    pub fn get(self, row: usize) -> f64 {
        match self {
            Self::Whole(values) => f64::from(values[row]),
            Self::Any(values) => values[row],
        }
    }

    /// The numbers in order.
    pub fn iter(self) -> impl Iterator<Item = f64> + 'a {
        (0..self.len()).map(move |row| self.get(row))
    }

    /// Some of the rows.
    #[inline(always)]
    #[must_use]
    pub fn slice(self, rows: Range<usize>) -> Self {
        match self {
            Self::Whole(values) => Self::Whole(&values[rows]),
            Self::Any(values) => Self::Any(&values[rows]),
        }
    }

    /// Fills in x − centre of as many rows as there are.
    #[inline(always)]
    pub(crate) fn centred(self, centre: f64, into: &mut [f64]) {
        match self {
            Self::Whole(values) => {
                for (into, x) in into.iter_mut().zip(values) {
                    *into = f64::from(*x) - centre;
                }
            }
            Self::Any(values) => {
                for (into, x) in into.iter_mut().zip(values) {
                    *into = x - centre;
                }
            }
        }
    }

    /// The same, with the slope times it added to the linear predictor.
    #[inline(always)]
    pub(crate) fn centred_along(self, centre: f64, slope: f64, into: &mut [f64], eta: &mut [f64]) {
        match self {
            Self::Whole(values) => {
                for ((into, eta), x) in into.iter_mut().zip(eta).zip(values) {
                    *into = f64::from(*x) - centre;
                    *eta += slope * *into;
                }
            }
            Self::Any(values) => {
                for ((into, eta), x) in into.iter_mut().zip(eta).zip(values) {
                    *into = x - centre;
                    *eta += slope * *into;
                }
            }
        }
    }

    /// Σ (x − centre).
    #[inline(always)]
    pub(crate) fn sum_less(self, centre: f64) -> f64 {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "sums and counts stay below 2^53"
            )]
            Self::Whole(values) => {
                // What 32 bits hold, then all of it: the sum is exact.
                let parts = values.chunks(PART);
                let parts = parts.map(|part| part.iter().map(|x| i32::from(*x)).sum::<i32>());
                let sum: i64 = parts.map(i64::from).sum();
                sum as f64 - centre * values.len() as f64
            }
            Self::Any(values) => values.iter().map(|x| x - centre).sum(),
        }
    }

    /// Adds the slope times x − centre to the linear predictor.
    #[inline(always)]
    pub(crate) fn add_along(self, centre: f64, slope: f64, eta: &mut [f64]) {
        match self {
            Self::Whole(values) => {
                for (eta, x) in eta.iter_mut().zip(values) {
                    *eta += slope * (f64::from(*x) - centre);
                }
            }
            Self::Any(values) => {
                for (eta, x) in eta.iter_mut().zip(values) {
                    *eta += slope * (x - centre);
                }
            }
        }
    }

    pub(crate) fn is_finite(self) -> bool {
        match self {
            Self::Whole(_) => true,
            // A whole part without a way out in its middle: the compiler then uses vector instructions.
            Self::Any(values) => values
                .par_chunks(PART)
                .all(|part| part.iter().fold(true, |so_far, x| so_far & x.is_finite())),
        }
    }
}

/// The numbers in 16 bits, if all of them are whole and small.
pub(crate) fn whole(column: &[f64]) -> Option<Vec<i16>> {
    let first = &column[..column.len().min(1024)];
    if !all_whole(first, &mut vec![0; first.len()]) {
        return None;
    }
    let mut whole = vec![0; column.len()];
    let parts = column.par_chunks(PART).zip(whole.par_chunks_mut(PART));
    let all = parts.all(|(values, whole)| widest!(all_whole(values, whole)));
    all.then_some(whole)
}

/// Turns numbers into whole ones of 16 bits; whether that is what they are, to the bit.
#[inline(always)]
fn all_whole(values: &[f64], into: &mut [i16]) -> bool {
    // 1.5·2^52: a sum with it is rounded to a whole number, which its last bits then are.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    let mut all = true;
    for (into, x) in into.iter_mut().zip(values) {
        let sum = x + WHOLE;
        all &= (x.abs() < 32_767.0) & ((sum - WHOLE).to_bits() == x.to_bits());
        #[expect(clippy::cast_possible_truncation, reason = "the last bits are wanted")]
        {
            *into = sum.to_bits() as i16;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-32_766_i16..32_767).prop_map(f64::from),
            1 => prop_oneof![Just(-0.0), Just(0.5), Just(32_767.0), Just(-40_000.0), Just(f64::NAN), Just(f64::INFINITY)],
        ]
    }

    fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
        values.into_iter().map(f64::to_bits).collect()
    }

    proptest! {
        /// However a column comes about, it holds what it was given, in 16 bits exactly where it can.
        #[test]
        fn what_is_put_in_comes_out(parts in prop::collection::vec(prop::collection::vec(number(), 0..20), 0..5)) {
            let all = parts.concat();
            let small = all.iter().all(|x| x.abs() < 32_767.0 && x.fract() == 0.0 && (*x != 0.0 || x.is_sign_positive()));
            let (mut pushed, mut extended, mut appended) = (Numbers::default(), Numbers::default(), Numbers::default());
            for part in &parts {
                part.iter().for_each(|x| pushed.push(*x));
                extended.extend_from_slice(part);
                appended.append(Numbers::from(part.clone()));
            }
            for column in [Numbers::from(all.clone()), pushed, extended, appended] {
                prop_assert_eq!(matches!(column, Numbers::Whole(_)), small);
                prop_assert_eq!(bits(column.iter()), bits(all.iter().copied()));
                prop_assert_eq!(bits(column.floats().iter().copied()), bits(all.iter().copied()));
                let mut centred = vec![0.0; all.len()];
                column.values().centred(0.25, &mut centred);
                prop_assert_eq!(bits(centred), bits(all.iter().map(|x| x - 0.25)));
                prop_assert_eq!(column.values().is_finite(), all.iter().all(|x| x.is_finite()));
                prop_assert_eq!(bits(Vec::from(column)), bits(all.iter().copied()));
            }
        }
    }
}
