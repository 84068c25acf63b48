//! Buckets: contiguous ranges of persons with stable ids, the same in every table.

use columna_model::BucketId;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A bucket: the persons from `from` up to the next bucket's `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketRange {
    /// The bucket's id, never used again for another range.
    pub id: BucketId,
    /// The smallest person that may be in it; none for the first bucket.
    pub from: Option<i64>,
    /// How many persons it was opened for, or had at the last compaction.
    pub persons: u64,
}

/// The ordered, contiguous ranges that divide the persons of a store. Never empty: a new store has
/// one bucket for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Buckets {
    next_id: u32,
    ranges: Vec<BucketRange>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    next_id: u32,
    ranges: Vec<StoredRange>,
}

#[derive(Serialize, Deserialize)]
struct StoredRange {
    id: u32,
    from: Option<i64>,
    persons: u64,
}

impl From<Buckets> for Stored {
    fn from(buckets: Buckets) -> Self {
        Self {
            next_id: buckets.next_id,
            ranges: buckets
                .ranges
                .iter()
                .map(|r| StoredRange {
                    id: r.id.0,
                    from: r.from,
                    persons: r.persons,
                })
                .collect(),
        }
    }
}

impl TryFrom<Stored> for Buckets {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let ranges: Vec<BucketRange> = stored
            .ranges
            .iter()
            .map(|r| BucketRange {
                id: BucketId(r.id),
                from: r.from,
                persons: r.persons,
            })
            .collect();
        let first = ranges.first().ok_or("there is no bucket")?;
        if first.from.is_some() {
            return Err("the first bucket has a lower bound");
        }
        // `None < Some(_)`, so one comparison covers bounds that are missing as well.
        if ranges.windows(2).any(|w| w[0].from >= w[1].from) {
            return Err("the buckets are not in ascending order");
        }
        let mut ids: Vec<u32> = ranges.iter().map(|r| r.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != ranges.len() || ids.last().is_some_and(|&id| id >= stored.next_id) {
            return Err("bucket ids are not unique");
        }
        Ok(Self {
            next_id: stored.next_id,
            ranges,
        })
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            next_id: 1,
            ranges: vec![BucketRange {
                id: BucketId(0),
                from: None,
                persons: 0,
            }],
        }
    }
}

impl Buckets {
    /// The bucket of a person. Every person has one.
    #[must_use]
    pub fn bucket_of(&self, person: i64) -> BucketId {
        self.ranges[self.position_of(person)].id
    }

    /// The position, in order of persons, of the bucket of a person.
    #[must_use]
    pub fn position_of(&self, person: i64) -> usize {
        self.ranges
            .partition_point(|r| r.from.is_none_or(|from| from <= person))
            .saturating_sub(1)
    }

    /// The position of a bucket in order of persons.
    #[must_use]
    pub fn position(&self, id: BucketId) -> Option<usize> {
        self.ranges.iter().position(|r| r.id == id)
    }

    /// How many buckets there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a bucket")]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The buckets in order of persons.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BucketRange> {
        self.ranges.iter()
    }

    /// The lower bounds of all buckets but the first.
    #[must_use]
    pub fn split_points(&self) -> Vec<i64> {
        self.ranges.iter().filter_map(|r| r.from).collect()
    }

    /// The persons of a bucket: the smallest, and the first beyond it.
    #[must_use]
    pub fn bounds(&self, id: BucketId) -> Option<(Option<i64>, Option<i64>)> {
        let at = self.position(id)?;
        Some((
            self.ranges[at].from,
            self.ranges.get(at + 1).and_then(|next| next.from),
        ))
    }

    /// Whether persons from `min` to `max` all belong to a bucket.
    #[must_use]
    pub fn holds(&self, id: BucketId, min: i64, max: i64) -> bool {
        self.bounds(id).is_some_and(|(from, to)| {
            from.is_none_or(|from| from <= min) && to.is_none_or(|to| max < to)
        })
    }

    /// Divides the range of everybody into about equal buckets: the first delivery of a store.
    pub(crate) fn divide(
        &mut self,
        persons: &mut dyn Iterator<Item = i64>,
        target: u64,
    ) -> Result<()> {
        let sample = Sample::take(None, persons, target)?;
        let pieces = sample.pieces(target);
        let first = BucketRange {
            persons: pieces.first().map_or(0, |p| p.1),
            ..self.ranges[0]
        };
        self.ranges = vec![first];
        for &(from, persons) in pieces.iter().skip(1) {
            self.open(from, persons);
        }
        Ok(())
    }

    /// Makes room for persons beyond `known`, the largest one until now. They fill the last bucket up, then open new ones.
    pub(crate) fn extend(
        &mut self,
        known: Option<i64>,
        beyond: &mut dyn Iterator<Item = i64>,
        target: u64,
    ) -> Result<()> {
        let Some(last) = self.ranges.last_mut() else {
            return Err(Error::engine("a store without buckets"));
        };
        let sample = Sample::take(known, beyond, target)?;
        let total = last.persons.saturating_add(sample.total);
        if total <= target.saturating_add(target / 2) {
            last.persons = total;
            return Ok(());
        }
        // A bucket nearly full is left alone: every table's run in it would be rewritten for a few.
        let room = target.saturating_sub(last.persons);
        let room = if room < target / 4 { 0 } else { room };
        let (stay, rest) = sample.split_at(room);
        last.persons = last.persons.saturating_add(stay);
        for (from, persons) in rest.pieces(target) {
            self.open(from, persons);
        }
        Ok(())
    }

    /// Opens a bucket behind the last one.
    fn open(&mut self, from: i64, persons: u64) {
        self.ranges.push(BucketRange {
            id: BucketId(self.next_id),
            from: Some(from),
            persons,
        });
        self.next_id += 1;
    }

    /// Replaces the buckets at `positions` by new ones that begin at the given persons; the first begins
    /// where the first replaced one did. For compaction.
    pub(crate) fn replace(
        &mut self,
        positions: std::ops::Range<usize>,
        pieces: &[(Option<i64>, u64)],
    ) -> Vec<BucketId> {
        let mut ids = Vec::with_capacity(pieces.len());
        let new: Vec<BucketRange> = pieces
            .iter()
            .map(|&(from, persons)| {
                let id = BucketId(self.next_id);
                self.next_id += 1;
                ids.push(id);
                BucketRange { id, from, persons }
            })
            .collect();
        self.ranges.splice(positions, new);
        ids
    }

    /// Sets how many persons a bucket has, as counted by a compaction.
    pub(crate) fn set_persons(&mut self, position: usize, persons: u64) {
        if let Some(range) = self.ranges.get_mut(position) {
            range.persons = persons;
        }
    }

    /// Moves a lower bound off a person who is being erased, so that no snapshot names them.
    /// Sound because that person has no rows any more.
    pub(crate) fn unname(&mut self, person: i64) -> bool {
        let Some(at) = self.ranges.iter().position(|r| r.from == Some(person)) else {
            return false;
        };
        let Some(moved) = person.checked_add(1) else {
            return false;
        };
        if self
            .ranges
            .get(at + 1)
            .is_some_and(|next| next.from == Some(moved))
        {
            // The bucket was for this person alone: its neighbour before takes the empty range.
            self.ranges.remove(at);
        } else {
            self.ranges[at].from = Some(moved);
        }
        true
    }
}

/// Where a range may begin that has this person and not the one before: halfway, for a snapshot says it to whoever
/// can read the folder, and need not name a person. Where numbers leave no gap, it does.
fn between(before: Option<i64>, person: i64) -> i64 {
    before.map_or(person, |before| {
        let gap = person.saturating_sub(before);
        before.saturating_add(gap / 2 + gap % 2)
    })
}

/// Every so-many-th of a sorted list of persons, enough to divide it evenly without holding it.
pub(crate) struct Sample {
    kept: Vec<i64>,
    step: u64,
    total: u64,
}

impl Sample {
    /// Samples persons, which come sorted and distinct, by a number up to each that is no other's.
    /// `before` is the last person before them.
    pub(crate) fn take(
        before: Option<i64>,
        persons: &mut dyn Iterator<Item = i64>,
        target: u64,
    ) -> Result<Self> {
        let mut sample = Self {
            kept: Vec::new(),
            step: (target / 64).max(1),
            total: 0,
        };
        let mut previous = before;
        for person in persons {
            let before = previous;
            if previous.is_some_and(|p| p >= person) {
                return Err(Error::engine(
                    "persons for buckets are not sorted and distinct",
                ));
            }
            previous = Some(person);
            if sample.total.is_multiple_of(sample.step) {
                sample.kept.push(between(before, person));
            }
            sample.total += 1;
        }
        Ok(sample)
    }

    /// Takes off about the first `count` persons: how many they are, and the sample of the others.
    fn split_at(mut self, count: u64) -> (u64, Self) {
        let samples = usize::try_from(count / self.step)
            .unwrap_or(usize::MAX)
            .min(self.kept.len());
        let rest = self.kept.split_off(samples);
        let stay = (samples as u64 * self.step).min(self.total);
        let rest = Self {
            kept: rest,
            step: self.step,
            total: self.total - stay,
        };
        (stay, rest)
    }

    /// Divides the persons into ranges of about `target`: where each one begins, and its size.
    pub(crate) fn pieces(&self, target: u64) -> Vec<(i64, u64)> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let kept = self.kept.len() as u64;
        let count = ((self.total + target / 2) / target).clamp(1, kept);
        let starts: Vec<u64> = (0..count).map(|i| i * kept / count).collect();
        starts
            .iter()
            .enumerate()
            .map(|(i, &start)| {
                let end = starts
                    .get(i + 1)
                    .map_or(self.total, |&next| next * self.step);
                let first = self.kept[usize::try_from(start).unwrap_or(0)];
                (first, end - start * self.step)
            })
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn divided(persons: impl IntoIterator<Item = i64>, target: u64) -> Buckets {
        let mut buckets = Buckets::default();
        buckets.divide(&mut persons.into_iter(), target).unwrap();
        buckets
    }

    #[test]
    fn first_delivery_is_divided_evenly() {
        let buckets = divided((0..1000).map(|i| i * 7), 100);
        assert_eq!(buckets.len(), 10);
        assert!(buckets.iter().all(|r| r.persons == 100));
        assert_eq!(buckets.split_points()[0], 697, "between two persons");
        assert_eq!(buckets.bucket_of(-5), BucketId(0));
        assert_eq!(buckets.bucket_of(693), BucketId(0));
        assert_eq!(buckets.bucket_of(700), BucketId(1));
        assert_eq!(buckets.bucket_of(i64::MAX), BucketId(9));
        assert!(buckets.holds(BucketId(1), 700, 1393));
        assert!(!buckets.holds(BucketId(1), 700, 1400));
    }

    #[test]
    fn few_persons_share_one_bucket() {
        assert_eq!(divided([], 10).len(), 1);
        assert_eq!(divided([5], 10).len(), 1);
        assert_eq!(divided(0..14, 10).len(), 1);
        assert_eq!(divided(0..15, 10).len(), 2);
    }

    #[test]
    fn later_persons_fill_the_last_bucket_then_open_new_ones() {
        let mut buckets = divided(0..250, 100);
        let before = buckets.split_points();
        buckets.extend(Some(249), &mut (1000..1010), 100).unwrap();
        assert_eq!(buckets.split_points(), before);
        buckets.extend(Some(1009), &mut (2000..2300), 100).unwrap();
        assert_eq!(buckets.split_points()[..before.len()], before[..]);
        assert!(buckets.len() > before.len() + 2);
        assert!(buckets.iter().all(|r| (50..=150).contains(&r.persons)));
        let total: u64 = buckets.iter().map(|r| r.persons).sum();
        assert_eq!(total, 560);
    }

    #[test]
    fn unsorted_persons_are_refused() {
        let mut buckets = Buckets::default();
        assert!(buckets.divide(&mut [2, 1].into_iter(), 10).is_err());
    }

    #[test]
    fn a_bound_moves_off_an_erased_person() {
        let mut buckets = divided(0..300, 100);
        assert!(buckets.unname(100));
        assert_eq!(buckets.split_points(), vec![101, 200]);
        assert!(!buckets.unname(150));
    }

    #[test]
    fn json_is_checked() {
        let buckets = divided(0..300, 100);
        let json = serde_json::to_string(&buckets).unwrap();
        assert_eq!(serde_json::from_str::<Buckets>(&json).unwrap(), buckets);
        for wrong in [
            r#"{"next_id":1,"ranges":[]}"#,
            r#"{"next_id":2,"ranges":[{"id":0,"from":1,"persons":0}]}"#,
            r#"{"next_id":2,"ranges":[{"id":0,"from":null,"persons":0},{"id":0,"from":1,"persons":0}]}"#,
            r#"{"next_id":3,"ranges":[{"id":0,"from":null,"persons":0},{"id":1,"from":9,"persons":0},{"id":2,"from":3,"persons":0}]}"#,
        ] {
            assert!(serde_json::from_str::<Buckets>(wrong).is_err());
        }
    }
}
