//! What a release has to show: the numbers that a grouping of persons' rows asks for.

mod models;
mod recomputed;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, cast, lit,
};

use super::collect::{counted_rows, persons};
use super::curve::{Declared, Releasable};
use super::double::in_double;
use super::expression::{counts_all, indicator, uncast};
use super::measure::{Measure, measure};
use super::missing::{known, missing};
use super::recomputed::Recomputed;
use super::refused::{refusal, refuse, within};
use super::shape::{Rows, plain, without_tables};
use super::words::{described, exact, hashed};

/// A number, and what it is computed from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    /// How many rows.
    Rows,
    /// How many persons.
    Persons,
    /// The mean of the measure.
    Mean,
    /// Its sum: the mean times the rows of another basis.
    Sum(usize),
    /// Its standard deviation. With three digits and many rows, that of the sample is that of the population.
    Deviation,
    /// Its variance.
    Variance,
    /// The share of another basis' rows.
    Share(usize),
    /// Rows for each of another basis' rows.
    RowsPer(usize),
    /// A curve over the measure, which is time; the other basis has the same persons' events.
    Curve(Declared, usize),
    /// A regression of our own, computed from its bases.
    Model(Box<Model>),
    /// A statistic of numbers that are released.
    Recomputed(Box<Recomputed>),
}

/// What stands behind a regression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    /// Its function.
    pub(super) function: Arc<AggregateUDF>,
    /// The types of its columns: of time, where it has one, the event and the record of covariates.
    pub(super) types: Vec<DataType>,
    /// The other arguments.
    pub(super) options: Vec<ScalarValue>,
    /// The same for the same model.
    pub(super) text: String,
    /// All columns that it is of.
    pub(super) columns: String,
    /// The times, by person.
    pub(super) time: Option<usize>,
    /// The events, by person.
    pub(super) event: usize,
    /// The covariates, by person.
    pub(super) covariates: Vec<usize>,
    /// Those without the event count like those with it.
    pub(super) both: bool,
}

/// Rows that numbers are computed from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Basis {
    /// Which rows; all if none.
    pub(super) filter: Option<Expr>,
    /// What is measured, and how it is computed; nothing for counts.
    pub(super) measure: Option<(Measure, Expr)>,
    /// How many rows each of them stands for: a count of persons' rows; one if there is none.
    pub(super) times: Option<Expr>,
    /// A number of it is shown, or one is computed from it.
    pub(super) asked: bool,
    /// Which of the rows of the grouping have a number, in words.
    pub(super) words: String,
}

impl Basis {
    /// Numbers of the same columns are held against each other.
    pub(super) fn columns(&self) -> String {
        self.measure
            .as_ref()
            .map_or_else(String::new, |(measure, _)| {
                measure
                    .columns
                    .iter()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            })
    }

    /// It measures more than a stored column.
    pub(super) fn is_computed(&self) -> bool {
        self.measure
            .as_ref()
            .is_some_and(|(measure, _)| !measure.columns.contains(&measure.atom))
    }

    pub(super) fn atom(&self) -> &str {
        self.measure
            .as_ref()
            .map_or("", |(measure, _)| measure.atom.as_str())
    }
}

/// A number of the result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) function: Function,
    pub(super) basis: usize,
    pub(super) kind: DataType,
    /// What is asked for is so many times what is measured, and so much more.
    pub(super) scale: (f64, f64),
}

/// All that a release shows.
#[derive(Debug)]
pub(super) struct Spec {
    /// The names of the grouping expressions, one for each key column.
    pub(super) keys: Vec<String>,
    /// A grouping number follows the keys: which of them a row is grouped by.
    pub(super) levels: bool,
    /// The bases, in the order of the input's columns after the keys. The first has all rows.
    pub(super) bases: Vec<Basis>,
    /// The numbers, in the order of the result's columns after the keys.
    pub(super) numbers: Vec<Number>,
    /// What is grouped, in words.
    pub(super) rows: String,
    /// How it is grouped, in words.
    pub(super) grouped: String,
}

struct Builder<'a> {
    rows: &'a Rows,
    schema: &'a DFSchema,
    declared: &'a BTreeMap<String, Releasable>,
    /// Columns that are known in each row.
    known: HashSet<Column>,
    bases: Vec<Basis>,
    /// That of the number at hand.
    scale: (f64, f64),
}

/// The release of a grouping, and the grouping that is computed for it.
pub(super) fn spec(
    aggregate: &Aggregate,
    input: LogicalPlan,
    rows: &Rows,
    declared: &BTreeMap<String, Releasable>,
) -> Result<(Spec, LogicalPlan)> {
    let schema = Arc::clone(input.schema());
    let scope = rows.scope(&schema);
    let mut builder = Builder {
        rows,
        schema: &schema,
        declared,
        known: known(&input),
        bases: vec![Basis {
            filter: None,
            measure: None,
            times: None,
            asked: false,
            words: in_words(None, "")?,
        }],
        scale: (1.0, 0.0),
    };
    let levels = aggregate
        .schema
        .has_column_with_unqualified_name(Aggregate::INTERNAL_GROUPING_ID);
    let key_count =
        aggregate.schema.fields().len() - aggregate.aggr_expr.len() - usize::from(levels);
    let outputs: Vec<_> = aggregate.schema.fields().iter().cloned().collect();
    let first = key_count + usize::from(levels);
    let groups = aggregate
        .group_expr
        .iter()
        .map(|expr| within(total_group(expr, &scope), expr))
        .collect::<Result<Vec<_>>>()?;
    let rows_in_words = described(&input)?;
    let grouped = groups.iter().map(exact).collect::<Result<Vec<_>>>()?;
    let keys = datafusion::logical_expr::utils::grouping_set_to_exprlist(&groups)?
        .into_iter()
        .take(key_count)
        .map(without_tables)
        .collect();
    let mut numbers = Vec::new();
    for (expr, output) in aggregate.aggr_expr.iter().zip(outputs.iter().skip(first)) {
        builder.scale = (1.0, 0.0);
        let (function, basis) = within(builder.number(expr), expr)?;
        numbers.push(Number {
            function,
            basis,
            kind: output.data_type().clone(),
            scale: builder.scale,
        });
    }
    let person = cast(Expr::Column(rows.person.clone()), DataType::Int64);
    let functions: Vec<Expr> = builder
        .bases
        .iter()
        .map(|basis| {
            let (function, value) = match (&basis.measure, &basis.times) {
                (Some((measure, expr)), _) => (persons(), measure.unscaled(expr.clone())),
                (None, Some(times)) => (counted_rows(), cast(times.clone(), DataType::Float64)),
                (None, None) => (persons(), lit(0.0_f64)),
            };
            Expr::AggregateFunction(AggregateFunction::new_udf(
                function,
                vec![person.clone(), value],
                false,
                basis.filter.clone().map(Box::new),
                vec![],
                None,
            ))
        })
        .collect();
    // A function's name leaves out its filter.
    let functions = functions
        .into_iter()
        .enumerate()
        .map(|(at, function)| function.alias(format!("__columna_{at}")))
        .collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, functions)?);
    let spec = Spec {
        keys,
        levels,
        bases: builder.bases,
        numbers,
        rows: rows_in_words,
        grouped: hashed(&grouped),
    };
    Ok((spec, plan))
}

/// A grouping expression, total, also within grouping sets.
pub(super) fn total_group(expr: &Expr, scope: &super::expression::Scope<'_>) -> Result<Expr> {
    use datafusion::logical_expr::GroupingSet;
    let all = |exprs: &[Expr]| {
        exprs
            .iter()
            .map(|expr| scope.total(expr.clone()))
            .collect::<Result<Vec<_>>>()
    };
    let Expr::GroupingSet(set) = expr else {
        return scope.total(expr.clone());
    };
    let lists = |sets: &[Vec<Expr>]| sets.iter().map(|set| all(set)).collect::<Result<Vec<_>>>();
    Ok(Expr::GroupingSet(match set {
        GroupingSet::Rollup(exprs) => GroupingSet::Rollup(all(exprs)?),
        GroupingSet::Cube(exprs) => GroupingSet::Cube(all(exprs)?),
        GroupingSet::GroupingSets(sets) => GroupingSet::GroupingSets(lists(sets)?),
    }))
}

impl Builder<'_> {
    fn basis(&mut self, filter: Option<Expr>, measure: Option<(Measure, Expr)>) -> Result<usize> {
        let words = in_words(filter.as_ref(), "")?;
        Ok(self.basis_of(filter, measure, words))
    }

    fn basis_of(
        &mut self,
        filter: Option<Expr>,
        measure: Option<(Measure, Expr)>,
        words: String,
    ) -> usize {
        let at = self.collected(filter, measure, words);
        self.bases[at].asked = true;
        at
    }

    /// Rows that a condition chose, and of them those in which all of this is known, in words.
    fn in_words<'e>(
        &self,
        filter: Option<&Expr>,
        of: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<String> {
        in_words(filter, &missing(of, self.schema, &self.known)?)
    }

    /// As many rows as a count of persons' rows says.
    fn counted(&mut self, filter: Option<Expr>, times: Expr) -> Result<usize> {
        let words = self.in_words(filter.as_ref(), [&times])?;
        Ok(self.placed(Basis {
            filter,
            measure: None,
            times: Some(times),
            asked: true,
            words,
        }))
    }

    /// Rows that are needed, and that nothing is shown of by themselves.
    fn collected(
        &mut self,
        filter: Option<Expr>,
        measure: Option<(Measure, Expr)>,
        words: String,
    ) -> usize {
        self.placed(Basis {
            filter,
            measure,
            times: None,
            asked: false,
            words,
        })
    }

    fn placed(&mut self, wanted: Basis) -> usize {
        let same = |basis: &Basis| {
            basis.filter == wanted.filter
                && basis.atom() == wanted.atom()
                && basis.times == wanted.times
        };
        if let Some(at) = self.bases.iter().position(same) {
            return at;
        }
        self.bases.push(wanted);
        self.bases.len() - 1
    }

    fn number(&mut self, expr: &Expr) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
            return refuse(
                "function",
                "this is not an aggregate that can be released",
                "use count, sum, avg, stddev or a statistic such as kaplan_meier",
            );
        };
        let name = func.name();
        let scope = self.rows.scope(self.schema);
        let filter = params
            .filter
            .as_ref()
            .map(|filter| scope.total(filter.as_ref().clone()))
            .transpose()?;
        if SINGLE.contains(&name) {
            return Err(not_released(name));
        }
        if !params.order_by.is_empty() {
            return refuse(
                "function",
                format!("`{name}` with ORDER BY shows single persons' values"),
                "leave ORDER BY out",
            );
        }
        match (name, params.args.as_slice()) {
            ("count", [arg]) => self.count(arg, params.distinct, filter),
            (_, _) if params.distinct => refuse(
                "distinct",
                format!("`{name}(DISTINCT ...)` is not known to be safe"),
                "DISTINCT is for counting persons: count(DISTINCT person_id)",
            ),
            ("sum" | "avg", [arg]) => self.sum(name, arg, filter),
            (
                "stddev" | "stddev_samp" | "stddev_pop" | "var" | "var_samp" | "var_sample"
                | "var_pop" | "var_population",
                [arg],
            ) => self.spread(name, arg, filter),
            _ => match self.declared.get(name) {
                Some(disclosure) => self.statistic(expr, disclosure, filter),
                None => Err(not_released(name)),
            },
        }
    }

    fn count(
        &mut self,
        arg: &Expr,
        distinct: bool,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let person = match arg {
            Expr::Column(column) if self.rows.persons.contains(column) => Some(column),
            _ => None,
        };
        // NULL where an outer join found nothing.
        let known = |filter: Option<Expr>, expr: Expr| {
            Some(match filter {
                Some(filter) => filter.and(expr.is_not_null()),
                None => expr.is_not_null(),
            })
        };
        let filter = match person {
            Some(column) if *column != self.rows.person => known(filter, arg.clone()),
            Some(_) => filter,
            None if counts_all(arg) => filter,
            None if distinct => filter,
            None => {
                let total = self.rows.scope(self.schema).total(arg.clone())?;
                known(filter, total)
            }
        };
        if distinct {
            if person.is_none() {
                return refuse(
                    "distinct",
                    "count(DISTINCT ...) of anything but persons is not known to be safe",
                    "count persons, count(DISTINCT person_id), or list the values with GROUP BY",
                );
            }
            return Ok((Function::Persons, self.basis(filter, None)?));
        }
        self.not_repeated("a count of rows would count the repetitions")?;
        Ok((Function::Rows, self.basis(filter, None)?))
    }

    fn sum(&mut self, name: &str, arg: &Expr, filter: Option<Expr>) -> Result<(Function, usize)> {
        if let Some(condition) = indicator(arg) {
            let condition = self.rows.scope(self.schema).total(bare(condition))?;
            let all = filter.clone();
            let both = match filter {
                Some(filter) => filter.and(condition),
                None => condition,
            };
            self.not_repeated("a count of rows would count the repetitions")?;
            let counted = self.basis(Some(both), None)?;
            return Ok(if name == "sum" {
                (Function::Rows, counted)
            } else {
                let whole = self.basis(all, None)?;
                (Function::Share(whole), counted)
            });
        }
        if let Some(count) = self.chosen_count(arg)? {
            // What is asked of a count of some rows is a count of those rows.
            let counted = self.counted(filter.clone(), count.clone())?;
            if name == "sum" {
                return Ok((Function::Rows, counted));
            }
            let whole = self.basis(and(filter, count.is_not_null()), None)?;
            return Ok((Function::RowsPer(whole), counted));
        }
        let (measure, basis) = self.measure(name, arg, filter.clone())?;
        if name == "avg" {
            return Ok((Function::Mean, basis));
        }
        let known = measure.is_not_null();
        let rows = self.basis(
            Some(match filter {
                Some(filter) => filter.and(known),
                None => known,
            }),
            None,
        )?;
        Ok((Function::Sum(rows), basis))
    }

    fn spread(
        &mut self,
        name: &str,
        arg: &Expr,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let (_, basis) = self.measure(name, arg, filter)?;
        Ok(if name.starts_with("stddev") {
            (Function::Deviation, basis)
        } else {
            (Function::Variance, basis)
        })
    }

    /// A count of rows that a condition chose among each person's, by itself.
    fn chosen_count(&self, arg: &Expr) -> Result<Option<Expr>> {
        let of = measure(arg, &self.rows.measured, self.schema)?;
        if !of.is_some_and(|of| of.is_chosen_count() && of.is_plain()) {
            return Ok(None);
        }
        self.not_repeated("a mean or a sum would weigh a person by them")?;
        Ok(Some(self.rows.scope(self.schema).total(arg.clone())?))
    }

    fn measure(&mut self, name: &str, arg: &Expr, filter: Option<Expr>) -> Result<(Expr, usize)> {
        let of = self.measured(name, arg)?;
        if of.is_chosen_count() {
            return refuse(
                "measure",
                format!(
                    "`{name}` of a count of some of each person's rows would say how many persons have any"
                ),
                "take sum or avg of the count by itself; list how many persons have how many with GROUP BY, and go on with their counts",
            );
        }
        let total = self.total_number(arg)?;
        self.scale = (of.scale, of.offset);
        let words = self.in_words(filter.as_ref(), [arg])?;
        let basis = self.basis_of(filter, Some((of, total.clone())), words);
        Ok((total, basis))
    }

    /// A measure, total.
    fn total_number(&self, arg: &Expr) -> Result<Expr> {
        let scope = self.rows.scope(self.schema);
        scope.total(in_double(arg, self.schema)?)
    }

    /// Refuses rows that a join may repeat by the query's choice.
    fn not_repeated(&self, else_would: &str) -> Result<()> {
        if !self.rows.multiplied {
            return Ok(());
        }
        refuse(
            "count",
            format!("a join here may repeat a person's rows, and {else_would}"),
            "count persons, count(DISTINCT person_id); join by the other table's key, or to one row for each person (GROUP BY person_id); or write the condition as EXISTS or IN",
        )
    }

    fn measured(&self, name: &str, arg: &Expr) -> Result<Measure> {
        self.not_repeated("a mean or a sum would weigh a person by them")?;
        let numeric = arg.get_type(self.schema)?.is_numeric();
        match measure(arg, &self.rows.measured, self.schema)?.filter(|_| numeric) {
            Some(of) => Ok(of),
            None => {
                let refused = refuse(
                    "measure",
                    format!(
                        "`{name}` takes columns of numbers, and arithmetic in which no condition on single persons can hide"
                    ),
                    "put conditions into FILTER (WHERE ...) or GROUP BY and count with count(*); add up different columns only, divide by stored columns, and use least, greatest and coalesce alone, or as least(days_between(a, coalesce(b, c)), 365)",
                );
                within(refused, arg)
            }
        }
    }
}

fn in_words(filter: Option<&Expr>, missing: &str) -> Result<String> {
    let filter = filter.map(exact).transpose()?.unwrap_or_default();
    Ok(format!("{filter}; {missing}"))
}

/// A filter and a further condition.
fn and(filter: Option<Expr>, condition: Expr) -> Option<Expr> {
    Some(match filter {
        Some(filter) => filter.and(condition),
        None => condition,
    })
}

/// A condition for a filter, which needs no `IS TRUE` around it.
fn bare(condition: Expr) -> Expr {
    match condition {
        Expr::IsTrue(inner) => *inner,
        other => other,
    }
}

fn plain_type(expr: &Expr, schema: &DFSchema) -> Result<DataType> {
    uncast(expr).get_type(schema)
}

/// Functions that show a value that a single person has.
const SINGLE: &[&str] = &[
    "min",
    "max",
    "median",
    "first_value",
    "last_value",
    "nth_value",
    "array_agg",
    "string_agg",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "approx_median",
    "percentile_cont",
    "percentile_disc",
    "quantile_cont",
    "quantile_exact",
    "mode",
];

fn not_released(name: &str) -> datafusion::error::DataFusionError {
    if SINGLE.contains(&name) {
        return refusal(
            "function",
            format!("`{name}` shows the value of a single person"),
            "use avg or stddev, count persons with GROUP BY bands of the value, or, of what is not below 0, ask for median_survival(x, true) or survival_quantile(x, true, p)",
        );
    }
    refusal(
        "function",
        format!("`{name}` does not say how its result can be disclosed"),
        "use count, sum, avg, stddev, var, or a statistic listed in docs/disclosure.md; or count groups in a subquery, and compute this from their counts, as shown there",
    )
}
