//! `logrank_test(time, event, group)`: whether survival differs between groups.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use columna_privacy::release::{Declared, Source};
use columna_stats::survival::logrank::{LogRank, Weighting, test};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{list_of, struct_of};
use super::adapter::{self, GroupedTimes, Label, Options, Parameter, Role, Statistic};
use crate::functions::docs::SURVIVAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        SURVIVAL,
        "The log-rank test of two or more groups, as R's `survdiff`: a struct of `chisq`, `df`, \
         `p_value` and `groups`, a list of `group`, `n`, `observed` and `expected`. Groups are those of \
         the argument `group`, not of GROUP BY. With `strata`, groups are compared within each stratum. With one group or \
         without events `df` is 0, and `chisq` and `p_value` are NULL. \
         Other weights than the log-rank test's stress early or late differences.",
        "logrank_test(time, event, group[, strata => s][, weighting => 'log-rank'][, rho => 0][, gamma => 0][, start => s])",
    )
    .with_argument("time", "Days to the event or to censoring")
    .with_argument("event", "Whether the event happened: a boolean, or 0 and 1")
    .with_argument("group", "What is compared, such as the treatment arm")
    .with_argument("strata", "Within which groups are compared")
    .with_argument(
        "weighting",
        "What a time counts, with d events among n at risk in all groups: 'log-rank' (1), 'gehan' (n), 'tarone-ware' (√n), \
         'peto' (S̃(t), the product of 1 − d/(n + 1) up to t), 'peto-modified' (S̃(t)·n/(n + 1)) or 'fleming-harrington' \
         (S(t−)^rho·(1 − S(t−))^gamma, S by Kaplan-Meier)",
    )
    .with_argument("rho", "Fleming-Harrington's weight of early differences, 0 by default; `rho => 1` is what R's `survdiff(rho = 1)` calls Peto's")
    .with_argument("gamma", "Fleming-Harrington's weight of late differences; 0 by default")
    .with_argument("start", "The start of the time at risk, for delayed entry")
    .with_sql_example(
        "> SELECT round(t.chisq, 4) AS chisq, t.df AS df, round(t.p_value, 4) AS p_value FROM (
           SELECT logrank_test(time, event, arm) AS t
           FROM (VALUES (3, 1, 'a'), (5, 1, 'a'), (6, 0, 'a'), (7, 1, 'b'), (9, 0, 'b'), (11, 1, 'b'))
           AS t(time, event, arm)
         );
+--------+----+---------+
| chisq  | df | p_value |
+--------+----+---------+
| 2.4694 | 1  | 0.1161  |
+--------+----+---------+",
    )
    .build()
});

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct LogRankTest;

impl Statistic for LogRankTest {
    type Summary = GroupedTimes;
    type Options = Weighting;

    const NAME: &'static str = "logrank_test";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("time", Role::Time),
        Parameter::required("event", Role::Event),
        Parameter::required("group", Role::Group),
        Parameter::optional("strata", Role::Strata),
        Parameter::optional("weighting", Role::Word),
        Parameter::optional("rho", Role::Number),
        Parameter::optional("gamma", Role::Number),
        Parameter::optional("start", Role::Start),
    ];

    const DISCLOSURE: Option<Declared> = Some(Declared::Recomputed(Source::Steps { groups: true }));

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        struct_of(&[
            ("chisq", DataType::Float64),
            ("df", DataType::Int64),
            ("p_value", DataType::Float64),
            (
                "groups",
                list_of(struct_of(&[
                    ("group", DataType::Utf8),
                    ("n", DataType::Int64),
                    ("observed", DataType::Float64),
                    ("expected", DataType::Float64),
                ])),
            ),
        ])
    }

    fn options(given: &Options) -> Result<Weighting> {
        let (rho, gamma) = (given.number("rho")?, given.number("gamma")?);
        for exponent in [rho, gamma].into_iter().flatten() {
            if !(exponent.is_finite() && exponent >= 0.0) {
                return plan_err!("`rho` and `gamma` must be numbers of at least 0");
            }
        }
        let harrington = Weighting::FlemingHarrington {
            rho: rho.unwrap_or(0.0),
            gamma: gamma.unwrap_or(0.0),
        };
        let word = given
            .word("weighting")
            .map(|word| word.to_ascii_lowercase());
        let weighting = match word.as_deref() {
            None | Some("fleming-harrington") if rho.is_some() || gamma.is_some() => {
                return Ok(harrington);
            }
            None | Some("log-rank") => Weighting::LogRank,
            Some("gehan") => Weighting::Gehan,
            Some("tarone-ware") => Weighting::TaroneWare,
            Some("peto") => Weighting::Peto,
            Some("peto-modified") => Weighting::PetoModified,
            Some("fleming-harrington") => {
                return plan_err!("`weighting => 'fleming-harrington'` needs `rho` or `gamma`");
            }
            Some(other) => {
                return plan_err!(
                    "`weighting` is '{other}'; it can be 'log-rank', 'gehan', 'tarone-ware', 'peto', \
                     'peto-modified' or 'fleming-harrington'"
                );
            }
        };
        if rho.is_some() || gamma.is_some() {
            return plan_err!("`rho` and `gamma` belong to `weighting => 'fleming-harrington'`");
        }
        Ok(weighting)
    }

    fn evaluate(
        summaries: &[Option<&GroupedTimes>],
        weighting: &Weighting,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let tests = summaries
            .iter()
            .map(|summary| summary.map(|summary| test(summary, *weighting)).transpose())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| adapter::refused(&error))?;
        results(&tests, output)
    }
}

fn results(tests: &[Option<LogRank<Label>>], output: &DataType) -> Result<ArrayRef> {
    let wrong =
        || exec_datafusion_err!("the result of a test is a struct with a list of its groups");
    let DataType::Struct(fields) = output else {
        return Err(wrong());
    };
    let item: &Arc<Field> = match fields.last().map(|field| field.data_type()) {
        Some(DataType::List(item)) => item,
        _ => return Err(wrong()),
    };
    let DataType::Struct(group_fields) = item.data_type() else {
        return Err(wrong());
    };
    let number = |f: fn(&LogRank<Label>) -> f64| -> ArrayRef {
        let column: Float64Array = tests
            .iter()
            .map(|test| {
                // With nothing to compare there is no statistic, whatever the empty sums are.
                let comparing = test.as_ref().filter(|test| test.df > 0);
                comparing.map(f).filter(|n| !n.is_nan())
            })
            .collect();
        Arc::new(column)
    };
    let df: Int64Array = tests
        .iter()
        .map(|test| i64::try_from(test.as_ref()?.df).ok())
        .collect();
    let offsets = OffsetBuffer::from_lengths(
        tests
            .iter()
            .map(|test| test.as_ref().map_or(0, |test| test.groups.len())),
    );
    let present = NullBuffer::from(tests.iter().map(Option::is_some).collect::<Vec<_>>());
    let groups = Arc::new(group_rows(tests, group_fields)?);
    let lists = ListArray::try_new(Arc::clone(item), offsets, groups, Some(present.clone()))?;
    let columns = vec![
        number(|test| test.chi_squared),
        Arc::new(df) as ArrayRef,
        number(|test| test.p_value),
        Arc::new(lists),
    ];
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        Some(present),
    )?))
}

fn group_rows(tests: &[Option<LogRank<Label>>], fields: &Fields) -> Result<StructArray> {
    let groups = || tests.iter().flatten().flat_map(|test| &test.groups);
    let names: StringArray = groups().map(|group| Some(group.group.0.as_str())).collect();
    let n: Int64Array = groups().map(|group| i64::try_from(group.n).ok()).collect();
    let observed: Float64Array = groups().map(|group| Some(group.observed)).collect();
    let expected: Float64Array = groups().map(|group| Some(group.expected)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(names),
        Arc::new(n),
        Arc::new(observed),
        Arc::new(expected),
    ];
    Ok(StructArray::try_new(fields.clone(), columns, None)?)
}
