//! `odds_ratio`, `risk_ratio` and others of persons by exposure and outcome.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use columna_privacy::release::{Declared, Source};
use columna_stats::Estimate;
use columna_stats::tables::{TwoByTwo, exact, mantel_haenszel, paired};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::cells::{Cells, TwoFlags};
use crate::functions::aggregate::adapter::output::{Table, struct_of};
use crate::functions::aggregate::adapter::{Options, Parameter, Role, Statistic, refuse, refused};
use crate::functions::aggregate::conf_level;
use crate::functions::docs::TABLES;

const METHOD: Parameter = Parameter::optional("method", Role::Word);
const CONF_LEVEL: Parameter = Parameter::optional("conf_level", Role::Number);
pub(super) const WEIGHTS: Parameter = Parameter::optional("weights", Role::Weights);
/// What [`WEIGHTS`] says.
pub(super) const ABOUT_WEIGHTS: &str =
    "For how many persons a row stands, such as R's `Freq`: a whole number, 1 by default";
/// Exact results go through all tables with the same margins, which take 8 bytes each.
const MOST_TABLES: u64 = 1 << 26;

fn table(cells: [f64; 4]) -> TwoByTwo {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^53"
    )]
    let count = |number: f64| number as u64;
    TwoByTwo {
        exposed_events: count(cells[0]),
        exposed_others: count(cells[1]),
        unexposed_events: count(cells[2]),
        unexposed_others: count(cells[3]),
    }
}

fn fisher(table: &TwoByTwo, conf_level: f64) -> Result<exact::Exact> {
    let exposed = table.exposed_events + table.exposed_others;
    let events = table.exposed_events + table.unexposed_events;
    let margins = [
        exposed,
        events,
        table.total() - exposed,
        table.total() - events,
    ];
    if margins.into_iter().min() > Some(MOST_TABLES) {
        return refuse!(
            "exact results are for tables with a margin of at most 67 million persons; use another method"
        );
    }
    exact::fisher(table, conf_level).map_err(|error| refused(&error))
}

/// How an interval is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Wald,
    Score,
    MiettinenNurminen,
    Exact,
    MidP,
    Yates,
}

#[derive(Debug)]
pub(crate) struct TableOptions {
    method: Method,
    conf_level: f64,
}

fn read(given: &Options, known: &[(&str, Method)]) -> Result<TableOptions> {
    let word = given.word("method").map(|word| word.to_ascii_lowercase());
    let method = match word.as_deref() {
        None => Method::Wald,
        Some(word) => match known.iter().find(|(name, _)| *name == word) {
            Some((_, method)) => *method,
            None => {
                let names: Vec<String> =
                    known.iter().map(|(name, _)| format!("'{name}'")).collect();
                return plan_err!("`method` can be {}", names.join(", "));
            }
        },
    };
    Ok(TableOptions {
        method,
        conf_level: conf_level(given)?,
    })
}

/// A statistic of two flags with the same columns for every group.
macro_rules! statistic {
    ($name:ident, $function:literal, $disclosure:expr, $parameters:expr, $columns:expr, $known:expr, $documentation:ident, |$strata:ident, $options:ident| $row:expr) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name;

        impl Statistic for $name {
            type Summary = Cells<TwoFlags>;
            type Options = TableOptions;

            const NAME: &'static str = $function;
            const PARAMETERS: &'static [Parameter] = $parameters;

            const DISCLOSURE: Option<Declared> = $disclosure;

            fn documentation() -> &'static Documentation {
                &$documentation
            }

            fn output(_arguments: &[DataType]) -> DataType {
                struct_of(&$columns.map(|name| (name, DataType::Float64)))
            }

            fn options(given: &Options) -> Result<TableOptions> {
                read(given, $known)
            }

            fn evaluate(
                summaries: &[Option<&Cells<TwoFlags>>],
                $options: &TableOptions,
                output: &DataType,
            ) -> Result<ArrayRef> {
                let mut rows = Table::new();
                for summary in summaries {
                    let Some($strata) = summary else {
                        rows.push_null();
                        continue;
                    };
                    $strata.exact()?;
                    rows.push($row);
                }
                rows.into_structs(output, summaries.iter().map(Option::is_some).collect())
            }
        }
    };
}

fn estimate(found: Estimate) -> [f64; 3] {
    [found.value, found.lower, found.upper]
}

const EXPOSED: &[Parameter] = &[
    Parameter::required("exposed", Role::Flag),
    Parameter::required("outcome", Role::Flag),
    METHOD,
    CONF_LEVEL,
    WEIGHTS,
];
const ESTIMATE: [&str; 3] = ["estimate", "lower", "upper"];

const EXAMPLE: &str = "FROM (SELECT i < 30 AS exposed, i % 3 = 0 AND i < 30 OR i % 5 = 0 AS outcome FROM (SELECT unnest(range(0, 70)) AS i));";

fn ratio(about: &str, name: &str, methods: &str, example: &str) -> Documentation {
    Documentation::builder(
        TABLES,
        about,
        format!(
            "{name}(exposed, outcome[, method => 'wald'][, conf_level => 0.95][, weights => n])"
        ),
    )
    .with_argument(
        "exposed",
        "Whether the person was exposed: a boolean, or 0 and 1",
    )
    .with_argument(
        "outcome",
        "Whether the person had the outcome: a boolean, or 0 and 1",
    )
    .with_argument("method", methods)
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", ABOUT_WEIGHTS)
    .with_sql_example(example)
    .build()
}

static ODDS: LazyLock<Documentation> = LazyLock::new(|| {
    ratio(
        "The odds ratio of persons by exposure and outcome: a struct of `estimate`, `lower` and `upper`. Without a \
         method the interval is Woolf's; 'exact' is the conditional estimate with the exact interval (R's \
         `fisher.test`), 'mid-p' the median-unbiased one.",
        "odds_ratio",
        "'wald', 'score', 'exact' or 'mid-p'",
        &format!(
            "> SELECT round(odds_ratio(exposed, outcome)['estimate'], 4) AS odds_ratio\n  {EXAMPLE}\n+------------+\n| odds_ratio |\n+------------+\n| 3.5        |\n+------------+"
        ),
    )
});
static RISK: LazyLock<Documentation> = LazyLock::new(|| {
    ratio(
        "The risk ratio of persons by exposure and outcome: a struct of `estimate`, `lower` and `upper`.",
        "risk_ratio",
        "'wald' (of the logarithm) or 'score' (Koopman's)",
        &format!(
            "> SELECT round(risk_ratio(exposed, outcome)['estimate'], 4) AS risk_ratio\n  {EXAMPLE}\n+------------+\n| risk_ratio |\n+------------+\n| 2.3333     |\n+------------+"
        ),
    )
});
static DIFFERENCE: LazyLock<Documentation> = LazyLock::new(|| {
    ratio(
        "The difference of risks, exposed less unexposed: a struct of `estimate`, `lower` and `upper`.",
        "risk_difference",
        "'wald', 'yates' (R's `prop.test`), 'score' (Mee's, as epiR) or 'miettinen-nurminen' (the score interval with a \
         variance N/(N - 1) times as large, N the number of persons)",
        &format!(
            "> SELECT round(risk_difference(exposed, outcome)['estimate'], 4) AS risk_difference\n  {EXAMPLE}\n+-----------------+\n| risk_difference |\n+-----------------+\n| 0.2667          |\n+-----------------+"
        ),
    )
});
static FISHER: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        TABLES,
        "Fisher's exact test of persons by exposure and outcome, as R's `fisher.test`: a struct of `estimate` (the \
         conditional odds ratio), `lower`, `upper`, the two-sided `p_value`, and `p_greater` and `p_less`.",
        "fisher_exact(exposed, outcome[, conf_level => 0.95][, weights => n])",
    )
    .with_argument("exposed", "Whether the person was exposed")
    .with_argument("outcome", "Whether the person had the outcome")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_argument("weights", ABOUT_WEIGHTS)
    .with_sql_example(format!("> SELECT round(fisher_exact(exposed, outcome)['p_value'], 4) AS p_value\n  {EXAMPLE}\n+---------+\n| p_value |\n+---------+\n| 0.0215  |\n+---------+"))
    .build()
});
static CHI: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        TABLES,
        "Pearson's chi-squared test of persons by exposure and outcome: a struct of `chisq` and `p_value` without, and \
         `chisq_corrected` and `p_value_corrected` with Yates' correction (R's default).",
        "chi_squared_test(exposed, outcome[, weights => n])",
    )
    .with_argument("exposed", "Whether the person was exposed")
    .with_argument("outcome", "Whether the person had the outcome")
    .with_argument("weights", ABOUT_WEIGHTS)
    .with_sql_example(format!("> SELECT round(chi_squared_test(exposed, outcome)['chisq'], 4) AS chisq\n  {EXAMPLE}\n+--------+\n| chisq  |\n+--------+\n| 5.6566 |\n+--------+"))
    .build()
});
static PAIRED: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        TABLES,
        "McNemar's test of paired yes and no, as R's `mcnemar.test`: a struct of `chisq` and `p_value` without, \
         `chisq_corrected` and `p_value_corrected` with continuity correction, and `p_value_exact`.",
        "mcnemar_test(first, second[, weights => n])",
    )
    .with_argument("first", "The first of the pair: a boolean, or 0 and 1")
    .with_argument("second", "The second")
    .with_argument("weights", "For how many pairs a row stands: a whole number, 1 by default")
    .with_sql_example(
        "> SELECT mcnemar_test(a, b)['chisq'] AS chisq
  FROM (VALUES (1, 0), (1, 0), (1, 0), (0, 1), (1, 1), (0, 0)) AS d(a, b);
+-------+
| chisq |
+-------+
| 1.0   |
+-------+",
    )
    .build()
});
static POOLED: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        TABLES,
        "Mantel and Haenszel's common effects over strata, as R's `mantelhaen.test`: a struct of `odds_ratio`, \
         `risk_ratio` and `risk_difference`, each with `_lower` and `_upper`, the test `chisq` and `p_value` without and \
         `chisq_corrected` and `p_value_corrected` with continuity correction, and the tests that the odds ratio is the \
         same in all strata, `breslow_day_chisq` and `breslow_day_p` (with Tarone's correction) and `woolf_p`.",
        "mantel_haenszel(exposed, outcome, strata[, conf_level => 0.95][, weights => n])",
    )
    .with_argument("exposed", "Whether the person was exposed")
    .with_argument("outcome", "Whether the person had the outcome")
    .with_argument("strata", "Within which persons are compared")
    .with_argument("conf_level", "The level of the intervals, 0.95 by default")
    .with_argument("weights", ABOUT_WEIGHTS)
    .with_sql_example(
        "> SELECT round(mantel_haenszel(e, o, s)['odds_ratio'], 4) AS odds_ratio
  FROM (VALUES (1, 1, 'a'), (1, 0, 'a'), (0, 1, 'a'), (0, 0, 'a'), (1, 1, 'b'), (1, 1, 'b'), (1, 0, 'b'), (0, 1, 'b'), (0, 0, 'b'), (0, 0, 'b')) AS d(e, o, s);
+------------+
| odds_ratio |
+------------+
| 2.2        |
+------------+",
    )
    .build()
});

statistic!(
    OddsRatio,
    "odds_ratio",
    Some(Declared::Recomputed(Source::Conditions(2))),
    EXPOSED,
    ESTIMATE,
    &[
        ("wald", Method::Wald),
        ("score", Method::Score),
        ("exact", Method::Exact),
        ("mid-p", Method::MidP)
    ],
    ODDS,
    |strata, options| {
        let table = table(strata.total());
        let level = options.conf_level;
        let found = match options.method {
            Method::Score => table.odds_ratio_score(level),
            Method::Exact => Ok(fisher(&table, level)?.conditional),
            Method::MidP => Ok(fisher(&table, level)?.mid_p),
            _ => table.odds_ratio(level),
        };
        estimate(found.map_err(|error| refused(&error))?)
    }
);
statistic!(
    RiskRatio,
    "risk_ratio",
    Some(Declared::Recomputed(Source::Conditions(2))),
    EXPOSED,
    ESTIMATE,
    &[("wald", Method::Wald), ("score", Method::Score)],
    RISK,
    |strata, options| {
        let table = table(strata.total());
        let found = match options.method {
            Method::Score => table.risk_ratio_score(options.conf_level),
            _ => table.risk_ratio(options.conf_level),
        };
        estimate(found.map_err(|error| refused(&error))?)
    }
);
statistic!(
    RiskDifference,
    "risk_difference",
    Some(Declared::Recomputed(Source::Conditions(2))),
    EXPOSED,
    ESTIMATE,
    &[
        ("wald", Method::Wald),
        ("yates", Method::Yates),
        ("score", Method::Score),
        ("miettinen-nurminen", Method::MiettinenNurminen)
    ],
    DIFFERENCE,
    |strata, options| {
        let table = table(strata.total());
        let found = match options.method {
            Method::Score => table.risk_difference_score(options.conf_level),
            Method::MiettinenNurminen => {
                table.risk_difference_miettinen_nurminen(options.conf_level)
            }
            Method::Yates => table.risk_difference_yates(options.conf_level),
            _ => table.risk_difference(options.conf_level),
        };
        estimate(found.map_err(|error| refused(&error))?)
    }
);
statistic!(
    FisherExact,
    "fisher_exact",
    Some(Declared::Recomputed(Source::Conditions(2))),
    &[
        Parameter::required("exposed", Role::Flag),
        Parameter::required("outcome", Role::Flag),
        CONF_LEVEL,
        WEIGHTS,
    ],
    [
        "estimate",
        "lower",
        "upper",
        "p_value",
        "p_greater",
        "p_less"
    ],
    &[],
    FISHER,
    |strata, options| {
        let found = fisher(&table(strata.total()), options.conf_level)?;
        let [value, lower, upper] = estimate(found.conditional);
        [
            value,
            lower,
            upper,
            found.p_value,
            found.p_greater,
            found.p_less,
        ]
    }
);
statistic!(
    ChiSquaredTest,
    "chi_squared_test",
    Some(Declared::Recomputed(Source::Conditions(2))),
    &[
        Parameter::required("exposed", Role::Flag),
        Parameter::required("outcome", Role::Flag),
        WEIGHTS,
    ],
    ["chisq", "p_value", "chisq_corrected", "p_value_corrected"],
    &[],
    CHI,
    |strata, _options| {
        let table = table(strata.total());
        let (plain, corrected) = (table.chi_squared(), table.chi_squared_yates());
        [
            plain.statistic,
            plain.p_value,
            corrected.statistic,
            corrected.p_value,
        ]
    }
);
statistic!(
    McNemarTest,
    "mcnemar_test",
    Some(Declared::Recomputed(Source::Conditions(2))),
    &[
        Parameter::required("first", Role::Flag),
        Parameter::required("second", Role::Flag),
        WEIGHTS,
    ],
    [
        "chisq",
        "p_value",
        "chisq_corrected",
        "p_value_corrected",
        "p_value_exact"
    ],
    &[],
    PAIRED,
    |strata, _options| {
        let pairs = table(strata.total());
        let test = paired::mcnemar(pairs.exposed_others, pairs.unexposed_events);
        [
            test.uncorrected.statistic,
            test.uncorrected.p_value,
            test.corrected.statistic,
            test.corrected.p_value,
            test.exact_p_value,
        ]
    }
);
statistic!(
    MantelHaenszelTest,
    "mantel_haenszel",
    None,
    &[
        Parameter::required("exposed", Role::Flag),
        Parameter::required("outcome", Role::Flag),
        Parameter::required("strata", Role::Strata),
        CONF_LEVEL,
        WEIGHTS,
    ],
    [
        "odds_ratio",
        "odds_ratio_lower",
        "odds_ratio_upper",
        "risk_ratio",
        "risk_ratio_lower",
        "risk_ratio_upper",
        "risk_difference",
        "risk_difference_lower",
        "risk_difference_upper",
        "chisq",
        "p_value",
        "chisq_corrected",
        "p_value_corrected",
        "breslow_day_chisq",
        "breslow_day_p",
        "woolf_p"
    ],
    &[],
    POOLED,
    |strata, options| {
        let tables: Vec<TwoByTwo> = strata.strata.values().map(|cells| table(*cells)).collect();
        let found = mantel_haenszel::mantel_haenszel(&tables, options.conf_level)
            .map_err(|error| refused(&error))?;
        let [or, or_lower, or_upper] = estimate(found.odds_ratio);
        let [rr, rr_lower, rr_upper] = estimate(found.risk_ratio);
        let [rd, rd_lower, rd_upper] = estimate(found.risk_difference);
        [
            or,
            or_lower,
            or_upper,
            rr,
            rr_lower,
            rr_upper,
            rd,
            rd_lower,
            rd_upper,
            found.test.statistic,
            found.test.p_value,
            found.test_corrected.statistic,
            found.test_corrected.p_value,
            found.homogeneity_tarone.statistic,
            found.homogeneity_tarone.p_value,
            found.homogeneity_woolf.p_value,
        ]
    }
);
