//! A measure's persons without those who have its most common value.
//!
//! Persons of one value that is known tell nothing of a mean but how many they are: enough of them make another set of any, and
//! its number is that of the few others. So the others are held against each other as well.

use roaring::RoaringTreemap;

use super::Error;
use super::persons::{Contribution, footprint};
use super::sketch::Sketch;

/// Two values are the same that differ by this part of them: sums of equal rows do in their last digits.
const SAME: f64 = 1e-9;

/// Persons who have another value than most, and what they contribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    pub(super) print: RoaringTreemap,
    pub(super) sketch: Sketch,
}

impl Rest {
    /// Of a measure: nothing where fewer than `k` persons have the most common value, the largest of several. `shifted` is as for
    /// [`Sketch::of`].
    #[must_use]
    pub fn of(contributions: &[Contribution], shifted: f64, k: u64) -> Option<Self> {
        let mean = |entry: &Contribution| entry.sum / entry.rows as f64;
        let mut means: Vec<f64> = contributions.iter().map(mean).collect();
        means.sort_unstable_by(f64::total_cmp);
        let same = |a: &f64, b: &f64| (a - b).abs() <= SAME * a.abs().max(b.abs());
        let most = means.chunk_by(same).max_by_key(|values| values.len())?;
        let (first, last) = (*most.first()?, *most.last()?);
        if (most.len() as u64) < k {
            return None;
        }
        let others = contributions.iter().copied();
        let others: Vec<Contribution> = others
            .filter(|entry| !(first..=last).contains(&mean(entry)))
            .collect();
        Some(Self {
            print: footprint(&others),
            sketch: Sketch::of(&others, shifted),
        })
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        bytes.extend((self.print.serialized_size() as u64).to_le_bytes());
        let written = self.print.serialize_into(&mut bytes);
        written.map_err(|_| Error::Damaged)?;
        bytes.extend(self.sketch.bytes());
        Ok(bytes)
    }

    /// Nothing for an empty list: they are all.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some((size, rest)) = bytes.split_first_chunk::<8>() else {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(Error::Damaged)
            };
        };
        let size = usize::try_from(u64::from_le_bytes(*size)).ok();
        let parts = size.and_then(|size| rest.split_at_checked(size));
        let (print, sketch) = parts.ok_or(Error::Damaged)?;
        let print = RoaringTreemap::deserialize_from(print).map_err(|_| Error::Damaged)?;
        let sketch = Sketch::from_bytes(sketch)?.ok_or(Error::Damaged)?;
        Ok(Some(Self { print, sketch }))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_most_common_value_is_left_out_where_enough_have_it() {
        let of = |values: &[f64]| -> Vec<Contribution> {
            let all = values.iter().zip(0..).map(|(value, person)| Contribution {
                person,
                rows: 3,
                sum: value * 3.0,
                squares: value * value * 3.0,
            });
            all.collect()
        };
        let values = of(&[0.1, 0.1, 5.0, 0.1, 7.0]);
        assert!(Rest::of(&values, 0.0, 4).is_none());
        assert!(Rest::of(&[], 0.0, 0).is_none());
        let rest = Rest::of(&values, 0.0, 3).unwrap();
        assert_eq!(rest.print, footprint(&[values[2], values[4]]));
        let again = Rest::from_bytes(&rest.bytes().unwrap()).unwrap();
        assert_eq!(again, Some(rest));
        assert_eq!(Rest::from_bytes(&[]).unwrap(), None);
        assert!(Rest::from_bytes(&[1, 2]).is_err());
        assert!(Rest::from_bytes(&[255; 20]).is_err());
    }
}
