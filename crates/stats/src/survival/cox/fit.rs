//! The fit of a Cox model: estimates, variances, tests.

use super::layout::Layout;
use super::likelihood::Model;
use super::robust::ScoreResiduals;
use super::{Cox, Options, Rows};
use crate::numeric::Symmetric;
use crate::survival::hazard_ratio::{HazardRatio, Test, ratios, standard_errors};
use crate::survival::newton::{Likelihood, Maximum, Newton, REDUNDANT, dot};
use crate::{Error, Result};

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
    /// The robust score test of a robust fit; none of a fit by passes.
    pub robust_score_test: Option<Test>,
    /// What R calls means: where predictions are made by default. 0 for columns that hold only −1, 0 and 1.
    pub means: Vec<f64>,
    /// Newton steps taken.
    pub iterations: usize,
}

impl Fit {
    /// Standard errors, from `variance`; NaN for dropped terms, and where a coefficient without bound has no information left.
    #[must_use]
    pub fn std_err(&self) -> Vec<f64> {
        standard_errors(&self.variance)
    }
}

impl Fit {
    /// Hazard ratios with intervals; NaN for dropped terms.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn hazard_ratios(&self, conf_level: f64) -> Result<Vec<HazardRatio>> {
        ratios(&self.coefficients, &self.std_err(), conf_level)
    }
}

pub(super) fn fit<'a>(rows: &'a Rows, options: &Options) -> Result<Cox<'a>> {
    let layout = Layout::new(rows)?;
    if layout.time.is_empty() {
        return Err(Error::NoEvents);
    }
    let model = Model::new(rows, layout, options.ties);
    model.columns.check()?;
    let events = model.layout.death_weight.iter().sum();
    let null = model.evaluate(&vec![0.0; model.terms()]);
    let newton = Newton::new(null, &model.columns, events);
    let maximum = newton.maximise(&model, options.tolerance, options.max_iterations)?;
    let robust = options.robust.unwrap_or_else(|| rows.ask_for_robust());
    let square = |beta: &[f64]| {
        robust
            .then(|| ScoreResiduals::squares(&model, beta))
            .transpose()
    };
    let facts = Facts {
        n: rows.len(),
        n_events: rows.event.iter().filter(|event| **event).count(),
        middle: square(&maximum.beta)?,
        null_middle: square(&vec![0.0; model.terms()])?,
        means: model.columns.means(rows),
    };
    let fit = finish(&newton, &maximum, facts);
    Ok(Cox {
        model,
        fit,
        beta: maximum.beta,
    })
}

/// What a fit says besides the maximum of its likelihood.
pub(super) struct Facts {
    pub(super) n: usize,
    pub(super) n_events: usize,
    /// The middle of the robust variance, if it is asked for, and that without coefficients, for the score test.
    pub(super) middle: Option<Symmetric>,
    pub(super) null_middle: Option<Symmetric>,
    pub(super) means: Vec<f64>,
}

/// The numbers of a fit.
pub(super) fn finish(newton: &Newton, maximum: &Maximum, facts: Facts) -> Fit {
    let Maximum {
        beta,
        at,
        iterations,
    } = maximum;
    let kept = newton.null_factor.kept();
    let factor = newton.factor(at);
    let naive = newton.in_original_units(&factor.inverse());
    let null = &newton.null;
    let null_step = newton.step(&newton.null_factor, &null.score);
    let robust_score_test = facts.null_middle.map(|null_middle| {
        let null_middle = newton.in_common_units(&null_middle).factor(REDUNDANT);
        let statistic = dot(&newton.step(&null_middle, &null.score), &null.score);
        Test::new(statistic, null_middle.rank())
    });
    let variance = match &facts.middle {
        Some(middle) => naive.sandwich(middle),
        None => naive.clone(),
    };
    let df = newton.null_factor.rank();
    // As many degrees of freedom as there are estimates, as in R, also where fewer clusters than terms leave the variance a lower
    // rank.
    let estimates = kept.iter().filter(|kept| **kept).count();
    let (wald, _) = match &facts.middle {
        Some(middle) if factor.kept() == kept => robust_wald(&at.information, middle, beta, &kept),
        _ => None,
    }
    .unwrap_or_else(|| variance.inverse_quadratic(beta, REDUNDANT));
    Fit {
        n: facts.n,
        n_events: facts.n_events,
        coefficients: beta
            .iter()
            .zip(&kept)
            .map(|(beta, kept)| if *kept { *beta } else { f64::NAN })
            .collect(),
        infinite: newton.unbounded(&factor, at),
        variance: variance.to_rows(),
        naive_variance: naive.to_rows(),
        robust: facts.middle.is_some(),
        log_likelihood_null: null.log_likelihood,
        log_likelihood: at.log_likelihood,
        likelihood_ratio_test: Test::new(2.0 * (at.log_likelihood - null.log_likelihood), df),
        score_test: Test::new(dot(&null_step, &null.score), df),
        wald_test: Test::new(wald, estimates),
        robust_score_test,
        means: facts.means,
        iterations: *iterations,
        dropped: kept.into_iter().map(|kept| !kept).collect(),
    }
}

/// β'(V M V)⁻¹β as (V⁻¹β)'M⁻¹(V⁻¹β), for V the inverse information and M the middle: the sandwich of nearly collinear columns
/// keeps half of the digits that M does. None where M has not the rank of the terms.
fn robust_wald(
    information: &Symmetric,
    middle: &Symmetric,
    beta: &[f64],
    kept: &[bool],
) -> Option<(f64, usize)> {
    let information = information.restricted(kept);
    let beta: Vec<f64> = (beta.iter().zip(kept))
        .filter_map(|(beta, kept)| kept.then_some(*beta))
        .collect();
    let (wald, rank) = middle
        .restricted(kept)
        .inverse_quadratic(&information.times(&beta), REDUNDANT);
    (rank == beta.len()).then_some((wald, rank))
}
