//! `proportion(event)`: a share and its interval.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::tables::proportion::Proportion;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::cells::{Cells, TwoFlags};
use super::tables::{ABOUT_WEIGHTS, WEIGHTS};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{Options, Parameter, Role, Statistic, refused};
use crate::functions::aggregate::conf_level;
use crate::functions::docs::TABLES;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        TABLES,
        "The share of rows with an event: a struct of `events`, `n`, `estimate`, `lower` and `upper`.",
        "proportion(event[, method => 'wilson'][, conf_level => 0.95][, weights => n])",
    )
    .with_argument("event", "Whether it happened: a boolean, or 0 and 1")
    .with_argument("method", "'wilson' (R's `prop.test` without correction), 'wilson-corrected' (R's default) or 'clopper-pearson' (R's `binom.test`)")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", ABOUT_WEIGHTS)
    .with_sql_example(
        "> SELECT round(p['estimate'], 4) AS share, round(p['lower'], 4) AS lower, round(p['upper'], 4) AS upper
  FROM (SELECT proportion(x < 3) AS p FROM (SELECT unnest(range(0, 10)) AS x));
+-------+--------+--------+
| share | lower  | upper  |
+-------+--------+--------+
| 0.3   | 0.1078 | 0.6032 |
+-------+--------+--------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy)]
enum Method {
    Wilson,
    WilsonCorrected,
    ClopperPearson,
}

#[derive(Debug)]
pub(crate) struct ProportionOptions {
    method: Method,
    conf_level: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct ProportionInterval;

impl Statistic for ProportionInterval {
    type Summary = Cells<TwoFlags>;
    type Options = ProportionOptions;

    const NAME: &'static str = "proportion";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("event", Role::Flag),
        Parameter::optional("method", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        WEIGHTS,
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Recomputed(Source::Conditions(1)));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let names = ["events", "n", "estimate", "lower", "upper"];
        struct_of(&names.map(|name| (name, DataType::Float64)))
    }

    fn options(given: &Options) -> Result<ProportionOptions> {
        let word = given.word("method").map(|word| word.to_ascii_lowercase());
        let method = match word.as_deref() {
            None | Some("wilson") => Method::Wilson,
            Some("wilson-corrected") => Method::WilsonCorrected,
            Some("clopper-pearson" | "exact") => Method::ClopperPearson,
            Some(_) => {
                return plan_err!(
                    "`method` can be 'wilson', 'wilson-corrected' or 'clopper-pearson'"
                );
            }
        };
        Ok(ProportionOptions {
            method,
            conf_level: conf_level(given)?,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^53"
    )]
    fn evaluate(
        summaries: &[Option<&Cells<TwoFlags>>],
        options: &ProportionOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        for summary in summaries {
            let Some(cells) = summary else {
                table.push_null();
                continue;
            };
            // There is one flag: whoever has it is counted with the second missing.
            cells.exact()?;
            let total = cells.total();
            let (events, trials) = (total[0] + total[1], total.iter().sum::<f64>());
            let share = Proportion {
                events: events as u64,
                trials: trials as u64,
            };
            let found = match options.method {
                Method::Wilson => share.wilson(options.conf_level),
                Method::WilsonCorrected => share.wilson_corrected(options.conf_level),
                Method::ClopperPearson => share.clopper_pearson(options.conf_level),
            }
            .map_err(|error| refused(&error))?;
            table.push([events, trials, found.value, found.lower, found.upper]);
        }
        table.into_structs(output, summaries.iter().map(Option::is_some).collect())
    }
}
