//! `gray_test(time, cause, group)`: do cumulative incidences differ?, as cmprsk's `cuminc`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::survival::gray;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, struct_of};
use super::adapter::{self, GroupedTimes, Options, Parameter, Role, Statistic};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "Gray's test of equal cumulative incidence of one cause between two or more groups, as cmprsk's `cuminc`: a \
         struct of `chisq`, `df` and `p_value`. With one group or without events `df` is 0, and the others are NULL.",
        "gray_test(time, cause, group[, strata => s][, failcode => 1][, rho => 0])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("cause", "0 for censored, and a code for each cause")
    .with_argument("group", "What is compared, such as the treatment arm")
    .with_argument("strata", "Within which groups are compared")
    .with_argument("failcode", "The code of the cause of interest, 1 by default; all others compete")
    .with_argument("rho", "The weight of early differences; 0 by default")
    .with_sql_example(
        "> SELECT round(gray_test(time, cause, arm)['chisq'], 4) AS chisq
  FROM (VALUES (1, 1, 'a'), (3, 2, 'a'), (4, 1, 'a'), (5, 0, 'a'), (2, 1, 'b'), (6, 2, 'b'), (7, 0, 'b'), (8, 1, 'b')) AS d(time, cause, arm);
+-------+
| chisq |
+-------+
| 0.428 |
+-------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct GrayTest;

impl Statistic for GrayTest {
    type Summary = GroupedTimes;
    type Options = gray::Options;

    const NAME: &'static str = "gray_test";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("cause", Role::Event),
        Parameter::required("group", Role::Group),
        Parameter::optional("strata", Role::Strata),
        Parameter::optional("failcode", Role::Number),
        Parameter::optional("rho", Role::Number),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Recomputed(Source::Steps { groups: true }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        struct_of(&[
            ("chisq", DataType::Float64),
            ("df", DataType::Int64),
            ("p_value", DataType::Float64),
        ])
    }

    fn options(given: &Options) -> Result<gray::Options> {
        let rho = given.number("rho")?.unwrap_or(0.0);
        if !rho.is_finite() {
            return plan_err!("`rho` must be a number");
        }
        Ok(gray::Options {
            cause: failcode(given)?,
            rho,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "degrees of freedom are few")]
    fn evaluate(
        summaries: &[Option<&GroupedTimes>],
        options: &gray::Options,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        for summary in summaries {
            let Some(summary) = summary else {
                table.push_null();
                continue;
            };
            let test = gray::test(summary, options).map_err(|error| adapter::refused(&error))?;
            // With nothing to compare there is no statistic, whatever the empty sums are.
            let (chisq, p_value) = if test.df > 0 {
                (test.statistic, test.p_value)
            } else {
                (f64::NAN, f64::NAN)
            };
            table.push([chisq, test.df as f64, p_value]);
        }
        table.into_structs(output, summaries.iter().map(Option::is_some).collect())
    }
}

/// The code of the cause of interest.
pub(super) fn failcode(given: &Options) -> Result<u32> {
    let code = given.number("failcode")?.unwrap_or(1.0);
    if code < 1.0 || code.fract() != 0.0 || code > f64::from(columna_stats::survival::MAX_STATUS) {
        return plan_err!(
            "`failcode` is {code}; it is a cause's code, from 1 to {}",
            columna_stats::survival::MAX_STATUS
        );
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    Ok(code as u32)
}
