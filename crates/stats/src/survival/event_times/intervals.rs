//! Squared weights by start, time and status together.

use std::cmp::Ordering;

/// Weighted rows with one start, time and status.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) start: f64,
    pub(crate) time: f64,
    pub(crate) status: u32,
    pub(crate) squares: f64,
}

impl Interval {
    fn order(&self, other: &Self) -> Ordering {
        (self.time.total_cmp(&other.time))
            .then(self.status.cmp(&other.status))
            .then(self.start.total_cmp(&other.start))
    }
}

/// A list of intervals that combines equal ones whenever it has doubled.
#[derive(Debug, Clone, Default)]
pub(super) struct Intervals {
    pub(super) list: Vec<Interval>,
    compact_at: usize,
}

impl Intervals {
    pub(super) fn push(&mut self, interval: Interval) {
        self.list.push(interval);
        if self.list.len() >= self.compact_at.max(64) {
            combine(&mut self.list);
            self.compact_at = self.list.len() * 2;
        }
    }

    pub(super) fn combined(&self) -> Vec<Interval> {
        let mut list = self.list.clone();
        combine(&mut list);
        list
    }
}

fn combine(list: &mut Vec<Interval>) {
    list.sort_by(Interval::order);
    list.dedup_by(|next, kept| {
        let same = next.order(kept) == Ordering::Equal;
        if same {
            kept.squares += next.squares;
        }
        same
    });
}
