//! `concordance_index(time, event, risk)`: Harrell's and Uno's C, as R's `concordance`.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_stats::survival::concordance::{self, TimeWeight, concordance};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::survival_rows::{START, STRATA, WEIGHTS, cox_rows};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{
    Layout, ModelRows, Options, Parameter, Role, Statistic, refused,
};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "How well a risk score orders the times to the event, as R's `concordance`: a struct of `concordance`, \
         `std_err`, and the pairs `concordant`, `discordant`, `tied_risk`, `tied_time`, `tied_both`. 1 is perfect, and \
         0.5 is chance. A higher risk should mean an earlier event.",
        "concordance_index(time, event, risk[, strata => s][, weights => w][, start => t0][, time_weight => 'n'][, tau => t])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("risk", "The score")
    .with_argument("strata", "Pairs are compared within a stratum")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The left end of (start, time]")
    .with_argument("time_weight", "'n' (Harrell's C), 'S', 'S/G' (Uno's C) or 'I', as R's `timewt`")
    .with_argument("tau", "Events after this day are not compared")
    .with_sql_example(
        "> SELECT round(concordance_index(time, event, x)['concordance'], 4) AS c
  FROM (VALUES (4, 1, 0), (3, 1, 2), (1, 1, 1), (1, 0, 1), (2, 1, 1), (2, 1, 0), (3, 0, 0)) AS d(time, event, x);
+--------+
| c      |
+--------+
| 0.6429 |
+--------+",
    )
    .build()
});

#[derive(Debug)]
pub(crate) struct IndexOptions {
    layout: Layout,
    concordance: concordance::Options,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct ConcordanceIndex;

impl Statistic for ConcordanceIndex {
    type Summary = ModelRows;
    type Options = IndexOptions;

    const NAME: &'static str = "concordance_index";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("risk", Role::Value),
        STRATA,
        WEIGHTS,
        START,
        Parameter::optional("time_weight", Role::Word),
        Parameter::optional("tau", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let names = [
            "concordance",
            "std_err",
            "concordant",
            "discordant",
            "tied_risk",
            "tied_time",
            "tied_both",
        ];
        struct_of(&names.map(|name| (name, DataType::Float64)))
    }

    fn options(given: &Options) -> Result<IndexOptions> {
        let time_weight = match given.word("time_weight").as_deref() {
            None | Some("n") => TimeWeight::Pairs,
            Some("S") => TimeWeight::Survival,
            Some("S/G") => TimeWeight::SurvivalByCensoring,
            Some("I") => TimeWeight::AtRisk,
            Some(_) => return plan_err!("`time_weight` can be 'n', 'S', 'S/G' or 'I'"),
        };
        Ok(IndexOptions {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            concordance: concordance::Options {
                time_weight,
                latest: given.number("tau")?,
            },
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &IndexOptions,
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
        options: &IndexOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        let present = summaries.iter().map(Option::is_some).collect();
        for summary in summaries {
            let Some(mut kept) = summary else {
                table.push_null();
                continue;
            };
            // A row of weight 0 is no row: its risk goes with it.
            let weights = kept.numbers_of(options.layout.slot("weights"));
            let weights = weights.unwrap_or_default().into_owned();
            let mut risk = kept.take_numbers(options.layout.slot("risk"));
            if !weights.is_empty() {
                let mut weights = weights.iter();
                risk.retain(|_| weights.next().is_some_and(|weight| *weight != 0.0));
            }
            let given = cox_rows(kept, &options.layout)?;
            let c = concordance(&given.rows, &risk, &options.concordance)
                .map_err(|error| refused(&error))?;
            table.push([
                c.concordance,
                c.std_err,
                c.concordant,
                c.discordant,
                c.tied_risk,
                c.tied_time,
                c.tied_both,
            ]);
        }
        table.into_structs(output, present)
    }
}
