//! Cox's model with an L1, L2 or elastic-net penalty, along a sequence of penalties.
//!
//! Minimises −(1/Σw) log L + λ [α Σ|b| + (1 − α)/2 Σ b²], L being the partial likelihood of [`super::likelihood`], over
//! covariates of standard deviation 1 (divisor n, weighted, over rows; `standardize = false` leaves them); coefficients
//! are given on the scale of the data. Penalties, their sequence, its end (99 % of the deviance explained, or less than 0.1 %
//! of that in the last four steps) and the deviance ratio are those of R's glmnet, which treats ties as Breslow; with `alpha = 0` and `standardize = false` it is survival's `ridge(…, theta = λ Σw)`.
//!
//! Method: Newton's quadratic approximation, minimised by coordinate descent with the penalty, and halved where it
//! overshoots. The rows are read for score and information only, however many passes the coordinates take. Of many terms,
//! only those are in the quadratic that are not 0 or that the strong rule lets expect, and those that turn out to be
//! needed. Source: Simon, Friedman, Hastie and Tibshirani, Journal of Statistical Software 2011; Tibshirani et al., JRSS B
//! 2012 (the strong rule).

use super::layout::Layout;
use super::likelihood::Model;
use super::{Rows, Ties};
use crate::models::{Ending, Path, PathOptions, PathPoint, Quadratic};
use crate::survival::newton::{Evaluation, Likelihood};
use crate::{Error, Result};

/// Up to this many terms all are in the quadratic: leaving some out saves less than choosing them costs.
const FEW_TERMS: usize = 48;
/// Newton steps for one penalty.
const MAX_STEPS: usize = 100;
const MAX_HALVINGS: usize = 40;

/// Fits the path.
///
/// # Errors
///
/// [`Error::NoEvents`]; [`Error::InvalidOption`] for an α outside [0, 1] or penalties that are not falling numbers from
/// 0; [`Error::CovariateOutOfRange`] if the squares of a covariate overflow or vanish; [`Error::EmptyInterval`] where
/// merging near-tied times leaves an interval empty.
pub fn path(rows: &Rows, ties: Ties, options: &PathOptions) -> Result<Path> {
    options.check()?;
    let layout = Layout::new(rows)?;
    if layout.time.is_empty() {
        return Err(Error::NoEvents);
    }
    let model = Model::new(rows, layout, ties);
    model.columns.check()?;
    let mut descent = Descent::new(&model, options);
    let sequence = descent.sequence();
    let points = options.along(sequence, Ending::Cox, |lambda| descent.solve(lambda));
    Ok(Path {
        null_deviance: descent.null_deviance,
        points,
    })
}

/// The log likelihood of the model that fits every event: at each time, those with the event share all the risk.
pub(super) fn saturated(layout: &Layout, ties: Ties) -> f64 {
    let times = layout.deaths.iter().zip(&layout.death_weight);
    times
        .map(|(deaths, weight)| {
            let left = (0..*deaths).map(|j| match ties {
                Ties::Efron => 1.0 - f64::from(j) / f64::from(*deaths),
                Ties::Breslow => 1.0,
            });
            let shared: f64 = left.map(f64::ln).sum();
            -(weight * weight.ln() + weight / f64::from(*deaths) * shared)
        })
        .sum()
}

/// The state along the path. Coefficients are those of the data; what is penalised is a coefficient times its scale.
struct Descent<'m> {
    model: &'m Model<'m>,
    options: &'m PathOptions,
    /// Σw.
    weight: f64,
    /// 0 for a constant column, whose coefficient stays at 0.
    scale: Vec<f64>,
    saturated: f64,
    null_deviance: f64,
    beta: Vec<f64>,
    /// The gradient of (1/Σw) log L by penalised coefficient, at `beta`.
    gradient: Vec<f64>,
    /// Where the last quadratic in all terms stood, and what was found there: penalised coefficients, one small step
    /// before `beta`.
    at: Option<(Vec<f64>, Evaluation)>,
    last_lambda: f64,
}

impl<'m> Descent<'m> {
    fn new(model: &'m Model<'m>, options: &'m PathOptions) -> Self {
        let rows = model.rows;
        let terms = 0..model.terms();
        let scale = terms.map(|term| {
            let (spread, centre) = (model.columns.spread[term], model.columns.centre[term]);
            if spread <= 1e-24 * centre * centre {
                0.0
            } else if options.standardize {
                spread.sqrt()
            } else {
                1.0
            }
        });
        let mut descent = Self {
            model,
            options,
            weight: (0..rows.len()).map(|row| rows.weight_of(row)).sum(),
            scale: scale.collect(),
            saturated: saturated(&model.layout, model.ties),
            null_deviance: 0.0,
            beta: vec![0.0; model.terms()],
            gradient: Vec::new(),
            at: None,
            last_lambda: f64::INFINITY,
        };
        let null = model.first_order(&descent.beta);
        descent.null_deviance = 2.0 * (descent.saturated - null.log_likelihood);
        descent.gradient = descent.gradient_of(&null.score);
        descent
    }

    fn gradient_of(&self, score: &[f64]) -> Vec<f64> {
        let terms = score.iter().zip(&self.scale);
        terms
            .map(|(score, scale)| {
                if *scale > 0.0 {
                    score / scale / self.weight
                } else {
                    0.0
                }
            })
            .collect()
    }

    fn sequence(&self) -> Vec<f64> {
        let largest = self
            .gradient
            .iter()
            .fold(0.0_f64, |most, g| most.max(g.abs()));
        let more_rows = self.model.rows.len() > self.model.terms();
        self.options.sequence(largest, more_rows)
    }

    fn solve(&mut self, lambda: f64) -> PathPoint {
        let all: Vec<usize> = (0..self.model.terms())
            .filter(|term| self.scale[*term] > 0.0)
            .collect();
        let (converged, log_likelihood) =
            if all.len() <= FEW_TERMS && all.len() == self.model.terms() {
                self.descend(self.model, &all, lambda)
            } else {
                self.solve_some(&all, lambda)
            };
        self.last_lambda = lambda;
        let explained = self.null_deviance - 2.0 * (self.saturated - log_likelihood);
        let slopes = self.beta.iter().copied().enumerate();
        PathPoint {
            lambda,
            intercept: 0.0,
            coefficients: slopes.filter(|(_, slope)| *slope != 0.0).collect(),
            deviance_ratio: if self.null_deviance > 0.0 {
                explained / self.null_deviance
            } else {
                0.0
            },
            converged,
        }
    }

    /// Solves for the terms that are expected to matter, and again with those that were missed.
    fn solve_some(&mut self, all: &[usize], lambda: f64) -> (bool, f64) {
        // The strong rule: a gradient changes no faster than the penalty.
        let before = if self.last_lambda.is_finite() {
            self.last_lambda
        } else {
            lambda
        };
        let expected = self.options.alpha * (2.0 * lambda - before);
        let mut terms: Vec<usize> = all
            .iter()
            .copied()
            .filter(|term| self.beta[*term] != 0.0 || self.gradient[*term].abs() >= expected)
            .collect();
        loop {
            let rows = self.model.rows.with_terms(&terms);
            let some = Model::new(&rows, self.model.layout.clone(), self.model.ties);
            self.at = None;
            let (converged, _) = self.descend(&some, &terms, lambda);
            let whole = self.model.first_order(&self.beta);
            self.gradient = self.gradient_of(&whole.score);
            let limit = lambda * self.options.alpha * (1.0 + 1e-9);
            let missed: Vec<usize> = all
                .iter()
                .copied()
                .filter(|term| {
                    self.gradient[*term].abs() > limit && terms.binary_search(term).is_err()
                })
                .collect();
            if missed.is_empty() {
                return (converged, whole.log_likelihood);
            }
            terms.extend(missed);
            terms.sort_unstable();
        }
    }

    /// Newton steps over `terms`, which are the columns of `model`. Whether they stood still, and the log likelihood.
    fn descend(&mut self, model: &Model<'_>, terms: &[usize], lambda: f64) -> (bool, f64) {
        let still =
            self.options.tolerance * self.null_deviance.max(f64::MIN_POSITIVE) / self.weight;
        let scale: Vec<f64> = terms.iter().map(|term| self.scale[*term]).collect();
        let slopes =
            |b: &[f64]| -> Vec<f64> { b.iter().zip(&scale).map(|(b, scale)| b / scale).collect() };
        let objective = |b: &[f64], log_likelihood: f64| -> f64 {
            let penalty: f64 = b.iter().map(|b| self.options.penalty(lambda, *b)).sum();
            penalty - log_likelihood / self.weight
        };
        let (mut b, mut at) = self.at.take().unwrap_or_else(|| {
            let b: Vec<f64> = terms
                .iter()
                .map(|term| self.beta[*term] * self.scale[*term])
                .collect();
            let at = model.evaluate(&slopes(&b));
            (b, at)
        });
        let mut end = None;
        for _ in 0..MAX_STEPS {
            let quadratic = self.quadratic(&at, &scale);
            let (next, moved) = quadratic.minimise(self.options, &b, lambda, still);
            if moved <= still {
                // The digits that are right double with each step: this one needs no proof.
                end = Some(next);
                break;
            }
            let now = objective(&b, at.log_likelihood);
            let mut share = 1.0;
            let accepted = (0..MAX_HALVINGS).find_map(|_| {
                let tried: Vec<f64> = b
                    .iter()
                    .zip(&next)
                    .map(|(b, next)| b + share * (next - b))
                    .collect();
                let there = model.evaluate(&slopes(&tried));
                share /= 2.0;
                // What rounding alone may add is not a step back.
                let rounding = 1e-14 * now.abs();
                let better =
                    there.is_finite() && objective(&tried, there.log_likelihood) <= now + rounding;
                better.then_some((tried, there))
            });
            let Some((tried, there)) = accepted else {
                break;
            };
            (b, at) = (tried, there);
        }
        let solution = end.as_deref().unwrap_or(&b);
        for (term, slope) in terms.iter().zip(slopes(solution)) {
            self.beta[*term] = slope;
        }
        let log_likelihood = at.log_likelihood;
        self.at = Some((b, at));
        (end.is_some(), log_likelihood)
    }

    /// The quadratic of some terms, in penalised coefficients per Σw.
    fn quadratic(&self, at: &Evaluation, scale: &[f64]) -> Quadratic {
        let per_row = |x: f64, scale: f64| x / scale / self.weight;
        let rows = 0..scale.len();
        let curvature = rows.flat_map(|row| {
            let columns = 0..scale.len();
            columns.map(move |column| {
                per_row(at.information.get(row, column), scale[row] * scale[column])
            })
        });
        Quadratic {
            gradient: at
                .score
                .iter()
                .zip(scale)
                .map(|(score, scale)| per_row(*score, *scale))
                .collect(),
            curvature: curvature.collect(),
        }
    }
}
