//! The elastic net of few terms: rows are read for gradient and curvature only, however many passes the coefficients take.
//!
//! The curvature is kept while the steps that it gives shrink fast: the gradient is that of the coefficients all the same.

use std::ops::Range;

use rayon::prelude::*;

use super::Descent;
use crate::models::family::Working;
use crate::models::moments::count;
use crate::models::quadratic::Quadratic;
use crate::models::{Family, PathPoint, SparseColumn};
use crate::numeric::{BLOCK, Block, CrossProduct, Symmetric, widest};

/// Up to this many terms the quadratic may be written out.
const FEW_TERMS: usize = 64;
/// Rows of one task: a sum has the same parts on any machine.
const TASK: usize = 64 * BLOCK;
/// Steps for one penalty.
const MAX_STEPS: usize = 200;
const MAX_HALVINGS: usize = 40;
/// A step that is larger than this share of the one before, both squared, asks for the curvature anew.
const SLOW: f64 = 1e-3;
const LANES: usize = 8;

/// The coefficients of covariates of unit spread, the constant being that of centred ones.
#[derive(Debug, Clone)]
struct Place {
    constant: f64,
    b: Vec<f64>,
}

/// What the rows say at a place, per weight of 1.
#[derive(Debug)]
struct Seen {
    deviance: f64,
    /// By the terms; last by the constant.
    gradient: Vec<f64>,
    curvature: Option<Symmetric>,
}

pub(super) struct FewTerms<'d, 'a> {
    descent: &'d Descent<'a>,
    /// Those that are not constant.
    terms: Vec<usize>,
    place: Place,
    seen: Seen,
    /// At this place or at one before.
    curvature: Symmetric,
}

/// Whether the quadratic is written out: of 12 terms if a value in eight is not 0, of 60 a value in four. There the sweeps over
/// what sparse columns store were measured to take as long.
pub(super) fn are_few(descent: &Descent<'_>) -> bool {
    let columns = descent.frame.covariates;
    let (terms, rows) = (columns.len(), descent.frame.outcome.len());
    let stored: usize = columns.iter().map(SparseColumn::stored).sum();
    terms <= FEW_TERMS && terms < rows && stored * 400 >= terms * rows * (36 + terms)
}

impl<'d, 'a> FewTerms<'d, 'a> {
    /// From where the constant alone has been fitted.
    pub(super) fn new(descent: &'d Descent<'a>) -> Self {
        let all = 0..descent.scale.len();
        let terms: Vec<usize> = all.filter(|term| descent.scale[*term] > 0.0).collect();
        let mut few = Self {
            descent,
            place: Place {
                constant: descent.intercept,
                b: vec![0.0; terms.len()],
            },
            seen: Seen {
                deviance: 0.0,
                gradient: Vec::new(),
                curvature: None,
            },
            curvature: Symmetric::zero(terms.len() + 1),
            terms,
        };
        let seen = few.look(&few.place, true);
        few.see(few.place.clone(), seen);
        few
    }

    fn see(&mut self, place: Place, mut seen: Seen) {
        if let Some(curvature) = seen.curvature.take() {
            self.curvature = curvature;
        }
        (self.place, self.seen) = (place, seen);
    }

    pub(super) fn solve(&mut self, lambda: f64) -> PathPoint {
        let options = self.descent.options;
        let still = options.tolerance * self.descent.null_deviance.max(f64::MIN_POSITIVE);
        let objective = |place: &Place, deviance: f64| -> f64 {
            let penalties = place.b.iter().map(|b| options.penalty(lambda, *b));
            deviance / 2.0 + penalties.sum::<f64>()
        };
        let mut before = f64::INFINITY;
        for _ in 0..MAX_STEPS {
            let (next, moved) = self.step(lambda, still);
            if moved <= still {
                // The gradient was exact: this step needs no proof.
                let deviance = self.deviance_near(&next);
                return self.point(lambda, &next, deviance, true);
            }
            let now = objective(&self.place, self.seen.deviance);
            let again = moved > SLOW * before;
            before = moved;
            let mut share = 1.0;
            let accepted = (0..MAX_HALVINGS).find_map(|_| {
                let tried = self.place.towards(&next, share);
                let seen = self.look(&tried, again);
                share /= 2.0;
                // What rounding alone may add is not a step back.
                let rounding = 1e-13 * now.abs();
                let finite = seen.gradient.iter().all(|g| g.is_finite());
                let better = finite && objective(&tried, seen.deviance) <= now + rounding;
                better.then_some((tried, seen))
            });
            let Some((tried, seen)) = accepted else {
                break;
            };
            self.see(tried, seen);
        }
        self.point(lambda, &self.place, self.seen.deviance, false)
    }

    /// The penalised minimum of the quadratic, and how far it is in units of what matters.
    fn step(&self, lambda: f64, still: f64) -> (Place, f64) {
        // The constant is not penalised: it is always where it is best, given the others.
        let p = self.terms.len();
        let with = |term: usize| self.curvature.get(p, term);
        let own = with(p);
        let left = self.seen.gradient[p];
        let gradient = (0..p).map(|term| self.seen.gradient[term] - with(term) * left / own);
        let curvature = (0..p * p).map(|at| {
            let (row, column) = (at / p, at % p);
            let (row, column) = (row.max(column), row.min(column));
            let curvature = self.curvature.get(row, column);
            let rest = curvature - with(row) * with(column) / own;
            // What rounding leaves of a term that the constant explains is no curvature.
            if row == column && rest <= 1e-14 * curvature {
                0.0
            } else {
                rest
            }
        });
        let quadratic = Quadratic {
            gradient: gradient.collect(),
            curvature: curvature.collect(),
        };
        let (b, moved) = quadratic.minimise(self.descent.options, &self.place.b, lambda, still);
        let terms = b.iter().zip(&self.place.b).enumerate();
        let explained: f64 = terms
            .map(|(term, (new, old))| with(term) * (new - old))
            .sum();
        let change = (left - explained) / own;
        let next = Place {
            constant: self.place.constant + change,
            b,
        };
        (next, moved.max(own * change * change))
    }

    /// The deviance one small step from where the rows were seen.
    fn deviance_near(&self, next: &Place) -> f64 {
        let mut change: Vec<f64> = next
            .b
            .iter()
            .zip(&self.place.b)
            .map(|(a, b)| a - b)
            .collect();
        change.push(next.constant - self.place.constant);
        let curved = self.curvature.times(&change);
        let gained = change.iter().zip(&self.seen.gradient).zip(curved);
        let gained: f64 = gained.map(|((d, g), hd)| d * (g - hd / 2.0)).sum();
        self.seen.deviance - 2.0 * gained
    }

    fn point(&self, lambda: f64, place: &Place, deviance: f64, converged: bool) -> PathPoint {
        let (mean, scale) = (&self.descent.mean, &self.descent.scale);
        let slopes = self.terms.iter().zip(&place.b);
        let coefficients: Vec<(usize, f64)> = slopes
            .filter(|(_, b)| **b != 0.0)
            .map(|(term, b)| (*term, b / scale[*term]))
            .collect();
        let shift = coefficients.iter().map(|(term, slope)| slope * mean[*term]);
        PathPoint {
            lambda,
            intercept: place.constant - shift.sum::<f64>(),
            coefficients,
            deviance_ratio: 1.0 - deviance / self.descent.null_deviance,
            converged,
        }
    }

    /// Reads the rows.
    fn look(&self, place: &Place, with_curvature: bool) -> Seen {
        let rows = self.descent.frame.outcome.len();
        let tasks: Vec<usize> = (0..rows).step_by(TASK).collect();
        let parts: Vec<Seen> = tasks
            .into_par_iter()
            .map(|begin| self.read(place, begin..rows.min(begin + TASK), with_curvature))
            .collect();
        let mut sum = Seen {
            deviance: 0.0,
            gradient: vec![0.0; self.terms.len() + 1],
            curvature: with_curvature.then(|| Symmetric::zero(self.terms.len() + 1)),
        };
        // Without weights the rows count 1 each.
        let share = match self.descent.frame.weights {
            Some(_) => 1.0,
            None => 1.0 / count(rows),
        };
        for part in parts {
            sum.deviance += share * part.deviance;
            for (sum, part) in sum.gradient.iter_mut().zip(part.gradient) {
                *sum += share * part;
            }
            if let (Some(sum), Some(part)) = (&mut sum.curvature, &part.curvature) {
                sum.add_scaled(part, share);
            }
        }
        let mut unit: Vec<f64> = self
            .terms
            .iter()
            .map(|term| 1.0 / self.descent.scale[*term])
            .collect();
        unit.push(1.0);
        for (gradient, unit) in sum.gradient.iter_mut().zip(&unit) {
            *gradient *= unit;
        }
        sum.curvature = sum.curvature.map(|curvature| curvature.scaled(&unit));
        sum
    }

    fn read(&self, place: &Place, rows: Range<usize>, with_curvature: bool) -> Seen {
        let Descent {
            family,
            frame,
            weights,
            mean,
            scale,
            ..
        } = self.descent;
        let p = self.terms.len();
        let mut product = CrossProduct::<f64>::new(p + 1);
        let mut gradient = vec![[0.0; LANES]; p + 1];
        let mut deviance = 0.0;
        let [mut eta, mut residual, mut weight] = [Block::<f64>::ZERO; 3];
        for begin in rows.clone().step_by(BLOCK) {
            let rows = begin..rows.end.min(begin + BLOCK);
            let length = rows.len();
            match frame.offset {
                Some(offset) => eta[..length].copy_from_slice(&offset[rows.clone()]),
                None => eta[..length].fill(0.0),
            }
            let columns = product.block();
            widest!({
                for eta in &mut eta[..length] {
                    *eta += place.constant;
                }
                for ((term, b), column) in self.terms.iter().zip(&place.b).zip(&mut *columns) {
                    frame.covariates[*term].centred(
                        mean[*term],
                        rows.clone(),
                        &mut column[..length],
                    );
                    if *b != 0.0 {
                        let slope = b / scale[*term];
                        for (eta, x) in eta[..length].iter_mut().zip(&column[..length]) {
                            *eta += slope * x;
                        }
                    }
                }
            });
            columns[p][..length].fill(1.0);
            let outcome = &frame.outcome[rows.clone()];
            let weights = frame.weights.map(|_| &weights[rows.clone()]);
            let log_likelihood = family.working(
                &eta[..length],
                outcome,
                weights,
                Working {
                    residual: &mut residual[..length],
                    weight: &mut weight[..length],
                },
            );
            deviance += deviance_of(*family, &eta[..length], outcome, weights, log_likelihood);
            residual[length..].fill(0.0);
            widest!({
                for (sums, column) in gradient.iter_mut().zip(&*columns) {
                    add_product(sums, &residual, column);
                }
            });
            if with_curvature {
                widest!(product.add(&weight[..length]));
            }
        }
        Seen {
            deviance,
            gradient: gradient.iter().map(|lanes| lanes.iter().sum()).collect(),
            curvature: with_curvature.then(|| product.finish()),
        }
    }
}

#[inline(always)]
fn add_product(sums: &mut [f64; LANES], a: &Block, b: &Block) {
    let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
}

fn deviance_of(
    family: Family,
    eta: &[f64],
    outcome: &[f64],
    weights: Option<&[f64]>,
    log_likelihood: f64,
) -> f64 {
    if family.is_own_deviance(outcome) {
        return -2.0 * log_likelihood;
    }
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let rows = eta.iter().zip(outcome).enumerate();
    rows.filter(|(row, _)| weight(*row) > 0.0)
        .map(|(row, (eta, y))| weight(row) * family.deviance(*y, *eta))
        .sum()
}

impl Place {
    fn towards(&self, next: &Self, share: f64) -> Self {
        let terms = self.b.iter().zip(&next.b);
        Self {
            constant: self.constant + share * (next.constant - self.constant),
            b: terms.map(|(b, next)| b + share * (next - b)).collect(),
        }
    }
}
