//! The result of a regression, with R's numbers, and the driver over columns in memory.
//!
//! Standard errors are the roots of the diagonal of information⁻¹ (`vcov`), or of the sandwich
//! information⁻¹ · middle · information⁻¹. z = estimate / standard error, p = 2 Φ(−|z|), Wald intervals
//! (R's `confint.default`). AIC = −2 log L + 2 · rank.

use statrs::function::erf::erfc;

use super::moments::{Moments, count};
use super::newton::Newton;
use super::passes::Fitting;
use super::separation::Separation;
use super::step::{Point, Step, summarize};
use super::totals::Totals;
use super::{Covariates, Family, Frame};
use crate::numbers::whole;
use crate::numeric::Symmetric;
use crate::{Error, Estimate, Result, Values};

/// Which variance the tests and intervals rest on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Variance {
    /// The inverse of the information.
    #[default]
    Model,
    /// The sandwich with the squared residual of each row: White's HC0, R's `sandwich::sandwich`.
    Robust,
    /// The sandwich with the summed residuals of each cluster: R's `sandwich::vcovCL(type = "HC0")`.
    Clustered {
        /// Multiply by G / (G − 1) for G clusters, as `vcovCL` does by default (`cadjust = TRUE`).
        adjusted: bool,
    },
}

/// How to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Whether there is a constant.
    pub intercept: bool,
    /// R's `maxit`.
    pub max_iterations: usize,
    /// R's `epsilon`, 1e-14 here where R has 1e-8: one more iteration, all digits.
    pub tolerance: f64,
    /// Level of the intervals.
    pub conf_level: f64,
    /// The variance of the coefficients.
    pub variance: Variance,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            intercept: true,
            max_iterations: 25,
            tolerance: 1e-14,
            conf_level: 0.95,
            variance: Variance::Model,
        }
    }
}

/// One row of the table of coefficients; NaN for a term that was dropped, as R's NA.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// On the scale of the link: a log odds ratio or a log rate ratio.
    pub estimate: f64,
    /// From the model.
    pub std_err: f64,
    /// From the sandwich, if asked for; z, p and interval are then from it.
    pub robust_std_err: Option<f64>,
    /// Estimate over standard error.
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
    /// Lower bound of the interval.
    pub lower: f64,
    /// Upper bound of the interval.
    pub upper: f64,
}

impl Coefficient {
    /// The odds ratio or rate ratio with its interval.
    pub fn ratio(&self) -> Estimate {
        Estimate {
            value: self.estimate.exp(),
            lower: self.lower.exp(),
            upper: self.upper.exp(),
        }
    }
}

/// A fitted regression.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The model's family.
    pub family: Family,
    /// Whether the first coefficient is the constant.
    pub intercept: bool,
    /// The constant first, then one per covariate.
    pub coefficients: Vec<Coefficient>,
    /// Of the coefficients, from the model; NaN where a term was dropped.
    pub covariance: Vec<Vec<f64>>,
    /// The sandwich, if asked for.
    pub robust_covariance: Option<Vec<Vec<f64>>>,
    /// At the estimates.
    pub log_likelihood: f64,
    /// Twice the distance of the log-likelihood from that of the model that fits every row.
    pub deviance: f64,
    /// The same of the model with the constant (and the offset) only.
    pub null_deviance: f64,
    /// Akaike's criterion.
    pub aic: f64,
    /// Rows of weight above 0.
    pub rows: u64,
    /// Coefficients estimated.
    pub rank: usize,
    /// Rows less rank.
    pub df_residual: f64,
    /// Rows less the constant.
    pub df_null: f64,
    /// Newton iterations, counted as R does.
    pub iterations: usize,
    /// Whether the criterion was met. If not, see `separation`; otherwise covariates are on extreme scales.
    pub converged: bool,
    /// Terms dropped because the terms before them explain them, counted with the constant.
    pub dropped: Vec<usize>,
    /// Set if no finite estimate exists: the coefficients of these terms are those at which the fit stopped.
    pub separation: Option<Separation>,
    /// Rows whose fitted mean is numerically at the end of its range: R warns of them.
    pub extreme: u64,
    /// Clusters seen, if asked for.
    pub clusters: Option<usize>,
    pub(super) at: Point,
}

impl Fit {
    /// The linear predictor of the rows of a frame, its offset included.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] and [`Error::UnequalColumns`] if the frame does not fit the model.
    pub fn linear_predictor(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        frame.check_lengths()?;
        if frame.covariates.len() != self.at.centre.len() {
            return Err(Error::UnequalTerms);
        }
        let mut eta = vec![0.0; frame.rows()];
        self.at.linear_predictor(frame, 0..frame.rows(), &mut eta);
        Ok(eta)
    }

    /// The fitted means of the rows of a frame: probabilities or expected counts.
    ///
    /// # Errors
    ///
    /// Those of [`Self::linear_predictor`].
    pub fn fitted(&self, frame: &Frame<'_>) -> Result<Vec<f64>> {
        Ok(self
            .linear_predictor(frame)?
            .into_iter()
            .map(|eta| self.family.mean(eta))
            .collect())
    }
}

/// Fits a regression over columns in memory, in parallel, with a result that does not depend on the threads.
///
/// # Errors
///
/// [`Error::UnequalColumns`]; [`Error::NoRows`]; [`Error::InvalidWeight`]; [`Error::NonFiniteCovariate`];
/// [`Error::CovariateOutOfRange`]; [`Error::NoClusters`]; [`Error::InvalidConfidenceLevel`]; and what the family
/// says of outcomes. Collinear terms, separation and a fit that did not converge are no errors: the fit tells.
pub fn fit(family: Family, frame: &Frame<'_>, options: &Options) -> Result<Fit> {
    frame.check_lengths()?;
    // Each step reads the columns again: those of whole numbers from a quarter of the bytes.
    let packed: Vec<(Values<'_>, Option<Vec<i16>>)> = frame
        .covariates
        .columns()
        .map(|column| match column {
            Values::Any(values) => (column, whole(values)),
            Values::Whole(_) => (column, None),
        })
        .collect();
    let columns = packed.iter().map(|(column, packed)| match packed {
        Some(packed) => Values::Whole(packed),
        None => *column,
    });
    let columns: Vec<Values<'_>> = columns.collect();
    let frame = &Frame {
        covariates: Covariates::Values(&columns),
        ..*frame
    };
    let mut fitting = Fitting::new(family, options.clone())?;
    while let Some(question) = fitting.question() {
        let answer = summarize(frame.rows(), |rows| question.answer(frame, rows))?;
        fitting.take(answer)?;
    }
    let null_deviance = match fitting.moments() {
        Some(moments) => null_deviance(family, frame, moments, options)?,
        None => f64::NAN,
    };
    let mut fit = fitting.finish()?;
    fit.null_deviance = null_deviance;
    Ok(fit)
}

fn run(family: Family, frame: &Frame<'_>, moments: &Moments, options: &Options) -> Result<Newton> {
    let mut newton = Newton::new(family, moments, options)?;
    while let Some(point) = newton.point() {
        let step = summarize(frame.rows(), |rows| Ok(Step::of(frame, point, rows)))?;
        newton.advance(&step)?;
    }
    Ok(newton)
}

/// The deviance of the constant (and the offset) alone.
fn null_deviance(
    family: Family,
    frame: &Frame<'_>,
    moments: &Moments,
    options: &Options,
) -> Result<f64> {
    let frame = frame.without_covariates();
    let moments = Moments {
        columns: Vec::new(),
        largest: Vec::new(),
        ..moments.clone()
    };
    let at = if options.intercept && moments.offset {
        let options = Options {
            variance: Variance::Model,
            ..options.clone()
        };
        run(family, &frame, &moments, &options)?
            .last_point()
            .clone()
    } else {
        let constant = options
            .intercept
            .then(|| family.link(moments.outcome / moments.weight));
        Point {
            family,
            intercept: options.intercept,
            centre: Vec::new(),
            coefficients: Some(constant.into_iter().collect()),
        }
    };
    if at
        .coefficients
        .iter()
        .flatten()
        .any(|constant| constant.is_infinite())
    {
        // All outcomes are equal, at the end of the range.
        return Ok(0.0);
    }
    Ok(summarize(frame.rows(), |rows| {
        Totals::of(&frame, &at, Variance::Model, rows)
    })?
    .deviance)
}

impl Newton {
    /// Coefficients of covariates that are not centred.
    pub(super) fn original(&self, centred: &[f64]) -> Vec<f64> {
        let mut coefficients = centred.to_vec();
        if self.at.intercept {
            let shift: f64 = self
                .at
                .centre
                .iter()
                .zip(&centred[1..])
                .map(|(centre, slope)| centre * slope)
                .sum();
            coefficients[0] -= shift;
        }
        coefficients
    }

    /// A V A' for the map A of [`Self::original`]; NaN where a term was dropped.
    fn original_covariance(&self, centred: &Symmetric) -> Vec<Vec<f64>> {
        let mut rows = centred.to_rows();
        if self.at.intercept {
            let centre = &self.at.centre;
            for row in &mut rows {
                let shift: f64 = centre
                    .iter()
                    .zip(&row[1..])
                    .map(|(centre, value)| centre * value)
                    .sum();
                row[0] -= shift;
            }
            for column in 0..rows.len() {
                let shift: f64 = centre
                    .iter()
                    .zip(&rows[1..])
                    .map(|(centre, row)| centre * row[column])
                    .sum();
                rows[0][column] -= shift;
            }
        }
        for (row, values) in rows.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                if !(self.kept[row] && self.kept[column]) {
                    *value = f64::NAN;
                }
            }
        }
        rows
    }

    /// The result, but for null deviance and separation, which take further passes over the rows.
    pub(super) fn finish(
        &self,
        moments: &Moments,
        totals: &Totals,
        options: &Options,
        z: f64,
    ) -> Fit {
        let estimates = self.original(self.at.coefficients.as_deref().unwrap_or(&self.direction));
        let covariance = self.original_covariance(&self.covariance);
        let (middle, clusters) = match options.variance {
            Variance::Model => (None, None),
            Variance::Robust => (totals.middle.clone(), None),
            Variance::Clustered { .. } => {
                (Some(totals.clusters.middle()), Some(totals.clusters.len()))
            }
        };
        let factor = match (options.variance, clusters) {
            (Variance::Clustered { adjusted: true }, Some(clusters)) => {
                count(clusters) / count(clusters.saturating_sub(1))
            }
            _ => 1.0,
        };
        let robust_covariance = middle.map(|mut middle| {
            middle.mirror();
            let mut robust = Symmetric::zero(self.scale.len());
            robust.add_scaled(&self.covariance.sandwich(&middle), factor);
            self.original_covariance(&robust)
        });
        let rank = self.kept.iter().filter(|kept| **kept).count();
        let coefficients = estimates.iter().enumerate().map(|(term, estimate)| {
            let estimate = if self.kept[term] { *estimate } else { f64::NAN };
            let std_err = covariance[term][term].sqrt();
            let robust_std_err = robust_covariance
                .as_ref()
                .map(|covariance| covariance[term][term].sqrt());
            wald(estimate, std_err, robust_std_err, z)
        });
        let rows = count(usize::try_from(moments.rows).unwrap_or(usize::MAX));
        Fit {
            family: self.at.family,
            intercept: self.at.intercept,
            coefficients: coefficients.collect(),
            log_likelihood: totals.log_likelihood,
            deviance: totals.deviance,
            null_deviance: f64::NAN,
            aic: 2.0 * (count(rank) - totals.log_likelihood),
            rows: moments.rows,
            rank,
            df_residual: rows - count(rank),
            df_null: rows - count(usize::from(self.at.intercept)),
            iterations: self.iterations,
            converged: self.converged,
            dropped: (0..self.kept.len())
                .filter(|term| !self.kept[*term])
                .collect(),
            separation: None,
            extreme: totals.extreme,
            clusters,
            at: self.at.clone(),
            covariance,
            robust_covariance,
        }
    }
}

fn wald(estimate: f64, std_err: f64, robust_std_err: Option<f64>, quantile: f64) -> Coefficient {
    let used = robust_std_err.unwrap_or(std_err);
    let z = estimate / used;
    Coefficient {
        estimate,
        std_err,
        robust_std_err,
        z,
        p_value: erfc(z.abs() / std::f64::consts::SQRT_2),
        lower: estimate - quantile * used,
        upper: estimate + quantile * used,
    }
}
