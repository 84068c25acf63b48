//! `nelson_aalen(time, event)`: the cumulative hazard with its intervals.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Estimator};
use columna_stats::survival::EventTimes;
use columna_stats::survival::nelson_aalen::{Options as HazardOptions, Ties, cumulative_hazard};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, list_of, struct_of};
use super::adapter::{self, Options, Parameter, Role, Statistic};
use super::kaplan_meier::{curve_options, row_types};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The Nelson-Aalen estimate of the cumulative hazard: a list with one row for each distinct \
         time, with `time`, `n_risk`, `n_event`, `n_censor`, `cumulative_hazard`, its `std_err`, `lower` \
         and `upper`. The intervals are those of exp(−H), turned round: 'log' is H ± z·std_err.",
        "nelson_aalen(time, event[, conf_type => 'log'][, conf_level => 0.95][, weights => w][, start => s][, ties => 'nelson-aalen'])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("conf_type", "As for `kaplan_meier`")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_argument("ties", "'nelson-aalen' (R's `ctype = 1`) or 'fleming-harrington' (`ctype = 2`)")
    .with_sql_example(
        "> SELECT r.time AS time, r.n_risk AS n_risk, r.cumulative_hazard AS cumulative_hazard FROM (
           SELECT unnest(nelson_aalen(time, event)) AS r
           FROM (VALUES (1, 1), (2, 1), (5, 0), (6, 1)) AS t(time, event)
         );
+------+--------+--------------------+
| time | n_risk | cumulative_hazard  |
+------+--------+--------------------+
| 1    | 4      | 0.25               |
| 2    | 3      | 0.5833333333333333 |
| 5    | 2      | 0.5833333333333333 |
| 6    | 1      | 1.5833333333333333 |
+------+--------+--------------------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct NelsonAalen;

impl Statistic for NelsonAalen {
    type Summary = EventTimes;
    type Options = HazardOptions;

    const NAME: &'static str = "nelson_aalen";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::optional("conf_type", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
        Parameter::optional("ties", Role::Word),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Curve {
        estimate: "cumulative_hazard",
        estimator: Estimator::NelsonAalen,
    });

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        let (time, count) = row_types(arguments);
        list_of(struct_of(&[
            ("time", time),
            ("n_risk", count.clone()),
            ("n_event", count.clone()),
            ("n_censor", count),
            ("cumulative_hazard", DataType::Float64),
            ("std_err", DataType::Float64),
            ("lower", DataType::Float64),
            ("upper", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<HazardOptions> {
        let curve = curve_options(given)?;
        let ties = match given
            .word("ties")
            .map(|ties| ties.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("nelson-aalen") => Ties::NelsonAalen,
            Some("fleming-harrington") => Ties::FlemingHarrington,
            Some(other) => {
                return plan_err!(
                    "`ties` is '{other}'; it can be 'nelson-aalen' or 'fleming-harrington'"
                );
            }
        };
        Ok(HazardOptions {
            ties,
            conf_type: curve.conf_type,
            conf_level: curve.conf_level,
        })
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        options: &HazardOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(summary) = summary else {
                lengths.push(None);
                continue;
            };
            let rows =
                cumulative_hazard(summary, options).map_err(|error| adapter::refused(&error))?;
            for row in &rows {
                table.push([
                    row.time,
                    row.n_risk,
                    row.n_event,
                    row.n_censor,
                    row.cumulative_hazard,
                    row.std_err,
                    row.lower,
                    row.upper,
                ]);
            }
            lengths.push(Some(rows.len()));
        }
        table.into_lists(output, &lengths)
    }
}
