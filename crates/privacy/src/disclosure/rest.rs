//! A measure's persons of common values.
//!
//! Persons of one value that is known tell nothing of a mean but how many they are: enough of them make another set of any, and
//! its number is that of the few others. So two numbers' persons are held against each other without those of one value who are
//! in one of them alone, too; and without those of several values, where as many have each of them.

use roaring::RoaringTreemap;

use super::Error;
use super::persons::{Contribution, footprint, persons_between};
use super::sketch::Sketch;

/// Two values are the same that differ by this part of them: sums of equal rows do in their last digits.
const SAME: f64 = 1e-9;

/// So many values are kept, those that most persons have.
const VALUES: usize = 64;

/// What a record begins with. Earlier ones, of other persons, began with a size.
const MARK: u64 = u64::MAX;

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

/// Values that enough persons have, and who has them; those of most persons first.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    values: Vec<(f64, RoaringTreemap)>,
}

impl Common {
    /// Of a measure: nothing where fewer than `k` persons have any value.
    #[must_use]
    pub fn of(contributions: &[Contribution], k: u64) -> Option<Self> {
        let mean = |entry: &Contribution| entry.sum / entry.rows as f64;
        let mut ordered = contributions.to_vec();
        ordered.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
        let same = |a: &Contribution, b: &Contribution| is_same(mean(a), mean(b));
        let mut values: Vec<&[Contribution]> = ordered
            .chunk_by(same)
            .filter(|persons| persons.len() as u64 >= k)
            .collect();
        values.sort_by_key(|persons| std::cmp::Reverse(persons.len()));
        let values: Vec<(f64, RoaringTreemap)> = values
            .into_iter()
            .take(VALUES)
            .filter_map(|persons| {
                let mut theirs = persons.to_vec();
                theirs.sort_unstable_by_key(|entry| entry.person);
                Some((mean(persons.first()?), footprint(&theirs)))
            })
            .collect();
        (!values.is_empty()).then_some(Self { values })
    }

    /// How many have the value that most have.
    fn most(&self) -> u64 {
        self.values.first().map_or(0, |(_, persons)| persons.len())
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = MARK.to_le_bytes().to_vec();
        for (value, persons) in &self.values {
            bytes.extend(value.to_le_bytes());
            bytes.extend((persons.serialized_size() as u64).to_le_bytes());
            let written = persons.serialize_into(&mut bytes);
            written.map_err(|_| Error::Damaged)?;
        }
        Ok(bytes)
    }

    /// Nothing for an empty list: there is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (mark, mut left) = bytes.split_first_chunk::<8>().ok_or(Error::Damaged)?;
        if u64::from_le_bytes(*mark) != MARK {
            return Ok(None);
        }
        let mut values = Vec::new();
        while !left.is_empty() {
            let (value, rest) = left.split_first_chunk::<8>().ok_or(Error::Damaged)?;
            let (size, rest) = rest.split_first_chunk::<8>().ok_or(Error::Damaged)?;
            let size = usize::try_from(u64::from_le_bytes(*size)).ok();
            let parts = size.and_then(|size| rest.split_at_checked(size));
            let (persons, rest) = parts.ok_or(Error::Damaged)?;
            let persons = RoaringTreemap::deserialize_from(persons).map_err(|_| Error::Damaged)?;
            values.push((f64::from_le_bytes(*value), persons));
            left = rest;
        }
        Ok(Some(Self { values }))
    }
}

/// Persons of common values who are left out.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub(super) persons: RoaringTreemap,
    values: Vec<(f64, RoaringTreemap)>,
}

impl LeftOut {
    /// Of those who are in a set alone, the most who have one value.
    fn of(alone: &RoaringTreemap, common: Option<&Common>) -> Self {
        let mut most = (0.0, RoaringTreemap::new());
        for (value, persons) in common.iter().flat_map(|common| &common.values) {
            if persons.len() <= most.1.len() {
                break;
            }
            let theirs = alone & persons;
            if theirs.len() > most.1.len() {
                most = (*value, theirs);
            }
        }
        Self {
            persons: most.1.clone(),
            values: vec![most],
        }
    }

    /// Of some persons all who have a common value.
    fn of_all(some: &RoaringTreemap, common: &Common) -> Self {
        let values = common.values.iter();
        let values: Vec<(f64, RoaringTreemap)> = values
            .map(|(value, persons)| (*value, some & persons))
            .filter(|(_, persons)| !persons.is_empty())
            .collect();
        let persons = values.iter().map(|(_, persons)| persons);
        Self {
            persons: persons.fold(RoaringTreemap::new(), |all, persons| all | persons),
            values,
        }
    }

    /// So many of one, or of the other, have a value that as many of the other have not, and no more than their number and sum tell them
    /// apart by: a mean says no more of them.
    fn between(&self, other: &Self) -> u64 {
        let so_many = |of: &Self, value: f64| {
            let theirs = of.values.iter().filter(|(own, _)| is_same(*own, value));
            theirs.map(|(_, persons)| persons.len()).sum::<u64>()
        };
        let own = self.values.iter();
        let own = own.map(|(value, persons)| persons.len().abs_diff(so_many(other, *value)));
        let others = other.values.iter();
        let alone = others.filter(|(value, _)| so_many(self, *value) == 0);
        let by_value = own.chain(alone.map(|(_, persons)| persons.len())).sum();
        let moments = |of: &Self| -> [f64; 3] {
            let each = of.values.iter().map(|(value, persons)| {
                let persons = persons.len() as f64;
                [persons, persons * value, persons * value * value]
            });
            each.fold([0.0; 3], |sum, each| [0, 1, 2].map(|at| sum[at] + each[at]))
        };
        let (own, others) = (moments(self), moments(other));
        let [persons, sum, squares] = [0, 1, 2].map(|at| own[at] + others[at]);
        let mean = sum / persons;
        let deviation = (squares / persons - mean * mean).max(0.0).sqrt();
        let more = own[0] - others[0];
        let apart = more.abs() + ((own[1] - others[1] - more * mean) / deviation).abs();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of persons"
        )]
        let apart = if apart.is_nan() {
            by_value
        } else {
            apart.ceil() as u64
        };
        by_value.min(apart)
    }

    /// What the others contribute.
    pub(super) fn of_others(&self, whole: &Sketch) -> Sketch {
        let mut sketch = whole.clone();
        for (value, persons) in &self.values {
            sketch = sketch.without(persons, *value);
        }
        sketch
    }
}

/// Two numbers' persons, without those of common values who are in one of them alone, or have another value in each.
#[derive(Debug)]
pub(super) struct Both {
    /// Those of the one who are left out, and those of the other.
    pub(super) left_out: [LeftOut; 2],
    /// So many persons are in one of them alone, and not left out, or tell those who are left out apart.
    pub(super) apart: u64,
    /// Those who are left out are of several values: as many of each in either, or nearly as many with nearly one sum.
    pub(super) by_value: bool,
}

impl Both {
    /// Without those of one value, and without those of several who say the same of a mean in either, where fewer than `k` others are in
    /// one of them alone.
    pub(super) fn of(sets: [(&RoaringTreemap, Option<&Common>); 2], k: u64) -> Vec<Self> {
        let [(one, _), (other, _)] = sets;
        let both = one.intersection_len(other);
        if both == 0 {
            return Vec::new();
        }
        let of_one_value = Self::of_one_value(sets, both, k).into_iter();
        of_one_value.chain(Self::of_as_many(sets, k)).collect()
    }

    fn of_one_value(
        sets: [(&RoaringTreemap, Option<&Common>); 2],
        both: u64,
        k: u64,
    ) -> Option<Self> {
        let [(one, _), (other, _)] = sets;
        let alone_are_few = |(print, common): (&RoaringTreemap, Option<&Common>)| {
            print.len() - both < common.map_or(0, Common::most).saturating_add(k)
        };
        if !sets.into_iter().all(alone_are_few) {
            return None;
        }
        let left_out = [
            LeftOut::of(&(one - other), sets[0].1),
            LeftOut::of(&(other - one), sets[1].1),
        ];
        let apart = persons_between(
            &(one - &left_out[0].persons),
            &(other - &left_out[1].persons),
        );
        (apart < k).then_some(Self {
            left_out,
            apart,
            by_value: false,
        })
    }

    /// A mean says of persons of common values how many they are and what they add up to: other ones may be left out of either.
    fn of_as_many(sets: [(&RoaringTreemap, Option<&Common>); 2], k: u64) -> Option<Self> {
        let [(one, Some(own)), (other, Some(others))] = sets else {
            return None;
        };
        if one.len().abs_diff(other.len()) >= k {
            return None;
        }
        let mut changed = RoaringTreemap::new();
        for (value, persons) in &own.values {
            let unlike = others.values.iter().filter(|(of, _)| !is_same(*of, *value));
            unlike.for_each(|(_, theirs)| changed |= persons & theirs);
        }
        let left_out = [
            LeftOut::of_all(&((one - other) | &changed), own),
            LeftOut::of_all(&((other - one) | &changed), others),
        ];
        let others = persons_between(
            &(one - &left_out[0].persons),
            &(other - &left_out[1].persons),
        );
        let apart = others + left_out[0].between(&left_out[1]);
        let many = left_out.iter().any(|of| of.persons.len() >= k);
        (many && apart < k).then_some(Self {
            left_out,
            apart,
            by_value: true,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use super::*;

    fn of(values: &[f64]) -> Vec<Contribution> {
        let all = values.iter().zip(0..).map(|(value, person)| Contribution {
            person,
            rows: 3,
            sum: value * 3.0,
            squares: value * value * 3.0,
        });
        all.collect()
    }

    #[test]
    fn values_that_enough_persons_have_are_common() {
        let values = of(&[0.1, 0.1, 5.0, 0.1, 7.0, 5.0]);
        assert!(Common::of(&values, 4).is_none());
        assert!(Common::of(&[], 0).is_none());
        let common = Common::of(&values, 2).unwrap();
        let [(first, persons), (second, others)] = &common.values[..] else {
            panic!("{common:?}");
        };
        assert_eq!((*first, *second), (0.1 * 3.0 / 3.0, 5.0));
        assert_eq!(*persons, footprint(&[values[0], values[1], values[3]]));
        assert_eq!(*others, footprint(&[values[2], values[5]]));
        let again = Common::from_bytes(&common.bytes().unwrap()).unwrap();
        assert_eq!(again, Some(common));
        assert_eq!(Common::from_bytes(&[]).unwrap(), None);
        assert!(Common::from_bytes(&[1, 2]).is_err());
        assert!(Common::from_bytes(&[255; 20]).is_err());
    }

    #[test]
    fn those_of_one_value_who_are_alone_are_left_out() {
        // The first eight are in both; of the one set alone are those of 5, and somebody else.
        let values = of(&[
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0, 8.0,
        ]);
        let (print, common) = (footprint(&values), Common::of(&values, 3));
        let (less, of_less) = (footprint(&values[..8]), Common::of(&values[..8], 3));
        for sets in [
            [(&print, common.as_ref()), (&less, of_less.as_ref())],
            [(&less, of_less.as_ref()), (&print, common.as_ref())],
        ] {
            let both = &Both::of(sets, 3)[0];
            assert_eq!(both.apart, 1);
            let left_out = both.left_out.iter().map(|of| of.persons.len());
            assert_eq!(left_out.sum::<u64>(), 4);
            assert!(Both::of(sets, 1).is_empty());
        }
        let sketch = |some: &[Contribution]| Sketch::with_squares(some, 0.0);
        let both = &Both::of([(&print, common.as_ref()), (&less, None)], 3)[0];
        let others = [&values[..8], &values[12..]].concat();
        let left = both.left_out[0].of_others(&sketch(&values));
        assert_eq!(left.persons_between(&sketch(&others)), 0);
        assert_eq!(left.persons_between(&sketch(&values[..8])), 1);
    }

    /// Other persons of two values, as many of each, and the same persons with two values the other way round.
    #[test]
    fn as_many_of_each_value_are_left_out() {
        let of = |persons: std::ops::Range<i64>, value: fn(i64) -> f64| -> Vec<Contribution> {
            persons.map(|at| Contribution::of(at, value(at))).collect()
        };
        let own = || of(0..30, |at| at as f64 / 7.0);
        let pads = |first: i64, value: fn(i64) -> f64| of(first..first + 40, value);
        let two = |at: i64| if at % 2 == 0 { 28.0 } else { 3.0 };
        let other_way = |at: i64| if at % 2 == 1 { 28.0 } else { 3.0 };
        let nearly = |at: i64| if at % 2 == 1 || at < 108 { 28.0 } else { 3.0 };
        let many = |at: i64| if at % 2 == 1 || at < 112 { 28.0 } else { 3.0 };
        let equal = |at: i64| if at % 2 == 0 { 10.0 } else { 21.0 };
        let unlike = |at: i64| if at % 2 == 0 { 10.0 } else { 24.0 };
        let set = |one: Vec<Contribution>, pads: Vec<Contribution>| {
            let all = [one, pads].concat();
            (footprint(&all), Common::of(&all, 5))
        };
        let (print, common) = set(own(), pads(100, two));
        for (other, apart) in [
            (set(own(), pads(200, two)), Some(0)),
            (set(own(), pads(100, other_way)), Some(0)),
            (set(own()[1..].to_vec(), pads(100, other_way)), Some(1)),
            // Four more have one value, and four less the other: they tell the sums apart by eight deviations.
            (set(own(), pads(100, nearly)), None),
            // Other values that add up to the same.
            (set(own(), pads(200, equal)), Some(0)),
            (set(own(), pads(200, unlike)), None),
            (set(own(), pads(100, many)), None),
            (set(own(), pads(100, two)), None),
        ] {
            let sets = [(&print, common.as_ref()), (&other.0, other.1.as_ref())];
            let found = Both::of(sets, 5).into_iter().find(|both| both.by_value);
            assert_eq!(found.map(|both| both.apart), apart);
            let sets = [(&other.0, other.1.as_ref()), (&print, common.as_ref())];
            let found = Both::of(sets, 5).into_iter().find(|both| both.by_value);
            assert_eq!(found.map(|both| both.apart), apart);
        }
    }
}
