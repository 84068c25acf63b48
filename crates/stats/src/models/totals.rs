//! What a finished fit takes from the rows: deviance, log-likelihood, and the middle of the sandwich variance.
//!
//! With r = w (y − μ): HC0 has Σ r² x x', clusters have Σ_c s_c s_c' with s_c = Σ_{rows of c} r x.
//! Source: White (1980); Liang and Zeger (1986); R's `sandwich::sandwich` and `sandwich::vcovCL`.

use std::ops::Range;

use super::family::Working;
use super::step::{Buffer, Point, blocks};
use super::{Family, Frame, Variance};
use crate::numeric::{CrossProduct, Symmetric, widest};
use crate::{Error, Result, Summary};

/// Sums at the final coefficients.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub(super) rows: u64,
    pub(super) terms: usize,
    pub(super) log_likelihood: f64,
    pub(super) deviance: f64,
    /// Rows whose fitted mean is numerically at the end of its range.
    pub(super) extreme: u64,
    /// Σ r² x x', if asked for.
    pub(super) middle: Option<Symmetric>,
    pub(super) clusters: ClusterScores,
}

impl Totals {
    /// Over some rows of a frame.
    ///
    /// # Errors
    ///
    /// [`Error::NoClusters`] if `variance` asks for clusters that the frame does not have.
    pub fn of(
        frame: &Frame<'_>,
        at: &Point,
        variance: Variance,
        rows: Range<usize>,
    ) -> Result<Self> {
        let mut totals = Self {
            rows: rows.len() as u64,
            terms: at.terms(),
            ..Self::default()
        };
        let mut buffer = Buffer::new();
        let mut product = (variance == Variance::Robust).then(|| CrossProduct::new(at.terms()));
        let clusters = match variance {
            Variance::Clustered { .. } => {
                Some(&frame.clusters.ok_or(Error::NoClusters)?[rows.clone()])
            }
            _ => None,
        };
        let mut residuals = Vec::with_capacity(if clusters.is_some() { rows.len() } else { 0 });
        for block in blocks(rows.clone()) {
            let length = block.len();
            let Buffer {
                eta,
                residual,
                weight,
            } = &mut buffer;
            let (eta, residual, weight) = (
                &mut eta[..length],
                &mut residual[..length],
                &mut weight[..length],
            );
            at.linear_predictor(frame, block.clone(), eta);
            let weights = frame.weights.map(|weights| &weights[block.clone()]);
            let outcome = &frame.outcome[block.clone()];
            let log_likelihood =
                at.family
                    .working(eta, outcome, weights, Working { residual, weight });
            totals.add_rows(at.family, eta, outcome, weights, log_likelihood);
            if let Some(product) = &mut product {
                for (weight, residual) in weight.iter_mut().zip(&*residual) {
                    *weight = residual * residual;
                }
                widest!({
                    at.design(frame, &block, product.block(), eta);
                    product.add(weight);
                });
            }
            if clusters.is_some() {
                residuals.extend_from_slice(residual);
            }
        }
        totals.middle = product.map(|product| product.finish());
        if let Some(clusters) = clusters {
            totals.clusters = ClusterScores::of(frame, at, clusters, &residuals, rows.start);
        }
        Ok(totals)
    }
}

impl Totals {
    fn add_rows(
        &mut self,
        family: Family,
        eta: &[f64],
        outcome: &[f64],
        weights: Option<&[f64]>,
        log_likelihood: f64,
    ) {
        self.log_likelihood += log_likelihood;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let extreme = eta
            .iter()
            .enumerate()
            .filter(|(row, eta)| family.is_extreme(**eta) && weight(*row) > 0.0);
        self.extreme += extreme.count() as u64;
        if family.is_own_deviance(outcome) {
            self.deviance -= 2.0 * log_likelihood;
            return;
        }
        for (row, (eta, y)) in eta.iter().zip(outcome).enumerate() {
            let w = weight(row);
            if w > 0.0 {
                self.deviance += w * family.deviance(*y, *eta);
                self.log_likelihood += family.constant(*y, w);
            }
        }
    }
}

impl Summary for Totals {
    fn merge(&mut self, other: Self) {
        if other.rows == 0 {
            return;
        }
        let same_model = self.rows == 0 || self.terms == other.terms;
        self.terms = other.terms;
        self.rows += other.rows;
        self.log_likelihood += if same_model {
            other.log_likelihood
        } else {
            f64::NAN
        };
        self.deviance += other.deviance;
        self.extreme += other.extreme;
        self.clusters.merge(other.clusters);
        match (&mut self.middle, other.middle) {
            (Some(mine), Some(theirs)) if same_model => mine.add_scaled(&theirs, 1.0),
            // Parts of different models: no variance rather than a wrong one.
            (Some(_), Some(_)) => self.middle = None,
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// The score of every cluster, clusters in the order of their codes.
#[derive(Debug, Clone, Default)]
pub(super) struct ClusterScores {
    codes: Vec<u64>,
    terms: usize,
    /// `terms` numbers per cluster.
    scores: Vec<f64>,
}

impl ClusterScores {
    fn of(
        frame: &Frame<'_>,
        at: &Point,
        clusters: &[u64],
        residuals: &[f64],
        first: usize,
    ) -> Self {
        let mut order: Vec<usize> = (0..clusters.len()).collect();
        // Stable: rows of a cluster are added in their order.
        order.sort_by_key(|row| clusters[*row]);
        let terms = at.terms();
        let mut summary = Self {
            terms,
            ..Self::default()
        };
        for row in order {
            if summary.codes.last() != Some(&clusters[row]) {
                summary.codes.push(clusters[row]);
                summary.scores.extend(std::iter::repeat_n(0.0, terms));
            }
            let begin = summary.scores.len() - terms;
            let score = &mut summary.scores[begin..];
            let constant = at.intercept.then_some(1.0).into_iter();
            let values = frame
                .covariates
                .columns()
                .zip(&at.centre)
                .map(|(column, centre)| column.get(first + row) - centre);
            for (score, x) in score.iter_mut().zip(constant.chain(values)) {
                *score += residuals[row] * x;
            }
        }
        summary
    }

    /// Clusters seen.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    /// Σ s s'.
    pub(super) fn middle(&self) -> Symmetric {
        let mut matrix = Symmetric::zero(self.terms);
        for score in self.scores.chunks(self.terms.max(1)) {
            for row in 0..self.terms {
                for column in 0..=row {
                    *matrix.get_mut(row, column) += score[row] * score[column];
                }
            }
        }
        matrix
    }
}

impl Summary for ClusterScores {
    fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        if other.is_empty() {
            return;
        }
        let terms = self.terms;
        let mine = std::mem::take(self);
        self.terms = terms;
        let (mut left, mut right) = (0, 0);
        while left < mine.codes.len() || right < other.codes.len() {
            let (a, b) = (mine.codes.get(left), other.codes.get(right));
            let take_left = b.is_none_or(|b| a.is_some_and(|a| a <= b));
            let take_right = a.is_none_or(|a| b.is_some_and(|b| b <= a));
            self.codes.extend(if take_left { a } else { b });
            let begin = self.scores.len();
            self.scores.resize(begin + terms, 0.0);
            for (take, at, from) in [
                (take_left, &mut left, &mine),
                (take_right, &mut right, &other),
            ] {
                if take {
                    let scores = from.scores[*at * from.terms..].iter();
                    self.scores[begin..]
                        .iter_mut()
                        .zip(scores)
                        .for_each(|(sum, score)| *sum += score);
                    *at += 1;
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}
