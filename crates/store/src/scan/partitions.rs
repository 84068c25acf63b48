//! Which partition of a scan reads which bucket, the same for every table of a snapshot.

use std::collections::HashMap;

use columna_model::BucketId;

use crate::Snapshot;

/// How many scan partitions stand ready for each thread. More than one, so that threads stay busy when
/// buckets differ in work; few, because every partition of a join or an aggregate holds memory.
const PARTITIONS_PER_THREAD: usize = 4;

/// The buckets of a snapshot in person order, with the bytes that all bucketed tables hold in each.
#[derive(Debug)]
pub(crate) struct BucketLoads {
    buckets: Vec<BucketLoad>,
}

#[derive(Debug, Clone)]
struct BucketLoad {
    id: BucketId,
    /// The first person of the range; the first bucket has none, it is open below.
    lower: Option<i64>,
    bytes: u64,
}

impl BucketLoads {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut bytes: HashMap<BucketId, u64> = HashMap::new();
        for file in snapshot.tables().flat_map(|table| &table.files) {
            if let Some(bucket) = file.bucket {
                let sum = bytes.entry(bucket).or_default();
                *sum = sum.saturating_add(file.bytes);
            }
        }
        let buckets = snapshot
            .buckets()
            .iter()
            .map(|bucket| (bucket.id, bucket.from));
        Self::new(buckets, |id| bytes.get(&id).copied().unwrap_or(0))
    }

    fn new(
        buckets: impl Iterator<Item = (BucketId, Option<i64>)>,
        bytes: impl Fn(BucketId) -> u64,
    ) -> Self {
        let buckets = buckets
            .map(|(id, lower)| BucketLoad {
                id,
                lower,
                bytes: bytes(id),
            })
            .collect();
        Self { buckets }
    }

    pub(crate) fn contains(&self, bucket: BucketId) -> bool {
        self.buckets.iter().any(|load| load.id == bucket)
    }

    /// The map for a session of `target_partitions`. It depends on nothing else than the snapshot and that
    /// number: tables must agree on it.
    pub(crate) fn partition_map(&self, target_partitions: usize) -> PartitionMap {
        let wanted = if target_partitions <= 1 {
            1
        } else {
            target_partitions.saturating_mul(PARTITIONS_PER_THREAD)
        };
        self.divide(wanted)
    }

    /// The map that has each bucket by itself.
    pub(crate) fn each_apart(&self) -> PartitionMap {
        self.divide(self.buckets.len())
    }

    /// Divides the buckets into at most `wanted` contiguous groups of about equal bytes, none empty.
    fn divide(&self, wanted: usize) -> PartitionMap {
        let count = wanted.clamp(1, self.buckets.len().max(1));
        // One more byte each, so that buckets without files still have a place to go.
        let total: u128 = self
            .buckets
            .iter()
            .map(|load| u128::from(load.bytes) + 1)
            .sum();
        let mut of_bucket = HashMap::with_capacity(self.buckets.len());
        let mut splits = Vec::with_capacity(count.saturating_sub(1));
        let (mut partition, mut sum, mut in_partition) = (0usize, 0u128, 0usize);
        for (index, load) in self.buckets.iter().enumerate() {
            let buckets_left = self.buckets.len() - index;
            let partitions_left = count - partition;
            // Close the group when its share of the bytes is reached, or when every bucket that is left
            // is needed for a group of its own.
            let share_reached = sum * count as u128 >= total * (partition as u128 + 1);
            let must_close = buckets_left < partitions_left;
            if in_partition > 0
                && partitions_left > 1
                && (share_reached || must_close)
                && let Some(lower) = load.lower
            {
                splits.push(lower);
                partition += 1;
                in_partition = 0;
            }
            of_bucket.insert(load.id, partition);
            in_partition += 1;
            sum += u128::from(load.bytes) + 1;
        }
        PartitionMap { of_bucket, splits }
    }
}

/// A division of the person range into scan partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionMap {
    of_bucket: HashMap<BucketId, usize>,
    splits: Vec<i64>,
}

impl PartitionMap {
    /// The number of partitions: one more than there are split points.
    pub(crate) fn len(&self) -> usize {
        self.splits.len() + 1
    }

    /// The first person of each partition but the first.
    pub(crate) fn splits(&self) -> &[i64] {
        &self.splits
    }

    pub(crate) fn partition_of(&self, bucket: BucketId) -> Option<usize> {
        self.of_bucket.get(&bucket).copied()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn loads(bytes: &[u64]) -> BucketLoads {
        let buckets = (0u32..)
            .zip(bytes)
            .map(|(id, _)| (BucketId(id), (id > 0).then(|| i64::from(id) * 100)));
        BucketLoads::new(buckets, |id| bytes[usize::try_from(id.0).unwrap()])
    }

    #[test]
    fn one_bucket_for_each_partition_when_there_are_few() {
        let map = loads(&[10, 10, 10]).partition_map(2);
        assert_eq!(map.len(), 3);
        assert_eq!(map.splits(), [100, 200]);
    }

    #[test]
    fn one_thread_reads_one_partition() {
        let map = loads(&[10, 10, 10]).partition_map(1);
        assert_eq!(map.len(), 1);
        assert!(map.splits().is_empty());
    }

    #[test]
    fn groups_follow_the_bytes() {
        let map = loads(&[1000, 1, 1, 1]).divide(2);
        assert_eq!(map.splits(), [100]);
        let map = loads(&[1, 1, 1, 1000]).divide(2);
        assert_eq!(map.splits(), [300]);
    }

    #[test]
    fn no_bucket_is_one_partition() {
        let map = loads(&[]).partition_map(8);
        assert_eq!(map.len(), 1);
    }

    proptest! {
        #[test]
        fn every_group_is_contiguous_and_none_is_empty(
            bytes in proptest::collection::vec(0u64..1000, 1..40),
            wanted in 1usize..20,
        ) {
            let map = loads(&bytes).divide(wanted);
            prop_assert_eq!(map.len(), wanted.min(bytes.len()));
            let of: Vec<usize> = (0u32..).zip(&bytes)
                .map(|(id, _)| map.partition_of(BucketId(id)).unwrap()).collect();
            prop_assert_eq!(of[0], 0);
            prop_assert_eq!(of[of.len() - 1], map.len() - 1);
            for (index, pair) in of.windows(2).enumerate() {
                prop_assert!(pair[1] == pair[0] || pair[1] == pair[0] + 1);
                if pair[1] != pair[0] {
                    let lower = i64::try_from(index + 1).unwrap() * 100;
                    prop_assert_eq!(map.splits()[pair[0]], lower);
                }
            }
        }
    }
}
