//! [`EventTimes`] as two flat vectors, for partial states that travel as columns.

use super::intervals::Interval;
use super::{EventTimes, MAX_STATUS, aligned, check_row};
use crate::survival::histogram::Weight;
use crate::{Error, Result};

/// A serialised [`EventTimes`]: two flat vectors, for partial states that travel as columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventTimesParts {
    /// Counts and codes.
    pub ints: Vec<u64>,
    /// Times and weights.
    pub floats: Vec<f64>,
}

const FLAG_WEIGHTED: u64 = 1;
const FLAG_FRACTIONAL: u64 = 2;
/// `ints` starts with: flags, weighted rows, number of exits, entries and intervals.
const HEADER: usize = 5;

impl EventTimesParts {
    /// The parts of a summary of one unweighted row, without making the summary.
    ///
    /// Equal to adding the row to an empty summary and calling [`EventTimes::to_parts`].
    pub fn of_row(start: Option<f64>, time: f64, status: u32) -> Result<Self> {
        check_row(start, time, status)?;
        Ok(match start {
            None => Self {
                ints: vec![0, 0, 1, 0, 0, u64::from(status), 1],
                floats: vec![time + 0.0],
            },
            Some(start) => Self {
                ints: vec![0, 0, 1, 1, 0, u64::from(status), 1, 1],
                floats: vec![time + 0.0, start + 0.0],
            },
        })
    }
}

impl EventTimes {
    /// Serialises the summary. Equal summaries have equal parts, but for the rounding of sums of weights.
    pub fn to_parts(&self) -> EventTimesParts {
        let exits = self.exits.entries();
        let entries = self.entries.entries();
        let intervals = self
            .weights
            .as_ref()
            .map_or_else(Vec::new, |weights| weights.intervals.combined());
        let flags = match &self.weights {
            None => 0,
            Some(weights) if weights.fractional => FLAG_WEIGHTED | FLAG_FRACTIONAL,
            Some(_) => FLAG_WEIGHTED,
        };
        let weighted_rows = self.weights.as_ref().map_or(0, |weights| weights.rows);
        let mut ints = vec![
            flags,
            weighted_rows,
            exits.len() as u64,
            entries.len() as u64,
            intervals.len() as u64,
        ];
        ints.extend(exits.iter().map(|exit| u64::from(exit.column)));
        ints.extend(exits.iter().map(|exit| exit.cell));
        ints.extend(entries.iter().map(|entry| entry.cell));
        ints.extend(intervals.iter().map(|interval| u64::from(interval.status)));
        let mut floats: Vec<f64> = exits.iter().map(|exit| exit.time).collect();
        floats.extend(entries.iter().map(|entry| entry.time));
        if let Some(weights) = &self.weights {
            // Weights stand at the same places as the counts; a place without weights has weight 0.
            for (counts, weights) in [(&exits, &weights.exits), (&entries, &weights.entries)] {
                let cells = aligned(counts, &weights.entries());
                floats.extend(cells.iter().map(|cell| cell.sum));
                floats.extend(cells.iter().map(|cell| cell.squares));
            }
            floats.extend(intervals.iter().map(|interval| interval.start));
            floats.extend(intervals.iter().map(|interval| interval.time));
            floats.extend(intervals.iter().map(|interval| interval.squares));
        }
        EventTimesParts { ints, floats }
    }

    /// The summary that `parts` were made of.
    pub fn from_parts(parts: &EventTimesParts) -> Result<Self> {
        let mut summary = Self::new();
        summary.merge_parts(&parts.ints, &parts.floats)?;
        Ok(summary)
    }

    /// Merges a serialised summary into this one. On an error this summary is partly merged and of no use.
    pub fn merge_parts(&mut self, ints: &[u64], floats: &[f64]) -> Result<()> {
        let mut ints = Reader(ints);
        let mut floats = Reader(floats);
        let [flags, weighted_rows, exits, entries, intervals] =
            <[u64; HEADER]>::try_from(ints.take(HEADER as u64)?)
                .map_err(|_| Error::CorruptState)?;
        let (statuses, exit_counts) = (ints.take(exits)?, ints.take(exits)?);
        let (entry_counts, interval_statuses) = (ints.take(entries)?, ints.take(intervals)?);
        let (exit_times, entry_times) = (floats.take(exits)?, floats.take(entries)?);
        let status = |code: u64| {
            u32::try_from(code)
                .ok()
                .filter(|status| *status <= MAX_STATUS)
                .ok_or(Error::CorruptState)
        };
        for ((time, code), count) in exit_times.iter().zip(statuses).zip(exit_counts) {
            self.exits.add(*time, status(*code)?, *count)?;
            self.rows += count;
        }
        for (time, count) in entry_times.iter().zip(entry_counts) {
            self.entries.add(*time, 0, *count)?;
        }
        if flags & FLAG_WEIGHTED != 0 {
            let weights = self.weights.get_or_insert_default();
            let (sums, squares) = (floats.take(exits)?, floats.take(exits)?);
            for (((time, code), sum), squares) in
                exit_times.iter().zip(statuses).zip(sums).zip(squares)
            {
                weights.exits.add(
                    *time,
                    status(*code)?,
                    Weight {
                        sum: *sum,
                        squares: *squares,
                    },
                )?;
            }
            let (sums, squares) = (floats.take(entries)?, floats.take(entries)?);
            for ((time, sum), squares) in entry_times.iter().zip(sums).zip(squares) {
                weights.entries.add(
                    *time,
                    0,
                    Weight {
                        sum: *sum,
                        squares: *squares,
                    },
                )?;
            }
            let (starts, times, squares) = (
                floats.take(intervals)?,
                floats.take(intervals)?,
                floats.take(intervals)?,
            );
            for (((start, time), squares), code) in
                starts.iter().zip(times).zip(squares).zip(interval_statuses)
            {
                let status = status(*code)?;
                weights.intervals.push(Interval {
                    start: *start,
                    time: *time,
                    status,
                    squares: *squares,
                });
            }
            weights.rows += weighted_rows;
            weights.fractional |= flags & FLAG_FRACTIONAL != 0;
        }
        if ints.0.is_empty() && floats.0.is_empty() {
            Ok(())
        } else {
            Err(Error::CorruptState)
        }
    }
}

/// Takes slices off the front.
struct Reader<'a, T>(&'a [T]);

impl<'a, T> Reader<'a, T> {
    fn take(&mut self, count: u64) -> Result<&'a [T]> {
        let count = usize::try_from(count).map_err(|_| Error::CorruptState)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::CorruptState)?;
        self.0 = rest;
        Ok(taken)
    }
}
