//! Fine and Gray's regression on the subdistribution hazard of one cause.
//!
//! A row with a competing event stays in the risk sets after it, with weight G(t−)/G(T−), G the Kaplan-Meier
//! curve of censoring. With r = exp(η): S0(t) sums r over T ≥ t and G(t−)·r/G(T−) over earlier competing events,
//! so that one suffix and one prefix sum per time give every risk set, without a sort. Breslow's ties. The
//! variance is the sandwich of Fine and Gray, with the term for the estimation of G.
//! Source: Fine and Gray, JASA 1999; `cmprsk::crr`, whose conventions and pseudo-likelihood these are.

mod model;

use model::Model;

use super::HazardRatio;
use super::cox::Rows;
use super::hazard_ratio::{ratios, standard_errors};
use super::newton::{Likelihood, Maximum, Newton};
use crate::{Error, Numbers, Result, Summary};

/// The rows of a Fine-Gray model: those of a Cox model of the cause of interest, and which rows compete.
#[derive(Debug, Clone, Default)]
pub struct CompetingRows {
    rows: Rows,
    /// Whether the row had another event.
    competing: Vec<bool>,
}

impl CompetingRows {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: status 0 is censored, `cause` the event of interest, all else a competing event.
    ///
    /// # Errors
    ///
    /// As [`Rows::push`].
    pub fn push(&mut self, time: f64, status: u32, cause: u32, covariates: &[f64]) -> Result<()> {
        self.rows
            .push(&super::cox::Row::new(time, status == cause, covariates))?;
        self.competing.push(status != 0 && status != cause);
        Ok(())
    }

    /// Takes whole columns: times, the codes of what happened, and a column per term.
    ///
    /// # Errors
    ///
    /// As [`Rows::from_columns`].
    pub fn from_columns(
        time: Vec<f64>,
        status: &[u32],
        cause: u32,
        covariates: Vec<Numbers>,
    ) -> Result<Self> {
        let rows = Rows::from_columns(super::cox::RowColumns {
            time,
            event: status.iter().map(|status| *status == cause).collect(),
            covariates,
            ..Default::default()
        })?;
        let competing = status.iter().map(|status| *status != 0 && *status != cause);
        Ok(Self {
            rows,
            competing: competing.collect(),
        })
    }

    /// Rows held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Summary for CompetingRows {
    fn merge(&mut self, other: Self) {
        self.rows.merge(other.rows);
        self.competing.extend(other.competing);
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// How the model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// A fit has converged when a step changes the log likelihood by no more than this fraction.
    pub tolerance: f64,
    /// Newton steps allowed.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-9,
            max_iterations: 40,
        }
    }
}

/// A fitted Fine-Gray model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Rows used.
    pub n: usize,
    /// Rows with the event of interest.
    pub n_events: usize,
    /// Rows with a competing event.
    pub n_competing: usize,
    /// Log subdistribution hazard ratios; NaN for a dropped term.
    pub coefficients: Vec<f64>,
    /// Terms left out because they are combinations of those before them.
    pub dropped: Vec<bool>,
    /// Terms whose coefficient grows without bound.
    pub infinite: Vec<bool>,
    /// Fine and Gray's robust covariance.
    pub variance: Vec<Vec<f64>>,
    /// The inverse information.
    pub naive_variance: Vec<Vec<f64>>,
    /// Log pseudo-likelihood with all coefficients 0.
    pub log_likelihood_null: f64,
    /// Log pseudo-likelihood of the fit.
    pub log_likelihood: f64,
    /// The baseline subdistribution hazard at all covariates 0: event times and jumps.
    pub baseline: Vec<(f64, f64)>,
    /// Newton steps taken.
    pub iterations: usize,
}

impl Fit {
    /// Standard errors, from `variance`; NaN for dropped terms, and where a coefficient without bound has no information left.
    #[must_use]
    pub fn std_err(&self) -> Vec<f64> {
        standard_errors(&self.variance)
    }

    /// Subdistribution hazard ratios with intervals.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn hazard_ratios(&self, conf_level: f64) -> Result<Vec<HazardRatio>> {
        ratios(&self.coefficients, &self.std_err(), conf_level)
    }

    /// The predicted cumulative incidence of a person with these covariates, at each event time.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPrediction`] unless there is one finite value per term.
    pub fn predict(&self, x: &[f64]) -> Result<Vec<(f64, f64)>> {
        if x.len() != self.coefficients.len() || !x.iter().all(|x| x.is_finite()) {
            return Err(Error::InvalidPrediction);
        }
        let terms = self
            .coefficients
            .iter()
            .zip(x)
            .filter(|(beta, _)| !beta.is_nan());
        let risk = terms.map(|(beta, x)| beta * x).sum::<f64>().exp();
        let mut hazard = 0.0;
        let curve = self.baseline.iter().map(|(time, jump)| {
            hazard += jump * risk;
            (*time, -(-hazard).exp_m1())
        });
        Ok(curve.collect())
    }
}

/// Fits the model.
///
/// # Errors
///
/// [`Error::NoEvents`], [`Error::NoConvergence`], [`Error::UnequalTerms`].
///
/// # Example
///
/// ```
/// use columna_stats::survival::fine_gray::{CompetingRows, Options, fit};
///
/// let mut rows = CompetingRows::new();
/// for (time, status, x) in [(1.0, 1, 1.0), (2.0, 2, 0.0), (3.0, 1, 0.0), (4.0, 0, 1.0), (5.0, 1, 1.0)] {
///     rows.push(time, status, 1, &[x])?;
/// }
/// assert_eq!(fit(&rows, &Options::default())?.n_competing, 1);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn fit(rows: &CompetingRows, options: &Options) -> Result<Fit> {
    let model = Model::new(rows)?;
    if model.time_events.iter().all(|events| *events == 0.0) {
        return Err(Error::NoEvents);
    }
    model.columns.check()?;
    let events: f64 = model.time_events.iter().sum();
    let null = model.evaluate(&vec![0.0; model.columns.terms()]);
    let newton = Newton::new(null, &model.columns, events);
    let Maximum {
        beta,
        at,
        iterations,
    } = newton.maximise(&model, options.tolerance, options.max_iterations)?;
    let (kept, factor) = (newton.null_factor.kept(), newton.factor(&at));
    let naive = newton.in_original_units(&factor.inverse());
    let sums = model.sums(&model.risk(&beta));
    let variance = naive.sandwich(&model.middle(&beta, &sums));
    let shift: f64 = beta
        .iter()
        .zip(&model.columns.centre)
        .map(|(beta, centre)| beta * centre)
        .sum();
    let jumps = (0..model.time.len()).filter(|at| model.time_events[*at] > 0.0);
    let baseline = jumps.map(|at| {
        (
            model.time[at],
            model.time_events[at] / sums.s0[at] * (-shift).exp(),
        )
    });
    Ok(Fit {
        n: rows.len(),
        n_events: rows.rows.event.iter().filter(|event| **event).count(),
        n_competing: rows
            .competing
            .iter()
            .filter(|competing| **competing)
            .count(),
        coefficients: beta
            .iter()
            .zip(&kept)
            .map(|(beta, kept)| if *kept { *beta } else { f64::NAN })
            .collect(),
        infinite: newton.unbounded(&factor, &at),
        dropped: kept.into_iter().map(|kept| !kept).collect(),
        variance: variance.to_rows(),
        naive_variance: naive.to_rows(),
        log_likelihood_null: newton.null.log_likelihood,
        log_likelihood: at.log_likelihood,
        baseline: baseline.collect(),
        iterations,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::survival::cox::{Cox, Row, Ties};

    fn made(rows: std::ops::Range<u32>) -> CompetingRows {
        let mut made = CompetingRows::new();
        for row in rows {
            let x = [f64::from(row * 7 % 13) / 4.0, f64::from(row % 2)];
            made.push(f64::from(row * 37 % 101), row * 11 % 3, 1, &x)
                .unwrap();
        }
        made
    }

    #[test]
    fn merged_is_the_whole() {
        let whole = fit(&made(0..300), &Options::default()).unwrap();
        let mut parts = made(200..300);
        parts.merge(made(0..120));
        parts.merge(made(120..200));
        let parts = fit(&parts, &Options::default()).unwrap();
        for (a, b) in whole.variance.concat().iter().zip(parts.variance.concat()) {
            assert!((a - b).abs() < 1e-13);
        }
        assert!((whole.coefficients[0] - parts.coefficients[0]).abs() < 1e-12);
    }

    #[test]
    fn without_competing_events_it_is_a_cox_model() {
        let (mut alone, mut cox) = (CompetingRows::new(), super::super::cox::Rows::new());
        for row in 0..200_u32 {
            let (time, status, x) = (
                f64::from(row * 37 % 101),
                row * 11 % 2,
                [f64::from(row * 7 % 13)],
            );
            alone.push(time, status, 1, &x).unwrap();
            cox.push(&Row::new(time, status == 1, &x)).unwrap();
        }
        let alone = fit(&alone, &Options::default()).unwrap();
        let options = super::super::cox::Options {
            ties: Ties::Breslow,
            robust: Some(true),
            ..Default::default()
        };
        let cox = Cox::fit(&cox, &options).unwrap();
        assert!((alone.coefficients[0] - cox.result().coefficients[0]).abs() < 1e-12);
        assert!((alone.std_err()[0] - cox.result().std_err()[0]).abs() < 1e-12);
    }

    #[test]
    fn nothing_of_interest_is_an_error() {
        let mut rows = CompetingRows::new();
        rows.push(3.0, 2, 1, &[1.0]).unwrap();
        assert_eq!(fit(&rows, &Options::default()), Err(Error::NoEvents));
        assert_eq!(
            fit(&CompetingRows::new(), &Options::default()),
            Err(Error::NoEvents)
        );
    }
}
