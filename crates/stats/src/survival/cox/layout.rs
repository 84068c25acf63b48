//! Where each row stands among the event times: found once, read by every pass.

use std::collections::HashMap;
use std::ops::Range;

use super::rows::Rows;
use crate::numeric::BLOCK;
use crate::survival::{TimeFix, distinct_times, is_whole};
use crate::{Error, Result};

/// The distinct event times by stratum, and for each row the ones at which it is at risk.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Stratum codes in order.
    pub(crate) strata: Vec<u64>,
    /// Each stratum's place in `time`.
    pub(crate) ranges: Vec<Range<usize>>,
    /// Distinct event times, by stratum and then ascending.
    pub(crate) time: Vec<f64>,
    /// Rows with their event at each event time.
    pub(crate) deaths: Vec<u32>,
    /// Their weights.
    pub(crate) death_weight: Vec<f64>,
    /// A row is at risk at the event times `first..last`; if it has the event, it is at `last - 1`.
    /// `first` is empty if no row starts late.
    first: Vec<u32>,
    pub(crate) last: Vec<u32>,
    /// Rows that leave after an event time and before the next, without and with the event, by turns; empty if not known.
    pub(crate) leaving: Vec<usize>,
    /// The row's stratum as an index into `strata`; empty if there is one.
    pub(crate) stratum: Vec<u32>,
    /// Rows are read in chunks of this many, whatever the number of threads.
    pub(crate) chunk: usize,
}

/// Whole days up to here are looked up in a table instead of searched.
const MAX_TABLE_DAYS: f64 = 65_536.0;
const MIN_CHUNK: usize = 16_384;
const MAX_CHUNKS: usize = 64;

impl Layout {
    pub(crate) fn new(rows: &Rows) -> Result<Self> {
        let n = rows.len();
        // In whole blocks without a way out in their middle, in vectors.
        let known = |block: &[f64]| block.iter().fold(true, |all, time| all & !time.is_nan());
        if !rows.time.chunks(BLOCK).all(known) {
            return Err(Error::UnequalTerms);
        }
        u32::try_from(n).map_err(|_| Error::TooManyRows)?;
        let (strata, stratum) = codes(&rows.stratum)?;
        let stratum_of = |row: usize| stratum.get(row).map_or(0, |stratum| *stratum as usize);
        let longest = longest_whole(rows);
        if let (Some(longest), [], [_]) = (longest, rows.start.as_slice(), strata.as_slice()) {
            return Ok(Self::of_days(rows, longest, strata));
        }
        let fix = match longest {
            Some(_) => TimeFix::default(),
            None => TimeFix::of_times(
                rows.time
                    .iter()
                    .chain(rows.start.iter().filter(|s| s.is_finite()))
                    .copied(),
            ),
        };
        let mut by_stratum: Vec<Vec<f64>> = vec![Vec::new(); strata.len()];
        for row in (0..n).filter(|row| rows.event[*row]) {
            by_stratum[stratum_of(row)].push(fix.fix(rows.time[row]));
        }
        let mut layout = Self {
            ranges: Vec::with_capacity(strata.len()),
            strata,
            time: Vec::new(),
            deaths: Vec::new(),
            death_weight: Vec::new(),
            first: Vec::with_capacity(rows.start.len()),
            last: Vec::with_capacity(n),
            leaving: Vec::new(),
            stratum: Vec::new(),
            chunk: 0,
        };
        for times in by_stratum {
            let begin = layout.time.len();
            layout.time.extend(distinct_times(times.iter().copied()));
            layout.ranges.push(begin..layout.time.len());
        }
        layout.place_rows(rows, &stratum, &fix, longest)?;
        layout.stratum = stratum;
        layout.count_deaths(rows);
        layout.chunk = layout.chunk_size(n);
        Ok(layout)
    }

    /// Of rows that leave on whole days, in one stratum, and are at risk from the beginning.
    fn of_days(rows: &Rows, longest: f64, strata: Vec<u64>) -> Self {
        let mut leaving = vec![[0_u32; 2]; day(longest) + 1];
        for (time, event) in rows.time.iter().zip(&rows.event) {
            leaving[day(*time)][usize::from(*event)] += 1;
        }
        let (mut times, mut deaths, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut until, mut place) = (Vec::with_capacity(leaving.len()), 0_u32);
        for (today, [without, with]) in (0_u32..).zip(leaving) {
            if with > 0 {
                times.push(f64::from(today));
                deaths.push(with);
                counts.push([0, with as usize]);
                place += 1;
            }
            if let Some([count, _]) = counts.last_mut() {
                *count += without as usize;
            }
            until.push(place);
        }
        let mut layout = Self {
            strata,
            ranges: std::iter::once(0..times.len()).collect(),
            death_weight: deaths.iter().copied().map(f64::from).collect(),
            time: times,
            deaths,
            first: Vec::new(),
            last: rows.time.iter().map(|time| until[day(*time)]).collect(),
            leaving: counts.concat(),
            stratum: Vec::new(),
            chunk: 0,
        };
        if !rows.weight.is_empty() {
            layout.count_deaths(rows);
        }
        layout.chunk = layout.chunk_size(rows.len());
        layout
    }

    /// The event times of a model whose rows lie elsewhere, by stratum: strata are numbered from 0.
    pub(super) fn of_events(ranges: Vec<Range<usize>>, time: Vec<f64>) -> Self {
        Self {
            strata: (0..ranges.len() as u64).collect(),
            ranges,
            time,
            deaths: Vec::new(),
            death_weight: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            leaving: Vec::new(),
            stratum: Vec::new(),
            chunk: 0,
        }
    }

    /// The same with some of the model's rows, whose times are whole days.
    pub(super) fn with_rows(mut self, rows: &Rows) -> Result<Self> {
        for code in &rows.stratum {
            let stratum = u32::try_from(*code).map_err(|_| Error::TooManyRows)?;
            if stratum as usize >= self.ranges.len() {
                return Err(Error::CorruptState);
            }
            self.stratum.push(stratum);
        }
        let stratum = std::mem::take(&mut self.stratum);
        self.place_rows(rows, &stratum, &TimeFix::default(), longest_whole(rows))?;
        self.stratum = stratum;
        self.chunk = self.chunk_size(rows.len());
        Ok(self)
    }

    fn place_rows(
        &mut self,
        rows: &Rows,
        stratum: &[u32],
        fix: &TimeFix,
        longest: Option<f64>,
    ) -> Result<()> {
        let n = rows.len();
        let table = longest.and_then(|day| DayTable::new(rows, day, &self.ranges, &self.time));
        if let (Some(table), [], [_]) = (&table, rows.start.as_slice(), self.ranges.as_slice()) {
            let places = table.until.iter().map(|until| u32::try_from(*until));
            let places: Vec<u32> = places
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| Error::TooManyRows)?;
            let times = rows.time.iter();
            self.last.extend(times.map(|time| places[day(*time)]));
            return Ok(());
        }
        for row in 0..n {
            let stratum = stratum.get(row).map_or(0, |stratum| *stratum as usize);
            let until = |time: f64| match &table {
                Some(table) => table.until(stratum, time),
                None => {
                    let range = self.ranges[stratum].clone();
                    let time = fix.fix(time);
                    range.start + self.time[range].partition_point(|known| *known <= time)
                }
            };
            let last = until(rows.time[row]);
            self.last
                .push(u32::try_from(last).map_err(|_| Error::TooManyRows)?);
            let Some(start) = rows.start.get(row).copied() else {
                continue;
            };
            let first = if start == f64::NEG_INFINITY {
                self.ranges[stratum].start
            } else {
                until(start)
            };
            if start.is_finite() && fix.fix(start) >= fix.fix(rows.time[row]) {
                return Err(Error::EmptyInterval);
            }
            self.first
                .push(u32::try_from(first).map_err(|_| Error::TooManyRows)?);
        }
        Ok(())
    }

    fn count_deaths(&mut self, rows: &Rows) {
        self.deaths = vec![0; self.time.len()];
        self.death_weight = vec![0.0; self.time.len()];
        for row in (0..rows.len()).filter(|row| rows.event[*row]) {
            let at = self.last[row] as usize - 1;
            self.deaths[at] += 1;
            self.death_weight[at] += rows.weight_of(row);
        }
    }

    /// Large enough that the sums of a chunk, two for each event time, are small beside its rows; chunks of one size.
    fn chunk_size(&self, n: usize) -> usize {
        let least = self.time.len().saturating_mul(32).max(MIN_CHUNK);
        n.div_ceil((n / least).clamp(1, MAX_CHUNKS))
            .next_multiple_of(BLOCK)
    }

    /// The first event time at which the row is at risk.
    #[inline(always)]
    pub(crate) fn first(&self, row: usize) -> usize {
        match self.first.get(row) {
            Some(first) => *first as usize,
            None => self.begin(row),
        }
    }

    /// The first event time of the row's stratum.
    #[inline(always)]
    pub(crate) fn begin(&self, row: usize) -> usize {
        let stratum = self.stratum.get(row).map_or(0, |stratum| *stratum as usize);
        self.ranges[stratum].start
    }

    /// The rows' ranges, the same for any number of threads.
    pub(crate) fn chunks(&self) -> Vec<Range<usize>> {
        let n = self.last.len();
        (0..n)
            .step_by(self.chunk.max(1))
            .map(|begin| begin..(begin + self.chunk).min(n))
            .collect()
    }
}

/// For whole days: the number of event times up to each day, by stratum.
struct DayTable {
    days: usize,
    until: Vec<usize>,
}

impl DayTable {
    fn new(rows: &Rows, longest: f64, ranges: &[Range<usize>], times: &[f64]) -> Option<Self> {
        let days = day(longest) + 1;
        if ranges.len().checked_mul(days)? > 4 * rows.len() + (1 << 20) {
            return None;
        }
        let mut until = Vec::with_capacity(ranges.len() * days);
        for range in ranges {
            let mut at = range.start;
            for today in 0..days {
                while at < range.end && day(times[at]) <= today {
                    at += 1;
                }
                until.push(at);
            }
        }
        Some(Self { days, until })
    }

    fn until(&self, stratum: usize, time: f64) -> usize {
        self.until[stratum * self.days + day(time)]
    }
}

/// The longest time, if all are whole days that a table can have.
fn longest_whole(rows: &Rows) -> Option<f64> {
    let mut longest = 0.0_f64;
    // In blocks without a way out in their middle: the compiler then uses vector instructions.
    for times in rows.time.chunks(BLOCK).chain(rows.start.chunks(BLOCK)) {
        // A row that is at risk from the beginning has no start.
        let known = |time: &f64| if *time < 0.0 { 0.0 } else { *time };
        let times = times.iter().map(known);
        let whole = |all, time| all & is_whole(time) & (time < MAX_TABLE_DAYS);
        if !times.clone().fold(true, whole) {
            return None;
        }
        longest = times.fold(
            longest,
            |longest, time| if time > longest { time } else { longest },
        );
    }
    Some(longest)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole day in range"
)]
fn day(time: f64) -> usize {
    time as usize
}

/// The distinct codes in order, and each row's place among them; one code and no places for an empty column.
pub(crate) fn codes(column: &[u64]) -> Result<(Vec<u64>, Vec<u32>)> {
    if column.is_empty() {
        return Ok((vec![0], Vec::new()));
    }
    let mut distinct = column.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let places: HashMap<u64, u32> = distinct.iter().copied().zip(0..).collect();
    let places = column
        .iter()
        .map(|code| places.get(code).copied().ok_or(Error::TooManyRows));
    let places = places.collect::<Result<_>>()?;
    Ok((distinct, places))
}
