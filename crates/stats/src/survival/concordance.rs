//! Concordance: of two persons, does the one at higher risk have the event first?
//!
//! A pair is comparable if the one with the event at t is compared with one still at risk after t (censored at
//! t included). C = (concordant + tied risk / 2) / comparable, within strata and with weights w_i·w_j. The
//! standard error is the infinitesimal jackknife: each row's (or cluster's) share in C. Pairs may be weighted by
//! time, by which Harrell's C becomes Gehan's, Peto's or Uno's. Two sweeps over sums by rank ([`ranks`]).
//! Source: Harrell, JAMA 1982; Therneau and Watson (2017); R survival, `concordance`.

mod ranks;

use rayon::prelude::*;

use self::ranks::{Prefixes, Tally};
use super::cox::Rows;
use super::{EventTimes, TimeFix, kaplan_meier};
use crate::{Error, Result};

/// The weight of the pairs of an event, by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeWeight {
    /// Every pair counts 1: Harrell's C, R's `n`.
    #[default]
    Pairs,
    /// n·S(t−)/n(t): R's `S`.
    Survival,
    /// n·S(t−)/(n(t)·G(t−)), G the censoring distribution; equals n/G²: R's `S/G`, Uno's C.
    SurvivalByCensoring,
    /// 1/n(t): R's `I`.
    AtRisk,
}

/// How concordance is computed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// Weight of pairs by time.
    pub time_weight: TimeWeight,
    /// Events after this time are not compared.
    pub latest: Option<f64>,
}

/// Concordance of a risk score with time to event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Concordance {
    /// C; NaN if no pair is comparable.
    pub concordance: f64,
    /// Its standard error.
    pub std_err: f64,
    /// Pairs in which the higher risk had the event first.
    pub concordant: f64,
    /// Pairs in which the lower risk had.
    pub discordant: f64,
    /// Comparable pairs with the same risk.
    pub tied_risk: f64,
    /// Pairs with events at the same time and different risks.
    pub tied_time: f64,
    /// Pairs with events at the same time and the same risk.
    pub tied_both: f64,
}

/// The concordance of `risk`, one finite number per row, with the rows' times; covariates are not read.
///
/// # Errors
///
/// [`Error::UnequalTerms`] unless there is one risk per row, [`Error::NonFiniteCovariate`].
pub fn concordance(rows: &Rows, risk: &[f64], options: &Options) -> Result<Concordance> {
    if risk.len() != rows.len() {
        return Err(Error::UnequalTerms);
    }
    if !risk.iter().all(|risk| risk.is_finite()) {
        return Err(Error::NonFiniteCovariate);
    }
    let mut sums = Sums {
        shares: vec![[0.0; 3]; rows.len()],
        ..Sums::default()
    };
    let fix = TimeFix::of_times(
        rows.time
            .iter()
            .chain(rows.start.iter().filter(|s| s.is_finite()))
            .copied(),
    );
    let time: Vec<f64> = rows.time.iter().map(|time| fix.fix(*time)).collect();
    let stratum = |row: usize| rows.stratum.get(row).copied().unwrap_or(0);
    let order = by_stratum_and_time(&rows.stratum, &time);
    for members in order.chunk_by(|a, b| stratum(*a) == stratum(*b)) {
        Sweep::new(rows, risk, &time, &fix, members).run(options, &mut sums)?;
    }
    sums.finish(rows)
}

/// Rows by stratum, time, and the order in which they are given.
fn by_stratum_and_time(stratum: &[u64], time: &[f64]) -> Vec<usize> {
    if stratum.is_empty()
        && let Some(days) = whole_days(time)
    {
        return by_day(&days);
    }
    // Keys beside the rows sort several times faster than rows that look their keys up. Times are not negative,
    // so their bits are in their order; the row makes every key different, and the order unique.
    let mut keys: Vec<(u64, u64, usize)> = time
        .iter()
        .enumerate()
        .map(|(row, time)| {
            let stratum = stratum.get(row).copied().unwrap_or(0);
            (stratum, time.to_bits(), row)
        })
        .collect();
    keys.par_sort_unstable();
    keys.into_iter().map(|(_, _, row)| row).collect()
}

/// Times as 16-bit numbers, if that is what all are.
fn whole_days(time: &[f64]) -> Option<Vec<u16>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not come back is another time"
    )]
    let days: Vec<u16> = time.iter().map(|time| *time as u16).collect();
    let mut both = days.iter().zip(time);
    both.all(|(day, time)| f64::from(*day) == *time)
        .then_some(days)
}

/// Counts how many rows each day has, which says where its rows begin.
fn by_day(days: &[u16]) -> Vec<usize> {
    let mut next = vec![0_usize; usize::from(u16::MAX) + 2];
    for day in days {
        next[usize::from(*day) + 1] += 1;
    }
    for day in 1..next.len() {
        next[day] += next[day - 1];
    }
    let mut order = vec![0; days.len()];
    for (row, day) in days.iter().enumerate() {
        let place = &mut next[usize::from(*day)];
        order[*place] = row;
        *place += 1;
    }
    order
}

#[derive(Default)]
struct Sums {
    concordant: f64,
    discordant: f64,
    tied_risk: f64,
    tied_time: f64,
    tied_both: f64,
    /// Each row's pairs, by the other's weight: concordant, discordant, tied.
    shares: Vec<[f64; 3]>,
}

impl Sums {
    fn finish(self, rows: &Rows) -> Result<Concordance> {
        let pairs = self.concordant + self.discordant + self.tied_risk;
        let c = (self.concordant + self.tied_risk / 2.0) / pairs;
        let share = |row: usize| {
            let [concordant, discordant, tied] = self.shares[row];
            rows.weight_of(row) * ((concordant + tied / 2.0) - c * (concordant + discordant + tied))
                / pairs
        };
        let variance: f64 = if rows.cluster.is_empty() {
            (0..rows.len()).map(|row| share(row).powi(2)).sum()
        } else {
            let (clusters, cluster_of) = super::cox::codes(&rows.cluster)?;
            let mut sums = vec![0.0; clusters.len()];
            for row in 0..rows.len() {
                sums[cluster_of[row] as usize] += share(row);
            }
            sums.iter().map(|sum| sum * sum).sum()
        };
        Ok(Concordance {
            concordance: c,
            std_err: variance.sqrt(),
            concordant: self.concordant,
            discordant: self.discordant,
            tied_risk: self.tied_risk,
            tied_time: self.tied_time,
            tied_both: self.tied_both,
        })
    }
}

/// One stratum.
struct Sweep<'a> {
    rows: &'a Rows,
    /// Rows by time.
    members: &'a [usize],
    time: &'a [f64],
    fix: &'a TimeFix,
    /// The rank of each member's risk among the distinct risks, by place in `members`.
    rank: Vec<usize>,
    ranks: usize,
    /// Places in `members` of rows with a start, by it.
    starts: Vec<usize>,
}

impl<'a> Sweep<'a> {
    fn new(
        rows: &'a Rows,
        risk: &[f64],
        time: &'a [f64],
        fix: &'a TimeFix,
        members: &'a [usize],
    ) -> Self {
        let mut by_risk: Vec<(f64, usize)> = members
            .iter()
            .enumerate()
            .map(|(place, row)| (risk[*row], place))
            .collect();
        by_risk.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut rank = vec![0; members.len()];
        let (mut ranks, mut previous) = (0, by_risk.first().map_or(0.0, |first| first.0));
        for (value, place) in by_risk {
            if value != previous {
                ranks += 1;
                previous = value;
            }
            rank[place] = ranks;
        }
        let start = |place: usize| {
            rows.start
                .get(members[place])
                .copied()
                .unwrap_or(f64::NEG_INFINITY)
        };
        let mut starts: Vec<usize> = (0..members.len())
            .filter(|place| start(*place).is_finite())
            .collect();
        starts.sort_by(|a, b| start(*a).total_cmp(&start(*b)));
        Self {
            rows,
            members,
            time,
            fix,
            rank,
            ranks: ranks + 1,
            starts,
        }
    }

    fn weight(&self, place: usize) -> f64 {
        self.rows.weight_of(self.members[place])
    }

    fn event(&self, place: usize) -> bool {
        self.rows.event[self.members[place]]
    }

    fn time(&self, place: usize) -> f64 {
        self.time[self.members[place]]
    }

    fn start(&self, place: usize) -> f64 {
        self.fix.fix(self.rows.start[self.members[place]])
    }

    /// Places of equal times, ascending.
    fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        let mut blocks = Vec::new();
        let mut begin = 0;
        for place in 1..=self.members.len() {
            if place == self.members.len() || self.time(place) != self.time(begin) {
                blocks.push(begin..place);
                begin = place;
            }
        }
        blocks
    }

    fn run(&self, options: &Options, sums: &mut Sums) -> Result<()> {
        let blocks = self.blocks();
        let weights = self.time_weights(&blocks, options)?;
        let mut shares = vec![[0.0; 3]; self.members.len()];
        rayon::join(
            || self.events_against_later(&blocks, &weights, sums),
            || self.later_against_events(&blocks, &weights, &mut shares),
        );
        for (row, share) in self.members.iter().zip(shares) {
            add_share(&mut sums.shares[*row], 1.0, share);
        }
        Ok(())
    }

    /// From the last time backwards: each event meets those still at risk.
    fn events_against_later(
        &self,
        blocks: &[std::ops::Range<usize>],
        weights: &[f64],
        sums: &mut Sums,
    ) {
        let mut at_risk = Tally::new(self.ranks);
        let mut starts = self.starts.iter().rev().peekable();
        for (block, factor) in blocks.iter().zip(weights).rev() {
            let now = self.time(block.start);
            // Who came at this time or later is not at risk at it.
            while let Some(place) = starts.next_if(|place| self.start(**place) >= now) {
                at_risk.add(self.rank[*place], -self.weight(*place));
            }
            for place in block.clone().filter(|place| !self.event(*place)) {
                at_risk.add(self.rank[place], self.weight(place));
            }
            if *factor > 0.0 {
                for place in block.clone().filter(|place| self.event(*place)) {
                    let (below, same, above) = at_risk.around(self.rank[place]);
                    let w = self.weight(place) * factor;
                    sums.concordant += w * below;
                    sums.discordant += w * above;
                    sums.tied_risk += w * same;
                    add_share(
                        &mut sums.shares[self.members[place]],
                        *factor,
                        [below, above, same],
                    );
                }
                self.tied_events(block, *factor, sums);
            }
            for place in block.clone().filter(|place| self.event(*place)) {
                at_risk.add(self.rank[place], self.weight(place));
            }
        }
    }

    /// From the first time forwards: each row meets the events that happened while it was at risk.
    fn later_against_events(
        &self,
        blocks: &[std::ops::Range<usize>],
        weights: &[f64],
        shares: &mut [[f64; 3]],
    ) {
        let mut events = Prefixes::new(self.ranks);
        let mut starts = self.starts.iter().peekable();
        for (block, factor) in blocks.iter().zip(weights) {
            let now = self.time(block.start);
            // A row meets no event up to its start: those are taken away beforehand.
            while let Some(place) = starts.next_if(|place| self.start(**place) < now) {
                self.meet(&events, *place, -1.0, shares);
            }
            for place in block.clone().filter(|place| self.event(*place)) {
                self.meet(&events, place, 1.0, shares);
            }
            for place in block.clone().filter(|place| self.event(*place)) {
                events.add(self.rank[place], self.weight(place) * factor);
            }
            for place in block.clone().filter(|place| !self.event(*place)) {
                self.meet(&events, place, 1.0, shares);
            }
        }
    }

    fn meet(&self, events: &Prefixes, place: usize, sign: f64, shares: &mut [[f64; 3]]) {
        // An event with a higher risk than the row's, before it, is concordant.
        let (below, same, above) = events.around(self.rank[place]);
        add_share(&mut shares[place], sign, [above, below, same]);
    }

    /// Pairs of events at one time.
    fn tied_events(&self, block: &std::ops::Range<usize>, factor: f64, sums: &mut Sums) {
        let mut events: Vec<(usize, f64)> = block
            .clone()
            .filter(|place| self.event(*place))
            .map(|place| (self.rank[place], self.weight(place)))
            .collect();
        if events.len() < 2 {
            return;
        }
        events.sort_by_key(|(rank, _)| *rank);
        let pairs = |weights: &mut dyn Iterator<Item = f64>| {
            let (sum, squares) =
                weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
            (sum * sum - squares) / 2.0
        };
        let all = pairs(&mut events.iter().map(|(_, w)| *w));
        let same: f64 = events
            .chunk_by(|a, b| a.0 == b.0)
            .map(|group| pairs(&mut group.iter().map(|(_, w)| *w)))
            .sum();
        sums.tied_time += factor * (all - same);
        sums.tied_both += factor * same;
    }

    /// The weight of the events of each block.
    fn time_weights(
        &self,
        blocks: &[std::ops::Range<usize>],
        options: &Options,
    ) -> Result<Vec<f64>> {
        let latest = options.latest.unwrap_or(f64::INFINITY);
        let within = |block: &std::ops::Range<usize>, weight: f64| {
            if self.time(block.start) <= latest {
                weight
            } else {
                0.0
            }
        };
        if options.time_weight == TimeWeight::Pairs {
            return Ok(blocks.iter().map(|block| within(block, 1.0)).collect());
        }
        let mut all = EventTimes::new();
        for place in 0..self.members.len() {
            let row = self.members[place];
            let start = self
                .rows
                .start
                .get(row)
                .copied()
                .filter(|start| start.is_finite());
            all.add_weighted(
                start,
                self.rows.time[row],
                u32::from(self.event(place)),
                self.weight(place),
            )?;
        }
        let table = all.risk_table()?;
        let survival = kaplan_meier::survival(&table)?;
        let total: f64 = (0..self.members.len())
            .map(|place| self.weight(place))
            .sum();
        let mut censoring = 1.0;
        let mut weights = Vec::with_capacity(blocks.len());
        for (at, block) in blocks.iter().enumerate() {
            let before = at.checked_sub(1).map_or(1.0, |at| survival[at]);
            let n = table.at_risk[at];
            let weight = match options.time_weight {
                TimeWeight::Pairs => 1.0,
                TimeWeight::Survival => total * before / n,
                TimeWeight::SurvivalByCensoring => total * before / (n * censoring),
                TimeWeight::AtRisk => 1.0 / n,
            };
            weights.push(within(block, weight));
            // Those with the event have left before those censored at the same time.
            let left = n - table.events[0][at];
            if table.censored[at] > 0.0 && left > 0.0 {
                censoring *= (left - table.censored[at]) / left;
            }
        }
        Ok(weights)
    }
}

fn add_share(share: &mut [f64; 3], factor: f64, pairs: [f64; 3]) {
    for (share, pairs) in share.iter_mut().zip(pairs) {
        *share += factor * pairs;
    }
}
