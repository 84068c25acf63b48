//! Newton's method over steps that somebody else computes: threads, a query engine, or hospitals.
//!
//! ```text
//! moments = merge of Moments::of(part)            centres, scales
//! while newton.point() is Some(point)
//!     newton.advance(merge of Step::of(part, point))
//! totals  = merge of Totals::of(part, newton.last_point())
//! ```
//!
//! Iterations and starting values are those of R's `glm.fit`, with a convergence criterion that needs no further
//! pass: the decrease of the deviance that a step predicts, λ² = score' information⁻¹ score, at most `tolerance`
//! times the deviance. Near the maximum λ² is the decrease that R compares after the fact. A step that lowers the
//! likelihood is halved. The information is that of where the last step was taken; unless that step was negligible,
//! one pass more takes it at the estimate. Terms are scaled to unit spread, and a term that the terms before it
//! explain to 1e-12 of its variance is dropped.

use super::moments::Moments;
use super::step::{Point, Step};
use super::{Family, Options};
use crate::numeric::{Factor, Symmetric};
use crate::{Error, Result};

const COLLINEAR: f64 = 1e-12;
const SINGULAR: f64 = 1e-15;
/// λ² in units of the deviance below which a step changes no digit of the information that counts.
const NEGLIGIBLE: f64 = 1e-26;
const MAX_HALVINGS: usize = 40;
/// Far more than the last step to a maximum, and far less than one towards infinity.
const MOVING: f64 = 0.1;

/// A fit under way.
#[derive(Debug, Clone)]
pub struct Newton {
    pub(super) at: Point,
    pub(super) scale: Vec<f64>,
    /// Terms that are not combinations of those before them; known after the first step.
    pub(super) kept: Vec<bool>,
    pub(super) iterations: usize,
    pub(super) converged: bool,
    /// At the coefficients; of a fit that did not converge, where its last step was taken.
    pub(super) covariance: Symmetric,
    /// The last step taken.
    pub(super) direction: Vec<f64>,
    finished: bool,
    saturated: f64,
    last: Option<(Vec<f64>, f64)>,
    halvings: usize,
    max_iterations: usize,
    tolerance: f64,
}

impl Newton {
    /// Begins a fit.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`]; [`Error::UnequalTerms`] if parts of different models were merged;
    /// [`Error::CovariateOutOfRange`] if the squares of a covariate overflow or vanish.
    pub fn new(family: Family, moments: &Moments, options: &Options) -> Result<Self> {
        if moments.mixed {
            return Err(Error::UnequalTerms);
        }
        if moments.weight <= 0.0 {
            return Err(Error::NoRows);
        }
        let mut centre = Vec::with_capacity(moments.columns.len());
        let mut scale = vec![1.0; usize::from(options.intercept)];
        for (column, largest) in moments.columns.iter().zip(&moments.largest) {
            let square = largest * largest;
            if !(square.is_finite()
                && column.squares.is_finite()
                && (*largest == 0.0 || square > 0.0))
            {
                return Err(Error::CovariateOutOfRange);
            }
            let mean = if options.intercept { column.mean } else { 0.0 };
            let variance =
                column.squares / column.weight + (column.mean - mean) * (column.mean - mean);
            let deviation = variance.sqrt();
            centre.push(mean);
            // A constant column is left to be found collinear with the intercept.
            scale.push(if deviation > 1e-12 * largest {
                deviation
            } else {
                largest.max(f64::MIN_POSITIVE)
            });
        }
        let terms = scale.len();
        Ok(Self {
            at: Point {
                family,
                intercept: options.intercept,
                centre,
                coefficients: None,
            },
            scale,
            kept: vec![true; terms],
            iterations: 0,
            converged: false,
            covariance: Symmetric::zero(terms),
            direction: vec![0.0; terms],
            finished: false,
            saturated: 0.0,
            last: None,
            halvings: 0,
            max_iterations: options.max_iterations,
            tolerance: options.tolerance,
        })
    }

    /// Where the next step is wanted; `None` when the fit is done.
    pub fn point(&self) -> Option<&Point> {
        (!self.finished).then_some(&self.at)
    }

    /// The final coefficients.
    pub fn last_point(&self) -> &Point {
        &self.at
    }

    /// Whether the last step moved a term by more than a step to a maximum would: towards a supremum at infinity each
    /// changes the linear predictor by about 1, also when the likelihood hardly grows any more.
    pub(super) fn moves(&self, moments: &Moments) -> bool {
        let constant = self.at.intercept.then_some(1.0);
        let largest = constant.iter().chain(&moments.largest);
        let mut steps = self.direction.iter().zip(largest);
        steps.any(|(step, largest)| (step * largest).abs() > MOVING)
    }

    /// Takes nothing from these terms any more. Where their coefficients are infinite and that of the constant is not,
    /// what centring adds to its variance is as large as theirs and would take its digits. Whether that changed anything:
    /// the covariance is then to be had from one more step.
    pub(super) fn uncentre(&mut self, terms: &[usize]) -> bool {
        let Some(coefficients) = self.at.coefficients.as_mut().filter(|_| self.at.intercept) else {
            return false;
        };
        let mut changed = false;
        if !terms.contains(&0) {
            for term in terms {
                let centre = std::mem::take(&mut self.at.centre[term - 1]);
                coefficients[0] -= centre * coefficients[*term];
                changed |= centre != 0.0;
            }
        }
        changed
    }

    /// Moves to the next coefficients; after the fit is done, takes its covariance from the step.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] if the step is not one of this model.
    pub fn advance(&mut self, step: &Step) -> Result<()> {
        let Some(information) = step.information.as_ref().filter(|_| !step.mixed) else {
            return Err(Error::UnequalTerms);
        };
        if step.score.len() != self.scale.len() {
            return Err(Error::UnequalTerms);
        }
        let Some(coefficients) = self.at.coefficients.clone() else {
            self.start(step, information);
            return Ok(());
        };
        if self.converged || self.finished {
            let (factor, _) = self.solve(information, &step.score, SINGULAR);
            self.covariance = self.expand(&factor);
            self.finished = true;
            return Ok(());
        }
        if let Some((last, log_likelihood)) = &self.last {
            let worse = step.log_likelihood < log_likelihood - 1e-9 * (log_likelihood.abs() + 1.0);
            if worse || !step.log_likelihood.is_finite() {
                self.halvings += 1;
                self.finished = self.halvings > MAX_HALVINGS;
                let half = coefficients
                    .iter()
                    .zip(last)
                    .map(|(new, old)| 0.5 * (new + old))
                    .collect();
                self.at.coefficients = Some(if self.finished { last.clone() } else { half });
                return Ok(());
            }
        }
        let (factor, direction) = self.solve(information, &step.score, SINGULAR);
        let decrease: f64 = direction.iter().zip(&step.score).map(|(a, b)| a * b).sum();
        if !decrease.is_finite() {
            // The starting values were beyond what the mean can hold: go back towards 0.
            self.halvings += 1;
            self.finished = self.halvings > MAX_HALVINGS;
            self.at.coefficients = Some(coefficients.iter().map(|value| 0.5 * value).collect());
            return Ok(());
        }
        self.covariance = self.expand(&factor);
        self.iterations += 1;
        let deviance = 2.0 * (self.saturated - step.log_likelihood).abs();
        self.converged = decrease <= self.tolerance * (deviance + 0.1);
        self.finished = if self.converged {
            decrease <= NEGLIGIBLE * (deviance + 0.1)
        } else {
            self.iterations >= self.max_iterations
        };
        self.at.coefficients = Some(
            coefficients
                .iter()
                .zip(&direction)
                .map(|(a, b)| a + b)
                .collect(),
        );
        self.last = Some((coefficients, step.log_likelihood));
        self.direction = direction;
        Ok(())
    }

    fn start(&mut self, step: &Step, information: &Symmetric) {
        self.saturated = step.saturated;
        self.kept = self
            .scaled(information, &self.kept)
            .factor(COLLINEAR)
            .kept();
        let (_, coefficients) = self.solve(information, &step.score, 0.0);
        self.at.coefficients = Some(coefficients);
        self.iterations = usize::from(!self.scale.is_empty());
        self.finished = self.max_iterations <= 1 || self.scale.is_empty();
        self.converged = self.scale.is_empty();
    }

    /// The kept terms, in units of their spread.
    fn scaled(&self, matrix: &Symmetric, kept: &[bool]) -> Symmetric {
        let mut scaled = Symmetric::zero(self.scale.len());
        for row in 0..self.scale.len() {
            for column in 0..=row {
                *scaled.get_mut(row, column) =
                    matrix.get(row, column) / (self.scale[row] * self.scale[column]);
            }
        }
        scaled.mirror();
        scaled.restricted(kept)
    }

    /// information⁻¹ score, 0 where a term is dropped.
    fn solve(&self, information: &Symmetric, score: &[f64], tolerance: f64) -> (Factor, Vec<f64>) {
        let factor = self.scaled(information, &self.kept).factor(tolerance);
        let kept = || (0..self.scale.len()).filter(|term| self.kept[*term]);
        let scaled: Vec<f64> = kept().map(|term| score[term] / self.scale[term]).collect();
        let mut direction = vec![0.0; self.scale.len()];
        for (term, value) in kept().zip(factor.solve(&scaled)) {
            direction[term] = value / self.scale[term];
        }
        (factor, direction)
    }

    /// The inverse in the units of the data, 0 where a term is dropped.
    fn expand(&self, factor: &Factor) -> Symmetric {
        let inverse = factor.inverse();
        let kept: Vec<usize> = (0..self.scale.len())
            .filter(|term| self.kept[*term])
            .collect();
        let mut covariance = Symmetric::zero(self.scale.len());
        for (row, term) in kept.iter().enumerate() {
            for (column, other) in kept.iter().enumerate() {
                *covariance.get_mut(*term, *other) =
                    inverse.get(row, column) / (self.scale[*term] * self.scale[*other]);
            }
        }
        covariance
    }
}
