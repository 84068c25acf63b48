//! `rmst_difference(time, event, group, tau)`: how many more days one group lives event-free.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::Summary;
use columna_stats::survival::EventTimes;
use columna_stats::survival::rmst::{Options as MeanOptions, difference};
use datafusion::common::Result;
use datafusion::logical_expr::Documentation;

use super::adapter::output::Table;
use super::adapter::{GroupedTimes, Label, Options, Parameter, Role, Statistic, refuse, refused};
use super::rmst::Rmst;
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The difference of the restricted mean survival times of two groups, second in sort order less first: a struct of \
         `estimate`, `std_err`, `lower` and `upper`, in days. NULL where there is one group only.",
        "rmst_difference(time, event, group, tau[, conf_level => 0.95][, weights => w][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("group", "Which group: a boolean, or any column with two values")
    .with_argument("tau", "The day up to which time counts")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT rmst_difference(time, event, arm, tau => 4)['estimate'] AS days
  FROM (VALUES (1, 1, 'a'), (2, 1, 'a'), (5, 0, 'a'), (6, 0, 'a'), (5, 0, 'b'), (6, 0, 'b')) AS t(time, event, arm);
+------+
| days |
+------+
| 1.25 |
+------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct RmstDifference;

impl Statistic for RmstDifference {
    type Summary = GroupedTimes;
    type Options = MeanOptions;

    const NAME: &'static str = "rmst_difference";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("group", Role::Group),
        Parameter::required("tau", Role::Number),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Recomputed(Source::Steps { groups: true }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        Rmst::output(arguments)
    }

    fn options(given: &Options) -> Result<MeanOptions> {
        Rmst::options(given)
    }

    fn evaluate(
        summaries: &[Option<&GroupedTimes>],
        options: &MeanOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        let mut present = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let mut groups: BTreeMap<&Label, EventTimes> = BTreeMap::new();
            for ((_, group), times) in summary.iter().flat_map(|summary| summary.iter()) {
                groups.entry(group).or_default().merge(times.clone());
            }
            let groups: Vec<EventTimes> = groups.into_values().collect();
            match groups.as_slice() {
                [first, second] => {
                    let found = difference(second, first, options).map_err(|e| refused(&e))?;
                    table.push([found.estimate, found.std_err, found.lower, found.upper]);
                    present.push(true);
                }
                [] | [_] => {
                    table.push_null();
                    present.push(false);
                }
                more => {
                    return refuse!(
                        "`rmst_difference` compares two groups, and there are {}",
                        more.len()
                    );
                }
            }
        }
        table.into_structs(output, present)
    }
}
