//! The partial likelihood, its score and its information, in two passes over the rows and without a sort.
//!
//! With r = w·exp(η) and the event times t of a stratum: S0, S1 sum r and r·x over those at risk (suffix sums of
//! what is added at a row's last event time and taken away at its first), D0, D1 over those with the event.
//! With d events of mean weight w̄, f_j = j/d and z_j = S0 − f_j·D0 (Efron; Breslow has f_j = 0):
//! h = Σ w̄/z_j, g = Σ w̄(1−f_j)/z_j, and A, B, C = Σ w̄·{1, f_j, f_j²}/z_j². Then
//! log L = Σ w·η − Σ_t Σ_j w̄·log z_j, score = Σ w·x − Σ_t (h·S1 − (h−g)·D1), and
//! information = X'diag(r·H)X − Σ_t (A·S1S1' − B·(S1D1' + D1S1') + C·D1D1'),
//! H being the sum of h over a row's event times, with g at its own.
//! Source: Efron, JASA 1977; Therneau and Grambsch (2000), 3.3.

use std::ops::Range;

use rayon::prelude::*;

use super::Ties;
use super::layout::Layout;
use super::rows::Rows;
use crate::numeric::{Symmetric, weighted_cross_product};
use crate::survival::columns::Columns;
use crate::survival::newton::{Evaluation, Likelihood};

/// The sums at each event time.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// h, g, A, B, C.
    pub(crate) h: Vec<f64>,
    pub(crate) g: Vec<f64>,
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) c: Vec<f64>,
    /// S1 and D1, a row of `terms` per event time.
    pub(crate) s1: Vec<f64>,
    pub(crate) d1: Vec<f64>,
    /// Σ w̄·log z.
    log_denominator: f64,
}

/// The data of a fit: rows, layout, and covariates less their centres.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) layout: Layout,
    pub(crate) ties: Ties,
    pub(crate) columns: Columns,
    /// Σ w·x over events.
    pub(crate) event_sum: Vec<f64>,
    /// Σ w·offset over events.
    event_offset: f64,
}

/// Rows turned from columns at once: they stay in the first cache.
const BLOCK: usize = 64;

/// What a chunk of rows adds.
struct ChunkSums {
    risk: Vec<f64>,
    /// 1 and x times r, at each row's last event time and less at its first.
    at_risk: Vec<f64>,
    /// The same of the events.
    events: Vec<f64>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(rows: &'a Rows, layout: Layout, ties: Ties) -> Self {
        let columns = Columns::new(rows);
        let events: Vec<usize> = (0..rows.len()).filter(|row| rows.event[*row]).collect();
        let event_sum = rows
            .covariates
            .par_iter()
            .zip(&columns.centre)
            .map(|(column, centre)| {
                let events = events.iter();
                events
                    .map(|row| rows.weight_of(*row) * (column[*row] - centre))
                    .sum()
            })
            .collect();
        let event_offset = (0..rows.offset.len()).filter(|row| rows.event[*row]);
        let event_offset = event_offset
            .map(|row| rows.weight_of(row) * rows.offset_of(row))
            .sum();
        Self {
            rows,
            layout,
            ties,
            columns,
            event_sum,
            event_offset,
        }
    }

    pub(crate) fn terms(&self) -> usize {
        self.columns.terms()
    }

    /// x − centre.
    pub(crate) fn x(&self, term: usize, row: usize) -> f64 {
        self.rows.covariates[term][row] - self.columns.centre[term]
    }

    /// The linear predictor of centred covariates.
    pub(crate) fn linear_predictor(&self, beta: &[f64]) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = self
            .layout
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let mut eta: Vec<f64> = chunk.clone().map(|row| self.rows.offset_of(row)).collect();
                for (term, beta) in beta.iter().enumerate().filter(|(_, beta)| **beta != 0.0) {
                    let column = &self.rows.covariates[term][chunk.clone()];
                    let centre = self.columns.centre[term];
                    for (eta, x) in eta.iter_mut().zip(column) {
                        *eta += beta * (x - centre);
                    }
                }
                eta
            })
            .collect();
        parts.concat()
    }

    /// r of each row, and the sums at each event time.
    pub(crate) fn sums(&self, beta: &[f64]) -> (Vec<f64>, Sums) {
        let width = self.terms() + 1;
        let cells = self.layout.time.len() * width;
        let chunks: Vec<ChunkSums> = self
            .layout
            .chunks()
            .into_par_iter()
            .map(|chunk| self.chunk_sums(chunk, beta))
            .collect();
        let mut risk = Vec::with_capacity(self.rows.len());
        let (mut at_risk, mut events) = (vec![0.0; cells], vec![0.0; cells]);
        for chunk in chunks {
            risk.extend(chunk.risk);
            add_assign(&mut at_risk, &chunk.at_risk);
            add_assign(&mut events, &chunk.events);
        }
        for range in &self.layout.ranges {
            for at in range.clone().rev().skip(1) {
                let (before, after) = at_risk.split_at_mut((at + 1) * width);
                add_assign(&mut before[at * width..], &after[..width]);
            }
        }
        (risk, self.ties_at_each_time(&at_risk, &events))
    }

    fn chunk_sums(&self, chunk: Range<usize>, beta: &[f64]) -> ChunkSums {
        let width = self.terms() + 1;
        let cells = self.layout.time.len() * width;
        let mut sums = ChunkSums {
            risk: Vec::with_capacity(chunk.len()),
            at_risk: vec![0.0; cells],
            events: vec![0.0; cells],
        };
        // Rows of 1 and the centred covariates: columns turned into rows a block at a time, so that what is
        // added to a cell lies together.
        let mut block = vec![1.0; BLOCK * width];
        let mut predictor = [0.0; BLOCK];
        for begin in chunk.clone().step_by(BLOCK) {
            let end = (begin + BLOCK).min(chunk.end);
            let eta = &mut predictor[..end - begin];
            for (eta, row) in eta.iter_mut().zip(begin..end) {
                *eta = self.rows.offset_of(row);
            }
            for (term, beta) in beta.iter().enumerate() {
                let (column, centre) = (
                    &self.rows.covariates[term][begin..end],
                    self.columns.centre[term],
                );
                for (row, x) in block.chunks_exact_mut(width).zip(column) {
                    row[term + 1] = x - centre;
                }
                if *beta != 0.0 {
                    for (eta, x) in eta.iter_mut().zip(column) {
                        *eta += beta * (x - centre);
                    }
                }
            }
            let rows = (begin..end).zip(&*eta);
            for ((row, eta), x) in rows.zip(block.chunks_exact(width)) {
                let r = self.rows.weight_of(row) * eta.exp();
                sums.risk.push(r);
                let (first, last) = (
                    self.layout.first[row] as usize,
                    self.layout.last[row] as usize,
                );
                if first == last {
                    continue;
                }
                add_scaled(&mut sums.at_risk[(last - 1) * width..last * width], x, r);
                // A row that starts late is taken away again from the event times before its start.
                if first > self.layout.begin(row) {
                    add_scaled(&mut sums.at_risk[(first - 1) * width..first * width], x, -r);
                }
                if self.rows.event[row] {
                    add_scaled(&mut sums.events[(last - 1) * width..last * width], x, r);
                }
            }
        }
        sums
    }

    fn ties_at_each_time(&self, at_risk: &[f64], events: &[f64]) -> Sums {
        let (p, times) = (self.terms(), self.layout.time.len());
        let width = p + 1;
        let mut sums = Sums::default();
        for at in 0..times {
            let (s, d) = (
                &at_risk[at * width..(at + 1) * width],
                &events[at * width..(at + 1) * width],
            );
            let count = self.layout.deaths[at];
            let mean_weight = self.layout.death_weight[at] / f64::from(count);
            let [mut h, mut g, mut a, mut b, mut c] = [0.0; 5];
            for j in 0..count {
                let f = match self.ties {
                    Ties::Efron => f64::from(j) / f64::from(count),
                    Ties::Breslow => 0.0,
                };
                let z = s[0] - f * d[0];
                sums.log_denominator += mean_weight * z.ln();
                let step = mean_weight / z;
                h += step;
                g += step * (1.0 - f);
                a += step / z;
                b += f * step / z;
                c += f * f * step / z;
            }
            sums.h.push(h);
            sums.g.push(g);
            sums.a.push(a);
            sums.b.push(b);
            sums.c.push(c);
            sums.s1.extend(&s[1..]);
            sums.d1.extend(&d[1..]);
        }
        sums
    }

    /// The information, with the contribution of each event time multiplied by `factor`.
    pub(crate) fn information(
        &self,
        risk: &[f64],
        sums: &Sums,
        factor: Option<&[f64]>,
    ) -> Symmetric {
        let p = self.terms();
        let times = self.layout.time.len();
        let factor = |at: usize| factor.map_or(1.0, |factor| factor[at]);
        let h: Vec<f64> = (0..times).map(|at| factor(at) * sums.h[at]).collect();
        let g: Vec<f64> = (0..times).map(|at| factor(at) * sums.g[at]).collect();
        let exposure = self.exposure(&h, &g);
        let parts: Vec<Symmetric> = self
            .layout
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let weights: Vec<f64> = chunk
                    .clone()
                    .map(|row| risk[row] * exposure.of(self, row))
                    .collect();
                weighted_cross_product(&self.rows.covariates, &self.columns.centre, chunk, &weights)
            })
            .collect();
        let mut information = Symmetric::zero(p);
        for part in &parts {
            information.add_scaled(part, 1.0);
        }
        for at in 0..times {
            let (a, b, c) = (
                factor(at) * sums.a[at],
                factor(at) * sums.b[at],
                factor(at) * sums.c[at],
            );
            let (s, d) = (
                &sums.s1[at * p..(at + 1) * p],
                &sums.d1[at * p..(at + 1) * p],
            );
            for row in 0..p {
                for column in 0..=row {
                    *information.get_mut(row, column) -= a * s[row] * s[column]
                        - b * (s[row] * d[column] + d[row] * s[column])
                        + c * d[row] * d[column];
                }
            }
        }
        information.mirror();
        information
    }

    /// Running sums of a step per event time, to be read by row.
    pub(crate) fn exposure(&self, step: &[f64], at_event: &[f64]) -> Exposure {
        // Each stratum starts at 0; the place where one begins belongs to the one before.
        let mut before = vec![0.0; step.len() + 1];
        for range in &self.layout.ranges {
            let mut sum = 0.0;
            for at in range.clone() {
                sum += step[at];
                before[at + 1] = sum;
            }
        }
        Exposure {
            before,
            at_event: at_event.to_vec(),
        }
    }
}

impl Model<'_> {
    /// Likelihood and score at `beta`, with what they were computed from.
    pub(crate) fn first_order(&self, beta: &[f64]) -> FirstOrder {
        let (risk, sums) = self.sums(beta);
        let linear: f64 = beta
            .iter()
            .zip(&self.event_sum)
            .map(|(beta, sum)| beta * sum)
            .sum();
        let log_likelihood = linear + self.event_offset - sums.log_denominator;
        let p = self.terms();
        let mut score = self.event_sum.clone();
        for at in 0..self.layout.time.len() {
            let (h, g) = (sums.h[at], sums.g[at]);
            let (s1, d1) = (
                &sums.s1[at * p..(at + 1) * p],
                &sums.d1[at * p..(at + 1) * p],
            );
            for term in 0..p {
                score[term] -= h * s1[term] - (h - g) * d1[term];
            }
        }
        FirstOrder {
            risk,
            sums,
            log_likelihood,
            score,
        }
    }
}

/// The likelihood and its score, with the risks and sums that they come from.
pub(crate) struct FirstOrder {
    risk: Vec<f64>,
    sums: Sums,
    pub(crate) log_likelihood: f64,
    pub(crate) score: Vec<f64>,
}

impl Likelihood for Model<'_> {
    /// Likelihood, score and information at `beta`.
    fn evaluate(&self, beta: &[f64]) -> Evaluation {
        let FirstOrder {
            risk,
            sums,
            log_likelihood,
            score,
        } = self.first_order(beta);
        let information = self.information(&risk, &sums, None);
        Evaluation {
            log_likelihood,
            score,
            information,
        }
    }
}

/// Prefix sums over event times.
#[derive(Debug)]
pub(crate) struct Exposure {
    /// The sum of a stratum's steps up to each place.
    before: Vec<f64>,
    /// What a row with the event has at its own time instead of the step.
    at_event: Vec<f64>,
}

impl Exposure {
    /// The sum over the event times at which the row is at risk.
    pub(crate) fn of(&self, model: &Model<'_>, row: usize) -> f64 {
        let (first, last) = (
            model.layout.first[row] as usize,
            model.layout.last[row] as usize,
        );
        if model.layout.stratum.is_empty() && model.rows.start.is_empty() {
            return if model.rows.event[row] {
                self.before[last - 1] + self.at_event[last - 1]
            } else {
                self.before[last]
            };
        }
        if first == last {
            return 0.0;
        }
        let begin = self.begin(model, row, first);
        if model.rows.event[row] {
            self.begin(model, row, last - 1) + self.at_event[last - 1] - begin
        } else {
            self.before[last] - begin
        }
    }

    /// The prefix sum at a place, 0 at the beginning of the row's stratum.
    fn begin(&self, model: &Model<'_>, row: usize, place: usize) -> f64 {
        if model.layout.begin(row) == place {
            0.0
        } else {
            self.before[place]
        }
    }
}

fn add_scaled(sum: &mut [f64], x: &[f64], factor: f64) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

fn add_assign(sum: &mut [f64], other: &[f64]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += other;
    }
}
