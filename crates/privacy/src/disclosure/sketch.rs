//! What a number's persons contribute, in little room: enough to see that many of them contribute something else.
//!
//! The same persons with as many rows each may still be other rows: two laboratory values of one panel. Persons are
//! spread over buckets, and each bucket has the sum of what its persons contribute. A bucket in which two numbers differ holds at
//! least one person who contributes something else, so that at least as many persons differ as buckets do.

use roaring::RoaringTreemap;

use super::Error;
use super::persons::{Contribution, folded, low};

/// Enough for the largest threshold, with persons to spare that fall together.
pub(super) const BUCKETS: usize = 256;

/// Two sums of the same values are as near as this and nearer, in whichever order and at whichever scale they were taken.
const RELATIVE: f64 = 1e-6;

/// Of what was added to a value and taken off again, at most this part stays behind.
const LEFT_BEHIND: f64 = 3.6e-15;

/// Sums of contributions by bucket, each with how far it may be off; so many buckets for each measure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sketch {
    buckets: Vec<(f64, f64)>,
}

impl Sketch {
    /// Of a measure: `shifted` is what may have been added to each value and taken off again.
    #[must_use]
    pub fn of(contributions: &[Contribution], shifted: f64) -> Self {
        let mut sketch = Self::default();
        sketch.add(contributions, shifted);
        sketch
    }

    /// Of a measure and its squares, of which a deviation tells.
    #[must_use]
    pub fn with_squares(contributions: &[Contribution], shifted: f64) -> Self {
        let mut sketch = Self::of(contributions, shifted);
        sketch.buckets.resize(2 * BUCKETS, (0.0, 0.0));
        for entry in contributions {
            let (sum, off) = &mut sketch.buckets[BUCKETS + bucket(entry.person)];
            *sum += entry.squares;
            let size = (entry.rows as f64 * entry.squares).sqrt();
            *off += 2.0 * (RELATIVE * entry.squares + LEFT_BEHIND * size * shifted);
        }
        sketch
    }

    /// Adds what the same persons contribute to another measure.
    pub fn add(&mut self, contributions: &[Contribution], shifted: f64) {
        let first = self.buckets.len();
        self.buckets.resize(first + BUCKETS, (0.0, 0.0));
        for entry in contributions {
            let (sum, off) = &mut self.buckets[first + bucket(entry.person)];
            let rows = entry.rows as f64;
            *sum += entry.sum;
            // No sum of absolute values is larger.
            let size = (rows * entry.squares).sqrt();
            *off += RELATIVE * size + LEFT_BEHIND * rows * shifted;
        }
    }

    /// What persons contribute to several numbers together, each with its factor.
    pub(super) fn combined(numbers: &[(&Self, f64)]) -> Self {
        let mut buckets = vec![(0.0, 0.0); BUCKETS];
        for (number, factor) in numbers {
            for ((sum, off), (a, off_a)) in buckets.iter_mut().zip(&number.buckets) {
                *sum += factor * a;
                *off += factor.abs() * off_a;
            }
        }
        Self { buckets }
    }

    /// At least so many persons contribute something else.
    #[must_use]
    pub fn persons_between(&self, other: &Self) -> u64 {
        let differs = |at: usize| {
            let ((a, off_a), (b, off_b)) = (self.buckets[at], other.buckets[at]);
            (a - b).abs() > off_a + off_b
        };
        // Of other measures nothing is known.
        let both = self.buckets.len().min(other.buckets.len());
        let differ = (0..BUCKETS).filter(|bucket| (*bucket..both).step_by(BUCKETS).any(differs));
        differ.count() as u64
    }

    /// The sums of each measure by bucket, each with how far it may be off.
    pub(super) fn measures(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        self.buckets.chunks_exact(BUCKETS)
    }

    /// The same of each measure alone.
    pub(super) fn alone(&self) -> impl Iterator<Item = Self> {
        self.measures().map(|buckets| Self {
            buckets: buckets.to_vec(),
        })
    }

    /// The same where persons contribute this, as exactly as before.
    pub(super) fn of_others(&self, contributions: &[Contribution]) -> Self {
        let mut sketch = Self::with_squares(contributions, 0.0);
        for ((_, off), (_, before)) in sketch.buckets.iter_mut().zip(&self.buckets) {
            *off = *before;
        }
        sketch
    }

    /// The same without persons of whom each row has this value, as exactly as before.
    pub(super) fn without(&self, persons: &RoaringTreemap, value: f64) -> Self {
        let mut sketch = self.clone();
        for element in persons {
            let (rows, mut power) = ((element >> 32) as f64, 1.0);
            let places = (bucket_of(low(element))..sketch.buckets.len()).step_by(BUCKETS);
            for place in places {
                power *= value;
                sketch.buckets[place].0 -= rows * power;
            }
        }
        sketch
    }

    /// The same with how many rows there are.
    pub(super) fn with_rows(&self, print: &RoaringTreemap) -> Self {
        let mut sketch = self.clone();
        let first = sketch.buckets.len();
        sketch.buckets.resize(first + BUCKETS, (0.0, 0.0));
        for element in print {
            sketch.buckets[first + bucket_of(low(element))].0 += (element >> 32) as f64;
        }
        sketch
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let numbers = self.buckets.iter().flat_map(|(sum, off)| [*sum, *off]);
        numbers.flat_map(f64::to_le_bytes).collect()
    }

    /// Nothing for an empty list, which is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<f64> = numbers.iter().copied().map(f64::from_le_bytes).collect();
        let (pairs, odd) = numbers.as_chunks::<2>();
        if !rest.is_empty() || !odd.is_empty() || pairs.len() % BUCKETS != 0 {
            return Err(Error::Damaged);
        }
        Ok(Some(Self {
            buckets: pairs.iter().map(|[sum, off]| (*sum, *off)).collect(),
        }))
    }
}

pub(super) fn bucket(person: i64) -> usize {
    bucket_of(folded(person))
}

/// By the number of a person that a footprint has.
fn bucket_of(person: u32) -> usize {
    let mixed = u64::from(person).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::from((mixed >> 56).to_le_bytes()[0])
}

/// The finaliser of SplitMix64.
pub(super) fn mixed(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn of(values: impl Iterator<Item = f64>, shifted: f64) -> Sketch {
        let contributions: Vec<Contribution> = values
            .zip(0..)
            .map(|(value, person)| Contribution::of(person, value))
            .collect();
        Sketch::of(&contributions, shifted)
    }

    #[test]
    fn differences_are_no_more_than_the_persons_who_differ() {
        let values = |changed: u32| {
            (0..5_000_u32).map(move |at| match at < changed {
                true => 7.25,
                false => 60.0 + f64::from(at % 50),
            })
        };
        let all = of(values(0), 0.0);
        assert_eq!(all.persons_between(&of(values(0), 0.0)), 0);
        for changed in [1, 2, 7, 40] {
            let found = all.persons_between(&of(values(changed), 0.0));
            assert!(
                (1..=u64::from(changed)).contains(&found),
                "{found} of {changed}"
            );
        }
        assert!(all.persons_between(&of(values(5_000), 0.0)) > 200);
        let again = Sketch::from_bytes(&all.bytes()).unwrap().unwrap();
        assert_eq!(again, all);
        assert!(Sketch::from_bytes(&[]).unwrap().is_none());
        assert!(Sketch::from_bytes(&[1, 2, 3]).is_err());
    }

    /// Nobody gets an answer of its own for the same values by what arithmetic does to their last digits.
    #[test]
    fn rounding_is_no_difference() {
        let values = || (0..5_000).map(|at| 60.0 + f64::from(at % 50) / 7.0);
        let all = of(values(), 0.0);
        for shift in [32.0, 1e6, 1e9, 1e12] {
            let shifted = of(values().map(|x| (x + shift) - shift), shift);
            assert_eq!(all.persons_between(&shifted), 0, "{shift}");
        }
        #[expect(clippy::cast_possible_truncation, reason = "as a query may ask for")]
        let short = of(values().map(|x| f64::from(x as f32)), 0.0);
        assert_eq!(all.persons_between(&short), 0);
        let scaled = of(values().map(|x| x * 3.0 / 3.0), 0.0);
        assert_eq!(all.persons_between(&scaled), 0);
    }
}
