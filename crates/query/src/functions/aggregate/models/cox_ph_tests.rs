//! `cox_ph_tests(time, event, covariates)`: how well a proportional-hazards model fits, as R's `summary(coxph)`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::survival::concordance::{self, concordance};
use columna_stats::survival::cox::{Cox, Rows};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::cox_ph::CoxPh;
use super::survival_rows::{CoxOptions, with_fit};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{ModelRows, Options, Parameter, Statistic, refused};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "How well Cox's model fits, as R's `summary(coxph)`: a struct of `n`, `n_event`, `df`, `loglik_null`, `loglik`, \
         the likelihood-ratio test `lr_chisq` and `lr_p`, Wald's `wald_chisq` and `wald_p`, the score (log-rank) test \
         `score_chisq` and `score_p`, the robust score test where the fit is robust, `concordance` with \
         `concordance_std_err`, and `iterations`. NULL where no row has the event.",
        "cox_ph_tests(time, event, covariates[, strata => s][, start => t0][, weights => w][, cluster => id][, ties => 'efron'][, robust => true][, offset => o])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, as in `cox_ph`")
    .with_argument("strata", "Each stratum has a baseline hazard of its own")
    .with_argument("start", "The left end of (start, time]")
    .with_argument("weights", "Case weights")
    .with_argument("cluster", "Rows of one cluster are not independent")
    .with_argument("ties", "'efron' or 'breslow'")
    .with_argument("robust", "Whether the variance is robust")
    .with_argument("offset", "A term whose coefficient is 1")
    .with_sql_example(
        "> SELECT round(t['lr_chisq'], 4) AS lr_chisq, round(t['lr_p'], 4) AS lr_p FROM (
    SELECT cox_ph_tests(time, event, named_struct('x', x)) AS t
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+----------+--------+
| lr_chisq | lr_p   |
+----------+--------+
| 0.6569   | 0.4176 |
+----------+--------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxPhTests;

impl Statistic for CoxPhTests {
    type Summary = ModelRows;
    type Options = CoxOptions;

    const NAME: &'static str = "cox_ph_tests";
    const PARAMETERS: &'static [Parameter] = CoxPh::PARAMETERS;

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let (whole, number) = (DataType::Int64, DataType::Float64);
        struct_of(&[
            ("n", whole.clone()),
            ("n_event", whole.clone()),
            ("df", whole.clone()),
            ("loglik_null", number.clone()),
            ("loglik", number.clone()),
            ("lr_chisq", number.clone()),
            ("lr_p", number.clone()),
            ("wald_chisq", number.clone()),
            ("wald_p", number.clone()),
            ("score_chisq", number.clone()),
            ("score_p", number.clone()),
            ("robust_score_chisq", number.clone()),
            ("robust_score_p", number.clone()),
            ("concordance", number.clone()),
            ("concordance_std_err", number),
            ("iterations", whole),
        ])
    }

    fn options(given: &Options) -> Result<CoxOptions> {
        CoxOptions::read(given)
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &CoxOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        Self::finish(
            summaries.iter().map(|rows| rows.cloned()).collect(),
            options,
            output,
        )
    }

    fn finish(
        summaries: Vec<Option<ModelRows>>,
        options: &CoxOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Tests::new();
        for summary in summaries {
            with_fit(summary, options, |fitted| match fitted {
                Some((given, cox)) => table.push(&given.rows, &cox),
                None => table.push_null(),
            })?;
        }
        table.finish(output)
    }
}

/// The tests of fits, a row each.
pub(super) struct Tests {
    table: Table<16>,
    present: Vec<bool>,
}

impl Tests {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            present: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, rows: &Rows, cox: &Cox<'_>) -> Result<()> {
        self.present.push(true);
        self.table.push(tests(rows, cox)?);
        Ok(())
    }

    pub(super) fn push_null(&mut self) -> Result<()> {
        self.present.push(false);
        self.table.push_null();
        Ok(())
    }

    pub(super) fn finish(self, output: &DataType) -> Result<ArrayRef> {
        self.table.into_structs(output, self.present)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
fn tests(rows: &Rows, cox: &Cox<'_>) -> Result<[f64; 16]> {
    let fit = cox.result();
    let risk = cox.linear_predictors();
    let c = concordance(rows, &risk, &concordance::Options::default());
    let c = c.map_err(|error| refused(&error))?;
    let robust = fit.robust_score_test;
    Ok([
        fit.n as f64,
        fit.n_events as f64,
        fit.likelihood_ratio_test.df as f64,
        fit.log_likelihood_null,
        fit.log_likelihood,
        fit.likelihood_ratio_test.statistic,
        fit.likelihood_ratio_test.p_value,
        fit.wald_test.statistic,
        fit.wald_test.p_value,
        fit.score_test.statistic,
        fit.score_test.p_value,
        robust.map_or(f64::NAN, |test| test.statistic),
        robust.map_or(f64::NAN, |test| test.p_value),
        c.concordance,
        c.std_err,
        fit.iterations as f64,
    ])
}
