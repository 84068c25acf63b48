//! `median_survival(time, event)`: the time by which half have had the event.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::survival::EventTimes;
use columna_stats::survival::kaplan_meier::Options as CurveOptions;
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::{Options, Parameter, Statistic};
use super::kaplan_meier::{KaplanMeier, curve_options};
use super::survival_quantile::{quantile_type, quantiles};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The median survival time with its interval, as R's `quantile` gives it for a `survfit`: a struct of \
         `time`, `lower` and `upper`. It is `survival_quantile` with p = 0.5.",
        "median_survival(time, event[, conf_type => 'log'][, conf_level => 0.95][, weights => w][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("conf_type", "As for `kaplan_meier`")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT median_survival(time, event)['time'] AS median
  FROM (VALUES (10, 1), (20, 1), (30, 1), (40, 0), (50, 1)) AS t(time, event);
+--------+
| median |
+--------+
| 30.0   |
+--------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct MedianSurvival;

impl Statistic for MedianSurvival {
    type Summary = EventTimes;
    type Options = CurveOptions;

    const NAME: &'static str = "median_survival";
    const PARAMETERS: &'static [Parameter] = KaplanMeier::PARAMETERS;

    const DISCLOSURE: Option<Declared> =
        Some(Declared::Recomputed(Source::Steps { groups: false }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        quantile_type()
    }

    fn options(given: &Options) -> Result<CurveOptions> {
        curve_options(given)
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        options: &CurveOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        quantiles(summaries, options, 0.5, output)
    }
}
