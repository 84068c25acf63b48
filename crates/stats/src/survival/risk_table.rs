//! The finished, sorted form of [`EventTimes`]: who was at risk and what happened at each time.

use super::event_times::{Contents, EventTimes, Interval};
use super::histogram::{Weight, whole_day};
use super::quantile::TOLERANCE;
use crate::{Error, Result};

/// At each distinct time at which rows left: how many were at risk just before, and how they left.
///
/// Weighted where the rows had weights; `*_rows` count rows in any case.
#[derive(Debug, Clone, Default)]
pub struct RiskTable {
    pub(crate) rows: u64,
    /// Rows with an event of any kind.
    pub(crate) event_rows: u64,
    /// Whether some rows had a start.
    pub(crate) has_entries: bool,
    pub(crate) time: Vec<f64>,
    pub(crate) at_risk: Vec<f64>,
    pub(crate) at_risk_rows: Vec<u64>,
    pub(crate) censored: Vec<f64>,
    pub(crate) censored_rows: Vec<u64>,
    /// By cause: `events[0]` has status 1.
    pub(crate) events: Vec<Vec<f64>>,
    pub(crate) events_rows: Vec<Vec<u64>>,
    /// Whether some weight is not a whole number: the weights are then not frequencies.
    pub(crate) fractional: bool,
    /// Squared weights, where rows have weights.
    pub(crate) squares: Option<Squares>,
}

/// Squared weights by the way rows entered and left, for robust variances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Squares {
    /// Rows without a start: by status and time index.
    pub(crate) whole: Vec<Vec<f64>>,
    /// Rows with a start: number of times before or at the start, time index, status, squared weights.
    pub(crate) intervals: Vec<(usize, usize, usize, f64)>,
}

impl EventTimes {
    /// Sorts the summary into a table, merging times that differ only by rounding.
    ///
    /// # Errors
    ///
    /// [`Error::MixedWeights`], and [`Error::EmptyInterval`] where merging times leaves an interval empty.
    pub fn risk_table(&self) -> Result<RiskTable> {
        let contents = self.contents()?;
        let fix = TimeFix::new([&contents]);
        RiskTable::new(&contents, &fix, grid([&contents], &fix))
    }

    /// The table with times as they are: R's `timefix = FALSE`.
    pub fn risk_table_exact(&self) -> Result<RiskTable> {
        let contents = self.contents()?;
        let fix = TimeFix::default();
        RiskTable::new(&contents, &fix, grid([&contents], &fix))
    }

    /// The tables of several groups, with near-ties merged over all of them as R's `timefix` does.
    pub fn risk_tables(groups: &[&Self]) -> Result<Vec<RiskTable>> {
        let contents = groups
            .iter()
            .map(|group| group.contents())
            .collect::<Result<Vec<_>>>()?;
        let fix = TimeFix::new(&contents);
        contents
            .iter()
            .map(|contents| RiskTable::new(contents, &fix, grid([contents], &fix)))
            .collect()
    }

    /// Tables of groups that are compared: by stratum, each stratum's groups at the same times.
    pub(crate) fn aligned_risk_tables(strata: &[Vec<&Self>]) -> Result<Vec<Vec<RiskTable>>> {
        let strata = strata
            .iter()
            .map(|groups| groups.iter().map(|group| group.contents()).collect());
        let strata = strata.collect::<Result<Vec<Vec<_>>>>()?;
        let fix = TimeFix::new(strata.iter().flatten());
        let tables = strata.iter().map(|groups| {
            let grid = grid(groups, &fix);
            groups
                .iter()
                .map(|contents| RiskTable::new(contents, &fix, grid.clone()))
                .collect()
        });
        tables.collect()
    }
}

/// The distinct times at which rows of any of these left.
fn grid<'a>(groups: impl IntoIterator<Item = &'a Contents>, fix: &TimeFix) -> Vec<f64> {
    let mut times: Vec<f64> = groups
        .into_iter()
        .flat_map(|contents| contents.exits.iter().map(|exit| fix.fix(exit.time)))
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
}

impl RiskTable {
    /// Rows summarised.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The distinct times at which rows left.
    pub fn times(&self) -> &[f64] {
        &self.time
    }

    /// `grid` has at least the times at which these rows left.
    fn new(contents: &Contents, fix: &TimeFix, grid: Vec<f64>) -> Result<Self> {
        let times = grid.len();
        let causes = contents
            .exits
            .iter()
            .map(|exit| exit.column as usize)
            .max()
            .unwrap_or(0)
            .max(1);
        let mut table = Self {
            rows: contents.rows,
            has_entries: !contents.entries.is_empty(),
            time: grid,
            censored: vec![0.0; times],
            censored_rows: vec![0; times],
            events: vec![vec![0.0; times]; causes],
            events_rows: vec![vec![0; times]; causes],
            ..Self::default()
        };
        let mut squares = vec![vec![0.0; times]; causes + 1];
        let mut at = 0;
        for (place, exit) in contents.exits.iter().enumerate() {
            let time = fix.fix(exit.time);
            while table.time.get(at).is_some_and(|known| *known < time) {
                at += 1;
            }
            let weight = contents
                .weights
                .as_ref()
                .map_or_else(|| unit(exit.cell), |weights| weights.exits[place]);
            let status = exit.column as usize;
            let (sum, rows) = match status.checked_sub(1) {
                None => (&mut table.censored, &mut table.censored_rows),
                Some(cause) => (&mut table.events[cause], &mut table.events_rows[cause]),
            };
            sum[at] += weight.sum;
            rows[at] += exit.cell;
            squares[status][at] += weight.squares;
            if status > 0 {
                table.event_rows += exit.cell;
            }
        }
        table.count_at_risk(contents, fix);
        if let Some(weights) = &contents.weights {
            table.fractional = weights.fractional;
            table.squares = Some(table.squares_by_entry(squares, &weights.intervals, fix)?);
        }
        table.check_intervals(contents, fix)?;
        Ok(table)
    }

    /// At risk at t: left at t or later, less came at t or later. Sums from the end, as R does.
    fn count_at_risk(&mut self, contents: &Contents, fix: &TimeFix) {
        let times = self.time.len();
        self.at_risk = vec![0.0; times];
        self.at_risk_rows = vec![0; times];
        let mut entries = contents.entries.iter().enumerate().rev().peekable();
        let (mut sum, mut rows, mut entered, mut entered_rows) = (0.0, 0_u64, 0.0, 0_u64);
        for at in (0..times).rev() {
            while let Some((place, entry)) =
                entries.next_if(|(_, entry)| fix.fix(entry.time) >= self.time[at])
            {
                let weight = contents
                    .weights
                    .as_ref()
                    .map_or_else(|| unit(entry.cell), |weights| weights.entries[place]);
                entered += weight.sum;
                entered_rows += entry.cell;
            }
            sum += self.censored[at] + self.events.iter().map(|events| events[at]).sum::<f64>();
            rows += self.censored_rows[at]
                + self
                    .events_rows
                    .iter()
                    .map(|events| events[at])
                    .sum::<u64>();
            self.at_risk[at] = sum - entered;
            self.at_risk_rows[at] = rows.saturating_sub(entered_rows);
        }
    }

    fn squares_by_entry(
        &self,
        mut whole: Vec<Vec<f64>>,
        intervals: &[Interval],
        fix: &TimeFix,
    ) -> Result<Squares> {
        let mut by_entry = Vec::with_capacity(intervals.len());
        for interval in intervals {
            let (start, time) = (fix.fix(interval.start), fix.fix(interval.time));
            let entered = self.time.partition_point(|known| *known <= start);
            let left = self
                .time
                .binary_search_by(|known| known.total_cmp(&time))
                .map_err(|_| Error::CorruptState)?;
            let status = interval.status as usize;
            whole[status][left] -= interval.squares;
            by_entry.push((entered, left, status, interval.squares));
        }
        Ok(Squares {
            whole,
            intervals: by_entry,
        })
    }

    /// An interval can become empty when its two ends are merged; R refuses that too.
    fn check_intervals(&self, contents: &Contents, fix: &TimeFix) -> Result<()> {
        if fix.cuts.is_empty() || contents.entries.is_empty() {
            return Ok(());
        }
        // Starts and times are known only as margins: more leave than are at risk if an interval is lost.
        let lost = (0..self.time.len()).any(|at| {
            let left = self.censored_rows[at]
                + self
                    .events_rows
                    .iter()
                    .map(|events| events[at])
                    .sum::<u64>();
            self.at_risk_rows[at] < left
        });
        if lost {
            Err(Error::EmptyInterval)
        } else {
            Ok(())
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows stay far below 2^53"
)]
fn unit(count: u64) -> Weight {
    Weight {
        sum: count as f64,
        squares: count as f64,
    }
}

/// Whether a time, at least 0, is a whole number of days: by additions alone, since the oldest machines round by a call.
#[inline(always)]
pub(crate) fn is_whole(time: f64) -> bool {
    const UNITS: f64 = 4_503_599_627_370_496.0;
    (time + UNITS) - UNITS == time
}

/// The distinct times in order: whole days are marked off, others sorted.
pub(crate) fn distinct_times(times: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    const MARKED_DAYS: u32 = 65_536;
    let mut seen: Vec<bool> = Vec::new();
    let all_marked =
        times.clone().all(
            |time| match whole_day(time).filter(|day| *day < MARKED_DAYS) {
                Some(day) => {
                    let day = day as usize;
                    if day >= seen.len() {
                        seen.resize(day + 1, false);
                    }
                    seen[day] = true;
                    true
                }
                None => false,
            },
        );
    if all_marked {
        return seen
            .iter()
            .zip(0_u32..)
            .filter(|(seen, _)| **seen)
            .map(|(_, day)| f64::from(day))
            .collect();
    }
    let mut times: Vec<f64> = times.collect();
    times.sort_unstable_by(f64::total_cmp);
    times.dedup();
    times
}

/// Merges times that differ only by rounding: R's `aeqSurv`.
///
/// Neighbours among the distinct times are one time if they differ by no more than 1.5e-8, absolutely or in
/// units of the mean time; the first stands for all. Whole days need none of it.
#[derive(Debug, Default)]
pub(crate) struct TimeFix {
    /// The times that stand for themselves and their successors; empty if nothing is merged.
    cuts: Vec<f64>,
}

impl TimeFix {
    pub(crate) fn new<'a>(groups: impl IntoIterator<Item = &'a Contents>) -> Self {
        let mut times = Vec::new();
        for contents in groups {
            times.extend(contents.exits.iter().map(|exit| exit.time));
            times.extend(contents.entries.iter().map(|entry| entry.time));
        }
        Self::of_times(times.iter().copied())
    }

    pub(crate) fn of_times(times: impl Iterator<Item = f64> + Clone) -> Self {
        // Whole days are never near-ties, and are not even looked at twice.
        if times.clone().all(|time| is_whole(time) && time < 1e6) {
            return Self::default();
        }
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of times stay far below 2^53"
        )]
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let tied = |a: f64, b: f64| b - a <= TOLERANCE || (b - a) / mean <= TOLERANCE;
        if !times.windows(2).any(|pair| tied(pair[0], pair[1])) {
            return Self::default();
        }
        let mut previous = None;
        times.retain(|time| {
            previous
                .replace(*time)
                .is_none_or(|previous| !tied(previous, *time))
        });
        Self { cuts: times }
    }

    pub(crate) fn fix(&self, time: f64) -> f64 {
        let at = self.cuts.partition_point(|cut| *cut <= time);
        at.checked_sub(1).map_or(time, |at| self.cuts[at])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn near_ties_are_one_time() {
        let mut summary = EventTimes::new();
        for (time, status) in [
            (0.3, 1),
            (0.1 + 0.2, 1),
            (0.5, 0),
            (0.8, 1),
            (0.1 + 0.7, 1),
            (1.1, 1),
        ] {
            summary.add(time, status).unwrap();
        }
        let table = summary.risk_table().unwrap();
        assert_eq!(table.time.len(), 4);
        assert_eq!(table.at_risk, [6.0, 4.0, 3.0, 1.0]);
        assert_eq!(table.events[0], [2.0, 0.0, 2.0, 1.0]);
    }

    #[test]
    fn a_row_enters_after_its_start() {
        let mut summary = EventTimes::new();
        for (start, time, status) in [
            (0.0, 2.0, 1),
            (0.0, 3.0, 1),
            (3.0, 5.0, 1),
            (5.0, 9.0, 1),
            (6.0, 8.0, 0),
        ] {
            summary.add_interval(start, time, status).unwrap();
        }
        let table = summary.risk_table().unwrap();
        assert_eq!(table.time, [2.0, 3.0, 5.0, 8.0, 9.0]);
        assert_eq!(table.at_risk_rows, [2, 1, 1, 2, 1]);
    }

    #[test]
    fn an_interval_that_rounding_empties_is_refused() {
        let mut summary = EventTimes::new();
        summary.add_interval(0.5, 0.5 + 1e-12, 1).unwrap();
        assert_eq!(summary.risk_table().unwrap_err(), Error::EmptyInterval);
    }

    #[test]
    fn mixed_weights_are_refused() {
        let mut summary = EventTimes::new();
        summary.add(1.0, 1).unwrap();
        summary.add_weighted(None, 1.0, 1, 2.0).unwrap();
        assert_eq!(summary.risk_table().unwrap_err(), Error::MixedWeights);
    }
}
