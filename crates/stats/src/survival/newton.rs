//! Newton's method on a log likelihood of few parameters, in units that make the terms comparable.
//!
//! Columns that are combinations of those before them are left out and named; a likelihood that approaches its
//! supremum only at infinity (monotone likelihood, separation) is recognised. Source: R survival, `coxfit6.c`.

use super::columns::Columns;
use crate::numeric::{Factor, Symmetric};
use crate::{Error, Result};

/// What Newton's method maximises.
pub(crate) trait Likelihood {
    fn evaluate(&self, beta: &[f64]) -> Evaluation;

    /// The same, perhaps with six digits of the information only, unless `exactly` asks for all at this log likelihood; and
    /// whether all are right.
    fn approach(&self, beta: &[f64], exactly: impl Fn(f64) -> bool) -> (Evaluation, bool) {
        let _ = exactly;
        (self.evaluate(beta), true)
    }
}

/// What is known at one value of the coefficients.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    pub(crate) log_likelihood: f64,
    pub(crate) score: Vec<f64>,
    pub(crate) information: Symmetric,
}

impl Evaluation {
    pub(crate) fn is_finite(&self) -> bool {
        self.log_likelihood.is_finite() && self.score.iter().all(|score| score.is_finite())
    }
}

/// Below this fraction of its variance, what others leave of a column is rounding: R's `toler.chol`.
pub(crate) const REDUNDANT: f64 = 1.818_989_403_545_856_5e-12;
/// A step whose square, in spreads of the terms within risk sets, is below this is the last: it leaves coefficients that are
/// exact, and would change their variance by 1e-10 of itself.
const LAST_STEP: f64 = 1e-20;
/// With less than this left of a term beside the others, six digits of the information are not enough for a step.
const APART: f64 = 1e-3;
/// A next step of this many units of the linear predictor, at the end, is a coefficient without bound.
const UNBOUNDED_STEP: f64 = 0.01;

#[derive(Debug)]
pub(crate) struct Maximum {
    pub(crate) beta: Vec<f64>,
    pub(crate) at: Evaluation,
    pub(crate) iterations: usize,
}

/// Newton's method in units that make the terms comparable.
#[derive(Debug)]
pub(crate) struct Newton {
    /// The range of each term.
    range: Vec<f64>,
    /// The weight of the events.
    events: f64,
    pub(crate) null: Evaluation,
    /// One over the spread of each term within risk sets; 0 for a term without any.
    scale: Vec<f64>,
    pub(crate) null_factor: Factor,
}

/// The way to a maximum, so far.
#[derive(Debug)]
pub(crate) struct Search {
    beta: Vec<f64>,
    at: Evaluation,
    next: Vec<f64>,
    halved: bool,
    settled: bool,
    iterations: usize,
}

impl Search {
    /// Where the likelihood is to be evaluated.
    pub(crate) fn next(&self) -> &[f64] {
        &self.next
    }

    pub(crate) fn iterations(&self) -> usize {
        self.iterations
    }
}

impl Newton {
    /// `null` is the likelihood without coefficients; `events` is the weight of the events, to which the information is
    /// proportional.
    pub(crate) fn new(null: Evaluation, columns: &Columns, events: f64) -> Self {
        let scale: Vec<f64> = (0..columns.terms())
            .map(|term| {
                let information = null.information.get(term, term);
                // What is left of a column that is constant, or constant in each stratum, is rounding.
                let rounding =
                    1e-12 * columns.spread[term] + (1e-14 * columns.centre[term]).powi(2);
                if information > rounding * events {
                    1.0 / information.sqrt()
                } else {
                    0.0
                }
            })
            .collect();
        let null_factor = null.information.scaled(&scale).factor(REDUNDANT);
        Self {
            range: columns.range.clone(),
            events,
            null,
            scale,
            null_factor,
        }
    }

    pub(crate) fn in_common_units(&self, matrix: &Symmetric) -> Symmetric {
        let kept = self.null_factor.kept();
        let scale: Vec<f64> = self
            .scale
            .iter()
            .zip(kept)
            .map(|(scale, kept)| if kept { *scale } else { 0.0 })
            .collect();
        matrix.scaled(&scale)
    }

    pub(crate) fn in_original_units(&self, inverse: &Symmetric) -> Symmetric {
        inverse.scaled(&self.scale)
    }

    /// The factored information, without the columns that were redundant from the beginning.
    pub(crate) fn factor(&self, at: &Evaluation) -> Factor {
        self.in_common_units(&at.information).factor(1e-14)
    }

    pub(crate) fn step(&self, factor: &Factor, score: &[f64]) -> Vec<f64> {
        let score: Vec<f64> = score
            .iter()
            .zip(&self.scale)
            .map(|(score, scale)| score * scale)
            .collect();
        factor
            .solve(&score)
            .iter()
            .zip(&self.scale)
            .map(|(step, scale)| step * scale)
            .collect()
    }

    /// The beginning of a search.
    pub(crate) fn search(&self) -> Search {
        Search {
            beta: vec![0.0; self.range.len()],
            next: self.step(&self.null_factor, &self.null.score),
            at: self.null.clone(),
            halved: false,
            settled: false,
            iterations: 0,
        }
    }

    /// Searches for the maximum of a likelihood that is at hand.
    pub(crate) fn maximise(
        &self,
        likelihood: &impl Likelihood,
        tolerance: f64,
        max_iterations: usize,
    ) -> Result<Maximum> {
        let mut search = self.search();
        let kept = self.null_factor.kept();
        let apart = |factor: &Factor| factor.least_pivot(&kept) >= APART;
        let steady = apart(&self.null_factor);
        while search.iterations < max_iterations {
            let exactly =
                |log_likelihood| !steady || self.is_still(&search.at, log_likelihood, tolerance);
            let (mut new, exact) = likelihood.approach(&search.next, exactly);
            if !exact && !apart(&self.factor(&new)) {
                new = likelihood.evaluate(&search.next);
            }
            if let Some(maximum) = self.advance(&mut search, new, tolerance) {
                return Ok(maximum);
            }
        }
        Err(Error::NoConvergence)
    }

    /// Whether a step to this log likelihood changed it by no more than `tolerance`.
    fn is_still(&self, at: &Evaluation, log_likelihood: f64, tolerance: f64) -> bool {
        // Equal, and then perhaps both 0: nothing moves without terms or with one row at risk.
        let unmoved = log_likelihood == at.log_likelihood;
        let change = (1.0 - at.log_likelihood / log_likelihood).abs();
        // Where each event is certain in the end, log likelihoods of nearly 0 never stop changing by a fraction.
        let certain = log_likelihood.abs() <= tolerance * self.null.log_likelihood.abs();
        unmoved || certain || change <= tolerance
    }

    /// R's iteration, and one step more: when a step changes the likelihood by no more than `tolerance`, the
    /// next makes the coefficients exact, as Newton's method doubles the digits that are right.
    ///
    /// `new` is the likelihood at [`Search::next`].
    pub(crate) fn advance(
        &self,
        search: &mut Search,
        new: Evaluation,
        tolerance: f64,
    ) -> Option<Maximum> {
        search.iterations += 1;
        let small = !search.halved && self.is_still(&search.at, new.log_likelihood, tolerance);
        let found = |search: &Search, at: Evaluation| {
            Some(Maximum {
                beta: search.next.clone(),
                at,
                iterations: search.iterations,
            })
        };
        if small && search.settled {
            return found(search, new);
        }
        search.settled = small;
        search.halved =
            !(small || new.is_finite() && new.log_likelihood >= search.at.log_likelihood);
        if search.halved {
            for (next, beta) in search.next.iter_mut().zip(&search.beta) {
                *next = f64::midpoint(*next, *beta);
            }
            return None;
        }
        // Coefficients without bound have made sums too large to square: what was known before is all there will be.
        if search.iterations > 1 && !new.information.is_finite() {
            return Some(Maximum {
                beta: search.beta.clone(),
                at: search.at.clone(),
                iterations: search.iterations,
            });
        }
        let step = self.step(&self.factor(&new), &new.score);
        // The step would add half of this to the log likelihood.
        let gain = dot(&step, &new.score);
        search.beta.clone_from(&search.next);
        for (next, step) in search.next.iter_mut().zip(&step) {
            *next += step;
        }
        if small && gain <= LAST_STEP * self.events {
            return found(search, new);
        }
        search.at = new;
        None
    }

    /// Which terms grow without bound. At a true maximum the next step is nothing; on a ridge that never ends it
    /// is as long as the last.
    pub(crate) fn unbounded(&self, factor: &Factor, at: &Evaluation) -> Vec<bool> {
        let (kept, known) = (self.null_factor.kept(), factor.kept());
        let step = self.step(factor, &at.score);
        let terms = 0..self.range.len();
        terms
            .map(|term| {
                kept[term]
                    && (!known[term] || (step[term] * self.range[term]).abs() > UNBOUNDED_STEP)
            })
            .collect()
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
