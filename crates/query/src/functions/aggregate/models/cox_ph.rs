//! `cox_ph(time, event, covariates)`: the proportional-hazards model, as R's `coxph`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::Declared;
use columna_stats::Result as Fitted;
use columna_stats::survival::cox::Fit;
use columna_stats::survival::cox::passes::{Answer, Fitting, Question};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::survival_rows::{
    CLUSTER, CoxOptions, OFFSET, ROBUST, START, STRATA, TIES, WEIGHTS, cox_rows, with_fit,
};
use super::term_table::table_type;
use super::{Design, Terms};
use crate::functions::aggregate::adapter::passes::ByPasses;
use crate::functions::aggregate::adapter::{
    Layout, ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "Cox's proportional-hazards model, as R's `coxph`: a list with a struct for each term, `term`, \
         `coefficient`, `hazard_ratio` with the limits `lower` and `upper` of its interval, `std_err`, `z`, `p_value`, \
         and `naive_std_err` where `std_err` is a robust one. `note` says where they mean nothing: 'redundant' for a \
         combination of terms before it, 'infinite' for a coefficient that grows without bound. NULL where no row \
         has the event. Interactions are products: `named_struct('age', age, 'age:sex', age * sex)`.",
        "cox_ph(time, event, covariates[, strata => s][, start => t0][, weights => w][, cluster => id][, ties => 'efron'][, robust => true][, conf_level => 0.95][, offset => o])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, `named_struct('age', age, 'sex', sex)`; words are factors whose first level in sort order is the reference")
    .with_argument("strata", "Each stratum has a baseline hazard of its own")
    .with_argument("start", "The left end of (start, time], for delayed entry and covariates that change")
    .with_argument("weights", "Case weights; those that are not whole numbers make the variance robust")
    .with_argument("cluster", "Rows of one cluster are not independent: makes the variance robust")
    .with_argument("ties", "'efron' or 'breslow'")
    .with_argument("robust", "Whether the variance is robust; by default with clusters and fractional weights")
    .with_argument("conf_level", "The level of the intervals, 0.95 by default")
    .with_argument("offset", "A term whose coefficient is 1")
    .with_sql_example(
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient, round(t.std_err, 4) AS std_err FROM (
    SELECT unnest(cox_ph(time, event, named_struct('x', x))) AS t
    FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x));
+------+-------------+---------+
| term | coefficient | std_err |
+------+-------------+---------+
| x    | 0.4608      | 0.5628  |
+------+-------------+---------+",
    )
    .build()
});

const NUMBERS: [&str; 8] = [
    "coefficient",
    "hazard_ratio",
    "lower",
    "upper",
    "std_err",
    "z",
    "p_value",
    "naive_std_err",
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CoxPh;

impl Statistic for CoxPh {
    type Summary = ModelRows;
    type Options = CoxOptions;

    const NAME: &'static str = "cox_ph";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        STRATA,
        START,
        WEIGHTS,
        CLUSTER,
        TIES,
        ROBUST,
        Parameter::optional("conf_level", Role::Number),
        OFFSET,
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Regression {
        time: true,
        both: false,
    });

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        terms_type()
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
        let mut table = Terms::new();
        for summary in summaries {
            with_fit(summary, options, |fitted| match fitted {
                Some((given, cox)) => terms(&given.design, cox.result(), options, &mut table),
                None => {
                    table.null();
                    Ok(())
                }
            })?;
        }
        table.finish(output)
    }
}

/// The type of the table.
pub(super) fn terms_type() -> DataType {
    table_type(&NUMBERS)
}

/// The table of a fit.
pub(super) fn terms(
    design: &Design,
    fit: &Fit,
    options: &CoxOptions,
    table: &mut Terms,
) -> Result<()> {
    let ratios = fit
        .hazard_ratios(options.conf_level)
        .map_err(|error| refused(&error))?;
    let std_err = fit.std_err();
    table.group();
    for (at, name) in design.names.iter().enumerate() {
        let ratio = &ratios[at];
        let note = match (fit.dropped[at], fit.infinite[at]) {
            (true, _) => Some("redundant"),
            (_, true) => Some("infinite"),
            _ => None,
        };
        let naive = if fit.robust {
            fit.naive_variance[at][at].sqrt()
        } else {
            f64::NAN
        };
        let row = if fit.dropped[at] {
            [f64::NAN; 8]
        } else {
            [
                fit.coefficients[at],
                ratio.estimate,
                ratio.lower,
                ratio.upper,
                std_err[at],
                ratio.z,
                ratio.p_value,
                naive,
            ]
        };
        table.push(name, row, note);
    }
    table.push_constant(&design.constant_factors());
    Ok(())
}

impl ByPasses for CoxPh {
    type Fitting = Fitting;
    type Question = Question;
    type Answer = Answer;

    const PASS: &'static str = "cox_ph_pass";
    const OF_ROWS: &'static [&'static str] = &[CLUSTER.name, OFFSET.name];

    fn layout(options: &CoxOptions) -> &Layout {
        &options.layout
    }

    fn begin(options: &CoxOptions) -> Fitted<Fitting> {
        Ok(Fitting::new(options.fit))
    }

    fn question(fitting: &Fitting) -> Option<Vec<f64>> {
        fitting.question().map(Question::to_numbers)
    }

    fn needs_rows(fitting: &Fitting) -> bool {
        fitting.needs_rows()
    }

    fn read_question(numbers: &[f64]) -> Fitted<Question> {
        Question::from_numbers(numbers)
    }

    fn answer(question: &Question, rows: ModelRows, options: &CoxOptions) -> Result<Answer> {
        let given = cox_rows(rows, &options.layout)?;
        question
            .answer(&given.rows, &options.fit)
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
        options: &CoxOptions,
        table: &mut Terms,
    ) -> Result<()> {
        let Some(fitting) = fitting else {
            table.null();
            return Ok(());
        };
        let fit = fitting.finish().map_err(|error| refused(&error))?;
        terms(design, &fit, options, table)
    }
}
