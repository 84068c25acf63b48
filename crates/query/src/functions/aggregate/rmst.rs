//! `rmst(time, event, tau)`: the restricted mean survival time.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::survival::EventTimes;
use columna_stats::survival::rmst::{Options as MeanOptions, rmst};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, struct_of};
use super::adapter::{self, Options, Parameter, Role, Statistic};
use super::kaplan_meier::conf_level;
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The restricted mean survival time: the mean days lived event-free up to `tau`, which is the \
         area under the Kaplan-Meier curve. A struct of `estimate`, `std_err`, `lower` and `upper`. A \
         `tau` beyond the last time of a curve that has not reached 0 is an error: the mean is not known \
         there.",
        "rmst(time, event, tau[, conf_level => 0.95][, weights => w][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("tau", "The day up to which time counts")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT rmst(time, event, tau => 4)['estimate'] AS days
  FROM (VALUES (1, 1), (2, 1), (5, 0), (6, 0)) AS t(time, event);
+------+
| days |
+------+
| 2.75 |
+------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Rmst;

impl Statistic for Rmst {
    type Summary = EventTimes;
    type Options = MeanOptions;

    const NAME: &'static str = "rmst";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("tau", Role::Number),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
    ];

    const DISCLOSURE: Option<Declared> =
        Some(Declared::Recomputed(Source::Steps { groups: false }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        struct_of(&[
            ("estimate", DataType::Float64),
            ("std_err", DataType::Float64),
            ("lower", DataType::Float64),
            ("upper", DataType::Float64),
        ])
    }

    fn options(given: &Options) -> Result<MeanOptions> {
        let tau = given.number("tau")?.unwrap_or(f64::NAN);
        if !(tau.is_finite() && tau >= 0.0) {
            return plan_err!("`tau` is {tau}; it must be a number of days, at least 0");
        }
        Ok(MeanOptions {
            conf_level: conf_level(given)?,
            ..MeanOptions::new(tau)
        })
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        options: &MeanOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        for summary in summaries {
            let Some(summary) = summary else {
                table.push_null();
                continue;
            };
            let mean = rmst(summary, options).map_err(|error| adapter::refused(&error))?;
            table.push([mean.estimate, mean.std_err, mean.lower, mean.upper]);
        }
        table.into_structs(output, summaries.iter().map(Option::is_some).collect())
    }
}
