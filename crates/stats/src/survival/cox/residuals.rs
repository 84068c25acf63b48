//! Residuals of a Cox model.
//!
//! Martingale: event − exp(η)·H. Schoenfeld: x of an event less the risk set's mean. Score residuals are in [`super::robust`].
//! Source: Therneau and Grambsch (2000), 4.2 and 6.2; R survival, `coxmart2.c`.

use super::Cox;
use super::likelihood::Sums;
use super::robust::ScoreResiduals;
use crate::numeric::whole;
use crate::survival::newton::dot;

impl Sums {
    /// The risk set's mean at each event time, averaged over tied events, given the weight of the events.
    pub(crate) fn means(&self, death_weight: &[f64]) -> Vec<f64> {
        let p = self.s1.len() / self.h.len().max(1);
        let mut means = Vec::with_capacity(self.s1.len());
        for (at, weight) in death_weight.iter().enumerate() {
            let (h, g) = (self.h[at], self.g[at]);
            let (s1, d1) = (
                &self.s1[at * p..(at + 1) * p],
                &self.d1[at * p..(at + 1) * p],
            );
            means.extend(
                s1.iter()
                    .zip(d1)
                    .map(|(s, d)| (h * s - (h - g) * d) / weight),
            );
        }
        means
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
        let means = sums.means(&model.layout.death_weight);
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

    /// Scaled Schoenfeld residuals: the number of events times Schoenfeld's times the inverse information, plus the coefficients.
    /// Source: Grambsch and Therneau, Biometrika 1994.
    #[must_use]
    pub fn scaled_schoenfeld_residuals(&self) -> Vec<(usize, f64, Vec<f64>)> {
        let mut residuals = self.schoenfeld_residuals();
        let events = whole(residuals.len());
        for (_, _, values) in &mut residuals {
            let rows = self.fit.naive_variance.iter().zip(&self.beta);
            let scaled = rows.map(|(row, beta)| beta + events * dot(row, values));
            *values = scaled.collect();
        }
        residuals
    }

    /// Score residuals: a row's own contribution to the score, not multiplied by its weight, one value per term for each row.
    #[must_use]
    pub fn score_residuals(&self) -> Vec<Vec<f64>> {
        ScoreResiduals::new(&self.model, &self.beta).by_row()
    }

    /// Approximate change of the coefficients when one of a row's weight is left out: one value per term for each row.
    #[must_use]
    pub fn dfbeta(&self) -> Vec<Vec<f64>> {
        let p = self.model.terms();
        let residuals = self.score_residuals();
        let variance = &self.fit.naive_variance;
        let of_row = |u: Vec<f64>| {
            (0..p)
                .map(|term| u.iter().zip(&variance[term]).map(|(u, v)| u * v).sum())
                .collect()
        };
        if p == 0 {
            Vec::new()
        } else {
            residuals.into_iter().map(of_row).collect()
        }
    }

    /// [`Self::dfbeta`] in standard errors of the inverse information; NaN for a dropped term.
    #[must_use]
    pub fn dfbetas(&self) -> Vec<Vec<f64>> {
        let mut residuals = self.dfbeta();
        let variance = &self.fit.naive_variance;
        for row in &mut residuals {
            for (term, value) in row.iter_mut().enumerate() {
                *value /= variance[term][term].sqrt();
            }
        }
        residuals
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
