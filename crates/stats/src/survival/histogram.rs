//! A histogram over (time, column) that never sorts whole days and never needs them.
//!
//! Survival times are days. A large group fills a dense array indexed by day: adding a row is one addition. A
//! small group, and every time that is not a whole day, is a short list of (time, column, cell) that is sorted
//! and combined whenever it doubles. A histogram moves from list to array when the array is no longer the
//! larger of the two, so that a million groups of three rows cost what three million rows cost.

use crate::{Error, Result};

/// What is counted at one (time, column).
pub(crate) trait Cell: Copy + Default + std::fmt::Debug + PartialEq {
    fn absorb(&mut self, other: Self);
    fn is_empty(&self) -> bool;
}

impl Cell for u64 {
    fn absorb(&mut self, other: Self) {
        *self += other;
    }
    fn is_empty(&self) -> bool {
        *self == 0
    }
}

/// Sums of weights and of squared weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Weight {
    pub(crate) sum: f64,
    pub(crate) squares: f64,
}

impl Cell for Weight {
    fn absorb(&mut self, other: Self) {
        self.sum += other.sum;
        self.squares += other.squares;
    }
    fn is_empty(&self) -> bool {
        self.sum == 0.0 && self.squares == 0.0
    }
}

/// Days beyond this many are kept in the list: no lifetime is longer, and an array would be a waste.
const MAX_DENSE_DAYS: u32 = 65_536;
/// The list is first combined at this length.
const FIRST_COMPACTION: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry<C> {
    pub(crate) time: f64,
    pub(crate) column: u32,
    pub(crate) cell: C,
}

#[derive(Debug, Clone)]
pub(crate) struct Histogram<C> {
    /// Columns per day in `dense`.
    columns: u32,
    /// `dense[day * columns + column]`.
    dense: Vec<C>,
    list: Vec<Entry<C>>,
    compact_at: usize,
}

impl<C> Default for Histogram<C> {
    fn default() -> Self {
        Self {
            columns: 1,
            dense: Vec::new(),
            list: Vec::new(),
            compact_at: FIRST_COMPACTION,
        }
    }
}

/// The whole day that `time` is, if it is one. Saturates, so that NaN and out-of-range times compare unequal.
#[inline]
pub(crate) fn whole_day(time: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a saturating cast, compared back"
    )]
    let day = time as u32;
    (f64::from(day) == time).then_some(day)
}

/// Refuses times that no survival statistic can take.
pub(crate) fn check_time(time: f64) -> Result<()> {
    if !time.is_finite() {
        Err(Error::NonFiniteTime)
    } else if time < 0.0 {
        Err(Error::NegativeTime)
    } else {
        Ok(())
    }
}

impl<C: Cell> Histogram<C> {
    #[inline]
    pub(crate) fn add(&mut self, time: f64, column: u32, cell: C) -> Result<()> {
        if let Some(slot) = self.slot(time, column) {
            slot.absorb(cell);
            return Ok(());
        }
        check_time(time)?;
        // `+ 0.0` turns -0.0 into 0.0, so that the two are one time.
        self.push(Entry {
            time: time + 0.0,
            column,
            cell,
        });
        Ok(())
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.dense.capacity() * size_of::<C>() + self.list.capacity() * size_of::<Entry<C>>()
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.list.is_empty() && self.dense.iter().all(Cell::is_empty)
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        if self.dense.len() < other.dense.len() {
            std::mem::swap(self, &mut other);
        }
        if self.columns == other.columns {
            for (mine, theirs) in self.dense.iter_mut().zip(&other.dense) {
                mine.absorb(*theirs);
            }
        } else {
            other.drain_dense();
        }
        for entry in other.list {
            self.put(entry);
        }
    }

    /// Everything that is not empty, by time and then column.
    pub(crate) fn entries(&self) -> Vec<Entry<C>> {
        let mut all: Vec<Entry<C>> = self.dense_entries().collect();
        if !self.list.is_empty() {
            all.extend_from_slice(&self.list);
            combine(&mut all);
        }
        all
    }

    fn dense_entries(&self) -> impl Iterator<Item = Entry<C>> + '_ {
        let columns = self.columns as usize;
        self.dense
            .chunks_exact(columns)
            .zip(0_u32..)
            .flat_map(|(cells, day)| {
                cells
                    .iter()
                    .zip(0_u32..)
                    .filter(|(cell, _)| !cell.is_empty())
                    .map(move |(cell, column)| Entry {
                        time: f64::from(day),
                        column,
                        cell: *cell,
                    })
            })
    }

    #[inline]
    fn slot(&mut self, time: f64, column: u32) -> Option<&mut C> {
        let day = whole_day(time)?;
        if column >= self.columns {
            return None;
        }
        self.dense
            .get_mut(day as usize * self.columns as usize + column as usize)
    }

    fn put(&mut self, entry: Entry<C>) {
        match self.slot(entry.time, entry.column) {
            Some(slot) => slot.absorb(entry.cell),
            None => self.push(entry),
        }
    }

    fn push(&mut self, entry: Entry<C>) {
        self.list.push(entry);
        if self.list.len() >= self.compact_at {
            self.compact();
        }
    }

    /// Moves the array's cells to the list.
    fn drain_dense(&mut self) {
        let cells: Vec<Entry<C>> = self.dense_entries().collect();
        self.list.extend(cells);
        self.dense.clear();
    }

    fn compact(&mut self) {
        combine(&mut self.list);
        let columns = self
            .list
            .iter()
            .map(|entry| entry.column + 1)
            .max()
            .unwrap_or(1)
            .max(self.columns);
        let days = self
            .list
            .iter()
            .filter_map(|entry| whole_day(entry.time))
            .filter(|day| *day < MAX_DENSE_DAYS)
            .max()
            .map_or(0, |day| day as usize + 1)
            .max(self.dense.len() / self.columns as usize);
        let cells = days * columns as usize;
        // An array may replace what is held now if it is at most twice as large.
        let held = self.list.len() * size_of::<Entry<C>>() + self.dense.len() * size_of::<C>();
        if 2 * held >= cells * size_of::<C>() {
            if columns != self.columns {
                self.drain_dense();
                self.columns = columns;
            }
            self.dense.resize(cells, C::default());
            for entry in std::mem::take(&mut self.list) {
                match self.slot(entry.time, entry.column) {
                    Some(slot) => slot.absorb(entry.cell),
                    None => self.list.push(entry),
                }
            }
        }
        self.compact_at = (self.list.len() * 2).max(FIRST_COMPACTION);
    }
}

/// Sorts by time and column, and makes one entry of equal ones.
fn combine<C: Cell>(list: &mut Vec<Entry<C>>) {
    // Stable, so that equal entries are added up in the order they came.
    list.sort_by(|a, b| a.time.total_cmp(&b.time).then(a.column.cmp(&b.column)));
    list.dedup_by(|next, kept| {
        let same = next.time == kept.time && next.column == kept.column;
        if same {
            kept.cell.absorb(next.cell);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<(f64, u32)>> {
        let time = prop_oneof![
            8 => (0_u32..400).prop_map(f64::from),
            1 => (0_u32..4000).prop_map(|quarter| f64::from(quarter) / 4.0),
            1 => Just(1e9),
        ];
        prop::collection::vec((time, 0_u32..4), 0..3000)
    }

    proptest! {
        #[test]
        fn counts_like_a_map(rows in rows(), cut in 0.0..1.0_f64) {
            let mut expected = BTreeMap::new();
            let mut parts = [Histogram::<u64>::default(), Histogram::default()];
            for (index, (time, column)) in rows.iter().enumerate() {
                *expected.entry((time.to_bits(), *column)).or_insert(0_u64) += 1;
                let part = usize::from(index as f64 > cut * rows.len() as f64);
                parts[part].add(*time, *column, 1).unwrap();
            }
            let [mut whole, rest] = parts;
            whole.merge(rest);
            let found: Vec<_> = whole.entries().iter().map(|e| ((e.time.to_bits(), e.column), e.cell)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn large_groups_become_dense_and_small_ones_do_not() {
        let mut small = Histogram::<u64>::default();
        let mut large = Histogram::<u64>::default();
        for row in 0..10_000_u32 {
            large.add(f64::from(row * 7 % 3650), row % 2, 1).unwrap();
            if row < 40 {
                small.add(f64::from(row * 97 % 3650), row % 2, 1).unwrap();
            }
        }
        assert!(!large.dense.is_empty());
        assert!(small.dense.is_empty());
    }

    #[test]
    fn refuses_times_that_are_none() {
        let mut histogram = Histogram::<u64>::default();
        for time in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(histogram.add(time, 0, 1), Err(Error::NonFiniteTime));
        }
        assert_eq!(histogram.add(-1.0, 0, 1), Err(Error::NegativeTime));
        assert!(histogram.is_empty());
        histogram.add(-0.0, 0, 1).unwrap();
        histogram.add(0.0, 0, 1).unwrap();
        assert_eq!(
            histogram.entries(),
            [Entry {
                time: 0.0,
                column: 0,
                cell: 2
            }]
        );
    }
}
