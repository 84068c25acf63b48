//! One summary per group, itself a summary.

use std::collections::BTreeMap;

use crate::Summary;

/// A summary per key: per treatment arm, or per (stratum, arm).
///
/// Keys keep their order, so that the first group of a comparison is the first in sort order, however the rows
/// arrived.
///
/// ```
/// use columna_stats::{Grouped, survival::EventTimes};
///
/// let mut arms = Grouped::<&str, EventTimes>::default();
/// arms.entry("placebo").add(8.0, 1)?;
/// arms.entry("treated").add(32.0, 0)?;
/// assert_eq!(arms.keys().collect::<Vec<_>>(), [&"placebo", &"treated"]);
/// # Ok::<(), columna_stats::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Grouped<K, S>(BTreeMap<K, S>);

impl<K, S> Default for Grouped<K, S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, S: Summary> Grouped<K, S> {
    /// The summary of a group, empty if it is new.
    pub fn entry(&mut self, key: K) -> &mut S {
        self.0.entry(key).or_default()
    }

    /// The groups in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &S)> {
        self.0.iter()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// The summary of a group.
    pub fn get(&self, key: &K) -> Option<&S> {
        self.0.get(key)
    }
}

impl<K: Ord, S: Summary> Summary for Grouped<K, S> {
    fn merge(&mut self, other: Self) {
        for (key, theirs) in other.0 {
            self.entry(key).merge(theirs);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.values().all(Summary::is_empty)
    }
}
