//! `fine_gray(time, cause, covariates)`: the subdistribution hazard, as cmprsk's `crr`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::Error;
use columna_stats::survival::fine_gray::{self, CompetingRows};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::design::Design;
use super::term_table::{TermTable, table_type};
use crate::functions::aggregate::adapter::{
    Layout, ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::aggregate::{conf_level, failcode};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "Fine and Gray's model of the subdistribution hazard of one cause, as cmprsk's `crr`: a list with a struct for \
         each term, `term`, `coefficient`, `hazard_ratio` with `lower` and `upper`, `std_err`, `z` and `p_value`. `note` \
         says where they mean nothing. NULL where no row has the event.",
        "fine_gray(time, cause, covariates[, failcode => 1][, conf_level => 0.95])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("cause", "0 for censored, and a code for each cause")
    .with_argument("covariates", "The terms, as in `cox_ph`")
    .with_argument("failcode", "The code of the cause of interest, 1 by default; all others compete")
    .with_argument("conf_level", "The level of the intervals, 0.95 by default")
    .with_sql_example(
        "> SELECT t.term AS term, round(t.coefficient, 4) AS coefficient FROM (
    SELECT unnest(fine_gray(time, cause, named_struct('x', x))) AS t
    FROM (VALUES (4, 1, 0), (3, 2, 2), (1, 1, 1), (5, 0, 1), (2, 1, 1), (2, 2, 0), (3, 0, 0)) AS d(time, cause, x));
+------+-------------+
| term | coefficient |
+------+-------------+
| x    | -0.0575     |
+------+-------------+",
    )
    .build()
});

const NUMBERS: [&str; 7] = [
    "coefficient",
    "hazard_ratio",
    "lower",
    "upper",
    "std_err",
    "z",
    "p_value",
];

#[derive(Debug)]
pub(crate) struct CauseOptions {
    layout: Layout,
    cause: u32,
    conf_level: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct FineGray;

impl Statistic for FineGray {
    type Summary = ModelRows;
    type Options = CauseOptions;

    const NAME: &'static str = "fine_gray";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("cause", Role::Event),
        Parameter::required("covariates", Role::Covariates),
        Parameter::optional("failcode", Role::Number),
        Parameter::optional("conf_level", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        table_type(&NUMBERS)
    }

    fn options(given: &Options) -> Result<CauseOptions> {
        Ok(CauseOptions {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            cause: failcode(given)?,
            conf_level: conf_level(given)?,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &CauseOptions,
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
        options: &CauseOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = TermTable::new();
        for summary in summaries {
            let Some(mut kept) = summary else {
                table.null();
                continue;
            };
            let mut design = Design::take(&mut kept, &options.layout);
            let codes = kept.codes_of(options.layout.slot("cause"));
            let status: Vec<u32> = codes
                .iter()
                .map(|code| u32::try_from(*code).unwrap_or(u32::MAX))
                .collect();
            let rows = CompetingRows::from_columns(
                kept.take_numbers(options.layout.slot("time")),
                &status,
                options.cause,
                std::mem::take(&mut design.columns),
            )
            .map_err(|error| refused(&error))?;
            let fit = match fine_gray::fit(&rows, &fine_gray::Options::default()) {
                Err(Error::NoEvents) => {
                    table.null();
                    continue;
                }
                fitted => fitted.map_err(|error| refused(&error))?,
            };
            let ratios = fit
                .hazard_ratios(options.conf_level)
                .map_err(|error| refused(&error))?;
            let std_err = fit.std_err();
            table.group();
            for (at, name) in design.names.iter().enumerate() {
                let ratio = &ratios[at];
                let (row, note) = if fit.dropped[at] {
                    ([f64::NAN; 7], Some("redundant"))
                } else {
                    let row = [
                        fit.coefficients[at],
                        ratio.estimate,
                        ratio.lower,
                        ratio.upper,
                        std_err[at],
                        ratio.z,
                        ratio.p_value,
                    ];
                    (row, fit.infinite[at].then_some("infinite"))
                };
                table.push(name, row, note);
            }
            table.push_constant(&design.constant_factors());
        }
        table.finish(output)
    }
}
