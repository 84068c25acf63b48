//! Eras: records with short gaps between them as one span of days.
//!
//! The definition is that of the OMOP Common Data Model's eras, and of SQL's "gaps and islands": records in order of
//! their first days; a record begins a new era if more than `gap` days lie between the last day of all records before it
//! and its first day. The gap days of an era are the days between its records, from last day to first day.
//!
//! Records that overlap are kept as one from the beginning, since no gap parts them. So the summary grows with what is
//! apart, and merges in any order.

use crate::Summary;

/// Consecutive records as one. Days are counted from any fixed day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Era {
    /// The first day.
    pub start: i32,
    /// The last day of all records.
    pub end: i32,
    /// How many records it is made of.
    pub records: u32,
    /// Days between the records.
    pub gap_days: u32,
}

/// Records of one person and one drug or condition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Eras {
    /// In the order in which they came; those without a gap are one. Most have one, which is no place of its own in memory.
    first: Option<Era>,
    more: Vec<Era>,
}

impl Eras {
    /// Takes in a record. One that ends before it starts counts as its first day.
    #[inline]
    pub fn add(&mut self, start: i32, end: i32) {
        self.add_span(Era {
            start,
            end: end.max(start),
            records: 1,
            gap_days: 0,
        });
    }

    /// Takes in records that overlap.
    #[inline]
    pub fn add_span(&mut self, span: Era) {
        match self.more.last_mut().or(self.first.as_mut()) {
            Some(last) if (last.start..=last.end).contains(&span.start) => {
                last.end = last.end.max(span.end);
                last.records = last.records.saturating_add(span.records);
            }
            Some(_) => self.more.push(span),
            None => self.first = Some(span),
        }
    }

    /// The records, those that overlap as one where they came one after the other.
    pub fn spans(&self) -> impl Iterator<Item = &Era> + Clone {
        self.first.iter().chain(&self.more)
    }

    /// Appends the eras that remain when gaps of up to `gap` days are bridged, in order; says how many.
    pub fn append_to(&self, gap: u32, eras: &mut Vec<Era>) -> usize {
        let before = eras.len();
        if self.spans().is_sorted_by_key(|span| span.start) {
            bridge(self.spans().copied(), gap, eras);
        } else {
            let mut spans: Vec<Era> = self.spans().copied().collect();
            spans.sort_unstable();
            bridge(spans.into_iter(), gap, eras);
        }
        eras.len() - before
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.more.capacity() * size_of::<Era>()
    }
}

/// Appends the eras of records in order of their first days, each of its first and last day; says how many.
pub fn append_in_order(
    records: impl Iterator<Item = (i32, i32)>,
    gap: u32,
    eras: &mut Vec<Era>,
) -> usize {
    let before = eras.len();
    let spans = records.map(|(start, end)| Era {
        start,
        end: end.max(start),
        records: 1,
        gap_days: 0,
    });
    bridge(spans, gap, eras);
    eras.len() - before
}

/// Appends the eras of records in order of their first days.
#[inline]
fn bridge(mut spans: impl Iterator<Item = Era>, gap: u32, eras: &mut Vec<Era>) {
    let Some(mut era) = spans.next() else {
        return;
    };
    for span in spans {
        // Days of 32 bits may be as far apart as no 32 bits with a sign can say.
        let apart = i64::from(span.start) - i64::from(era.end);
        match u32::try_from(apart.max(0)) {
            Ok(apart) if apart <= gap => {
                era.end = era.end.max(span.end);
                era.records = era.records.saturating_add(span.records);
                era.gap_days = era.gap_days.saturating_add(apart);
            }
            _ => eras.push(std::mem::replace(&mut era, span)),
        }
    }
    eras.push(era);
}

impl Summary for Eras {
    fn merge(&mut self, other: Self) {
        for span in other.spans() {
            self.add_span(*span);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eras(records: &[(i32, i32)], gap: u32) -> Vec<Era> {
        let mut all = Eras::default();
        for (start, end) in records {
            all.add(*start, *end);
        }
        let mut found = Vec::new();
        assert_eq!(all.append_to(gap, &mut found), found.len());
        found
    }

    fn era(start: i32, end: i32, records: u32, gap_days: u32) -> Era {
        Era {
            start,
            end,
            records,
            gap_days,
        }
    }

    #[test]
    fn gaps_up_to_the_limit_are_bridged() {
        let records = [(0, 10), (40, 50), (81, 90)];
        assert_eq!(eras(&records, 30), [era(0, 50, 2, 30), era(81, 90, 1, 0)]);
        assert_eq!(eras(&records, 31), [era(0, 90, 3, 61)]);
        assert_eq!(eras(&records, 0).len(), 3);
        assert_eq!(eras(&[], 30), []);
    }

    #[test]
    fn a_long_record_reaches_over_shorter_ones() {
        let records = [(0, 100), (5, 6), (7, 7), (110, 111)];
        assert_eq!(eras(&records, 10), [era(0, 111, 4, 10)]);
        assert_eq!(eras(&records, 9), [era(0, 100, 3, 0), era(110, 111, 1, 0)]);
    }

    #[test]
    fn the_ends_of_time_are_far_apart_and_a_record_that_ends_too_early_is_one_day() {
        let records = [(i32::MIN, i32::MIN), (i32::MAX, i32::MAX)];
        assert_eq!(eras(&records, 30).len(), 2);
        assert_eq!(eras(&[(5, 1)], 0), [era(5, 5, 1, 0)]);
    }

    /// The definition word by word: all days that a record covers, and gaps between them.
    fn by_days(records: &[(i32, i32)], gap: u32) -> Vec<Era> {
        let mut records: Vec<_> = records.to_vec();
        records.sort_unstable();
        let mut found: Vec<Era> = Vec::new();
        for (start, end) in records {
            let reach = found.last().map(|era| era.end);
            match (found.last_mut(), reach) {
                (Some(last), Some(reach)) if i64::from(start - reach) <= i64::from(gap) => {
                    last.gap_days += u32::try_from(start - reach).unwrap_or(0);
                    last.end = last.end.max(end);
                    last.records += 1;
                }
                _ => found.push(era(start, end, 1, 0)),
            }
        }
        found
    }

    proptest! {
        #[test]
        fn neither_order_nor_parts_matter(
            records in proptest::collection::vec((0i32..60, 0i32..9), 0..25),
            cut in 0usize..25,
            gap in 0u32..12,
        ) {
            let records: Vec<_> = records.into_iter().map(|(start, days)| (start, start + days)).collect();
            let expected = by_days(&records, gap);
            prop_assert_eq!(&eras(&records, gap), &expected);
            let (mut left, mut right) = (Eras::default(), Eras::default());
            for (at, (start, end)) in records.iter().enumerate() {
                if at < cut { left.add(*start, *end) } else { right.add(*start, *end) }
            }
            right.merge(left);
            let mut merged = Vec::new();
            right.append_to(gap, &mut merged);
            prop_assert_eq!(&merged, &expected);
            let mut ordered = records;
            ordered.sort_unstable();
            let mut at_once = Vec::new();
            append_in_order(ordered.into_iter(), gap, &mut at_once);
            prop_assert_eq!(at_once, expected);
        }
    }
}
