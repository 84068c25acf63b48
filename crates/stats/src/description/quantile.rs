//! Exact quantiles in the nine types of R's `quantile`.
//!
//! Types 1 to 3 are discontinuous; types 4 to 9 interpolate at position a + p(n + 1 − a − b). Hyndman and Fan, American
//! Statistician 50 (1996), with the fuzz of four machine epsilons that R applies so that p·n that should be whole is.
//! Type 7 is R's default, type 2 is SAS's, type 6 is SPSS's and Minitab's.

use crate::tables::number;
use crate::{Error, Result, Summary};

/// All values of a variable. A quantile that is exact has to keep them: eight bytes each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    values: Vec<f64>,
}

impl Summary for Values {
    fn merge(&mut self, mut other: Self) {
        if self.values.len() < other.values.len() {
            std::mem::swap(&mut self.values, &mut other.values);
        }
        self.values.append(&mut other.values);
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl FromIterator<f64> for Values {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self {
            values: values.into_iter().collect(),
        }
    }
}

/// How a quantile between two values is chosen, numbered as in R.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuantileType(u8);

impl Default for QuantileType {
    fn default() -> Self {
        Self(7)
    }
}

impl QuantileType {
    /// Type 1 to 9.
    ///
    /// # Errors
    /// Any other number.
    pub fn new(number: u8) -> Result<Self> {
        if (1..=9).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Error::InvalidQuantileType)
        }
    }
}

const FUZZ: f64 = 4.0 * f64::EPSILON;

impl Values {
    /// Takes in a value.
    ///
    /// # Errors
    /// NaN, which has no rank.
    #[inline]
    pub fn add(&mut self, value: f64) -> Result<()> {
        if value.is_nan() {
            return Err(Error::NotANumber);
        }
        self.values.push(value);
        Ok(())
    }

    /// The values seen, in no particular order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Puts the values in order.
    pub(crate) fn sort(&mut self) {
        self.values.sort_unstable_by(f64::total_cmp);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
    }

    /// The quantiles at these probabilities; NaN where no value has been seen.
    ///
    /// # Errors
    /// A probability outside [0, 1].
    pub fn quantiles(
        mut self,
        probabilities: &[f64],
        quantile_type: QuantileType,
    ) -> Result<Vec<f64>> {
        self.sort();
        probabilities
            .iter()
            .map(|p| quantile(&self.values, *p, quantile_type))
            .collect()
    }
}

fn quantile(sorted: &[f64], p: f64, quantile_type: QuantileType) -> Result<f64> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::InvalidProbability);
    }
    let Some(last) = sorted.len().checked_sub(1) else {
        return Ok(f64::NAN);
    };
    let n = number(sorted.len() as u64);
    // The value of rank j, 1-based, repeated beyond both ends.
    let ranked = |j: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 ≤ j ≤ n, and n is a length"
        )]
        let index = (j.max(1.0) as usize - 1).min(last);
        sorted[index]
    };
    let between = |j: f64, h: f64| {
        let (low, high) = (ranked(j), ranked(j + 1.0));
        if h == 0.0 || low == high {
            low
        } else if h == 1.0 {
            high
        } else {
            (1.0 - h) * low + h * high
        }
    };
    let QuantileType(kind) = quantile_type;
    if kind <= 3 {
        let position = if kind == 3 { n * p - 0.5 } else { n * p };
        let j = (position + FUZZ).floor();
        let above = position > j;
        let h = match kind {
            1 => f64::from(u8::from(above)),
            2 => {
                if above {
                    1.0
                } else {
                    0.5
                }
            }
            _ => f64::from(u8::from(position != j || j % 2.0 == 1.0)),
        };
        return Ok(between(j, h));
    }
    if kind == 7 {
        let index = 1.0 + (n - 1.0) * p;
        return Ok(between(index.floor(), index - index.floor()));
    }
    let (a, b) = match kind {
        4 => (0.0, 1.0),
        5 => (0.5, 0.5),
        6 => (0.0, 0.0),
        8 => (1.0 / 3.0, 1.0 / 3.0),
        _ => (0.375, 0.375),
    };
    let position = a + p * (n + 1.0 - a - b);
    let j = (position + FUZZ).floor();
    let h = position - j;
    Ok(between(j, if h.abs() < FUZZ { 0.0 } else { h }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// R 4.2.2: `sapply(1:9, function(t) quantile(c(3, 1, 4, 1, 5, 9, 2, 6), c(0, 0.1, 0.5, 0.9, 1), type = t))`.
    #[test]
    fn nine_types() {
        let expected = [
            [1.0, 1.0, 3.0, 9.0, 9.0],
            [1.0, 1.0, 3.5, 9.0, 9.0],
            [1.0, 1.0, 3.0, 6.0, 9.0],
            [1.0, 1.0, 3.0, 6.6, 9.0],
            [1.0, 1.0, 3.5, 8.1, 9.0],
            [1.0, 1.0, 3.5, 9.0, 9.0],
            [1.0, 1.0, 3.5, 6.9, 9.0],
            [1.0, 1.0, 3.5, 8.5, 9.0],
            [1.0, 1.0, 3.5, 8.4, 9.0],
        ];
        for (kind, row) in (1..).zip(expected) {
            let values: Values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
                .into_iter()
                .collect();
            let kind = QuantileType::new(kind).unwrap();
            let found = values.quantiles(&[0.0, 0.1, 0.5, 0.9, 1.0], kind).unwrap();
            for (found, expected) in found.iter().zip(row) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{kind:?}: {found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn nothing_one_and_ties() {
        let at = |values: &[f64]| {
            values
                .iter()
                .copied()
                .collect::<Values>()
                .quantiles(&[0.5], QuantileType::default())
        };
        assert!(at(&[]).unwrap()[0].is_nan());
        assert_eq!(at(&[7.0]).unwrap(), [7.0]);
        assert_eq!(
            at(&[f64::INFINITY, f64::INFINITY]).unwrap(),
            [f64::INFINITY]
        );
        assert_eq!(Values::default().add(f64::NAN), Err(Error::NotANumber));
        assert_eq!(
            Values::default().quantiles(&[1.5], QuantileType::default()),
            Err(Error::InvalidProbability)
        );
        assert_eq!(QuantileType::new(0), Err(Error::InvalidQuantileType));
    }

    #[test]
    fn parts_make_the_whole() {
        let all: Vec<f64> = (0..101).map(|i| f64::from(i * 37 % 101)).collect();
        let probabilities = [0.05, 0.25, 0.5, 0.95];
        let whole = all
            .iter()
            .copied()
            .collect::<Values>()
            .quantiles(&probabilities, QuantileType::default())
            .unwrap();
        for cut in [0, 1, 50, 101] {
            let mut left: Values = all[cut..].iter().copied().collect();
            left.merge(all[..cut].iter().copied().collect());
            assert_eq!(
                left.quantiles(&probabilities, QuantileType::default())
                    .unwrap(),
                whole
            );
        }
    }
}
