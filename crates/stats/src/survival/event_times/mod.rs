//! The summary behind every survival statistic: how many left at each time and how, and when the others came.

mod intervals;
mod parts;

use intervals::Intervals;

pub(crate) use intervals::Interval;
pub use parts::EventTimesParts;

use super::histogram::{Entry, Histogram, Weight, check_time};
use crate::{Error, Result, Summary};

/// The largest event code: 0 is censored, 1 the event, 2 and above competing events.
pub const MAX_STATUS: u32 = 63;

/// Times and events of any number of rows, in space that grows with the number of distinct times.
///
/// A row is a person, or an interval `(start, time]` of one, observed until `time` and then censored
/// (`status` 0) or having an event (1, or 2, 3, … for competing events). A row with a `start` is at risk only
/// after it (delayed entry); a row without is at risk from the beginning, time 0 included.
///
/// Adding a row is O(1). Rows that are refused leave the summary as it was:
///
/// | row | outcome |
/// |---|---|
/// | time or start NaN or infinite | [`Error::NonFiniteTime`] |
/// | time or start negative | [`Error::NegativeTime`] |
/// | start ≥ time | [`Error::EmptyInterval`] |
/// | weight NaN, infinite or negative | [`Error::InvalidWeight`] |
/// | status above [`MAX_STATUS`] | [`Error::StatusOutOfRange`] |
///
/// Weighted and unweighted rows do not mix: the summary takes both, and [`EventTimes::risk_table`](super::RiskTable)
/// then fails with [`Error::MixedWeights`], so that `merge` itself cannot fail.
///
/// # Example
///
/// ```
/// use columna_stats::{Summary, survival::EventTimes};
///
/// let mut arm = EventTimes::new();
/// for (time, event) in [(6.0, 1), (6.0, 1), (6.0, 0), (7.0, 1)] {
///     arm.add(time, event)?;
/// }
/// let mut rest = EventTimes::new();
/// rest.add(9.0, 0)?;
/// arm.merge(rest);
/// assert_eq!(arm.rows(), 5);
/// # Ok::<(), columna_stats::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct EventTimes {
    /// Rows by the time they left and their status.
    exits: Histogram<u64>,
    /// Rows with a start, by it.
    entries: Histogram<u64>,
    rows: u64,
    weights: Option<Box<WeightedTimes>>,
}

/// The same with weights. Counts are kept beside them: disclosure rules count persons, not weights.
#[derive(Debug, Clone, Default)]
struct WeightedTimes {
    exits: Histogram<Weight>,
    entries: Histogram<Weight>,
    /// Squared weights by start, time and status together: the robust variance of delayed entries needs the pair.
    intervals: Intervals,
    rows: u64,
    /// Whether some weight was not a whole number: weights are then not frequencies, and variances are robust.
    fractional: bool,
}

fn check_row(start: Option<f64>, time: f64, status: u32) -> Result<()> {
    check_time(time)?;
    if let Some(start) = start {
        check_time(start)?;
        if start >= time {
            return Err(Error::EmptyInterval);
        }
    }
    check_status(status)
}

#[inline]
fn check_status(status: u32) -> Result<()> {
    if status > MAX_STATUS {
        Err(Error::StatusOutOfRange)
    } else {
        Ok(())
    }
}

impl EventTimes {
    /// The summary of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row that is at risk from the beginning.
    #[inline]
    pub fn add(&mut self, time: f64, status: u32) -> Result<()> {
        check_status(status)?;
        self.exits.add(time, status, 1)?;
        self.rows += 1;
        Ok(())
    }

    /// Adds a row that is at risk in `(start, time]`.
    pub fn add_interval(&mut self, start: f64, time: f64, status: u32) -> Result<()> {
        check_row(Some(start), time, status)?;
        self.exits.add(time, status, 1)?;
        self.entries.add(start, 0, 1)?;
        self.rows += 1;
        Ok(())
    }

    /// Adds a row with a weight, at risk in `(start, time]`, or from the beginning without a start.
    ///
    /// Weights that are all whole numbers are taken as frequencies; others give robust (infinitesimal
    /// jackknife) variances with each row its own cluster, as R's `survfit` does.
    pub fn add_weighted(
        &mut self,
        start: Option<f64>,
        time: f64,
        status: u32,
        weight: f64,
    ) -> Result<()> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        check_row(start, time, status)?;
        self.exits.add(time, status, 1)?;
        let cell = Weight {
            sum: weight,
            squares: weight * weight,
        };
        let weights = self.weights.get_or_insert_default();
        weights.exits.add(time, status, cell)?;
        if let Some(start) = start {
            self.entries.add(start, 0, 1)?;
            weights.entries.add(start, 0, cell)?;
            weights.intervals.push(Interval {
                start: start + 0.0,
                time: time + 0.0,
                status,
                squares: cell.squares,
            });
        }
        weights.rows += 1;
        weights.fractional |= weight.fract() != 0.0;
        self.rows += 1;
        Ok(())
    }

    /// Rows seen, unweighted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Heap bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, |weights| {
            size_of::<WeightedTimes>()
                + weights.exits.heap_bytes()
                + weights.entries.heap_bytes()
                + weights.intervals.list.capacity() * size_of::<Interval>()
        });
        self.exits.heap_bytes() + self.entries.heap_bytes() + weights
    }

    /// Counts, and weights at the same places: exits, then entries.
    pub(super) fn contents(&self) -> Result<Contents> {
        let exits = self.exits.entries();
        let entries = self.entries.entries();
        let weights = match &self.weights {
            None => None,
            Some(weights) if weights.rows != self.rows => return Err(Error::MixedWeights),
            Some(weights) => Some(ContentWeights {
                exits: aligned(&exits, &weights.exits.entries()),
                entries: aligned(&entries, &weights.entries.entries()),
                intervals: weights.intervals.combined(),
                fractional: weights.fractional,
            }),
        };
        Ok(Contents {
            rows: self.rows,
            exits,
            entries,
            weights,
        })
    }
}

impl Summary for EventTimes {
    fn merge(&mut self, other: Self) {
        self.exits.merge(other.exits);
        self.entries.merge(other.entries);
        self.rows += other.rows;
        if let Some(theirs) = other.weights {
            let mine = self.weights.get_or_insert_default();
            mine.exits.merge(theirs.exits);
            mine.entries.merge(theirs.entries);
            for interval in theirs.intervals.list {
                mine.intervals.push(interval);
            }
            mine.rows += theirs.rows;
            mine.fractional |= theirs.fractional;
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// A finished summary, sorted.
pub(crate) struct Contents {
    pub(super) rows: u64,
    pub(super) exits: Vec<Entry<u64>>,
    pub(super) entries: Vec<Entry<u64>>,
    pub(super) weights: Option<ContentWeights>,
}

pub(crate) struct ContentWeights {
    pub(super) exits: Vec<Weight>,
    pub(super) entries: Vec<Weight>,
    pub(super) intervals: Vec<Interval>,
    pub(super) fractional: bool,
}

/// The weights at the places of the counts. Both are sorted, and no weight is where no count is.
fn aligned(counts: &[Entry<u64>], weights: &[Entry<Weight>]) -> Vec<Weight> {
    let mut weights = weights.iter().peekable();
    counts
        .iter()
        .map(|count| {
            weights
                .next_if(|weight| weight.time == count.time && weight.column == count.column)
                .map_or_else(Weight::default, |weight| weight.cell)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<f64>, f64, u32, Option<f64>);

    fn rows(weighted: bool) -> impl Strategy<Value = Vec<Row>> {
        let start =
            prop_oneof![3 => Just(None), 2 => (0_u32..300).prop_map(|day| Some(f64::from(day)))];
        // Quarters are exact, so that sums do not depend on the order.
        let weight =
            (0_u32..20).prop_map(move |quarter| weighted.then(|| f64::from(quarter) / 4.0));
        let length = prop_oneof![5 => (1_u32..300).prop_map(f64::from), 1 => 0.25..9.0];
        prop::collection::vec((start, length, 0_u32..4, weight), 0..400).prop_map(|rows| {
            rows.into_iter()
                .map(|(start, length, status, w)| (start, start.unwrap_or(0.0) + length, status, w))
                .collect()
        })
    }

    fn summary(rows: &[Row]) -> EventTimes {
        let mut summary = EventTimes::new();
        for (start, time, status, weight) in rows {
            match (start, weight) {
                (_, Some(weight)) => summary
                    .add_weighted(*start, *time, *status, *weight)
                    .unwrap(),
                (Some(start), None) => summary.add_interval(*start, *time, *status).unwrap(),
                (None, None) => summary.add(*time, *status).unwrap(),
            }
        }
        summary
    }

    proptest! {
        #[test]
        fn merge_is_the_whole_in_any_order(rows in rows(false), weighted in rows(true), a in 0..400_usize, b in 0..400_usize) {
            for rows in [rows, weighted] {
                let (a, b) = (a.min(b).min(rows.len()), a.max(b).min(rows.len()));
                let parts = [&rows[..a], &rows[a..b], &rows[b..]].map(summary);
                let whole = summary(&rows).to_parts();
                let [x, y, z] = parts;
                let mut left = x.clone();
                left.merge(y.clone());
                left.merge(z.clone());
                prop_assert_eq!(&left.to_parts(), &whole);
                let mut right = z;
                right.merge(y);
                let mut all = EventTimes::default();
                all.merge(right);
                all.merge(x);
                prop_assert_eq!(&all.to_parts(), &whole);
                let mut with_identity = summary(&rows);
                with_identity.merge(EventTimes::default());
                prop_assert_eq!(&with_identity.to_parts(), &whole);
            }
        }

        #[test]
        fn parts_round_trip(rows in rows(false), weighted in rows(true)) {
            for rows in [rows, weighted] {
                let parts = summary(&rows).to_parts();
                let back = EventTimes::from_parts(&parts).unwrap();
                prop_assert_eq!(back.rows(), rows.len() as u64);
                prop_assert_eq!(back.to_parts(), parts);
            }
        }

        #[test]
        fn row_parts_are_summary_parts(rows in rows(false)) {
            for (start, time, status, _) in &rows {
                let parts = EventTimesParts::of_row(*start, *time, *status).unwrap();
                prop_assert_eq!(parts, summary(&[(*start, *time, *status, None)]).to_parts());
            }
        }
    }

    #[test]
    fn refused_rows_leave_no_trace() {
        let mut summary = EventTimes::new();
        assert_eq!(summary.add(f64::NAN, 1), Err(Error::NonFiniteTime));
        assert_eq!(summary.add(-3.0, 1), Err(Error::NegativeTime));
        assert_eq!(
            summary.add(3.0, MAX_STATUS + 1),
            Err(Error::StatusOutOfRange)
        );
        assert_eq!(summary.add_interval(3.0, 3.0, 1), Err(Error::EmptyInterval));
        assert_eq!(summary.add_interval(4.0, 3.0, 1), Err(Error::EmptyInterval));
        assert_eq!(
            summary.add_interval(f64::NAN, 3.0, 1),
            Err(Error::NonFiniteTime)
        );
        assert_eq!(
            summary.add_weighted(None, 3.0, 1, f64::NAN),
            Err(Error::InvalidWeight)
        );
        assert_eq!(
            summary.add_weighted(None, 3.0, 1, -1.0),
            Err(Error::InvalidWeight)
        );
        assert!(summary.is_empty());
        assert_eq!(summary.to_parts(), EventTimes::new().to_parts());
    }

    #[test]
    fn damaged_parts_are_refused() {
        let parts = summary(&[(None, 3.0, 1, None), (Some(1.0), 5.0, 0, None)]).to_parts();
        for cut in 0..parts.ints.len() {
            let damaged = EventTimesParts {
                ints: parts.ints[..cut].to_vec(),
                floats: parts.floats.clone(),
            };
            assert!(EventTimes::from_parts(&damaged).is_err());
        }
        let damaged = EventTimesParts {
            ints: parts.ints.clone(),
            floats: vec![1.0],
        };
        assert_eq!(
            EventTimes::from_parts(&damaged).unwrap_err(),
            Error::CorruptState
        );
    }
}
