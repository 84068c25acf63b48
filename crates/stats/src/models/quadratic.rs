//! The penalised minimum of a quadratic, by coordinate descent; where that creeps, terms are solved for at once.
//! Source: Friedman, Hastie and Tibshirani, Journal of Statistical Software 2010 ("covariance updates").

use super::PathOptions;
use crate::numeric::Symmetric;

/// Terms whose quadratic is small enough to be solved at once.
pub(crate) const MOST_TERMS: usize = 512;
/// What is left of the curvature of a term that those before it explain, where it is not solved for.
const COLLINEAR: f64 = 1e-10;

/// A log likelihood near some coefficients, which are those of covariates of unit spread.
#[derive(Debug)]
pub(crate) struct Quadratic {
    pub(crate) gradient: Vec<f64>,
    /// Row by row.
    pub(crate) curvature: Vec<f64>,
}

impl Quadratic {
    pub(crate) fn diagonal(&self, term: usize) -> f64 {
        self.curvature[term * self.gradient.len() + term]
    }

    /// The penalised minimum of the quadratic from `b`, and how far it is in units of what matters.
    pub(crate) fn minimise(
        &self,
        options: &PathOptions,
        b: &[f64],
        lambda: f64,
        still: f64,
    ) -> (Vec<f64>, f64) {
        let p = b.len();
        let mut at = Position {
            quadratic: self,
            options,
            lambda,
            b: b.to_vec(),
            gradient: self.gradient.clone(),
        };
        let usable: Vec<usize> = (0..p).filter(|term| self.diagonal(*term) > 0.0).collect();
        // Finer than the steps, so that these end for their own sake.
        let settled = still * 1e-4;
        let (mut sweeps, mut jumped) = (0, false);
        while sweeps < options.max_sweeps {
            let most = at.sweep(&usable);
            sweeps += 1;
            // A small change may be that of a descent that creeps.
            if most <= settled && jumped {
                break;
            }
            let active: Vec<usize> = usable
                .iter()
                .copied()
                .filter(|term| at.b[*term] != 0.0)
                .collect();
            let patience = patience(active.len());
            let mut waited = 0;
            while sweeps < options.max_sweeps && at.sweep(&active) > settled {
                sweeps += 1;
                waited += 1;
                if waited % patience == 0 && active.len() <= MOST_TERMS {
                    at.jump(&active);
                }
            }
            if active.len() <= MOST_TERMS {
                at.jump(&active);
            }
            jumped = true;
        }
        let moved = (0..p).map(|term| self.diagonal(term) * (at.b[term] - b[term]).powi(2));
        let moved = moved.fold(0.0, f64::max);
        (at.b, moved)
    }
}

/// Sweeps after which the terms are solved for at once, which costs as much as a quarter of a sweep for each.
pub(crate) fn patience(terms: usize) -> usize {
    2 + terms / 4
}

struct Position<'q> {
    quadratic: &'q Quadratic,
    options: &'q PathOptions,
    lambda: f64,
    b: Vec<f64>,
    gradient: Vec<f64>,
}

impl Position<'_> {
    /// Moves each coefficient to its best value; returns how much that matters.
    fn sweep(&mut self, terms: &[usize]) -> f64 {
        let mut most = 0.0_f64;
        for term in terms.iter().copied() {
            let curvature = self.quadratic.diagonal(term);
            let target = self.gradient[term] + curvature * self.b[term];
            let new = self.options.threshold(self.lambda, target, curvature);
            let change = new - self.b[term];
            if change != 0.0 {
                self.b[term] = new;
                self.follow(term, change);
                most = most.max(curvature * change * change);
            }
        }
        most
    }

    fn follow(&mut self, term: usize, change: f64) {
        let p = self.b.len();
        let column = &self.quadratic.curvature[term * p..(term + 1) * p];
        for (gradient, h) in self.gradient.iter_mut().zip(column) {
            *gradient -= h * change;
        }
    }

    /// Solves for the coefficients that are not 0, as far as none changes its sign.
    fn jump(&mut self, terms: &[usize]) {
        let terms = terms.iter().copied();
        let terms: Vec<usize> = terms.filter(|term| self.b[*term] != 0.0).collect();
        let (p, alpha) = (self.b.len(), self.options.alpha);
        let mut curvature = Symmetric::zero(terms.len());
        for (row, term) in terms.iter().enumerate() {
            for (column, other) in terms[..=row].iter().enumerate() {
                *curvature.get_mut(row, column) = self.quadratic.curvature[term * p + other];
            }
            *curvature.get_mut(row, row) += self.lambda * (1.0 - alpha);
        }
        let slopes: Vec<f64> = terms.iter().map(|term| self.b[*term]).collect();
        let gradient: Vec<f64> = terms
            .iter()
            .zip(&slopes)
            .map(|(term, b)| {
                self.gradient[*term] - self.lambda * (alpha * b.signum() + (1.0 - alpha) * b)
            })
            .collect();
        for (term, change) in terms
            .iter()
            .zip(solved_at_once(&curvature, &gradient, &slopes))
        {
            self.b[*term] += change;
            self.follow(*term, change);
        }
    }
}

/// The changes that solve a quadratic of this gradient, as far as no slope changes its sign: one that would is then 0.
/// Coordinates before those of the slopes have any sign. None where there is no solution.
pub(crate) fn solved_at_once(curvature: &Symmetric, gradient: &[f64], slopes: &[f64]) -> Vec<f64> {
    let unit = curvature.unit_scale();
    let scaled: Vec<f64> = gradient.iter().zip(&unit).map(|(g, u)| g * u).collect();
    let solved = curvature.scaled(&unit).factor(COLLINEAR).solve(&scaled);
    let mut steps: Vec<f64> = solved.iter().zip(&unit).map(|(step, u)| step * u).collect();
    if !steps.iter().all(|step| step.is_finite()) {
        return Vec::new();
    }
    let free = steps.len() - slopes.len();
    let limits: Vec<f64> = slopes
        .iter()
        .zip(&steps[free..])
        .map(|(slope, step)| {
            if (slope + step) * slope.signum() > 0.0 {
                f64::INFINITY
            } else {
                -slope / step
            }
        })
        .collect();
    let share = limits.iter().copied().fold(1.0, f64::min);
    steps.iter_mut().for_each(|step| *step *= share);
    for ((step, slope), limit) in steps[free..].iter_mut().zip(slopes).zip(limits) {
        if limit <= share {
            *step = -slope;
        }
    }
    steps
}
