//! What a differentially private question asks: its numbers, each with its bounds.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, TryCast, cast, lit};

use super::collect::samples;
use super::expression::{counts_all, indicator, range};
use super::refused::refuse;
use super::shape::{Rows, plain};
use super::words::{described, exact};

/// A number of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    /// How many rows, at most so many of each person.
    Rows,
    /// How many persons.
    Persons,
    /// The sum of a measure.
    Sum,
    /// Its mean.
    Mean,
    /// Its quantile.
    Quantile(f64),
}

/// A number, and the rows that it is computed from.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) asked: Asked,
    /// The place of its rows among the bases.
    pub(super) basis: usize,
    /// The range that its values are clamped to; nothing for counts.
    pub(super) range: Option<(f64, f64)>,
    /// Its values are whole numbers.
    pub(super) whole: bool,
    /// What it is called.
    pub(super) name: String,
}

/// How much of a person counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) groups: usize,
    pub(super) rows: usize,
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    /// How many grouping expressions there are.
    pub(super) keys: usize,
    /// For each of them the stored column that it is, if it is one.
    pub(super) origins: Vec<Option<(String, String)>>,
    pub(super) bases: usize,
    pub(super) numbers: Vec<Number>,
    /// In how many groups a person counts, and with how many rows in each.
    pub(super) most: Most,
    /// The same for the same question, whatever its columns are called.
    pub(super) fingerprint: String,
}

/// The question of a grouping, and the grouping that is computed for it.
pub(super) fn question(
    aggregate: &Aggregate,
    input: LogicalPlan,
    rows: &Rows,
    most: Most,
) -> Result<(Question, LogicalPlan)> {
    // Of one row a person is in one group.
    let one_each = rows.keys.contains(&rows.person);
    let most = Most {
        groups: match one_each || aggregate.group_expr.is_empty() {
            true => 1,
            false => most.groups.max(1),
        },
        rows: if one_each { 1 } else { most.rows },
    };
    let schema = Arc::clone(input.schema());
    let scope = rows.scope(&schema);
    if aggregate
        .group_expr
        .iter()
        .any(|expr| matches!(expr, Expr::GroupingSet(_)))
    {
        return refuse(
            "dp-shape",
            "ROLLUP, CUBE and GROUPING SETS have no noise of their own here",
            "ask for the finest groups, and add them up: noise adds up too",
        );
    }
    let mut groups = Vec::new();
    let mut origins = Vec::new();
    for expr in &aggregate.group_expr {
        origins.push(match plain(expr) {
            Expr::Column(column) => rows.origins.get(column).cloned(),
            _ => None,
        });
        groups.push(scope.total(expr.clone())?);
    }
    let mut bases: Vec<(Option<Expr>, Option<Expr>)> = vec![(None, None)];
    let mut numbers = Vec::new();
    let keys = groups.len();
    for (expr, output) in aggregate
        .aggr_expr
        .iter()
        .zip(aggregate.schema.fields().iter().skip(keys))
    {
        let (asked, filter, measure) = number(expr, rows, &schema)?;
        let range = match &measure {
            None => None,
            Some(measure) => Some(bounded(measure, rows)?),
        };
        let whole = match &measure {
            None => true,
            Some(measure) => measure.get_type(&schema)?.is_integer(),
        };
        let measure = measure.map(|measure| scope.total(measure)).transpose()?;
        let wanted = (filter, measure);
        let basis = bases
            .iter()
            .position(|basis| *basis == wanted)
            .unwrap_or_else(|| {
                bases.push(wanted);
                bases.len() - 1
            });
        numbers.push(Number {
            asked,
            basis,
            range,
            whole,
            name: output.name().clone(),
        });
    }
    let person = cast(Expr::Column(rows.person.clone()), DataType::Int64);
    let functions = bases
        .iter()
        .enumerate()
        .map(|(at, (filter, measure))| {
            let value = measure.clone().map_or_else(
                || lit(0.0_f64),
                |measure| Expr::TryCast(TryCast::new(Box::new(measure), DataType::Float64)),
            );
            Expr::AggregateFunction(AggregateFunction::new_udf(
                samples(most.rows),
                vec![person.clone(), value],
                false,
                filter.clone().map(Box::new),
                vec![],
                None,
            ))
            .alias(format!("__columna_{at}"))
        })
        .collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, functions)?);
    let mut text = described(&plan)?;
    for (filter, measure) in &bases {
        for part in [filter, measure] {
            let part = part.as_ref().map(exact).transpose()?;
            text.push_str(&format!("|{part:?}"));
        }
    }
    for number in &numbers {
        text.push_str(&format!(
            "|{:?}|{}|{:?}",
            number.asked, number.basis, number.range
        ));
    }
    let question = Question {
        keys,
        origins,
        bases: bases.len(),
        numbers,
        most,
        fingerprint: text,
    };
    Ok((question, plan))
}

type Parts = (Asked, Option<Expr>, Option<Expr>);

fn number(expr: &Expr, rows: &Rows, schema: &datafusion::common::DFSchema) -> Result<Parts> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return not_known("this");
    };
    let name = func.name();
    let scope = rows.scope(schema);
    let filter = params
        .filter
        .as_ref()
        .map(|filter| scope.total(filter.as_ref().clone()))
        .transpose()?;
    let and = |filter: Option<Expr>, other: Expr| {
        Some(match filter {
            Some(filter) => filter.and(other),
            None => other,
        })
    };
    let is_person =
        |arg: &Expr| matches!(arg, Expr::Column(column) if rows.persons.contains(column));
    let theirs = |column: &Column| *column == rows.person;
    match (name, params.args.as_slice()) {
        ("count", [arg]) if is_person(arg) => {
            let filter = match arg {
                Expr::Column(column) if theirs(column) => filter,
                _ => and(filter, arg.clone().is_not_null()),
            };
            let asked = if params.distinct {
                Asked::Persons
            } else {
                Asked::Rows
            };
            Ok((asked, filter, None))
        }
        (_, _) if params.distinct => refuse(
            "dp-function",
            format!("`{name}(DISTINCT ...)` has no noise here"),
            "DISTINCT is for counting persons: count(DISTINCT person_id)",
        ),
        ("count", [arg]) if counts_all(arg) => Ok((Asked::Rows, filter, None)),
        ("count", [arg]) => {
            let known = scope.total(arg.clone())?.is_not_null();
            Ok((Asked::Rows, and(filter, known), None))
        }
        ("sum", [arg]) => match indicator(arg) {
            Some(condition) => Ok((Asked::Rows, and(filter, scope.total(condition)?), None)),
            None => Ok((Asked::Sum, filter, Some(arg.clone()))),
        },
        ("avg" | "mean", [arg]) => Ok((Asked::Mean, filter, Some(arg.clone()))),
        ("median" | "approx_median", [arg]) => {
            Ok((Asked::Quantile(0.5), filter, Some(arg.clone())))
        }
        (
            "approx_percentile_cont" | "percentile_cont" | "quantile_cont" | "quantile_exact",
            [arg, share, ..],
        ) => {
            let share = match share {
                Expr::Literal(value, _) => value.cast_to(&DataType::Float64).ok(),
                _ => None,
            };
            let Some(ScalarValue::Float64(Some(share))) = share.filter(
                |share| matches!(share, ScalarValue::Float64(Some(p)) if (0.0..=1.0).contains(p)),
            ) else {
                return refuse(
                    "dp-function",
                    format!("`{name}` takes a share between 0 and 1, as a literal"),
                    "write, for example, 0.5",
                );
            };
            Ok((Asked::Quantile(share), filter, Some(arg.clone())))
        }
        _ => not_known(name),
    }
}

fn not_known(name: &str) -> Result<Parts> {
    refuse(
        "dp-function",
        format!("`{name}` has no differentially private answer here"),
        "use count, sum, avg, median or approx_percentile_cont, with GROUP BY",
    )
}

fn bounded(measure: &Expr, rows: &Rows) -> Result<(f64, f64)> {
    const WIDEST: f64 = 9_007_199_254_740_992.0;
    if measure.column_refs().is_empty() {
        return refuse(
            "dp-bounds",
            "a sum or mean of a literal is a count in disguise",
            "use count(*)",
        );
    }
    match range(measure, &rows.bounds) {
        Some((low, high)) if low.abs() <= WIDEST && high.abs() <= WIDEST => Ok((low, high)),
        Some(_) => refuse(
            "dp-bounds",
            format!("the bounds of `{measure}` are beyond whole numbers that can be added exactly"),
            "scale the column down, or have the policy's author declare narrower bounds",
        ),
        None => {
            let columns: Vec<String> = measure
                .column_refs()
                .into_iter()
                .filter(|column| !rows.bounds.contains_key(column))
                .map(|column| format!("`{}`", column.name))
                .collect();
            refuse(
                "dp-bounds",
                if columns.is_empty() {
                    format!("the bounds of `{measure}` do not follow from those of its columns")
                } else {
                    format!(
                        "no bounds are declared for {}, and without bounds there is no noise that hides a person",
                        columns.join(", ")
                    )
                },
                "give bounds of your own, `least(greatest(x, 0), 100)`; or have the policy's author declare them under `dp.bounds`: \
                 they carry over through +, -, * and division by a literal",
            )
        }
    }
}
