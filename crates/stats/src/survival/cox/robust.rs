//! Score residuals of a Cox model, and the middle of the robust variance made of them.
//!
//! A row's own contribution to the score is Σ_t (x − x̄(t)) dM(t); times the inverse information it is the dfbeta. With
//! Efron's ties every row with an event at a time is at risk in a share 1 − j/d of the d sub-events, as in R.
//! Source: Therneau and Grambsch (2000), 4.2 and 7; R survival, `agscore2.c`.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::codes;
use super::likelihood::{Model, Sums};
use crate::numeric::{Symmetric, exponential, weighted_cross_product};
use crate::{Result, Values};

/// Rows worked on at once: their residuals stay in the nearer caches.
const BLOCK: usize = 512;

/// What residuals are made of at given coefficients.
pub(crate) struct ScoreResiduals<'m> {
    model: &'m Model<'m>,
    /// w·exp(η) of each row.
    risk: Vec<f64>,
    steps: Steps,
}

/// What residuals take from the event times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps {
    /// A row of 1 + `terms` for each place among the event times: h, and what the means take from each term, summed
    /// from the beginning of the stratum up to the place.
    pub(super) before: Vec<f64>,
    /// The same of a row with its event at a time, instead of that time's step.
    pub(super) at_event: Vec<f64>,
    /// The risk set's mean at each event time.
    pub(super) means: Vec<f64>,
}

impl Steps {
    pub(super) fn new(ranges: &[Range<usize>], sums: &Sums, means: Vec<f64>) -> Self {
        let times = sums.h.len();
        let p = sums.s1.len() / times.max(1);
        let width = p + 1;
        let mut before = vec![0.0; (times + 1) * width];
        let mut at_event = vec![0.0; times * width];
        for range in ranges {
            let mut total = vec![0.0; width];
            for at in range.clone() {
                let (a, b, c) = (sums.a[at], sums.b[at], sums.c[at]);
                let (s1, d1) = (
                    &sums.s1[at * p..(at + 1) * p],
                    &sums.d1[at * p..(at + 1) * p],
                );
                total[0] += sums.h[at];
                let event = &mut at_event[at * width..(at + 1) * width];
                event[0] = sums.g[at];
                for term in 0..p {
                    total[term + 1] += a * s1[term] - b * d1[term];
                    event[term + 1] = (a - b) * s1[term] - (b - c) * d1[term];
                }
                before[(at + 1) * width..(at + 2) * width].copy_from_slice(&total);
            }
        }
        Self {
            before,
            at_event,
            means,
        }
    }
}

impl<'m> ScoreResiduals<'m> {
    pub(crate) fn new(model: &'m Model<'m>, beta: &[f64]) -> Self {
        let (risk, sums) = model.sums(beta);
        let steps = Steps::new(
            &model.layout.ranges,
            &sums,
            sums.means(&model.layout.death_weight),
        );
        Self { model, risk, steps }
    }

    /// Of some of a model's rows, given what all of them make of the event times.
    pub(super) fn of_part(model: &'m Model<'m>, beta: &[f64], steps: Steps) -> Self {
        let mut risk = model.linear_predictor(beta);
        exponential(&mut risk);
        for (row, risk) in risk.iter_mut().enumerate() {
            *risk *= model.rows.weight_of(row);
        }
        Self { model, risk, steps }
    }

    /// The residuals of up to [`BLOCK`] rows, times the rows' weights: a column for each term.
    fn weighted(&self, rows: Range<usize>, into: &mut [Vec<f64>]) {
        let (p, layout) = (self.model.terms(), &self.model.layout);
        let width = p + 1;
        // The place where a stratum begins belongs to the one before.
        let nothing = vec![0.0; width];
        let until = |place: usize, begin: usize| {
            if place == begin {
                &nothing
            } else {
                &self.steps.before[place * width..(place + 1) * width]
            }
        };
        for (at, row) in rows.enumerate() {
            let (first, last) = (layout.first(row), layout.last[row] as usize);
            let (begin, r) = (layout.begin(row), self.risk[row]);
            let event = self.model.rows.event[row] && first < last;
            let (stayed, own, mean) = if event {
                (
                    until(last - 1, begin),
                    &self.steps.at_event[(last - 1) * width..last * width],
                    &self.steps.means[(last - 1) * p..last * p],
                )
            } else {
                (until(last, begin), &nothing[..], &nothing[..p])
            };
            let start = until(first, begin);
            let exposure = r * (stayed[0] + own[0] - start[0]);
            let weight = if event {
                self.model.rows.weight_of(row)
            } else {
                0.0
            };
            for (term, column) in into.iter_mut().enumerate() {
                let x = self.model.x(term, row);
                let means = stayed[term + 1] + own[term + 1] - start[term + 1];
                column[at] = r * means - x * exposure + weight * (x - mean[term]);
            }
        }
    }

    /// Gives the weighted residuals of these rows to `take`, a block at a time.
    fn for_each(&self, rows: Range<usize>, mut take: impl FnMut(Range<usize>, &[Vec<f64>])) {
        let mut columns = vec![vec![0.0; BLOCK]; self.model.terms()];
        for begin in rows.clone().step_by(BLOCK) {
            let block = begin..(begin + BLOCK).min(rows.end);
            self.weighted(block.clone(), &mut columns);
            take(block, &columns);
        }
    }

    /// A row's residuals, not multiplied by its weight: one row of `terms` per row.
    pub(crate) fn by_row(&self) -> Vec<Vec<f64>> {
        let mut residuals = Vec::with_capacity(self.risk.len());
        self.for_each(0..self.risk.len(), |block, columns| {
            residuals.extend(block.enumerate().map(|(at, row)| {
                let weight = self.model.rows.weight_of(row);
                columns.iter().map(|u| u[at] / weight).collect::<Vec<_>>()
            }));
        });
        residuals
    }

    /// [`Self::square`] at given coefficients, in the order of the rows that is quickest.
    pub(super) fn squares(model: &'m Model<'m>, beta: &[f64]) -> Result<Symmetric> {
        let ordered = model
            .rows
            .cluster
            .is_empty()
            .then(|| model.ordered_squares(beta));
        match ordered.flatten() {
            Some(square) => Ok(square),
            None => Self::new(model, beta).square(),
        }
    }

    /// Σ over clusters of u u', u the sum of the cluster's weighted residuals.
    pub(crate) fn square(&self) -> Result<Symmetric> {
        let mut square = if self.model.rows.cluster.is_empty() {
            self.square_of_rows()
        } else {
            self.square_of_clusters()?
        };
        square.mirror();
        Ok(square)
    }

    fn square_of_rows(&self) -> Symmetric {
        let p = self.model.terms();
        let (centre, ones) = (vec![0.0; p], vec![1.0; BLOCK]);
        let chunks = self.model.layout.chunks().into_par_iter();
        let parts: Vec<Symmetric> = chunks
            .map(|chunk| {
                let mut square = Symmetric::zero(p);
                self.for_each(chunk, |block, columns| {
                    let ones = &ones[..block.len()];
                    let values: Vec<Values<'_>> =
                        columns.iter().map(|column| Values::Any(column)).collect();
                    let product = weighted_cross_product(&values, &centre, 0..block.len(), ones);
                    square.add_scaled(&product, 1.0);
                });
                square
            })
            .collect();
        let mut square = Symmetric::zero(p);
        for part in &parts {
            square.add_scaled(part, 1.0);
        }
        square
    }

    fn square_of_clusters(&self) -> Result<Symmetric> {
        let p = self.model.terms();
        let (clusters, cluster_of) = codes(&self.model.rows.cluster)?;
        let mut sums = vec![0.0; clusters.len() * p];
        self.for_each(0..self.risk.len(), |block, columns| {
            for (at, row) in block.enumerate() {
                let begin = cluster_of[row] as usize * p;
                for (sum, u) in sums[begin..begin + p].iter_mut().zip(columns) {
                    *sum += u[at];
                }
            }
        });
        let mut square = Symmetric::zero(p);
        for u in sums.chunks(p.max(1)) {
            for row in 0..p {
                for column in 0..=row {
                    *square.get_mut(row, column) += u[row] * u[column];
                }
            }
        }
        Ok(square)
    }
}
