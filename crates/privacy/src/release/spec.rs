//! What a release has to show: the numbers that a grouping of persons' rows asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, cast, lit, not, when};

use super::collect::persons;
use super::curve::{Declared, Source};
use super::expression::{counts_all, indicator};
use super::lenient::lenient;
use super::measure::{Measure, measure};
use super::model;
use super::recomputed::{Entry, MadeOf, Recomputed};
use super::refused::{refusal, refuse};
use super::shape::{Rows, plain, without_tables};

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
    /// A curve over the measure, which is time; the other basis has the same persons' events.
    Curve(Declared, usize),
    /// A regression of our own, computed beside the bases.
    Model(Box<Model>),
    /// A statistic of numbers that are released.
    Recomputed(Box<Recomputed>),
}

/// What stands behind a regression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    /// Its place among the statistics.
    pub(super) place: usize,
    /// The same for the same model.
    pub(super) text: String,
    /// All columns that it is of.
    pub(super) columns: String,
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
    /// A number of it is shown, or one is computed from it.
    pub(super) asked: bool,
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
}

struct Builder<'a> {
    rows: &'a Rows,
    schema: &'a DFSchema,
    declared: &'a BTreeMap<String, Declared>,
    bases: Vec<Basis>,
    /// Regressions that are computed beside them.
    statistics: Vec<Expr>,
    /// That of the number at hand.
    scale: (f64, f64),
}

/// The release of a grouping, and the grouping that is computed for it.
pub(super) fn spec(
    aggregate: &Aggregate,
    input: LogicalPlan,
    rows: &Rows,
    declared: &BTreeMap<String, Declared>,
) -> Result<(Spec, LogicalPlan)> {
    let schema = Arc::clone(input.schema());
    let scope = rows.scope(&schema);
    let mut builder = Builder {
        rows,
        schema: &schema,
        declared,
        bases: vec![Basis {
            filter: None,
            measure: None,
            asked: false,
        }],
        statistics: Vec::new(),
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
        .map(|expr| total_group(expr, &scope))
        .collect::<Result<Vec<_>>>()?;
    let keys = datafusion::logical_expr::utils::grouping_set_to_exprlist(&groups)?
        .into_iter()
        .take(key_count)
        .map(without_tables)
        .collect();
    let mut numbers = Vec::new();
    for (expr, output) in aggregate.aggr_expr.iter().zip(outputs.iter().skip(first)) {
        builder.scale = (1.0, 0.0);
        let (function, basis) = builder.number(expr)?;
        numbers.push(Number {
            function,
            basis,
            kind: output.data_type().clone(),
            scale: builder.scale,
        });
    }
    let person = cast(Expr::Column(rows.person.clone()), DataType::Int64);
    let mut functions: Vec<Expr> = builder
        .bases
        .iter()
        .map(|basis| {
            let value = basis
                .measure
                .clone()
                .map_or_else(|| lit(0.0_f64), |(measure, expr)| measure.unscaled(expr));
            Expr::AggregateFunction(AggregateFunction::new_udf(
                persons(),
                vec![person.clone(), value],
                false,
                basis.filter.clone().map(Box::new),
                vec![],
                None,
            ))
        })
        .collect();
    functions.extend(builder.statistics);
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
    fn basis(&mut self, filter: Option<Expr>, measure: Option<(Measure, Expr)>) -> usize {
        let at = self.collected(filter, measure);
        self.bases[at].asked = true;
        at
    }

    /// Rows that are needed, and that nothing is shown of by themselves.
    fn collected(&mut self, filter: Option<Expr>, measure: Option<(Measure, Expr)>) -> usize {
        let wanted = Basis {
            filter,
            measure,
            asked: false,
        };
        let found = self
            .bases
            .iter()
            .position(|basis| basis.filter == wanted.filter && basis.atom() == wanted.atom());
        if let Some(at) = found {
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
                Some(declared @ Declared::Curve { .. }) => {
                    self.curve(name, declared.clone(), &params.args, filter)
                }
                Some(Declared::Regression { time, both }) => {
                    self.regression(expr, *time, *both, filter)
                }
                Some(Declared::Recomputed(source)) => self.recomputed(expr, *source, filter),
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
            return Ok((Function::Persons, self.basis(filter, None)));
        }
        self.not_repeated("a count of rows would count the repetitions")?;
        Ok((Function::Rows, self.basis(filter, None)))
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
            let counted = self.basis(Some(both), None);
            return Ok(if name == "sum" {
                (Function::Rows, counted)
            } else {
                let whole = self.basis(all, None);
                (Function::Share(whole), counted)
            });
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
        );
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

    fn measure(&mut self, name: &str, arg: &Expr, filter: Option<Expr>) -> Result<(Expr, usize)> {
        let of = self.measured(name, arg)?;
        let total = self.rows.scope(self.schema).total(arg.clone())?;
        self.scale = (of.scale, of.offset);
        let basis = self.basis(filter, Some((of, total.clone())));
        Ok((total, basis))
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
            None => refuse(
                "measure",
                format!(
                    "`{name}` takes columns of numbers, and arithmetic in which no condition on single persons can hide"
                ),
                "put conditions into FILTER (WHERE ...) or GROUP BY and count with count(*); add up different columns only, divide by stored columns, and use least, greatest and coalesce alone",
            ),
        }
    }

    /// A regression, and what must stand behind it.
    fn regression(
        &mut self,
        expr: &Expr,
        time: bool,
        both: bool,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(call) = plain(expr) else {
            return Err(not_released("this"));
        };
        let name = call.func.name();
        let args = &call.params.args;
        let first = usize::from(time);
        let (Some(event), Some(terms)) = (args.get(first), args.get(first + 1)) else {
            return Err(not_released(name));
        };
        if args
            .iter()
            .skip(first + 2)
            .any(|arg| !super::expression::is_literal(arg))
        {
            return refuse(
                "statistic",
                format!(
                    "a released `{name}` has no strata, weights, clusters, offsets or delayed entry"
                ),
                "leave them out, or use GROUP BY for strata",
            );
        }
        self.not_repeated("a regression takes one row for each person")?;
        let scope = self.rows.scope(self.schema);
        let terms = model::covariates(terms)?;
        let mut columns = std::collections::BTreeSet::new();
        let mut values = Vec::new();
        for (name, term) in &terms {
            let total = scope.total(term.clone())?;
            columns.extend(
                term.column_refs()
                    .into_iter()
                    .map(|column| column.name.clone()),
            );
            let number = term.get_type(self.schema)?.is_numeric();
            let value = match measure(term, &self.rows.measured, self.schema)? {
                Some(_) if number => total,
                _ => match model::comparison(term, self.rows) {
                    Some(condition) => cast(scope.total(condition)?, DataType::Int64),
                    None => return model::not_a_covariate(name),
                },
            };
            values.push(value);
        }
        let event_total = scope.total(event.clone())?;
        columns.extend(
            event
                .column_refs()
                .into_iter()
                .map(|column| column.name.clone()),
        );
        let mut known = event_total.clone().is_not_null();
        if time {
            let of = self.measured(name, &args[0])?;
            columns.extend(of.columns);
            known = known.and(scope.total(args[0].clone())?.is_not_null());
        }
        for value in &values {
            known = known.and(value.clone().is_not_null());
        }
        let known = Some(match filter {
            Some(filter) => filter.and(known),
            None => known,
        });
        let total_args = args
            .iter()
            .map(|arg| {
                if super::expression::is_literal(arg) {
                    Ok(arg.clone())
                } else {
                    self.struct_or_total(arg)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let collected = |builder: &mut Self, text: String, value: Expr| {
            let atom = Measure::atom(text, std::collections::BTreeSet::new());
            builder.collected(known.clone(), Some((atom, value)))
        };
        let event = collected(self, format!("event {event_total}"), event_total);
        let covariates = values
            .into_iter()
            .map(|value| collected(self, format!("covariate {value}"), value))
            .collect();
        let statistic = Expr::AggregateFunction(AggregateFunction::new_udf(
            lenient(&call.func),
            total_args,
            false,
            known.clone().map(Box::new),
            vec![],
            None,
        ));
        self.statistics.push(statistic);
        let model = Model {
            place: self.statistics.len() - 1,
            text: without_tables(expr),
            columns: columns.into_iter().collect::<Vec<_>>().join(", "),
            event,
            covariates,
            both,
        };
        Ok((Function::Model(Box::new(model)), event))
    }

    /// A struct of total expressions, or a total expression.
    fn struct_or_total(&self, arg: &Expr) -> Result<Expr> {
        let scope = self.rows.scope(self.schema);
        match arg {
            Expr::Cast(inner) => {
                let mut inner = inner.clone();
                inner.expr = Box::new(self.struct_or_total(&inner.expr)?);
                Ok(Expr::Cast(inner))
            }
            Expr::ScalarFunction(call) if call.func.name() == "named_struct" => {
                let mut call = call.clone();
                for (at, arg) in call.args.iter_mut().enumerate() {
                    if at % 2 == 1 {
                        *arg = scope.total(arg.clone())?;
                    }
                }
                Ok(Expr::ScalarFunction(call))
            }
            other => scope.total(other.clone()),
        }
    }

    /// A statistic that is computed from numbers which are released for it.
    fn recomputed(
        &mut self,
        expr: &Expr,
        source: Source,
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let Expr::AggregateFunction(call) = plain(expr) else {
            return Err(not_released("this"));
        };
        let (name, args) = (call.func.name(), &call.params.args);
        let columns = match source {
            Source::Conditions(columns) => columns,
            Source::Means => 2,
            Source::Sums { groups } | Source::Steps { groups } => 2 + usize::from(groups),
        };
        let Some((columns, options)) = args.split_at_checked(columns) else {
            return Err(not_released(name));
        };
        let options = options
            .iter()
            .map(|option| match uncast(option) {
                Expr::Literal(value, _) => Ok(value.cast_to(&option.get_type(self.schema)?)?),
                _ => refuse(
                    "statistic",
                    format!("a released `{name}` has no weights, strata or delayed entry, and its options are literals"),
                    "leave them out, or use GROUP BY for strata",
                ),
            })
            .collect::<Result<Vec<_>>>()?;
        let made_of = match source {
            Source::Conditions(_) => self.combinations(name, columns, filter)?,
            Source::Means if self.is_condition(&columns[0])? => {
                self.combinations(name, columns, filter)?
            }
            Source::Means => {
                let [yes, no] = self.condition(name, &columns[1])?;
                let mut groups = Vec::new();
                for (value, condition) in [(0.0, no), (1.0, yes)] {
                    let both = and(filter.clone(), condition);
                    let (total, basis) = self.measure(name, &columns[0], both.clone())?;
                    let mean = self.part(Function::Mean, basis);
                    let deviation = self.part(Function::Deviation, basis);
                    let rows = self.basis(and(both, total.is_not_null()), None);
                    self.scale = (1.0, 0.0);
                    let rows = self.part(Function::Rows, rows);
                    groups.push((value, [mean, deviation, rows]));
                }
                MadeOf::Means(groups)
            }
            Source::Sums { groups } => {
                let scope = self.rows.scope(self.schema);
                let mut known = filter;
                for column in &columns[..2] {
                    known = and(known, scope.total(column.clone())?.is_not_null());
                }
                let kinds = match groups {
                    false => vec![(None, known)],
                    true => {
                        let [yes, no] = self.condition(name, &columns[2])?;
                        vec![
                            (Some(0.0), and(known.clone(), no)),
                            (Some(1.0), and(known, yes)),
                        ]
                    }
                };
                let mut rows = Vec::new();
                for (group, filter) in kinds {
                    let mut row = Vec::new();
                    for column in &columns[..2] {
                        self.scale = (1.0, 0.0);
                        let (function, basis) = if self.is_condition(column)? {
                            let [yes, _] = self.condition(name, column)?;
                            self.not_repeated("a count of rows would count the repetitions")?;
                            (Function::Rows, self.basis(and(filter.clone(), yes), None))
                        } else {
                            self.sum("sum", column, filter.clone())?
                        };
                        row.push(Entry::Released(self.part(function, basis)));
                    }
                    row.extend(group.map(Entry::Group));
                    rows.push(row);
                }
                MadeOf::Sums(rows)
            }
            Source::Steps { .. } => self.in_steps(name, columns, filter)?,
        };
        self.scale = (1.0, 0.0);
        let types = columns.iter().map(|column| column.get_type(self.schema));
        let recomputed = Recomputed {
            function: Arc::clone(&call.func),
            types: types.collect::<Result<_>>()?,
            options,
            made_of,
        };
        Ok((Function::Recomputed(Box::new(recomputed)), 0))
    }

    /// A number that is released as a part of another.
    fn part(&self, function: Function, basis: usize) -> Number {
        Number {
            function,
            basis,
            kind: DataType::Float64,
            scale: self.scale,
        }
    }

    /// How many rows there are for each combination of conditions.
    fn combinations(
        &mut self,
        name: &str,
        columns: &[Expr],
        filter: Option<Expr>,
    ) -> Result<MadeOf> {
        self.not_repeated("a count of rows would count the repetitions")?;
        let mut kinds = vec![(Vec::new(), filter)];
        for column in columns {
            let [yes, no] = self.condition(name, column)?;
            let more = |(values, filter): &(Vec<f64>, Option<Expr>), value: f64, is: &Expr| {
                let values = values.iter().copied().chain([value]).collect();
                (values, and(filter.clone(), is.clone()))
            };
            kinds = kinds
                .iter()
                .flat_map(|kind| [more(kind, 1.0, &yes), more(kind, 0.0, &no)])
                .collect();
        }
        let counts = kinds.into_iter().map(|(values, filter)| {
            let basis = self.basis(filter, None);
            (values, self.part(Function::Rows, basis))
        });
        Ok(MadeOf::Counts(counts.collect()))
    }

    /// Whether an argument is a condition, or a one and a zero made of one.
    fn is_condition(&self, arg: &Expr) -> Result<bool> {
        Ok(indicator(arg).is_some() || plain_type(arg, self.schema)? == DataType::Boolean)
    }

    /// Where a condition holds, and where it does not; of a number, where it is 1 and where it is 0. Rows of which neither is
    /// known are in neither. Not by `IS TRUE`: DataFusion 55 cannot plan it where several filters share one.
    fn condition(&self, name: &str, arg: &Expr) -> Result<[Expr; 2]> {
        let scope = self.rows.scope(self.schema);
        if let Some(condition) = indicator(arg) {
            let holds = scope.total(bare(condition))?;
            let fails = when(holds.clone(), lit(false)).otherwise(lit(true))?;
            return Ok([holds, fails]);
        }
        let bare = uncast(arg);
        match bare.get_type(self.schema)? {
            DataType::Boolean => {
                let holds = scope.total(bare.clone())?;
                Ok([holds.clone(), not(holds)])
            }
            kind if kind.is_numeric() => {
                let number = cast(scope.total(bare.clone())?, DataType::Float64);
                let is = |value: f64| number.clone().eq(lit(value));
                Ok([is(1.0), is(0.0)])
            }
            _ => refuse(
                "statistic",
                format!("a released `{name}` compares persons by conditions"),
                "write the group as a condition, such as arm = 'A', and leave others out by FILTER (WHERE ...)",
            ),
        }
    }

    /// Time, event and group by person, for steps of time.
    fn in_steps(&mut self, name: &str, columns: &[Expr], filter: Option<Expr>) -> Result<MadeOf> {
        let of = self.measured(name, &columns[0])?;
        let scope = self.rows.scope(self.schema);
        let time = scope.total(columns[0].clone())?;
        let event = scope.total(columns[1].clone())?;
        let mut known = and(filter, time.clone().is_not_null());
        known = and(known, event.clone().is_not_null());
        let group = match columns.get(2) {
            None => None,
            Some(group) => {
                let [yes, no] = self.condition(name, group)?;
                known = and(known, yes.clone().or(no));
                Some(cast(yes, DataType::Int64))
            }
        };
        let none = std::collections::BTreeSet::new;
        let of_event = Measure::atom(format!("event {event}"), none());
        let of_time = Measure::atom(format!("time {time}"), of.columns);
        let events = self.collected(known.clone(), Some((of_event, event)));
        let times = self.collected(known.clone(), Some((of_time, time)));
        let groups = group.map(|group| {
            let of_group = Measure::atom(format!("group {group}"), none());
            self.collected(known, Some((of_group, group)))
        });
        Ok(MadeOf::Steps {
            times,
            events,
            groups,
        })
    }

    /// A curve: both its columns are kept by person, and everything else follows from them.
    fn curve(
        &mut self,
        name: &str,
        declared: Declared,
        args: &[Expr],
        filter: Option<Expr>,
    ) -> Result<(Function, usize)> {
        let (time, event) = declared.columns(name, args)?;
        let of = self.measured(name, time)?;
        let scope = self.rows.scope(self.schema);
        let (time, event) = (scope.total(time.clone())?, scope.total(event.clone())?);
        let known = time.clone().is_not_null().and(event.clone().is_not_null());
        let known = Some(match filter {
            Some(filter) => filter.and(known),
            None => known,
        });
        let of_event = Measure::atom(format!("event {event}"), std::collections::BTreeSet::new());
        let events = self.collected(known.clone(), Some((of_event, event)));
        // Time as it is asked for, not as it is stored.
        let of_time = Measure::atom(format!("time {time}"), of.columns);
        let times = self.collected(known, Some((of_time, time)));
        Ok((Function::Curve(declared, events), times))
    }
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

/// An expression without the casts around it.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        Expr::TryCast(cast) => uncast(&cast.expr),
        Expr::Alias(alias) => uncast(&alias.expr),
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
    "quantile_cont",
    "quantile_exact",
    "mode",
];

fn not_released(name: &str) -> datafusion::error::DataFusionError {
    if SINGLE.contains(&name) {
        return refusal(
            "function",
            format!("`{name}` shows the value of a single person"),
            "use avg or stddev, or count persons with GROUP BY bands of the value",
        );
    }
    refusal(
        "function",
        format!("`{name}` does not say how its result can be disclosed"),
        "use count, sum, avg, stddev, var, or a statistic listed in docs/disclosure.md",
    )
}
