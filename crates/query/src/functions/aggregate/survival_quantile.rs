//! `survival_quantile(time, event, p)`: the time by which a fraction has had the event.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::survival::EventTimes;
use columna_stats::survival::kaplan_meier::{Options as CurveOptions, curve};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, list_of, lists, numbers, struct_of};
use super::adapter::{self, Options, Parameter, Role, Statistic};
use super::kaplan_meier::curve_options;
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The time by which a fraction `p` has had the event, from the Kaplan-Meier curve, with its \
         interval: a struct of `time`, `lower` and `upper`, as R's `quantile(survfit(…), p)`. Where the \
         curve is flat at 1 − p it is the middle of the flat stretch. A field is NULL where the curve, \
         or its limit, never comes down that far. Of a list of fractions it is a list of structs, with `p` in each.",
        "survival_quantile(time, event, p[, conf_type => 'log'][, conf_level => 0.95][, weights => w][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("p", "The fraction, 0 to 1: 0.25 is the time by which a quarter has had the event; or a list of fractions")
    .with_argument("conf_type", "As for `kaplan_meier`")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT survival_quantile(time, event, 0.25)['time'] AS quarter
  FROM (VALUES (10, 1), (20, 1), (30, 1), (40, 1)) AS t(time, event);
+---------+
| quarter |
+---------+
| 15.0    |
+---------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct SurvivalQuantile;

impl Statistic for SurvivalQuantile {
    type Summary = EventTimes;
    type Options = (CurveOptions, Vec<f64>);

    const NAME: &'static str = "survival_quantile";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("p", Role::Numbers),
        Parameter::optional("conf_type", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
    ];

    const DISCLOSURE: Option<Declared> =
        Some(Declared::Recomputed(Source::Steps { groups: false }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        match arguments.get(2) {
            Some(DataType::List(_)) => list_of(struct_of(
                &["p", "time", "lower", "upper"].map(|name| (name, DataType::Float64)),
            )),
            _ => quantile_type(),
        }
    }

    fn options(given: &Options) -> Result<Self::Options> {
        let all = given.numbers("p")?.unwrap_or_default();
        if let Some(p) = all.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return plan_err!(
                "`p` is {p}; it must be between 0 and 1, for example 0.5 for the median"
            );
        }
        Ok((curve_options(given)?, all))
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        (options, all): &Self::Options,
        output: &DataType,
    ) -> Result<ArrayRef> {
        match output {
            DataType::List(_) => lists_of_quantiles(summaries, options, all, output),
            _ => {
                let p = all.first().copied().unwrap_or(f64::NAN);
                quantiles(summaries, options, p, output)
            }
        }
    }
}

pub(super) fn quantile_type() -> DataType {
    struct_of(&[
        ("time", DataType::Float64),
        ("lower", DataType::Float64),
        ("upper", DataType::Float64),
    ])
}

/// The same quantile of several groups.
pub(super) fn quantiles(
    summaries: &[Option<&EventTimes>],
    options: &CurveOptions,
    p: f64,
    output: &DataType,
) -> Result<ArrayRef> {
    let mut table = Table::new();
    for summary in summaries {
        let Some(summary) = summary else {
            table.push_null();
            continue;
        };
        let quantiles = curve(summary, options)
            .and_then(|curve| curve.quantiles(&[p]))
            .map_err(|error| adapter::refused(&error))?;
        match quantiles.first() {
            Some(quantile) => table.push([quantile.time, quantile.lower, quantile.upper]),
            None => table.push_null(),
        }
    }
    table.into_structs(output, summaries.iter().map(Option::is_some).collect())
}

/// Several quantiles of each group.
fn lists_of_quantiles(
    summaries: &[Option<&EventTimes>],
    options: &CurveOptions,
    all: &[f64],
    output: &DataType,
) -> Result<ArrayRef> {
    let mut columns: [Vec<f64>; 4] = Default::default();
    for summary in summaries.iter().flatten() {
        let found = curve(summary, options).and_then(|curve| curve.quantiles(all));
        for quantile in found.map_err(|error| adapter::refused(&error))? {
            let row = [quantile.p, quantile.time, quantile.lower, quantile.upper];
            for (column, number) in columns.iter_mut().zip(row) {
                column.push(number);
            }
        }
    }
    let lengths = summaries.iter().map(|summary| summary.map(|_| all.len()));
    let lengths: Vec<Option<usize>> = lengths.collect();
    lists(output, &lengths, &columns.map(numbers))
}
