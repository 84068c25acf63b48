//! `incidence_rate(events, person_days)` and what compares and standardises rates.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::rates::{
    PersonTime, RateInterval, Stratum, rate_difference, rate_ratio, smr, standardized_rate,
};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::cells::{Cells, EventsAndTime};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{Options, Parameter, Role, Statistic, refuse, refused};
use crate::functions::aggregate::conf_level;
use crate::functions::docs::RATES;

const EVENTS: Parameter = Parameter::required("events", Role::Value);
const TIME: Parameter = Parameter::required("person_days", Role::Value);
const PER: Parameter = Parameter::optional("per", Role::Number);
const INTERVAL: Parameter = Parameter::optional("interval", Role::Word);
const CONF_LEVEL: Parameter = Parameter::optional("conf_level", Role::Number);
/// Days of 1,000 person-years.
const PER_DEFAULT: f64 = 365_250.0;

#[derive(Debug)]
pub(crate) struct RateOptions {
    per: f64,
    interval: RateInterval,
    conf_level: f64,
}

fn read(given: &Options) -> Result<RateOptions> {
    let per = given.number("per")?.unwrap_or(PER_DEFAULT);
    if !(per > 0.0 && per.is_finite()) {
        return plan_err!("`per` is {per}; it is a number of days above 0");
    }
    let word = given.word("interval").map(|word| word.to_ascii_lowercase());
    let interval = match word.as_deref() {
        None | Some("exact") => RateInterval::Exact,
        Some("byar") => RateInterval::Byar,
        Some("byar-midpoint") => RateInterval::ByarMidpoint,
        Some("wald") => RateInterval::Wald,
        Some(_) => {
            return plan_err!("`interval` can be 'exact', 'byar', 'byar-midpoint' or 'wald'");
        }
    };
    Ok(RateOptions {
        per,
        interval,
        conf_level: conf_level(given)?,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of counts below 2^53"
)]
fn person_time(sums: [f64; 4]) -> PersonTime {
    PersonTime {
        events: sums[0] as u64,
        time: sums[1],
    }
}

/// The two groups of a comparison: the second in sort order is the exposed one.
fn two(cells: &Cells<EventsAndTime>, function: &str) -> Result<Option<(PersonTime, PersonTime)>> {
    let groups: Vec<[f64; 4]> = cells.strata.values().copied().collect();
    match groups.as_slice() {
        [unexposed, exposed] => Ok(Some((person_time(*exposed), person_time(*unexposed)))),
        [_] | [] => Ok(None),
        more => refuse!(
            "`{function}` compares two groups, and there are {}",
            more.len()
        ),
    }
}

macro_rules! statistic {
    ($name:ident, $function:literal, $disclosure:expr, $parameters:expr, $columns:expr, $documentation:ident, |$cells:ident, $options:ident| $row:expr) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name;

        impl Statistic for $name {
            type Summary = Cells<EventsAndTime>;
            type Options = RateOptions;

            const NAME: &'static str = $function;
            const PARAMETERS: &'static [Parameter] = $parameters;

            const DISCLOSURE: Option<Declared> = $disclosure;

            fn documentation() -> &'static Documentation {
                &$documentation
            }

            fn output(_arguments: &[DataType]) -> DataType {
                struct_of(&$columns.map(|name| (name, DataType::Float64)))
            }

            fn options(given: &Options) -> Result<RateOptions> {
                read(given)
            }

            fn evaluate(
                summaries: &[Option<&Cells<EventsAndTime>>],
                $options: &RateOptions,
                output: &DataType,
            ) -> Result<ArrayRef> {
                let mut rows = Table::new();
                let mut present = Vec::with_capacity(summaries.len());
                for summary in summaries {
                    let row = match summary {
                        None => None,
                        Some($cells) => {
                            $cells.check()?;
                            $row
                        }
                    };
                    present.push(row.is_some());
                    match row {
                        Some(row) => rows.push(row),
                        None => rows.push_null(),
                    }
                }
                rows.into_structs(output, present)
            }
        }
    };
}

static INCIDENCE: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        RATES,
        "The rate of events in person-time: a struct of `events`, `person_days`, and `rate` with `lower` and `upper`, per \
         1,000 person-years of 365.25 days unless `per` says otherwise. Without an interval the limits are exact ones of \
         the Poisson distribution, as R's `poisson.test`.",
        "incidence_rate(events, person_days[, per => 365250][, interval => 'exact'][, conf_level => 0.95])",
    )
    .with_argument("events", "How many events")
    .with_argument("person_days", "Days at risk, such as `person_time(start, end)`")
    .with_argument("per", "The person-time that the rate is for, in days")
    .with_argument("interval", "'exact', 'byar', 'byar-midpoint' or 'wald'")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT round(r['rate'], 4) AS rate, round(r['lower'], 4) AS lower, round(r['upper'], 4) AS upper FROM (
    SELECT incidence_rate(events, days) AS r FROM (VALUES (1, 36525), (0, 73050), (2, 36525)) AS d(events, days));
+------+--------+---------+
| rate | lower  | upper   |
+------+--------+---------+
| 7.5  | 1.5467 | 21.9182 |
+------+--------+---------+",
    )
    .build()
});
static RATIO: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        RATES,
        "The ratio of two rates, second group in sort order over the first: a struct of `estimate`, `lower`, `upper` \
         (exact, conditional on the number of events) and `p_value`, as R's `poisson.test`. NULL where there is one \
         group only.",
        "rate_ratio(events, person_days, group[, conf_level => 0.95])",
    )
    .with_argument("events", "How many events")
    .with_argument("person_days", "Days at risk")
    .with_argument("group", "Which group: a boolean, or any column with two values")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT rate_ratio(events, days, treated)['estimate'] AS ratio
  FROM (VALUES (4, 100, false), (3, 150, true)) AS d(events, days, treated);
+-------+
| ratio |
+-------+
| 0.5   |
+-------+",
    )
    .build()
});
static DIFFERENCE: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        RATES,
        "The difference of two rates, second group in sort order less the first: a struct of `estimate`, `lower` and \
         `upper` (Wald), per 1,000 person-years of 365.25 days unless `per` says otherwise. NULL where there is one group \
         only.",
        "rate_difference(events, person_days, group[, per => 365250][, conf_level => 0.95])",
    )
    .with_argument("events", "How many events")
    .with_argument("person_days", "Days at risk")
    .with_argument("group", "Which group: a boolean, or any column with two values")
    .with_argument("per", "The person-time that the rates are for, in days")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT round(rate_difference(events, days, treated, per => 100)['estimate'], 4) AS difference
  FROM (VALUES (4, 100, false), (3, 150, true)) AS d(events, days, treated);
+------------+
| difference |
+------------+
| -2.0       |
+------------+",
    )
    .build()
});
static STANDARDIZED: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        RATES,
        "The directly standardized rate: strata's rates weighted by a standard population, with Fay and Feuer's \
         interval, as epitools' `ageadjust.direct`: a struct of `estimate`, `lower`, `upper` and `crude`, per 1,000 \
         person-years of 365.25 days unless `per` says otherwise.",
        "standardized_rate(events, person_days, standard, strata[, per => 365250][, conf_level => 0.95])",
    )
    .with_argument("events", "How many events")
    .with_argument("person_days", "Days at risk, or persons with `per => 1`")
    .with_argument("standard", "The standard population of the row's stratum, the same in all its rows")
    .with_argument("strata", "The stratum, such as an age band")
    .with_argument("per", "The person-time that the rate is for, in days")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT round(standardized_rate(events, n, standard, band, per => 1)['estimate'], 4) AS rate
  FROM (VALUES (2, 100, 600, 'young'), (8, 100, 400, 'old')) AS d(events, n, standard, band);
+-------+
| rate  |
+-------+
| 0.044 |
+-------+",
    )
    .build()
});
static RATIO_TO_EXPECTED: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        RATES,
        "Observed over expected events, the standardized mortality or morbidity ratio: a struct of `observed`, \
         `expected`, `estimate`, `lower`, `upper`, and the exact `p_value` of a ratio of 1.",
        "smr(observed, expected[, interval => 'exact'][, conf_level => 0.95])",
    )
    .with_argument("observed", "How many events there were")
    .with_argument("expected", "How many were to be expected, such as the standard's rate times person-time")
    .with_argument("interval", "'exact', 'byar', 'byar-midpoint' or 'wald'")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT smr(observed, expected)['estimate'] AS smr FROM (VALUES (3, 1.5), (5, 2.5)) AS d(observed, expected);
+-----+
| smr |
+-----+
| 2.0 |
+-----+",
    )
    .build()
});

statistic!(
    IncidenceRate,
    "incidence_rate",
    Some(Declared::Recomputed(Source::Sums { groups: false })),
    &[EVENTS, TIME, PER, INTERVAL, CONF_LEVEL],
    ["events", "person_days", "rate", "lower", "upper"],
    INCIDENCE,
    |cells, options| {
        let sums = cells.total();
        let found = person_time(sums)
            .rate(options.interval, options.conf_level)
            .map_err(|error| refused(&error))?;
        let per = options.per;
        Some([
            sums[0],
            sums[1],
            found.value * per,
            found.lower * per,
            found.upper * per,
        ])
    }
);
statistic!(
    RateRatio,
    "rate_ratio",
    Some(Declared::Recomputed(Source::Sums { groups: true })),
    &[
        EVENTS,
        TIME,
        Parameter::required("group", Role::Group),
        CONF_LEVEL
    ],
    ["estimate", "lower", "upper", "p_value"],
    RATIO,
    |cells, options| match two(cells, "rate_ratio")? {
        None => None,
        Some((exposed, unexposed)) => {
            let found = rate_ratio(exposed, unexposed, options.conf_level)
                .map_err(|error| refused(&error))?;
            let ratio = found.ratio;
            Some([ratio.value, ratio.lower, ratio.upper, found.p_value])
        }
    }
);
statistic!(
    RateDifference,
    "rate_difference",
    Some(Declared::Recomputed(Source::Sums { groups: true })),
    &[
        EVENTS,
        TIME,
        Parameter::required("group", Role::Group),
        PER,
        CONF_LEVEL
    ],
    ["estimate", "lower", "upper"],
    DIFFERENCE,
    |cells, options| match two(cells, "rate_difference")? {
        None => None,
        Some((exposed, unexposed)) => {
            let found = rate_difference(exposed, unexposed, options.conf_level)
                .map_err(|error| refused(&error))?;
            Some([found.value, found.lower, found.upper].map(|rate| rate * options.per))
        }
    }
);
statistic!(
    StandardizedRate,
    "standardized_rate",
    None,
    &[
        EVENTS,
        TIME,
        Parameter::required("standard", Role::Value),
        Parameter::required("strata", Role::Strata),
        PER,
        CONF_LEVEL
    ],
    ["estimate", "lower", "upper", "crude"],
    STANDARDIZED,
    |cells, options| {
        let strata: Vec<Stratum> = cells
            .strata
            .values()
            .map(|sums| {
                let PersonTime { events, time } = person_time(*sums);
                Stratum {
                    events,
                    time,
                    standard: sums[2],
                }
            })
            .collect();
        let found =
            standardized_rate(&strata, options.conf_level).map_err(|error| refused(&error))?;
        let total = cells.total();
        let rates = [found.value, found.lower, found.upper, total[0] / total[1]];
        Some(rates.map(|rate| rate * options.per))
    }
);
statistic!(
    Smr,
    "smr",
    Some(Declared::Recomputed(Source::Sums { groups: false })),
    &[
        Parameter::required("observed", Role::Value),
        Parameter::required("expected", Role::Value),
        INTERVAL,
        CONF_LEVEL
    ],
    [
        "observed", "expected", "estimate", "lower", "upper", "p_value"
    ],
    RATIO_TO_EXPECTED,
    |cells, options| {
        let PersonTime { events, time } = person_time(cells.total());
        let found = smr(events, time, options.interval, options.conf_level)
            .map_err(|error| refused(&error))?;
        let ratio = found.ratio;
        let total = cells.total();
        Some([
            total[0],
            total[1],
            ratio.value,
            ratio.lower,
            ratio.upper,
            found.p_value,
        ])
    }
);
