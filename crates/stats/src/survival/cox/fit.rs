//! Newton's method on the partial likelihood, and the tests that come with a fit.

use super::layout::Layout;
use super::likelihood::{Evaluation, Model};
use super::{Cox, Options, Rows};
use crate::numeric::{Factor, Symmetric, chi_squared_tail, two_sided_z};
use crate::{Error, Result};

/// A test of all coefficients, or of some.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Chi-squared statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: usize,
    /// Upper tail probability.
    pub p_value: f64,
}

impl Test {
    pub(crate) fn new(statistic: f64, df: usize) -> Self {
        Self {
            statistic,
            df,
            p_value: chi_squared_tail(statistic, df),
        }
    }
}

/// A fitted Cox model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Rows used.
    pub n: usize,
    /// Rows with the event.
    pub n_events: usize,
    /// Log hazard ratios; NaN for a dropped term.
    pub coefficients: Vec<f64>,
    /// Terms left out because they are combinations of those before them.
    pub dropped: Vec<bool>,
    /// Terms whose coefficient grows without bound while the likelihood has converged (monotone likelihood):
    /// the coefficient and its standard error mean nothing, the likelihood and the score test do.
    pub infinite: Vec<bool>,
    /// Covariance of the coefficients: robust if the fit is, else the inverse information.
    pub variance: Vec<Vec<f64>>,
    /// The inverse information.
    pub naive_variance: Vec<Vec<f64>>,
    /// Whether `variance` is robust.
    pub robust: bool,
    /// Log partial likelihood with all coefficients 0.
    pub log_likelihood_null: f64,
    /// Log partial likelihood of the fit.
    pub log_likelihood: f64,
    /// Likelihood-ratio test of all coefficients.
    pub likelihood_ratio_test: Test,
    /// Score (log-rank) test.
    pub score_test: Test,
    /// Wald test, with the robust variance if the fit is robust.
    pub wald_test: Test,
    /// The robust score test of a robust fit.
    pub robust_score_test: Option<Test>,
    /// What R calls means: where predictions are made by default. 0 for columns that hold only −1, 0 and 1.
    pub means: Vec<f64>,
    /// Newton steps taken.
    pub iterations: usize,
}

impl Fit {
    /// Standard errors, from `variance`.
    #[must_use]
    pub fn std_err(&self) -> Vec<f64> {
        self.variance
            .iter()
            .enumerate()
            .map(|(at, row)| row[at].sqrt())
            .collect()
    }
}

/// A coefficient as it is reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HazardRatio {
    /// exp(coefficient).
    pub estimate: f64,
    /// Lower limit of the Wald interval.
    pub lower: f64,
    /// Upper limit of the Wald interval.
    pub upper: f64,
    /// Coefficient over standard error.
    pub z: f64,
    /// Two-sided Wald test of a hazard ratio of 1.
    pub p_value: f64,
}

impl Fit {
    /// Hazard ratios with intervals; NaN for dropped terms.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn hazard_ratios(&self, conf_level: f64) -> Result<Vec<HazardRatio>> {
        let quantile = two_sided_z(conf_level)?;
        let ratios = self
            .coefficients
            .iter()
            .zip(self.std_err())
            .map(|(beta, std_err)| {
                let z = beta / std_err;
                HazardRatio {
                    estimate: beta.exp(),
                    lower: (beta - quantile * std_err).exp(),
                    upper: (beta + quantile * std_err).exp(),
                    z,
                    p_value: chi_squared_tail(z * z, 1),
                }
            });
        Ok(ratios.collect())
    }
}

/// Below this fraction of its variance, what others leave of a column is rounding: R's `toler.chol`.
const REDUNDANT: f64 = 1.818_989_403_545_856_5e-12;
/// A next step of this many units of the linear predictor, at the end, is a coefficient without bound.
const UNBOUNDED_STEP: f64 = 0.01;

pub(super) fn fit<'a>(rows: &'a Rows, options: &Options) -> Result<Cox<'a>> {
    let layout = Layout::new(rows)?;
    if layout.time.is_empty() {
        return Err(Error::NoEvents);
    }
    let model = Model::new(rows, layout, options.ties);
    let newton = Newton::new(&model);
    let Maximum {
        beta,
        at,
        iterations,
    } = newton.maximise(options)?;
    let kept = newton.null_factor.kept();
    let factor = newton.factor(&at);
    let naive = newton.in_original_units(&factor.inverse());
    let step = newton.step(&factor, &at.score);
    let infinite = (0..model.terms())
        .map(|term| {
            kept[term]
                && (!factor.kept()[term] || (step[term] * model.range[term]).abs() > UNBOUNDED_STEP)
        })
        .collect();
    let null = &newton.null;
    let null_step = newton.step(&newton.null_factor, &null.score);
    let robust = options
        .robust
        .unwrap_or(!rows.cluster.is_empty() || rows.fractional_weights());
    let (variance, robust_score_test) = if robust {
        let null_residuals = model.score_residuals(&vec![0.0; model.terms()]);
        let middle = model.clustered_square(&model.score_residuals(&beta))?;
        let null_middle = newton
            .in_common_units(&model.clustered_square(&null_residuals)?)
            .factor(REDUNDANT);
        let statistic = dot(&newton.step(&null_middle, &null.score), &null.score);
        (
            naive.sandwich(&middle),
            Some(Test::new(statistic, null_middle.rank())),
        )
    } else {
        (naive.clone(), None)
    };
    let df = newton.null_factor.rank();
    let (wald, wald_df) = variance.inverse_quadratic(&beta, REDUNDANT);
    let fit = Fit {
        n: rows.len(),
        n_events: rows.event.iter().filter(|event| **event).count(),
        coefficients: beta
            .iter()
            .zip(&kept)
            .map(|(beta, kept)| if *kept { *beta } else { f64::NAN })
            .collect(),
        infinite,
        variance: variance.to_rows(),
        naive_variance: naive.to_rows(),
        robust,
        log_likelihood_null: null.log_likelihood,
        log_likelihood: at.log_likelihood,
        likelihood_ratio_test: Test::new(2.0 * (at.log_likelihood - null.log_likelihood), df),
        score_test: Test::new(dot(&null_step, &null.score), df),
        wald_test: Test::new(wald, wald_df),
        robust_score_test,
        means: model.means(),
        iterations,
        dropped: kept.into_iter().map(|kept| !kept).collect(),
    };
    drop(newton);
    Ok(Cox { model, fit, beta })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

struct Maximum {
    beta: Vec<f64>,
    at: Evaluation,
    iterations: usize,
}

/// Newton's method in units that make the terms comparable.
struct Newton<'m, 'a> {
    model: &'m Model<'a>,
    null: Evaluation,
    /// One over the spread of each term within risk sets; 0 for a term without any.
    scale: Vec<f64>,
    null_factor: Factor,
}

impl<'m, 'a> Newton<'m, 'a> {
    fn new(model: &'m Model<'a>) -> Self {
        let null = model.evaluate(&vec![0.0; model.terms()]);
        let events: f64 = model.layout.death_weight.iter().sum();
        let scale: Vec<f64> = (0..model.terms())
            .map(|term| {
                let information = null.information.get(term, term);
                // What is left of a column that is constant, or constant in each stratum, is rounding.
                let rounding = 1e-12 * model.spread[term] + (1e-14 * model.centre[term]).powi(2);
                if information > rounding * events {
                    1.0 / information.sqrt()
                } else {
                    0.0
                }
            })
            .collect();
        let null_factor = null.information.scaled(&scale).factor(REDUNDANT);
        Self {
            model,
            null,
            scale,
            null_factor,
        }
    }

    fn in_common_units(&self, matrix: &Symmetric) -> Symmetric {
        let kept = self.null_factor.kept();
        let scale: Vec<f64> = self
            .scale
            .iter()
            .zip(kept)
            .map(|(scale, kept)| if kept { *scale } else { 0.0 })
            .collect();
        matrix.scaled(&scale)
    }

    fn in_original_units(&self, inverse: &Symmetric) -> Symmetric {
        inverse.scaled(&self.scale)
    }

    /// The factored information, without the columns that were redundant from the beginning.
    fn factor(&self, at: &Evaluation) -> Factor {
        self.in_common_units(&at.information).factor(1e-14)
    }

    fn step(&self, factor: &Factor, score: &[f64]) -> Vec<f64> {
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

    /// R's iteration, and one step more: when a step changes the likelihood by no more than `tolerance`, the
    /// next makes the coefficients exact, as Newton's method doubles the digits that are right.
    fn maximise(&self, options: &Options) -> Result<Maximum> {
        let mut beta = vec![0.0; self.model.terms()];
        let mut at = self.null.clone();
        let mut next = self.step(&self.null_factor, &at.score);
        let (mut halved, mut settled) = (false, false);
        for iterations in 1..=options.max_iterations {
            let new = self.model.evaluate(&next);
            // Equal, and then perhaps both 0: nothing moves without terms or with one row at risk.
            let unmoved = new.log_likelihood == at.log_likelihood;
            let change = (1.0 - at.log_likelihood / new.log_likelihood).abs();
            let small = !halved && (unmoved || change <= options.tolerance);
            if small && settled {
                return Ok(Maximum {
                    beta: next,
                    at: new,
                    iterations,
                });
            }
            settled = small;
            halved = !(small || new.is_finite() && new.log_likelihood >= at.log_likelihood);
            if halved {
                for (next, beta) in next.iter_mut().zip(&beta) {
                    *next = f64::midpoint(*next, *beta);
                }
                continue;
            }
            let step = self.step(&self.factor(&new), &new.score);
            // The step would add half of this to the log likelihood: nothing that could be seen.
            if small && dot(&step, &new.score) <= 1e-24 * (1.0 + new.log_likelihood.abs()) {
                return Ok(Maximum {
                    beta: next,
                    at: new,
                    iterations,
                });
            }
            beta.clone_from(&next);
            at = new;
            for (next, step) in next.iter_mut().zip(&step) {
                *next += step;
            }
        }
        Err(Error::NoConvergence)
    }
}
