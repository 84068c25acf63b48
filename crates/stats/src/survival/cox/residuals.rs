//! Residuals of a Cox model, and the robust variance made of them.
//!
//! Martingale: event − exp(η)·H. Schoenfeld: x of an event less the risk set's mean. Score: each row's own
//! contribution to the score, Σ_t (x − x̄(t)) dM(t); times the inverse information it is the dfbeta. With
//! Efron's ties every row with an event at a time is at risk in a share 1 − j/d of the d sub-events, as in R.
//! Source: Therneau and Grambsch (2000), 4.2, 6.2 and 7; R survival, `agscore2.c`, `coxmart2.c`.

use super::Cox;
use super::layout::codes;
use super::likelihood::{Model, Sums};
use crate::Result;
use crate::numeric::Symmetric;

/// Score residuals, one row of `terms` per row.
#[derive(Debug)]
pub(crate) struct ScoreResiduals {
    pub(crate) terms: usize,
    pub(crate) values: Vec<f64>,
}

impl Model<'_> {
    /// The risk set's mean at each event time, averaged over tied events.
    pub(crate) fn risk_set_means(&self, sums: &Sums) -> Vec<f64> {
        let p = self.terms();
        let mut means = Vec::with_capacity(self.layout.time.len() * p);
        for at in 0..self.layout.time.len() {
            let (h, g, weight) = (sums.h[at], sums.g[at], self.layout.death_weight[at]);
            let (s1, d1) = (
                &sums.s1[at * p..(at + 1) * p],
                &sums.d1[at * p..(at + 1) * p],
            );
            means.extend(
                s1.iter()
                    .zip(d1)
                    .map(|(s, d)| (h * s - (h - g) * d) / weight),
            );
        }
        means
    }

    /// Score residuals at `beta`, not multiplied by the rows' weights.
    pub(crate) fn score_residuals(&self, beta: &[f64]) -> ScoreResiduals {
        let (p, times) = (self.terms(), self.layout.time.len());
        let eta = self.linear_predictor(beta);
        let (_, sums) = self.sums(beta);
        let exposure = self.exposure(&sums.h, &sums.g);
        let mut values = vec![0.0; eta.len() * p];
        let means = self.risk_set_means(&sums);
        for term in 0..p {
            let at_risk = (0..times).map(|at| {
                sums.a[at] * sums.s1[at * p + term] - sums.b[at] * sums.d1[at * p + term]
            });
            let at_event = (0..times).map(|at| {
                (sums.a[at] - sums.b[at]) * sums.s1[at * p + term]
                    - (sums.b[at] - sums.c[at]) * sums.d1[at * p + term]
            });
            let mean_exposure =
                self.exposure(&at_risk.collect::<Vec<_>>(), &at_event.collect::<Vec<_>>());
            for row in 0..eta.len() {
                let x = self.x(term, row);
                let mut residual =
                    -eta[row].exp() * (x * exposure.of(self, row) - mean_exposure.of(self, row));
                if self.rows.event[row] {
                    residual += x - means[(self.layout.last[row] as usize - 1) * p + term];
                }
                values[row * p + term] = residual;
            }
        }
        ScoreResiduals { terms: p, values }
    }

    /// Σ over clusters of u u', u the sum of the cluster's weighted score residuals.
    pub(crate) fn clustered_square(&self, residuals: &ScoreResiduals) -> Result<Symmetric> {
        let p = residuals.terms;
        let mut square = Symmetric::zero(p);
        if p == 0 {
            return Ok(square);
        }
        let mut add = |u: &[f64]| {
            for row in 0..p {
                for column in 0..=row {
                    *square.get_mut(row, column) += u[row] * u[column];
                }
            }
        };
        let weighted = residuals
            .values
            .chunks(p)
            .enumerate()
            .map(|(row, u)| (row, self.rows.weight_of(row), u));
        if self.rows.cluster.is_empty() {
            for (_, weight, u) in weighted {
                add(&u.iter().map(|u| weight * u).collect::<Vec<_>>());
            }
        } else {
            let (clusters, cluster_of) = codes(&self.rows.cluster)?;
            let mut sums = vec![0.0; clusters.len() * p];
            for (row, weight, u) in weighted {
                let begin = cluster_of[row] as usize * p;
                for (sum, u) in sums[begin..begin + p].iter_mut().zip(u) {
                    *sum += weight * u;
                }
            }
            sums.chunks(p).for_each(&mut add);
        }
        square.mirror();
        Ok(square)
    }
}

impl Cox<'_> {
    /// Martingale residuals in the order of the rows.
    #[must_use]
    pub fn martingale_residuals(&self) -> Vec<f64> {
        let eta = self.model.linear_predictor(&self.beta);
        let (_, sums) = self.model.sums(&self.beta);
        let exposure = self.model.exposure(&sums.h, &sums.g);
        let residual = |row: usize| {
            f64::from(u8::from(self.model.rows.event[row]))
                - eta[row].exp() * exposure.of(&self.model, row)
        };
        (0..eta.len()).map(residual).collect()
    }

    /// Schoenfeld residuals: the row of each event, its time, and one value per term, by stratum and time.
    #[must_use]
    pub fn schoenfeld_residuals(&self) -> Vec<(usize, f64, Vec<f64>)> {
        let model = &self.model;
        let (_, sums) = model.sums(&self.beta);
        let means = model.risk_set_means(&sums);
        let p = model.terms();
        let mut events: Vec<usize> = (0..model.rows.len())
            .filter(|row| model.rows.event[*row])
            .collect();
        events.sort_by_key(|row| model.layout.last[*row]);
        let residuals = events.into_iter().map(|row| {
            let at = model.layout.last[row] as usize - 1;
            (
                row,
                model.layout.time[at],
                (0..p)
                    .map(|term| model.x(term, row) - means[at * p + term])
                    .collect(),
            )
        });
        residuals.collect()
    }

    /// Approximate change of the coefficients when a row is left out: one value per term for each row.
    #[must_use]
    pub fn dfbeta(&self) -> Vec<Vec<f64>> {
        let p = self.model.terms();
        let residuals = self.model.score_residuals(&self.beta);
        let variance = &self.fit.naive_variance;
        let of_row = |u: &[f64]| {
            (0..p)
                .map(|term| u.iter().zip(&variance[term]).map(|(u, v)| u * v).sum())
                .collect()
        };
        if p == 0 {
            Vec::new()
        } else {
            residuals.values.chunks(p).map(of_row).collect()
        }
    }

    /// β'(x − means) of each row, plus its offset.
    #[must_use]
    pub fn linear_predictors(&self) -> Vec<f64> {
        let shift: f64 = (self
            .beta
            .iter()
            .zip(&self.model.columns.centre)
            .zip(&self.fit.means))
        .map(|((beta, centre), mean)| beta * (centre - mean))
        .sum();
        self.model
            .linear_predictor(&self.beta)
            .into_iter()
            .map(|eta| eta + shift)
            .collect()
    }
}
