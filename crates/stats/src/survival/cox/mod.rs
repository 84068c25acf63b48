//! Cox's proportional hazards: h(t | x) = h0(t) · exp(β'x), by maximum partial likelihood.
//!
//! Newton's method on the likelihood of [`likelihood`], with Efron's (default) or Breslow's treatment of ties,
//! `(start, stop]` intervals, strata, case weights, offsets, robust and clustered variance.
//!
//! Passes over the rows run on rayon's pool, in chunks that do not depend on its size: results are the same to
//! the last bit for any number of threads. Inside an async runtime, call from a pool of its own.
//! Source: Cox, JRSS B 1972; Therneau and Grambsch, Modeling Survival Data (2000); R survival, `coxph`.

mod baseline;
mod by_exit;
mod columns;
mod cross_validation;
mod fit;
mod layout;
mod likelihood;
pub mod passes;
mod penalised;
mod residuals;
mod robust;
mod rows;
mod zph;

use likelihood::Model;

pub use baseline::{Baseline, BaselineRow, PredictedRow};
pub use columns::RowColumns;
pub use cross_validation::cross_validate;
pub use fit::Fit;
pub use penalised::path;
pub use rows::{Row, Rows};

pub(crate) use layout::codes;
pub use zph::{TimeTransform, Zph};

use crate::Result;

/// How events at the same time share a risk set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ties {
    /// Efron's approximation.
    #[default]
    Efron,
    /// Breslow's.
    Breslow,
}

/// How a Cox model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Treatment of ties.
    pub ties: Ties,
    /// Robust (sandwich) variance. `None`: as R, if there are clusters or weights that are not whole numbers.
    pub robust: Option<bool>,
    /// A fit has converged when a step changes the log likelihood by no more than this fraction; one more step
    /// is then taken.
    pub tolerance: f64,
    /// Newton steps allowed.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ties: Ties::Efron,
            robust: None,
            tolerance: 1e-9,
            max_iterations: 200,
        }
    }
}

/// A fitted model together with its rows: what residuals, baselines and tests are computed from.
///
/// # Example
///
/// ```
/// use columna_stats::survival::cox::{Cox, Options, Row, Rows};
///
/// let mut rows = Rows::new();
/// for (time, event, x) in [(1.0, true, 1.0), (2.0, true, 0.0), (3.0, true, 1.0), (4.0, false, 0.0)] {
///     rows.push(&Row::new(time, event, &[x]))?;
/// }
/// let cox = Cox::fit(&rows, &Options::default())?;
/// assert!(cox.result().coefficients[0] > 0.0);
/// # Ok::<(), columna_stats::Error>(())
/// ```
#[derive(Debug)]
pub struct Cox<'a> {
    model: Model<'a>,
    fit: Fit,
    /// Coefficients, 0 for dropped terms.
    beta: Vec<f64>,
}

impl<'a> Cox<'a> {
    /// Fits the model.
    ///
    /// # Errors
    ///
    /// [`crate::Error::NoEvents`], [`crate::Error::NoConvergence`], and [`crate::Error::EmptyInterval`] where
    /// merging near-tied times leaves an interval empty. Collinear columns and monotone likelihood are no
    /// errors: the fit names them.
    pub fn fit(rows: &'a Rows, options: &Options) -> Result<Self> {
        fit::fit(rows, options)
    }

    /// The same fit with the inverse information for its variance, for what is predicted from it.
    #[must_use]
    pub fn with_naive_variance(mut self) -> Self {
        self.fit.variance.clone_from(&self.fit.naive_variance);
        self.fit.robust = false;
        self
    }

    /// Coefficients, variances and tests.
    #[must_use]
    pub fn result(&self) -> &Fit {
        &self.fit
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::{Error, Summary};

    /// Times, events, two covariates, starts, strata and weights from a row's number alone.
    fn made(n: usize) -> Rows {
        let mut rows = Rows::new();
        let mut state = 20_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for row in 0..n {
            let (start, length) = (draw(40) as f64, 1.0 + draw(90) as f64);
            let x = [draw(2) as f64, draw(1000) as f64 / 250.0];
            let mut new = Row::new(start + length, draw(3) > 0, &x);
            new.start = (row % 3 > 0).then_some(start);
            new.stratum = draw(3);
            new.weight = [1.0, 2.0, 0.5][row % 3];
            new.cluster = Some(draw(20));
            rows.push(&new).unwrap();
        }
        rows
    }

    fn pushed(from: &Rows, order: &[usize]) -> Rows {
        let mut rows = Rows::new();
        for row in order {
            let x: Vec<f64> = from
                .covariates
                .iter()
                .map(|column| column.get(*row))
                .collect();
            let mut new = Row::new(from.time[*row], from.event[*row], &x);
            new.start = Some(from.start[*row]).filter(|start| start.is_finite());
            new.stratum = from.stratum[*row];
            new.weight = from.weight_of(*row);
            new.cluster = Some(from.cluster[*row]);
            rows.push(&new).unwrap();
        }
        rows
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| (a - b).abs() <= 1e-11 * (1.0 + b.abs()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn merged_in_any_order_is_the_whole(cut in 0..300_usize, order in Just((0..300).collect::<Vec<usize>>()).prop_shuffle()) {
            let whole = made(300);
            let expected = Cox::fit(&whole, &Options::default()).unwrap();
            let mut parts = pushed(&whole, &order[cut..]);
            parts.merge(pushed(&whole, &order[..cut]));
            parts.merge(Rows::default());
            let found = Cox::fit(&parts, &Options::default()).unwrap();
            prop_assert!(close(&found.result().coefficients, &expected.result().coefficients));
            prop_assert!(close(&found.result().variance.concat(), &expected.result().variance.concat()));
            prop_assert!(close(&[found.result().log_likelihood], &[expected.result().log_likelihood]));
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let rows = made(60_000);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                Cox::fit(&rows, &Options::default())
                    .unwrap()
                    .result()
                    .clone()
            })
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn late_starts_and_splits_change_nothing() {
        // A row cut in two at a time in between is the same observation.
        let (mut whole, mut cut) = (Rows::new(), Rows::new());
        for row in 0..40_u32 {
            let (time, event, x) = (
                f64::from(row * 7 % 31 + 2),
                row % 3 > 0,
                [f64::from(row * 5 % 11)],
            );
            whole.push(&Row::new(time, event, &x)).unwrap();
            cut.push(&Row {
                start: None,
                ..Row::new(1.5, false, &x)
            })
            .unwrap();
            cut.push(&Row {
                start: Some(1.5),
                ..Row::new(time, event, &x)
            })
            .unwrap();
        }
        let whole = Cox::fit(&whole, &Options::default()).unwrap();
        let cut = Cox::fit(&cut, &Options::default()).unwrap();
        assert!(close(
            &whole.result().coefficients,
            &cut.result().coefficients
        ));
        assert!(close(
            &[whole.result().log_likelihood],
            &[cut.result().log_likelihood]
        ));
    }

    /// Each event is that of the lowest covariate at risk: the log likelihood ends at 0, where R's `coxph` runs out of
    /// iterations with a warning.
    #[test]
    fn events_that_are_certain_in_the_end_converge() {
        let mut rows = Rows::new();
        let data = [
            (2.0, true, 1.0),
            (1.0, false, 2.0),
            (3.0, true, 3.0),
            (2.0, false, 4.0),
            (4.0, true, 5.0),
            (3.0, false, 6.0),
        ];
        for (time, event, x) in data {
            rows.push(&Row::new(time, event, &[x])).unwrap();
        }
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        assert_eq!(cox.result().infinite, [true]);
        assert!(cox.result().log_likelihood.abs() < 1e-8);
    }

    /// One event among 100 rows: the event is certain in the end, and nothing is known about the terms that make it so. No
    /// test of theirs may say that they matter: R 4.2's `coxph` runs out of iterations with p-values of nearly 1.
    #[test]
    fn a_term_without_information_has_no_test() {
        let term = |row: u32, factor: u32| f64::from(row * factor % 101) / 25.0 - 2.0;
        for event in 0..100 {
            let mut rows = Rows::new();
            for row in 0..100 {
                let level = |level| f64::from(row % 3 == level);
                let x = [term(row, 37), term(row, 61), level(1), level(2)];
                rows.push(&Row::new(f64::from(row * 7 % 50), row == event, &x))
                    .unwrap();
            }
            let cox = Cox::fit(&rows, &Options::default()).unwrap();
            let fit = cox.result();
            let ratios = fit.hazard_ratios(0.95).unwrap();
            for (ratio, infinite) in ratios.iter().zip(&fit.infinite) {
                let p_value = ratio.p_value;
                assert!(
                    !infinite || p_value.is_nan() || p_value > 0.5,
                    "{event}: {ratio:?}"
                );
            }
        }
    }

    /// A coefficient without bound, of a row that is not at risk when the others have their events: R 4.2's `coxph` has 21.2 with
    /// a log likelihood of -6e-10, and NA for the term that is alone at risk.
    #[test]
    fn who_has_not_entered_yet_leaves_no_rounding() {
        let mut rows = Rows::new();
        let data = [
            (6.0, 6.1, [1.0, 0.0]),
            (8.0, 8.1, [0.0, 0.0]),
            (1.0, 1.1, [0.0, 1.0]),
            (4.0, 4.2, [0.0, 1.0]),
            (0.0, 0.2, [0.0, 1.0]),
            (6.0, 6.3, [0.0, 0.0]),
        ];
        for (start, time, x) in data {
            let mut row = Row::new(time, true, &x);
            row.start = Some(start);
            rows.push(&row).unwrap();
        }
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        assert_eq!(cox.result().infinite, [true, false]);
        assert_eq!(cox.result().dropped, [false, true]);
        assert!(cox.result().log_likelihood.abs() < 1e-8);
    }

    /// Two coefficients without bound: the event times before a row's start add far more to a hazard than those after it. In twice
    /// the digits the likelihood is that of R 4.2's `coxph` with a stratum for each risk set, which has no starts.
    #[test]
    fn who_left_before_leaves_no_rounding() {
        let mut rows = Rows::new();
        let data = [
            (5.0, 6.0, true, [1.0, 0.0]),
            (3.0, 3.3, false, [0.0, 0.0]),
            (1.0, 3.0, true, [0.0, 1.0]),
            (7.0, 7.2, true, [0.0, 0.0]),
            (8.0, 10.0, true, [1.0, 0.0]),
            (3.0, 5.0, false, [0.0, 0.0]),
            (8.0, 8.3, false, [0.0, 0.0]),
            (8.0, 8.2, true, [0.0, 1.0]),
            (1.0, 4.0, true, [1.0, 0.0]),
            (4.0, 6.0, false, [0.0, 0.0]),
        ];
        for (start, time, event, x) in data {
            let mut row = Row::new(time, event, &x);
            row.start = Some(start);
            rows.push(&row).unwrap();
        }
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        assert_eq!(cox.result().infinite, [true, true]);
        assert!(cox.result().log_likelihood.abs() < 1e-8);
    }

    /// The interaction of a group and a calendar year: the same model, whatever year is counted from.
    #[test]
    fn a_robust_test_keeps_its_digits_without_centring() {
        let fitted = |origin: f64| {
            let mut rows = Rows::new();
            for row in 0..400_u32 {
                let (group, year) = (f64::from(row % 2), 1995.0 + f64::from(row * 7 % 150) / 10.0);
                let x = [group, year - origin, group * (year - origin)];
                let mut new = Row::new(f64::from(row * 31 % 97 + 1), row % 3 > 0, &x);
                new.weight = [1.0, 0.5, 1.5][row as usize % 3];
                rows.push(&new).unwrap();
            }
            let cox = Cox::fit(&rows, &Options::default()).unwrap();
            cox.result().wald_test.statistic
        };
        let (centred, raw) = (fitted(2002.0), fitted(0.0));
        assert!((raw / centred - 1.0).abs() < 1e-9, "{raw} {centred}");
    }

    #[test]
    fn refused_rows_leave_no_trace() {
        let mut rows = Rows::new();
        rows.push(&Row::new(3.0, true, &[1.0])).unwrap();
        assert_eq!(
            rows.push(&Row::new(f64::NAN, true, &[1.0])),
            Err(Error::NonFiniteTime)
        );
        assert_eq!(
            rows.push(&Row::new(-1.0, true, &[1.0])),
            Err(Error::NegativeTime)
        );
        assert_eq!(
            rows.push(&Row::new(1.0, true, &[f64::INFINITY])),
            Err(Error::NonFiniteCovariate)
        );
        assert_eq!(
            rows.push(&Row::new(1.0, true, &[1.0, 2.0])),
            Err(Error::UnequalTerms)
        );
        assert_eq!(
            rows.push(&Row {
                start: Some(1.0),
                ..Row::new(1.0, true, &[1.0])
            }),
            Err(Error::EmptyInterval)
        );
        assert_eq!(
            rows.push(&Row {
                weight: -1.0,
                ..Row::new(1.0, true, &[1.0])
            }),
            Err(Error::InvalidWeight)
        );
        assert_eq!(
            rows.push(&Row {
                cluster: Some(1),
                ..Row::new(1.0, true, &[1.0])
            }),
            Err(Error::MixedClusters)
        );
        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn no_rows_and_no_events_are_errors() {
        assert_eq!(
            Cox::fit(&Rows::new(), &Options::default()).unwrap_err(),
            Error::NoEvents
        );
        let mut censored = Rows::new();
        censored.push(&Row::new(3.0, false, &[1.0])).unwrap();
        assert_eq!(
            Cox::fit(&censored, &Options::default()).unwrap_err(),
            Error::NoEvents
        );
    }

    #[test]
    fn a_constant_column_is_dropped() {
        let mut rows = Rows::new();
        for row in 0..20_u32 {
            rows.push(&Row::new(
                f64::from(row % 7),
                row % 3 > 0,
                &[0.1, f64::from(row % 5), 2018.3],
            ))
            .unwrap();
        }
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        assert_eq!(cox.result().dropped, [true, false, true]);
        assert!(cox.result().coefficients[0].is_nan());
        assert_eq!(cox.result().likelihood_ratio_test.df, 1);
    }

    #[test]
    fn one_event_of_one_row_is_a_fit_with_nothing_in_it() {
        let mut rows = Rows::new();
        rows.push(&Row::new(3.0, true, &[1.0])).unwrap();
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        assert_eq!(cox.result().dropped, [true]);
        assert_eq!(cox.result().log_likelihood, 0.0);
    }
}
