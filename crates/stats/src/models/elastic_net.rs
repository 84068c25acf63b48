//! Logistic and Poisson regression with an L1, L2 or elastic-net penalty, along a sequence of penalties.
//!
//! Minimises −(1/Σw) log L + λ [α Σ|b| + (1 − α)/2 Σ b²], the intercept not penalised, over covariates of
//! standard deviation 1 (divisor n, weighted; `standardize = false` leaves them); coefficients are given on the
//! scale of the data. The sequence goes in equal ratios from the smallest λ at which every coefficient is 0,
//! max |Σ w x (y − μ₀)| / (Σw · max(α, 0.001)), to 1e-4 of it (1e-2 if there are more terms than rows), and ends
//! early, after five solutions at least, when 99.9 % of the deviance are explained or little more than before (1e-5 of the
//! null deviance in one step, of a Poisson model 1e-4 of what is explained in four). All as in R's glmnet.
//!
//! Method: coordinate descent on the quadratic approximation of the likelihood, renewed until it stands still,
//! starting from the solution before; sparse columns stay sparse, their centring kept as one shift for all rows. Where terms
//! are correlated the descent creeps: from time to time the quadratic of the terms that are not 0 is solved at once. Of few
//! and dense terms the quadratic is written out.
//! Source: Friedman, Hastie and Tibshirani, Journal of Statistical Software 2010.

mod few_terms;

use few_terms::{FewTerms, are_few};

use super::family::Working;
use super::moments::count;
use super::quadratic::{MOST_TERMS, patience, solved_at_once};
use super::{Ending, Family, Path, PathOptions, PathPoint, SparseColumn, SparseFrame};
use crate::numeric::Symmetric;
use crate::{Error, Result};

/// Fits the path.
///
/// # Errors
///
/// [`Error::UnequalColumns`]; [`Error::InvalidWeight`]; [`Error::NonFiniteCovariate`] for an offset; what the
/// family says of outcomes; [`Error::CovariateOutOfRange`] if the squares of a covariate overflow or vanish; [`Error::NoRows`]; [`Error::NoEvents`] if all outcomes are at the same end of their
/// range; [`Error::InvalidOption`] for an α outside [0, 1] or penalties that are not falling numbers from 0.
pub fn path(family: Family, frame: &SparseFrame<'_>, options: &PathOptions) -> Result<Path> {
    check(family, frame, options)?;
    let shifts: Vec<f64> = frame
        .covariates
        .iter()
        .map(|column| far_from_zero(column, frame.outcome.len()))
        .collect();
    if shifts.iter().all(|shift| *shift == 0.0) {
        return descend(family, frame, options);
    }
    let columns = frame.covariates.iter().zip(&shifts);
    let covariates: Vec<SparseColumn> =
        columns.map(|(column, shift)| column.less(*shift)).collect();
    let shifted = SparseFrame {
        covariates: &covariates,
        ..*frame
    };
    let mut found = descend(family, &shifted, options)?;
    for point in &mut found.points {
        let slopes = point.coefficients.iter();
        let moved: f64 = slopes.map(|(term, slope)| slope * shifts[*term]).sum();
        point.intercept -= moved;
    }
    Ok(found)
}

/// The mean of a column that stores every row and lies far from 0, such as years, which the descent would take off only
/// after its digits are lost; 0 for others.
fn far_from_zero(column: &SparseColumn, rows: usize) -> f64 {
    if rows == 0 || column.stored() != rows {
        return 0.0;
    }
    let (mut sum, mut least, mut most) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
    for (_, x) in column.iter() {
        sum += x;
        least = least.min(x);
        most = most.max(x);
    }
    let mean: f64 = sum / count(rows);
    if mean.is_finite() && mean.abs() > 10.0 * (most - least) && most > least {
        mean
    } else {
        0.0
    }
}

fn descend(family: Family, frame: &SparseFrame<'_>, options: &PathOptions) -> Result<Path> {
    let mut descent = Descent::new(family, frame, options)?;
    let sequence = descent.sequence();
    let ending = match family {
        Family::Binomial => Ending::Binomial,
        Family::Poisson => Ending::Poisson,
    };
    let points = if are_few(&descent) {
        let mut few = FewTerms::new(&descent);
        options.along(sequence, ending, |lambda| few.solve(lambda))
    } else {
        options.along(sequence, ending, |lambda| descent.solve(lambda))
    };
    Ok(Path {
        null_deviance: descent.null_deviance * descent.rows,
        points,
    })
}

fn check(family: Family, frame: &SparseFrame<'_>, options: &PathOptions) -> Result<()> {
    frame.check_lengths()?;
    frame.dense().check(family, 0..frame.outcome.len())?;
    options.check()
}

/// The state of the descent: coefficients are those of centred and scaled covariates.
struct Descent<'a> {
    family: Family,
    frame: SparseFrame<'a>,
    options: &'a PathOptions,
    /// Rows of weight above 0.
    rows: f64,
    /// Sum to 1.
    weights: Vec<f64>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    intercept: f64,
    slopes: Vec<f64>,
    null_deviance: f64,
    /// w (y − μ) at the start of the quadratic, then its residuals, less `shift` · `curvature`.
    residual: Vec<f64>,
    /// w V(μ).
    curvature: Vec<f64>,
    shift: f64,
    /// Sum of the true residuals and of the curvature.
    residual_sum: f64,
    curvature_sum: f64,
}

/// The weight of the rows that a column does not store, which are 0. A column that stores all has none: what rounding
/// leaves would count as much as its mean is large.
fn rest(column: &SparseColumn, rows: usize, all: f64, stored: f64) -> f64 {
    if column.stored() == rows {
        0.0
    } else {
        (all - stored).max(0.0)
    }
}

/// What a column has at the current quadratic: Σ v x and Σ v x̃².
#[derive(Clone, Copy, Default)]
struct ColumnSums {
    first: f64,
    second: f64,
}

impl<'a> Descent<'a> {
    fn new(family: Family, frame: &SparseFrame<'a>, options: &'a PathOptions) -> Result<Self> {
        let n = frame.outcome.len();
        let raw = frame.weights.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        let total: f64 = raw.iter().sum();
        if total <= 0.0 {
            return Err(Error::NoRows);
        }
        let rows = count(raw.iter().filter(|weight| **weight > 0.0).count());
        let weights: Vec<f64> = raw.iter().map(|weight| weight / total).collect();
        let mean_outcome: f64 = weights.iter().zip(frame.outcome).map(|(w, y)| w * y).sum();
        if mean_outcome <= 0.0 || (family == Family::Binomial && mean_outcome >= 1.0) {
            return Err(Error::NoEvents);
        }
        let mut mean = Vec::with_capacity(frame.covariates.len());
        let mut scale = Vec::with_capacity(frame.covariates.len());
        for column in frame.covariates {
            let centre: f64 = column.iter().map(|(row, x)| weights[row] * x).sum();
            let (mut stored, mut squares, mut largest) = (0.0, 0.0, 0.0_f64);
            for (row, x) in column.iter() {
                stored += weights[row];
                squares += weights[row] * (x - centre) * (x - centre);
                largest = largest.max(x.abs());
            }
            let variance = squares + rest(column, n, 1.0, stored) * centre * centre;
            let square = largest * largest;
            if !square.is_finite() || (largest > 0.0 && square < f64::MIN_POSITIVE) {
                return Err(Error::CovariateOutOfRange);
            }
            mean.push(centre);
            // A constant column stays at 0.
            let constant = variance <= 1e-24 * centre * centre;
            scale.push(if constant {
                0.0
            } else if options.standardize {
                variance.sqrt()
            } else {
                1.0
            });
        }
        let mut descent = Self {
            family,
            frame: *frame,
            options,
            rows,
            weights,
            intercept: family.link(mean_outcome),
            slopes: vec![0.0; mean.len()],
            mean,
            scale,
            null_deviance: 0.0,
            residual: vec![0.0; n],
            curvature: vec![0.0; n],
            shift: 0.0,
            residual_sum: 0.0,
            curvature_sum: 0.0,
        };
        descent.fit_null();
        Ok(descent)
    }

    /// The constant alone: one coefficient by Newton's method.
    fn fit_null(&mut self) {
        for _ in 0..100 {
            self.renew();
            let change = self.residual_sum / self.curvature_sum;
            self.intercept += change;
            if change.abs() <= 1e-15 * (1.0 + self.intercept.abs()) {
                break;
            }
        }
        self.renew();
        self.null_deviance = self.deviance();
    }

    /// The penalties of glmnet.
    fn sequence(&self) -> Vec<f64> {
        let gradient = |term: usize| {
            let column = &self.frame.covariates[term];
            let sum: f64 = column.iter().map(|(row, x)| self.residual[row] * x).sum();
            if self.scale[term] > 0.0 {
                ((sum - self.mean[term] * self.residual_sum) / self.scale[term]).abs()
            } else {
                0.0
            }
        };
        let largest = (0..self.slopes.len()).map(gradient).fold(0.0, f64::max);
        self.options
            .sequence(largest, self.rows > count(self.slopes.len()))
    }

    fn linear_predictor(&self) -> Vec<f64> {
        self.point(0.0).linear_predictor(&self.frame)
    }

    /// Renews the quadratic approximation at the current coefficients.
    fn renew(&mut self) {
        let eta = self.linear_predictor();
        let into = Working {
            residual: &mut self.residual,
            weight: &mut self.curvature,
        };
        self.family
            .working(&eta, self.frame.outcome, Some(&self.weights), into);
        self.shift = 0.0;
        self.residual_sum = self.residual.iter().sum();
        self.curvature_sum = self.curvature.iter().sum();
    }

    fn deviance(&self) -> f64 {
        let eta = self.linear_predictor();
        let rows = eta
            .iter()
            .zip(self.frame.outcome)
            .zip(&self.weights)
            .filter(|(_, w)| **w > 0.0);
        rows.map(|((eta, y), w)| w * self.family.deviance(*y, *eta))
            .sum()
    }

    fn sums(&self, term: usize) -> ColumnSums {
        let (mut first, mut squares, mut stored) = (0.0, 0.0, 0.0);
        let mean = self.mean[term];
        for (row, x) in self.frame.covariates[term].iter() {
            let v = self.curvature[row];
            first += v * x;
            squares += v * (x - mean) * (x - mean);
            stored += v;
        }
        let column = &self.frame.covariates[term];
        let zeros = rest(column, self.curvature.len(), self.curvature_sum, stored);
        let centred = squares + zeros * mean * mean;
        ColumnSums {
            first,
            second: centred / (self.scale[term] * self.scale[term]),
        }
    }

    /// Moves one coefficient to its best value; returns how much that matters.
    fn update(&mut self, term: usize, sums: ColumnSums, lambda: f64) -> f64 {
        let old = self.slopes[term];
        let target = self.gradient(term, sums) + sums.second * old;
        let new = self.options.threshold(lambda, target, sums.second);
        let change = new - old;
        if change == 0.0 {
            return 0.0;
        }
        self.slopes[term] = new;
        self.follow(term, sums, change);
        sums.second * change * change
    }

    /// Takes what a change of a coefficient adds to the linear predictor from the residuals.
    fn follow(&mut self, term: usize, sums: ColumnSums, change: f64) {
        let (mean, step) = (self.mean[term], change / self.scale[term]);
        for (row, x) in self.frame.covariates[term].iter() {
            self.residual[row] -= self.curvature[row] * step * x;
        }
        self.shift -= step * mean;
        self.residual_sum -= step * (sums.first - mean * self.curvature_sum);
    }

    /// The gradient of the quadratic by a coefficient.
    fn gradient(&self, term: usize, sums: ColumnSums) -> f64 {
        let column = &self.frame.covariates[term];
        let product: f64 = column.iter().map(|(row, x)| self.residual[row] * x).sum();
        (product - self.shift * sums.first - self.mean[term] * self.residual_sum) / self.scale[term]
    }

    fn update_intercept(&mut self) -> f64 {
        let change = self.residual_sum / self.curvature_sum;
        self.intercept += change;
        self.shift += change;
        self.residual_sum = 0.0;
        self.curvature_sum * change * change
    }

    /// Solves the quadratic for the constant and the coefficients that are not 0, as far as none changes its sign: one that
    /// would is then 0.
    fn jump(&mut self, terms: &[usize], sums: &[ColumnSums], lambda: f64) {
        let terms = terms.iter().copied();
        let terms: Vec<usize> = terms.filter(|term| self.slopes[*term] != 0.0).collect();
        let curvature = self.curvature_of(&terms, sums, lambda);
        let alpha = self.options.alpha;
        let mut gradient = vec![self.residual_sum];
        for term in &terms {
            let slope = self.slopes[*term];
            let penalty = lambda * (alpha * slope.signum() + (1.0 - alpha) * slope);
            gradient.push(self.gradient(*term, sums[*term]) - penalty);
        }
        let slopes: Vec<f64> = terms.iter().map(|term| self.slopes[*term]).collect();
        let changes = solved_at_once(&curvature, &gradient, &slopes);
        let Some((constant, changes)) = changes.split_first() else {
            return;
        };
        for (term, change) in terms.iter().zip(changes) {
            self.slopes[*term] += change;
            self.follow(*term, sums[*term], *change);
        }
        self.intercept += constant;
        self.shift += constant;
        self.residual_sum -= constant * self.curvature_sum;
    }

    /// The second derivatives by the constant and these coefficients, the penalty's included.
    fn curvature_of(&self, terms: &[usize], sums: &[ColumnSums], lambda: f64) -> Symmetric {
        let mut matrix = Symmetric::zero(terms.len() + 1);
        *matrix.get_mut(0, 0) = self.curvature_sum;
        let mut weighted = vec![0.0; self.curvature.len()];
        for (row, term) in terms.iter().copied().enumerate() {
            let column = &self.frame.covariates[term];
            for (at, x) in column.iter() {
                weighted[at] = self.curvature[at] * x;
            }
            let (mean, first) = (self.mean[term], sums[term].first);
            let centred = first - mean * self.curvature_sum;
            *matrix.get_mut(row + 1, 0) = centred / self.scale[term];
            for (place, other) in terms[..row].iter().copied().enumerate() {
                let others = self.frame.covariates[other].iter();
                let product: f64 = others.map(|(at, x)| weighted[at] * x).sum();
                let product = product - mean * sums[other].first - self.mean[other] * centred;
                *matrix.get_mut(row + 1, place + 1) =
                    product / (self.scale[term] * self.scale[other]);
            }
            *matrix.get_mut(row + 1, row + 1) =
                sums[term].second + lambda * (1.0 - self.options.alpha);
            for (at, _) in column.iter() {
                weighted[at] = 0.0;
            }
        }
        matrix
    }

    fn solve(&mut self, lambda: f64) -> PathPoint {
        let still = self.options.tolerance * self.null_deviance.max(f64::MIN_POSITIVE);
        let mut sweeps = 0;
        let mut converged = false;
        while !converged && sweeps < self.options.max_sweeps {
            self.renew();
            let sums: Vec<ColumnSums> =
                (0..self.slopes.len()).map(|term| self.sums(term)).collect();
            let before = (self.intercept, self.slopes.clone());
            // Finer than the renewals, so that these end for their own sake.
            self.descend(lambda, &sums, still * 1e-4, &mut sweeps);
            let moved = (self.intercept - before.0).powi(2) * self.curvature_sum;
            let changes = self.slopes.iter().zip(&before.1).zip(&sums);
            let moved = changes.fold(moved, |most, ((new, old), sums)| {
                most.max(sums.second * (new - old).powi(2))
            });
            converged = moved <= still;
        }
        let ratio = 1.0 - self.deviance() / self.null_deviance;
        PathPoint {
            deviance_ratio: ratio,
            converged,
            ..self.point(lambda)
        }
    }

    /// Solves the quadratic: all columns once, then those that are not 0 until they stand still, and again.
    fn descend(&mut self, lambda: f64, sums: &[ColumnSums], still: f64, sweeps: &mut usize) {
        let usable: Vec<usize> = (0..sums.len())
            .filter(|term| self.scale[*term] > 0.0 && sums[*term].second > 0.0)
            .collect();
        while *sweeps < self.options.max_sweeps {
            let most = self.sweep(&usable, sums, lambda);
            *sweeps += 1;
            if most <= still {
                return;
            }
            let active: Vec<usize> = usable
                .iter()
                .copied()
                .filter(|term| self.slopes[*term] != 0.0)
                .collect();
            let patience = patience(active.len());
            let mut waited = 0;
            while *sweeps < self.options.max_sweeps && self.sweep(&active, sums, lambda) > still {
                *sweeps += 1;
                waited += 1;
                if waited % patience == 0 && active.len() <= MOST_TERMS {
                    self.jump(&active, sums, lambda);
                }
            }
        }
    }

    fn sweep(&mut self, terms: &[usize], sums: &[ColumnSums], lambda: f64) -> f64 {
        let mut most = 0.0_f64;
        for term in terms {
            most = most.max(self.update(*term, sums[*term], lambda));
        }
        most.max(self.update_intercept())
    }

    /// The coefficients on the scale of the data.
    fn point(&self, lambda: f64) -> PathPoint {
        let moved = self
            .slopes
            .iter()
            .enumerate()
            .filter(|(_, slope)| **slope != 0.0);
        let coefficients: Vec<(usize, f64)> = moved
            .map(|(term, slope)| (term, slope / self.scale[term]))
            .collect();
        let shift: f64 = coefficients
            .iter()
            .map(|(term, slope)| slope * self.mean[*term])
            .sum();
        PathPoint {
            lambda,
            intercept: self.intercept - shift,
            coefficients,
            deviance_ratio: 0.0,
            converged: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Both ways of descent, over several tasks of rows, columns of which some values are 0, one of them constant.
    #[test]
    fn the_quadratic_written_out_has_the_same_minimum() {
        let rows = 20_000;
        let mut state = 5_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            count((state >> 33) as usize) / count(1 << 31)
        };
        let mut column =
            |of: &dyn Fn(f64) -> f64| -> Vec<f64> { (0..rows).map(|_| of(random())).collect() };
        let mut dense = vec![
            column(&|u| 20.0 + (60.0 * u).floor()),
            column(&|u| f64::from(u < 0.3)),
            column(&|u| u - 0.5),
            vec![3.0; rows],
            column(&|u| if u < 0.1 { 0.0 } else { u * u }),
        ];
        let near = column(&|u| u);
        let correlated = dense[0].iter().zip(&near).map(|(a, b)| a + 3.0 * b);
        dense.push(correlated.collect());
        let (u, weights) = (column(&|u| u), column(&|u| (3.0 * u).floor()));
        let offset = column(&|u| u - 1.0);
        let outcome = |family: Family| -> Vec<f64> {
            (0..rows)
                .map(|row| {
                    let eta = 0.02 * dense[0][row] - dense[2][row] - 1.0;
                    match family {
                        Family::Binomial => f64::from(u[row] < family.mean(eta)),
                        Family::Poisson => (2.0 * u[row] * family.mean(eta)).floor(),
                    }
                })
                .collect()
        };
        let columns: Vec<SparseColumn> = dense
            .iter()
            .map(|column| SparseColumn::from_dense(column).unwrap())
            .collect();
        for family in [Family::Binomial, Family::Poisson] {
            let outcome = outcome(family);
            let plain = SparseFrame::new(&outcome, &columns);
            let weighted = SparseFrame {
                weights: Some(&weights),
                offset: Some(&offset),
                ..plain
            };
            for (frame, alpha) in [(plain, 1.0), (weighted, 0.4), (plain, 0.0)] {
                let options = PathOptions {
                    alpha,
                    tolerance: 1e-22,
                    ..PathOptions::default()
                };
                let mut descent = Descent::new(family, &frame, &options).unwrap();
                assert!(are_few(&descent));
                let largest = descent.sequence()[0];
                let mut few = FewTerms::new(&descent);
                let lambda = [0.5, 0.1, 0.01, 1e-3, 0.0].map(|share| share * largest);
                let written_out = lambda.map(|lambda| few.solve(lambda));
                for (found, lambda) in written_out.iter().zip(lambda) {
                    let expected = descent.solve(lambda);
                    assert!(found.converged && expected.converged);
                    let difference = found.deviance_ratio - expected.deviance_ratio;
                    assert!(
                        difference.abs() < 1e-12,
                        "{family:?} {lambda} {difference:e}"
                    );
                    assert!((found.intercept - expected.intercept).abs() < 1e-9);
                    assert_eq!(found.coefficients.len(), expected.coefficients.len());
                    for (found, expected) in found.coefficients.iter().zip(&expected.coefficients) {
                        assert_eq!(found.0, expected.0);
                        assert!(
                            (found.1 / expected.1 - 1.0).abs() < 1e-5,
                            "{found:?} {expected:?}"
                        );
                    }
                }
            }
        }
    }
}
