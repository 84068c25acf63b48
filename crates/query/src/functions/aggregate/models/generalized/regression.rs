//! `logistic_regression(outcome, covariates)` and `poisson_regression(outcome, covariates)`: tables of terms.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::Declared;
use columna_stats::Result as Fitted;
use columna_stats::models::{
    Answer, Family, Fit, Fitting, Question, logistic_regression, poisson_regression,
};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::{
    CLUSTER, CONF_LEVEL, INTERCEPT, OFFSET, ROBUST, Regression, RegressionOptions, WEIGHTS,
};
use crate::functions::aggregate::adapter::passes::ByPasses;
use crate::functions::aggregate::adapter::{
    Layout, ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::aggregate::models::term_table::table_type;
use crate::functions::aggregate::models::{Design, Terms};
use crate::functions::docs::MODELS;

fn documented(
    about: &str,
    syntax: &str,
    outcome: &str,
    offset: &str,
    example: &str,
) -> Documentation {
    Documentation::builder(MODELS, about, syntax)
        .with_argument("outcome", outcome)
        .with_argument("covariates", "The terms, `named_struct('age', age, 'sex', sex)`; words are factors whose first level in sort order is the reference")
        .with_argument("weights", "Case weights")
        .with_argument("offset", offset)
        .with_argument("cluster", "Rows of one cluster are not independent: makes the variance robust, with R's `vcovCL` adjustment")
        .with_argument("robust", "Whether the variance is the sandwich (R's `vcovHC`, type HC0)")
        .with_argument("intercept", "Whether there is a constant; true by default. Without one the first factor has a term for each of its levels, as R's `~ 0 + g` gives it")
        .with_argument("conf_level", "The level of the intervals, 0.95 by default")
        .with_sql_example(example)
        .build()
}

static LOGISTIC: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        "Logistic regression, as R's `glm(family = binomial)`: a list with a struct for the constant and each term, \
         `term`, `coefficient`, `odds_ratio` with the limits `lower` and `upper` of its Wald interval, `std_err`, `z`, \
         `p_value`, and `naive_std_err` where `std_err` is robust. `note` says 'redundant' for a combination of terms \
         before it, and 'separated' where no finite estimate exists.",
        "logistic_regression(outcome, covariates[, weights => w][, offset => o][, cluster => id][, robust => true][, intercept => true][, conf_level => 0.95])",
        "Whether it happened: a boolean, or 0 and 1",
        "A term whose coefficient is 1",
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient FROM (
    SELECT unnest(logistic_regression(y, named_struct('x', x))) AS t
    FROM (VALUES (1, 2), (0, 1), (1, 3), (0, 2), (1, 4), (0, 3)) AS d(y, x));
+-------------+-------------+
| term        | coefficient |
+-------------+-------------+
| (Intercept) | -3.4657     |
| x           | 1.3863      |
+-------------+-------------+",
    )
});

static POISSON: LazyLock<Documentation> = LazyLock::new(|| {
    documented(
        "Poisson regression, as R's `glm(family = poisson)`: a list with a struct for the constant and each term, \
         `term`, `coefficient`, `rate_ratio` with the limits `lower` and `upper` of its Wald interval, `std_err`, `z`, \
         `p_value`, and `naive_std_err` where `std_err` is robust. Rates have `offset => ln(person_time)`.",
        "poisson_regression(outcome, covariates[, weights => w][, offset => ln(t)][, cluster => id][, robust => true][, intercept => true][, conf_level => 0.95])",
        "How many events",
        "A term whose coefficient is 1, such as the logarithm of person-time",
        "> SELECT t.term AS term, round(t.rate_ratio, 4) AS rate_ratio FROM (
    SELECT unnest(poisson_regression(y, named_struct('x', x))) AS t
    FROM (VALUES (1, 0), (3, 0), (4, 1), (8, 1)) AS d(y, x));
+-------------+------------+
| term        | rate_ratio |
+-------------+------------+
| (Intercept) | 2.0        |
| x           | 3.0        |
+-------------+------------+",
    )
});

fn numbers(ratio: &'static str) -> DataType {
    table_type(&[
        "coefficient",
        ratio,
        "lower",
        "upper",
        "std_err",
        "z",
        "p_value",
        "naive_std_err",
    ])
}

macro_rules! regression {
    ($name:ident, $function:literal, $family:expr, $fit:path, $ratio:literal, $documentation:ident, $disclosure:expr) => {
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
                CLUSTER,
                ROBUST,
                INTERCEPT,
                CONF_LEVEL,
            ];

            const DISCLOSURE: Option<Declared> = $disclosure;

            fn documentation() -> &'static Documentation {
                &$documentation
            }

            fn output(_arguments: &[DataType]) -> DataType {
                numbers($ratio)
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

            fn finish(
                summaries: Vec<Option<ModelRows>>,
                options: &RegressionOptions,
                output: &DataType,
            ) -> Result<ArrayRef> {
                let mut table = Terms::new();
                for summary in summaries {
                    let Some(kept) = summary else {
                        table.null();
                        continue;
                    };
                    let given = Regression::take(kept, &options.layout, "outcome");
                    let fit = given
                        .with_frame(|frame| $fit(frame, &options.fit))
                        .map_err(|error| refused(&error))?;
                    table.group();
                    terms(&given.design, &fit, &mut table);
                }
                table.finish(output)
            }
        }

        impl ByPasses for $name {
            type Fitting = Fitting;
            type Question = Question;
            type Answer = Answer;

            const PASS: &'static str = concat!($function, "_pass");

            fn layout(options: &RegressionOptions) -> &Layout {
                &options.layout
            }

            fn begin(options: &RegressionOptions) -> Fitted<Fitting> {
                Fitting::new($family, options.fit.clone())
            }

            fn question(fitting: &Fitting) -> Option<Vec<f64>> {
                fitting.question().and_then(Question::to_numbers)
            }

            fn read_question(numbers: &[f64]) -> Fitted<Question> {
                Question::from_numbers($family, numbers)
            }

            fn answer(
                question: &Question,
                rows: ModelRows,
                options: &RegressionOptions,
            ) -> Result<Answer> {
                let given = Regression::take(rows, &options.layout, "outcome");
                given
                    .with_frame(|frame| question.answer(frame, 0..frame.rows()))
                    .map_err(|error| refused(&error))
            }

            fn write_answer(answer: &Answer) -> Vec<f64> {
                answer.to_numbers()
            }

            fn read_answer(numbers: &[f64]) -> Fitted<Answer> {
                Answer::from_numbers(numbers)
            }

            fn take(fitting: &mut Fitting, answer: Answer) -> Fitted<()> {
                fitting.take(answer)
            }

            fn table(
                fitting: Option<Fitting>,
                design: &Design,
                _: &RegressionOptions,
                table: &mut Terms,
            ) -> Result<()> {
                let Some(fitting) = fitting else {
                    table.null();
                    return Ok(());
                };
                let fit = fitting.finish().map_err(|error| refused(&error))?;
                table.group();
                terms(design, &fit, table);
                Ok(())
            }
        }
    };
}

regression!(
    LogisticRegression,
    "logistic_regression",
    Family::Binomial,
    logistic_regression::fit,
    "odds_ratio",
    LOGISTIC,
    Some(Declared::Regression {
        time: false,
        both: true,
    })
);
regression!(
    PoissonRegression,
    "poisson_regression",
    Family::Poisson,
    poisson_regression::fit,
    "rate_ratio",
    POISSON,
    None
);

fn terms(design: &Design, fit: &Fit, table: &mut Terms) {
    let constant = fit.intercept.then_some("(Intercept)");
    let names = constant
        .into_iter()
        .chain(design.names.iter().map(String::as_str));
    let separated = |at: &usize| {
        fit.separation
            .as_ref()
            .is_some_and(|separation| separation.terms.contains(at))
    };
    for (at, (name, coefficient)) in names.zip(&fit.coefficients).enumerate() {
        if fit.dropped.contains(&at) {
            table.push(name, [f64::NAN; 8], Some("redundant"));
            continue;
        }
        let ratio = coefficient.ratio();
        let robust = coefficient.robust_std_err;
        let row = [
            coefficient.estimate,
            ratio.value,
            ratio.lower,
            ratio.upper,
            robust.unwrap_or(coefficient.std_err),
            coefficient.z,
            coefficient.p_value,
            robust.map_or(f64::NAN, |_| coefficient.std_err),
        ];
        table.push(name, row, separated(&at).then_some("separated"));
    }
    table.push_constant(&design.constant_factors());
}
