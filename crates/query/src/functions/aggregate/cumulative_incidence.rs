//! `cumulative_incidence(time, cause)`: the probability of each cause in the presence of the others.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Estimator};
use columna_stats::survival::EventTimes;
use columna_stats::survival::cumulative_incidence::{Options as CurvesOptions, Variance, curves};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, list_of, struct_of};
use super::adapter::{self, Options, Parameter, Role, Statistic};
use super::kaplan_meier::{curve_options, row_types};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The cumulative incidence of each competing event (Aalen-Johansen), as R's `survfit` of a \
         multi-state event: a list with one row for each cause and distinct time, with `cause`, `time`, \
         `n_risk`, `n_event`, `n_censor`, `incidence`, its `std_err`, `lower` and `upper`. One less \
         Kaplan-Meier overstates it: who dies of one cause can't have the other.",
        "cumulative_incidence(time, cause[, conf_type => 'log'][, conf_level => 0.95][, weights => w][, start => s][, variance => 'jackknife'])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("cause", "0 for censored, 1, 2, … for the event that happened")
    .with_argument("conf_type", "As for `kaplan_meier`")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument(
        "weights",
        "Case weights; intervals are robust, of whole numbers too, as R's `survfit` gives them for competing events; with \
         `variance => 'delta'` they are frequencies, and whole numbers",
    )
    .with_argument("start", "The start of the time at risk, for delayed entry; needs `variance => 'delta'`")
    .with_argument("variance", "'jackknife' (R's `survfit`) or 'delta' (`cmprsk::cuminc`)")
    .with_sql_example(
        "> SELECT r.cause AS cause, r.time AS time, r.incidence AS incidence FROM (
           SELECT unnest(cumulative_incidence(time, cause)) AS r
           FROM (VALUES (1, 1), (2, 2), (3, 0), (4, 1)) AS t(time, cause)
         ) WHERE r.n_event > 0;
+-------+------+-----------+
| cause | time | incidence |
+-------+------+-----------+
| 1     | 1    | 0.25      |
| 1     | 4    | 0.75      |
| 2     | 2    | 0.25      |
+-------+------+-----------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct CumulativeIncidence;

impl Statistic for CumulativeIncidence {
    type Summary = EventTimes;
    type Options = CurvesOptions;

    const NAME: &'static str = "cumulative_incidence";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("cause", Role::Event),
        Parameter::optional("conf_type", Role::Word),
        Parameter::optional("conf_level", Role::Number),
        Parameter::optional("weights", Role::Weights),
        Parameter::optional("start", Role::Start),
        Parameter::optional("variance", Role::Word),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Curve {
        estimate: "incidence",
        estimator: Estimator::AalenJohansen,
    });

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        let (time, count) = row_types(arguments);
        list_of(struct_of(&[
            ("cause", DataType::Int64),
            ("time", time),
            ("n_risk", count.clone()),
            ("n_event", count.clone()),
            ("n_censor", count),
            ("incidence", DataType::Float64),
            ("std_err", DataType::Float64),
            ("lower", DataType::Float64),
            ("upper", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<CurvesOptions> {
        let curve = curve_options(given)?;
        let variance = match given
            .word("variance")
            .map(|word| word.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("jackknife") => Variance::Jackknife,
            Some("delta") => Variance::Delta,
            Some(other) => {
                return plan_err!("`variance` is '{other}'; it can be 'jackknife' or 'delta'");
            }
        };
        Ok(CurvesOptions {
            variance,
            conf_type: curve.conf_type,
            conf_level: curve.conf_level,
        })
    }

    fn evaluate(
        summaries: &[Option<&EventTimes>],
        options: &CurvesOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(summary) = summary else {
                lengths.push(None);
                continue;
            };
            let found = curves(summary, options).map_err(|error| adapter::refused(&error))?;
            let mut rows = 0;
            for (index, cause) in found.causes.iter().enumerate() {
                let number = u32::try_from(index + 1)
                    .map_err(|_| exec_datafusion_err!("there are too many causes"))?;
                for row in cause {
                    table.push([
                        f64::from(number),
                        row.time,
                        row.n_risk,
                        row.n_event,
                        row.n_censor,
                        row.estimate,
                        row.std_err,
                        row.lower,
                        row.upper,
                    ]);
                }
                rows += cause.len();
            }
            lengths.push(Some(rows));
        }
        table.into_lists(output, &lengths)
    }
}
