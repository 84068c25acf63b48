//! `kaplan_meier(time, event)`: the survival curve with its intervals.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Estimator};
use columna_stats::survival::kaplan_meier::{Options as CurveOptions, curve};
use columna_stats::survival::{ConfType, EventTimes};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, list_of, struct_of};
use super::adapter::{self, Options, Parameter, Role, Statistic};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The Kaplan-Meier curve, as R's `survfit(Surv(time, event) ~ 1)` gives it: a list with one row \
         for each distinct time, censoring times included. Use `unnest` to turn it into rows. The \
         columns are `time`, `n_risk`, `n_event`, `n_censor`, `survival`, `std_err` (of the survival \
         probability), `lower` and `upper`; a bound that R reports as NA is NULL. Counts are whole \
         numbers, or weighted ones with `weights`; `time` is whole days if they were given. NULL when \
         there is no row. Event codes above 1 are competing events and an error here.",
        "kaplan_meier(time, event[, conf_type => 'log'][, conf_level => 0.95][, weights => w][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("conf_type", "The interval: 'log' (as in R), 'log-log', 'plain', 'logit' or 'arcsin'")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", "Case weights; whole numbers are frequencies, others give robust intervals")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT r.time AS time, r.n_risk AS n_risk, r.n_event AS n_event, r.survival AS survival FROM (
           SELECT unnest(kaplan_meier(time, event)) AS r
           FROM (VALUES (1, true), (2, true), (5, false), (6, false)) AS t(time, event)
         );
+------+--------+---------+----------+
| time | n_risk | n_event | survival |
+------+--------+---------+----------+
| 1    | 4      | 1       | 0.75     |
| 2    | 3      | 1       | 0.5      |
| 5    | 2      | 0       | 0.5      |
| 6    | 1      | 0       | 0.5      |
+------+--------+---------+----------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct KaplanMeier;

impl Statistic for KaplanMeier {
    type Summary = EventTimes;
    type Options = CurveOptions;

    const NAME: &'static str = "kaplan_meier";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::optional("conf_type", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Curve {
        estimate: "survival",
        estimator: Estimator::KaplanMeier,
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
            ("survival", DataType::Float64),
            ("std_err", DataType::Float64),
            ("lower", DataType::Float64),
            ("upper", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<CurveOptions> {
        curve_options(given)
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        options: &CurveOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(summary) = summary else {
                lengths.push(None);
                continue;
            };
            let curve = curve(summary, options).map_err(|error| adapter::refused(&error))?;
            for row in &curve.rows {
                table.push([
                    row.time,
                    row.n_risk,
                    row.n_event,
                    row.n_censor,
                    row.survival,
                    row.std_err,
                    row.lower,
                    row.upper,
                ]);
            }
            lengths.push(Some(curve.rows.len()));
        }
        table.into_lists(output, &lengths)
    }
}

/// The types of times and counts in a curve: whole numbers where whole days, and no weights, were given.
pub(super) fn row_types(arguments: &[DataType]) -> (DataType, DataType) {
    let whole = |whole: bool| {
        if whole {
            DataType::Int64
        } else {
            DataType::Float64
        }
    };
    let weighted = arguments.get(4).is_some_and(|weights| !weights.is_null());
    (
        whole(arguments.first() == Some(&DataType::Int64)),
        whole(!weighted),
    )
}

/// The options that all functions of a survival curve share.
pub(super) fn curve_options(given: &Options) -> Result<CurveOptions> {
    let mut options = CurveOptions::default();
    if let Some(name) = given.word("conf_type") {
        let Some(conf_type) = ConfType::from_name(&name.to_ascii_lowercase()) else {
            let known = ConfType::ALL
                .map(|known| format!("'{}'", known.name()))
                .join(", ");
            return plan_err!("`conf_type` is '{name}'; it can be {known}");
        };
        options.conf_type = conf_type;
    }
    options.conf_level = conf_level(given)?;
    Ok(options)
}

/// The level of an interval, strictly between 0 and 1.
pub(super) fn conf_level(given: &Options) -> Result<f64> {
    let level = given.number("conf_level")?.unwrap_or(0.95);
    if !(level > 0.0 && level < 1.0) {
        return plan_err!("`conf_level` is {level}; it must be between 0 and 1, for example 0.95");
    }
    Ok(level)
}
