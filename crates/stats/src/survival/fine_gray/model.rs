//! The weighted risk sets of a Fine-Gray model, and what is summed over them.

use std::ops::Range;

use rayon::prelude::*;

use super::CompetingRows;
use crate::numeric::{Symmetric, weighted_cross_product};
use crate::survival::columns::Columns;
use crate::survival::newton::{Evaluation, Likelihood};
use crate::survival::{TimeFix, distinct_times};
use crate::{Error, Numbers, Result, Values};

/// The rows placed among all distinct times.
pub(super) struct Model<'a> {
    rows: &'a CompetingRows,
    pub(super) columns: Columns,
    pub(super) time: Vec<f64>,
    /// Each row's place in `time`.
    place: Vec<usize>,
    /// Events of interest at each time.
    pub(super) time_events: Vec<f64>,
    /// Censored at each time, and all rows at risk.
    time_censored: Vec<f64>,
    time_at_risk: Vec<f64>,
    /// G(t−).
    uncensored: Vec<f64>,
    /// Σ x over events.
    event_sum: Vec<f64>,
}

/// The sums at each time.
pub(super) struct Sums {
    pub(super) s0: Vec<f64>,
    /// A row of terms per time.
    s1: Vec<f64>,
}

/// Rows worked on at once, whatever the number of threads.
const CHUNK: usize = 65_536;

impl<'a> Model<'a> {
    pub(super) fn new(rows: &'a CompetingRows) -> Result<Self> {
        let data = &rows.rows;
        if data.time.iter().any(|time| time.is_nan()) || data.len() != rows.competing.len() {
            return Err(Error::UnequalTerms);
        }
        let fix = TimeFix::of_times(data.time.iter().copied());
        let time = distinct_times(data.time.iter().map(|time| fix.fix(*time)));
        let place: Vec<usize> = data
            .time
            .par_iter()
            .map(|own| {
                let own = fix.fix(*own);
                time.partition_point(|known| *known < own)
            })
            .collect();
        let columns = Columns::new(data);
        let event_sum = data
            .covariates
            .iter()
            .zip(&columns.centre)
            .map(|(column, centre)| {
                let events = column.iter().zip(&data.event).filter(|(_, event)| **event);
                events.map(|(x, _)| x - centre).sum()
            });
        let event_sum = event_sum.collect();
        let times = time.len();
        let mut model = Self {
            rows,
            columns,
            time,
            place,
            time_events: vec![0.0; times],
            time_censored: vec![0.0; times],
            time_at_risk: vec![0.0; times],
            uncensored: Vec::with_capacity(times),
            event_sum,
        };
        for row in 0..data.len() {
            let place = model.place[row];
            model.time_at_risk[place] += 1.0;
            if data.event[row] {
                model.time_events[place] += 1.0;
            } else if !rows.competing[row] {
                model.time_censored[place] += 1.0;
            }
        }
        for at in (1..times).rev() {
            model.time_at_risk[at - 1] += model.time_at_risk[at];
        }
        let mut g = 1.0;
        for at in 0..times {
            model.uncensored.push(g);
            g *= (model.time_at_risk[at] - model.time_censored[at]) / model.time_at_risk[at];
        }
        Ok(model)
    }

    fn x(&self, term: usize, row: usize) -> f64 {
        self.rows.rows.covariates[term].get(row) - self.columns.centre[term]
    }

    /// exp(η).
    pub(super) fn risk(&self, beta: &[f64]) -> Vec<f64> {
        let eta = |row: usize| {
            beta.iter()
                .enumerate()
                .map(|(term, beta)| beta * self.x(term, row))
                .sum::<f64>()
        };
        (0..self.place.len())
            .into_par_iter()
            .map(|row| eta(row).exp())
            .collect()
    }

    fn chunks(&self) -> Vec<Range<usize>> {
        let n = self.place.len();
        let chunk = CHUNK.max(4 * self.time.len()).max(n.div_ceil(64));
        (0..n)
            .step_by(chunk)
            .map(|begin| begin..(begin + chunk).min(n))
            .collect()
    }

    pub(super) fn sums(&self, risk: &[f64]) -> Sums {
        let (p, times) = (self.columns.terms(), self.time.len());
        let width = p + 1;
        let parts: Vec<(Vec<f64>, Vec<f64>)> = self
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let (mut all, mut competing) = (vec![0.0; times * width], vec![0.0; times * width]);
                for row in chunk {
                    let place = self.place[row];
                    self.add(&mut all[place * width..(place + 1) * width], row, risk[row]);
                    if self.rows.competing[row] {
                        let kept = risk[row] / self.uncensored[place];
                        self.add(
                            &mut competing[place * width..(place + 1) * width],
                            row,
                            kept,
                        );
                    }
                }
                (all, competing)
            })
            .collect();
        let (mut all, mut competing) = (vec![0.0; times * width], vec![0.0; times * width]);
        for (part_all, part_competing) in parts {
            for (sum, part) in all.iter_mut().zip(part_all) {
                *sum += part;
            }
            for (sum, part) in competing.iter_mut().zip(part_competing) {
                *sum += part;
            }
        }
        let mut s = vec![0.0; times * width];
        let mut later = vec![0.0; width];
        for at in (0..times).rev() {
            for column in 0..width {
                later[column] += all[at * width + column];
                s[at * width + column] = later[column];
            }
        }
        let mut earlier = vec![0.0; width];
        for at in 0..times {
            for column in 0..width {
                s[at * width + column] += self.uncensored[at] * earlier[column];
                earlier[column] += competing[at * width + column];
            }
        }
        Sums {
            s0: s.chunks(width).map(|sums| sums[0]).collect(),
            s1: s
                .chunks(width)
                .flat_map(|sums| &sums[1..])
                .copied()
                .collect(),
        }
    }

    fn add(&self, cell: &mut [f64], row: usize, value: f64) {
        if let Some((sum, by_term)) = cell.split_first_mut() {
            *sum += value;
            for (term, cell) in by_term.iter_mut().enumerate() {
                *cell += value * self.x(term, row);
            }
        }
    }

    /// Running sums over time of a step per event time, with and without the weight G(t−).
    fn exposure(&self, step: impl Fn(usize) -> f64) -> Exposure {
        let times = self.time.len();
        let (mut until, mut weighted) = (Vec::with_capacity(times), Vec::with_capacity(times));
        let (mut sum, mut weighted_sum) = (0.0, 0.0);
        for at in 0..times {
            let step = step(at);
            sum += step;
            weighted_sum += step * self.uncensored[at];
            until.push(sum);
            weighted.push(weighted_sum);
        }
        Exposure { until, weighted }
    }

    /// The sum of an exposure over a row's time in the risk sets, weighted where it competes.
    fn exposed(&self, exposure: &Exposure, row: usize) -> f64 {
        let place = self.place[row];
        let until = exposure.until[place];
        if !self.rows.competing[row] {
            return until;
        }
        let all = exposure.weighted.last().copied().unwrap_or(0.0);
        until + (all - exposure.weighted[place]) / self.uncensored[place]
    }

    /// Σ over rows of (η + ψ)(η + ψ)', the middle of Fine and Gray's sandwich.
    pub(super) fn middle(&self, beta: &[f64], sums: &Sums) -> Symmetric {
        let (p, n, times) = (self.columns.terms(), self.place.len(), self.time.len());
        let risk = self.risk(beta);
        let hazard = |at: usize| {
            if self.time_events[at] > 0.0 {
                self.time_events[at] / sums.s0[at]
            } else {
                0.0
            }
        };
        let mean = |at: usize, term: usize| sums.s1[at * p + term] / sums.s0[at];
        let exposure = self.exposure(hazard);
        let mut residuals = vec![0.0; n * p];
        for term in 0..p {
            let mean_exposure = self.exposure(|at| {
                if hazard(at) > 0.0 {
                    hazard(at) * mean(at, term)
                } else {
                    0.0
                }
            });
            // Competing rows that left up to a time, by r/G, with and without x.
            let (mut count, mut sum) = (vec![0.0; times], vec![0.0; times]);
            for row in (0..n).filter(|row| self.rows.competing[*row]) {
                let kept = risk[row] / self.uncensored[self.place[row]];
                count[self.place[row]] += kept;
                sum[self.place[row]] += kept * self.x(term, row);
            }
            let all = exposure.weighted.last().copied().unwrap_or(0.0);
            let all_mean = mean_exposure.weighted.last().copied().unwrap_or(0.0);
            let (mut count_until, mut sum_until, mut drift) = (0.0, 0.0, 0.0);
            let (mut at_censoring, mut until) =
                (Vec::with_capacity(times), Vec::with_capacity(times));
            for at in 0..times {
                let (later, later_mean) = (
                    all - exposure.before(at),
                    all_mean - mean_exposure.before(at),
                );
                // What censoring here would change: the weights, from now on, of those who competed before.
                let q = sum_until * later - count_until * later_mean;
                count_until += count[at];
                sum_until += sum[at];
                let n_at = self.time_at_risk[at];
                drift += q * self.time_censored[at] / (n_at * n_at);
                at_censoring.push(q / n_at);
                until.push(drift);
            }
            for row in 0..n {
                let place = self.place[row];
                let x = self.x(term, row);
                let mut residual = -risk[row]
                    * (x * self.exposed(&exposure, row) - self.exposed(&mean_exposure, row))
                    - until[place];
                if self.rows.rows.event[row] {
                    residual += x - mean(place, term);
                } else if !self.rows.competing[row] {
                    residual += at_censoring[place];
                }
                residuals[row * p + term] = residual;
            }
        }
        let mut middle = Symmetric::zero(p);
        for residual in residuals.chunks(p.max(1)) {
            for row in 0..p {
                for column in 0..=row {
                    *middle.get_mut(row, column) += residual[row] * residual[column];
                }
            }
        }
        middle.mirror();
        middle
    }
}

struct Exposure {
    until: Vec<f64>,
    weighted: Vec<f64>,
}

impl Exposure {
    /// The weighted sum of the times before a place.
    fn before(&self, at: usize) -> f64 {
        at.checked_sub(1)
            .map_or(0.0, |before| self.weighted[before])
    }
}

impl Likelihood for Model<'_> {
    fn evaluate(&self, beta: &[f64]) -> Evaluation {
        let p = self.columns.terms();
        let risk = self.risk(beta);
        let sums = self.sums(&risk);
        let mut log_likelihood: f64 = beta
            .iter()
            .zip(&self.event_sum)
            .map(|(beta, sum)| beta * sum)
            .sum();
        let mut score = self.event_sum.clone();
        let mut information = Symmetric::zero(p);
        for at in (0..self.time.len()).filter(|at| self.time_events[*at] > 0.0) {
            let (d, s0, s1) = (
                self.time_events[at],
                sums.s0[at],
                &sums.s1[at * p..(at + 1) * p],
            );
            log_likelihood -= d * s0.ln();
            for row in 0..p {
                score[row] -= d * s1[row] / s0;
                for column in 0..=row {
                    *information.get_mut(row, column) -= d * (s1[row] / s0) * (s1[column] / s0);
                }
            }
        }
        let exposure = self.exposure(|at| {
            if self.time_events[at] > 0.0 {
                self.time_events[at] / sums.s0[at]
            } else {
                0.0
            }
        });
        let columns = self.rows.rows.covariates.iter().map(Numbers::values);
        let columns: Vec<Values<'_>> = columns.collect();
        let parts: Vec<Symmetric> = self
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let weights: Vec<f64> = chunk
                    .clone()
                    .map(|row| risk[row] * self.exposed(&exposure, row))
                    .collect();
                weighted_cross_product(&columns, &self.columns.centre, chunk, &weights)
            })
            .collect();
        for part in &parts {
            information.add_scaled(part, 1.0);
        }
        information.mirror();
        Evaluation {
            log_likelihood,
            score,
            information,
        }
    }
}
