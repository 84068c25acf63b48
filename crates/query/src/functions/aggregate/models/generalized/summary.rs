//! `logistic_summary` and `poisson_summary`: how well a regression fits, as R's `summary(glm)`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::models::{logistic_regression, poisson_regression};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::{INTERCEPT, OFFSET, Regression, RegressionOptions, WEIGHTS};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{
    ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::docs::MODELS;

fn documented(about: &str, syntax: &str, outcome: &str, example: &str) -> Documentation {
    Documentation::builder(MODELS, about, syntax)
        .with_argument("outcome", outcome)
        .with_argument("covariates", "The terms, as in the regression")
        .with_argument("weights", "Case weights")
        .with_argument("offset", "A term whose coefficient is 1")
        .with_argument("intercept", "Whether there is a constant; true by default. Without one the first factor has a term for each of its levels, as R's `~ 0 + g` gives it")
        .with_sql_example(example)
        .build()
}

static LOGISTIC: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        "How well a logistic regression fits, as R's `summary(glm)`: a struct of `n`, `df_null`, `df_residual`, \
         `null_deviance`, `deviance`, `loglik`, `aic`, `iterations`, and `converged` (1 or 0).",
        "logistic_summary(outcome, covariates[, weights => w][, offset => o][, intercept => true])",
        "Whether it happened: a boolean, or 0 and 1",
        "> SELECT round(logistic_summary(y, named_struct('x', x))['aic'], 4) AS aic
  FROM (VALUES (1, 2), (0, 1), (1, 3), (0, 2), (1, 4), (0, 3)) AS d(y, x);
+---------+
| aic     |
+---------+
| 10.4874 |
+---------+",
    )
});

static POISSON: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        "How well a Poisson regression fits, as R's `summary(glm)`: a struct of `n`, `df_null`, `df_residual`, \
         `null_deviance`, `deviance`, `loglik`, `aic`, `iterations`, and `converged` (1 or 0).",
        "poisson_summary(outcome, covariates[, weights => w][, offset => ln(t)][, intercept => true])",
        "How many events",
        "> SELECT round(poisson_summary(y, named_struct('x', x))['deviance'], 4) AS deviance
  FROM (VALUES (1, 0), (3, 0), (4, 1), (8, 1)) AS d(y, x);
+----------+
| deviance |
+----------+
| 2.4057   |
+----------+",
    )
});

macro_rules! summary {
    ($name:ident, $function:literal, $fit:path, $documentation:ident) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name;

        impl Statistic for $name {
            type Summary = ModelRows;
            type Options = RegressionOptions;

            const NAME: &'static str = $function;
            const PARAMETERS: &'static [Parameter] = &[
                Parameter::required("outcome", Role::Value),
                Parameter::required("covariates", Role::Covariates),
                WEIGHTS,
                OFFSET,
                INTERCEPT,
            ];

            fn documentation() -> &'static Documentation {
                &$documentation
            }

            fn output(_arguments: &[DataType]) -> DataType {
                let (whole, number) = (DataType::Int64, DataType::Float64);
                struct_of(&[
                    ("n", whole.clone()),
                    ("df_null", number.clone()),
                    ("df_residual", number.clone()),
                    ("null_deviance", number.clone()),
                    ("deviance", number.clone()),
                    ("loglik", number.clone()),
                    ("aic", number),
                    ("iterations", whole.clone()),
                    ("converged", whole),
                ])
            }

            fn options(given: &Options) -> Result<RegressionOptions> {
                RegressionOptions::read(given)
            }

            fn evaluate(
                summaries: &[Option<&ModelRows>],
                options: &RegressionOptions,
                output: &DataType,
            ) -> Result<ArrayRef> {
                Self::finish(
                    summaries.iter().map(|rows| rows.cloned()).collect(),
                    options,
                    output,
                )
            }

            #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
            fn finish(
                summaries: Vec<Option<ModelRows>>,
                options: &RegressionOptions,
                output: &DataType,
            ) -> Result<ArrayRef> {
                let mut table = Table::new();
                let present = summaries.iter().map(Option::is_some).collect();
                for summary in summaries {
                    let Some(kept) = summary else {
                        table.push_null();
                        continue;
                    };
                    let fit = Regression::take(kept, &options.layout, "outcome")
                        .with_frame(|frame| $fit(frame, &options.fit))
                        .map_err(|error| refused(&error))?;
                    table.push([
                        fit.rows as f64,
                        fit.df_null,
                        fit.df_residual,
                        fit.null_deviance,
                        fit.deviance,
                        fit.log_likelihood,
                        fit.aic,
                        fit.iterations as f64,
                        f64::from(u8::from(fit.converged)),
                    ]);
                }
                table.into_structs(output, present)
            }
        }
    };
}

summary!(
    LogisticSummary,
    "logistic_summary",
    logistic_regression::fit,
    LOGISTIC
);
summary!(
    PoissonSummary,
    "poisson_summary",
    poisson_regression::fit,
    POISSON
);
