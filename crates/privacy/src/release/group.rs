//! Groupings: those that leave each row with one person, and those where a release stands.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::functions_nested::expr_fn::{array_element, make_array};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, Projection, lit, when,
};

use super::double::bounded;
use super::expression::{Scope, counts_all, range, uncast};
use super::lenient::lenient;
use super::measure::{Measure, Measures, is_measured_type, measure};
use super::record::{is_record, names_a_record};
use super::refused::{refuse, within};
use super::shape::{Kind, Outer, Rows, Shaper, plain, without_tables};

/// Aggregates that may be taken of one person's rows, before anything is released.
const PER_PERSON: &[&str] = &["avg", "bool_and", "bool_or", "count", "max", "min", "sum"];

impl Shaper<'_> {
    pub(super) fn aggregate(
        &self,
        aggregate: Aggregate,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let (input, kind) = self.relation((*aggregate.input).clone(), outer)?;
        let rows = match kind {
            Kind::Rows(rows) => rows,
            Kind::Linked => {
                return refuse(
                    "rows",
                    "this role sees such a table only joined to persons' rows",
                    "join it to a table of persons by its key, and aggregate",
                );
            }
            kind => {
                let free = |exprs: Vec<Expr>| {
                    exprs
                        .into_iter()
                        .map(|expr| self.free(expr, outer))
                        .collect::<Result<Vec<_>>>()
                };
                let (groups, functions) = (free(aggregate.group_expr)?, free(aggregate.aggr_expr)?);
                let aggregate = Aggregate::try_new(Arc::new(input), groups, functions)?;
                let plan = match kind {
                    Kind::Released => strict(aggregate)?,
                    _ => LogicalPlan::Aggregate(aggregate),
                };
                return Ok((plan, kind));
            }
        };
        if outer.is_some() && !aggregate.group_expr.iter().any(|expr| rows.is_person(expr)) {
            return refuse(
                "subquery",
                "a subquery in a condition on persons' rows cannot aggregate over several persons",
                "group it by the person",
            );
        }
        let mut keys = aggregate.group_expr.iter().filter_map(|key| match key {
            Expr::Column(column) if names_each(column, &rows, input.schema()) => Some(column),
            _ => None,
        });
        if let Some(person) = keys.next() {
            let person = person.clone();
            return self.by_person(&aggregate, input, &Rows { person, ..rows });
        }
        let plan = self.releaser.release(&aggregate, input, &rows)?;
        Ok((plan, Kind::Released))
    }

    /// A grouping that leaves each row with one person: still rows.
    fn by_person(
        &self,
        aggregate: &Aggregate,
        input: LogicalPlan,
        rows: &Rows,
    ) -> Result<(LogicalPlan, Kind)> {
        let schema = Arc::clone(input.schema());
        let scope = rows.scope(&schema);
        let names = NamePreserver::new_for_projection();
        let mut persons = HashSet::new();
        let mut measured = Measures::new();
        let (mut origins, mut bounds) = (HashMap::new(), HashMap::new());
        let mut outputs = aggregate.schema.iter().map(Column::from);
        let mut groups = Vec::new();
        for expr in &aggregate.group_expr {
            let output = outputs.next();
            if rows.is_person(expr) {
                persons.extend(output);
                groups.push(expr.clone());
                continue;
            }
            let saved = names.save(expr);
            if let (Some(origin), Some(output)) = (rows.origin(expr), &output) {
                origins.insert(output.clone(), origin.clone());
            }
            if let (Expr::Column(column), Some(output)) = (expr, &output)
                && let Some(range) = rows.bounds.get(column)
            {
                bounds.insert(output.clone(), *range);
            }
            let mut group = expr.clone();
            if let (Some(output), Some(of)) = (output, measure(expr, &rows.measured, &schema)?) {
                measured.insert(output, of);
                group = bounded(group, &schema)?;
            }
            groups.push(saved.restore(within(scope.total(group), expr)?));
        }
        // Values that are computed are as many as their conditions make them.
        let chosen = rows.chosen
            || !aggregate
                .group_expr
                .iter()
                .all(|expr| is_stored(expr, rows));
        let mut functions = Vec::new();
        for expr in &aggregate.aggr_expr {
            let output = outputs.next();
            let saved = names.save(expr);
            let (call, of_rows) = within(per_person(expr, &scope, rows, chosen), expr)?;
            if let (Some(output), Some(range)) = (&output, of_one(expr, &rows.bounds)) {
                bounds.insert(output.clone(), range);
            }
            if let (Some(output), Some(record)) = (&output, record_of(expr, rows)?) {
                origins.insert(output.clone(), record.clone());
            }
            if let (Some(output), Some(of)) = (output, of_rows)
                && aggregate
                    .schema
                    .field_from_column(&output)
                    .is_ok_and(|field| is_measured_type(field.data_type()))
            {
                measured.insert(output, of);
            }
            functions.push(saved.restore(call));
        }
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, functions)?);
        let rows = Rows {
            person: rows.person.clone(),
            measured,
            // What a join made many of stays many where the query groups by it.
            multiplied: rows.multiplied
                && !aggregate
                    .group_expr
                    .iter()
                    .all(|expr| is_theirs(expr, rows)),
            chosen,
            keys: match persons.len() == aggregate.group_expr.len() {
                true => persons.clone(),
                false => HashSet::new(),
            },
            persons,
            origins,
            bounds,
        };
        Ok((plan, Kind::Rows(rows)))
    }

    pub(super) fn distinct(
        &self,
        distinct: Distinct,
        outer: &mut Option<Outer<'_>>,
    ) -> Result<(LogicalPlan, Kind)> {
        let Distinct::All(input) = distinct else {
            return self.above(&LogicalPlan::Distinct(distinct), outer);
        };
        let width = input.schema().fields().len();
        let (input, kind) = self.relation(Arc::unwrap_or_clone(input), outer)?;
        if let Kind::Rows(rows) = &kind {
            let selected = input
                .schema()
                .iter()
                .take(width)
                .any(|column| Column::from(column) == rows.person);
            if !selected || input.schema().fields().len() != width {
                return refuse(
                    "distinct",
                    "DISTINCT over several persons lists values that single persons may have",
                    "use GROUP BY with count(*): values of enough persons are listed",
                );
            }
        }
        if matches!(kind, Kind::Linked) {
            return refuse(
                "rows",
                "this role sees such a table only joined to persons' rows",
                "join it to a table of persons by its key, and aggregate",
            );
        }
        let kind = match kind {
            Kind::Rows(rows) => {
                let columns = || input.schema().iter().map(|c| Expr::Column(Column::from(c)));
                let multiplied = rows.multiplied && !columns().all(|c| is_theirs(&c, &rows));
                let chosen = rows.chosen || !columns().all(|c| is_stored(&c, &rows));
                let keys = match width {
                    1 => rows.persons.clone(),
                    _ => rows.keys.clone(),
                };
                Kind::Rows(Rows {
                    multiplied,
                    chosen,
                    keys,
                    ..rows
                })
            }
            other => other,
        };
        Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), kind))
    }
}

/// Whether a column names the person of every row. That of an outer join's other side is NULL where it found nothing.
fn names_each(column: &Column, rows: &Rows, schema: &DFSchema) -> bool {
    let never_null = || {
        let field = schema.field_from_column(column);
        field.is_ok_and(|field| !field.is_nullable())
    };
    *column == rows.person || (rows.persons.contains(column) && never_null())
}

/// An aggregate of released numbers in which statistics of our own are NULL where one of the numbers that they take was
/// withheld: without it they would be of other groups than the query says. What SQL has passes over NULL, as everywhere.
fn strict(aggregate: Aggregate) -> Result<LogicalPlan> {
    static OF_SQL: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let all = all_default_aggregate_functions().into_iter();
        all.flat_map(|f| {
            f.aliases()
                .iter()
                .cloned()
                .chain([f.name().to_owned()])
                .collect::<Vec<_>>()
        })
        .collect()
    });
    let first = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let mut missing = Vec::new();
    for (at, expr) in aggregate.aggr_expr.iter().enumerate() {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
            continue;
        };
        let lacks = params.args.iter().flat_map(numbers).map(Expr::is_null);
        if let (false, Some(lacks)) = (OF_SQL.contains(func.name()), lacks.reduce(Expr::or)) {
            let any = AggregateFunction::new_udf(
                bool_or_udaf(),
                vec![lacks],
                false,
                params.filter.clone(),
                vec![],
                None,
            );
            let name = format!("__columna_lacks_{at}");
            missing.push((
                first + at,
                name.clone(),
                Expr::AggregateFunction(any).alias(name),
            ));
        }
    }
    if missing.is_empty() {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let columns: Vec<Column> = aggregate.schema.columns();
    let more = missing.iter().map(|(_, _, any)| any.clone());
    let functions = aggregate.aggr_expr.iter().cloned().chain(more).collect();
    let plan = Aggregate::try_new(aggregate.input, aggregate.group_expr, functions)?;
    let exprs = columns.into_iter().enumerate().map(|(at, column)| {
        let Some((_, lacks, _)) = missing.iter().find(|(of, _, _)| *of == at) else {
            return Ok(Expr::Column(column));
        };
        let name = (column.relation.clone(), column.name.clone());
        let lacks = Expr::Column(Column::new_unqualified(lacks));
        // NULL for no rows, of which a statistic may be something. Out of a list, for a CASE leaves a struct's fields behind its NULL.
        let at = when(lacks.is_not_true(), lit(1_i64)).end()?;
        let whole = array_element(make_array(vec![Expr::Column(column)]), at);
        Ok(whole.alias_qualified(name.0, name.1))
    });
    let exprs = exprs.collect::<Result<_>>()?;
    let plan = Arc::new(LogicalPlan::Aggregate(plan));
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, plan)?))
}

/// The expressions that an argument is put together from, without literals.
fn numbers(argument: &Expr) -> Vec<Expr> {
    match plain(argument) {
        Expr::Literal(..) => Vec::new(),
        Expr::Cast(cast) => numbers(&cast.expr),
        Expr::ScalarFunction(call) if call.func.name() == "named_struct" => {
            let values = call.args.iter().skip(1).step_by(2);
            values.flat_map(numbers).collect()
        }
        other => vec![other.clone()],
    }
}

/// Whether an expression is of stored columns of persons' rows alone: what a join added tells its rows apart no more.
fn is_theirs(expr: &Expr, rows: &Rows) -> bool {
    expr.column_refs()
        .into_iter()
        .all(|column| rows.persons.contains(column) || rows.origins.contains_key(column))
}

/// Whether an expression is a stored column as it is, or the person.
fn is_stored(expr: &Expr, rows: &Rows) -> bool {
    matches!(plain(expr), Expr::Column(_)) && is_theirs(expr, rows)
}

/// An aggregate of one person's rows, and whether its result may be summed up.
fn per_person(
    expr: &Expr,
    scope: &Scope<'_>,
    rows: &Rows,
    chosen: bool,
) -> Result<(Expr, Option<Measure>)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return refuse(
            "function",
            "this aggregate is not known to be safe on one person's rows",
            "use count, sum, avg, min, max, bool_and or bool_or",
        );
    };
    if !PER_PERSON.contains(&func.name()) || !params.order_by.is_empty() {
        return refuse(
            "function",
            format!(
                "`{}` is not known to be safe on one person's rows",
                func.name()
            ),
            "use count, sum, avg, min, max, bool_and or bool_or, without ORDER BY",
        );
    }
    let counts = func.name() == "count";
    // What a join repeated by the query's choice is neither counted nor summed up.
    let repeated = rows.multiplied && matches!(func.name(), "count" | "sum");
    let mut columns = BTreeSet::new();
    let mut inner = None;
    let mut measured = counts;
    let mut args = Vec::new();
    for arg in &params.args {
        if counts && rows.is_person(arg) {
            args.push(arg.clone());
            continue;
        }
        if let Some(of) = measure(arg, &rows.measured, scope.schema)? {
            measured = true;
            columns.extend(of.columns.iter().cloned());
            inner = Some(of);
            args.push(scope.total(bounded(arg.clone(), scope.schema)?)?);
            continue;
        }
        args.push(scope.total(arg.clone())?);
    }
    let filter = params
        .filter
        .as_ref()
        .map(|filter| scope.total(filter.as_ref().clone()).map(Box::new))
        .transpose()?;
    // A sum of decimals may grow beyond all decimals, and whether it does must not tell of a person.
    let decimal = |arg: &Expr| {
        let kind = arg.get_type(scope.schema);
        kind.is_ok_and(|kind| kind.is_decimal())
    };
    let call = AggregateFunction::new_udf(
        match func.name() {
            "avg" | "sum" if params.args.iter().any(decimal) => lenient(func),
            _ => Arc::clone(func),
        },
        args,
        params.distinct,
        filter,
        vec![],
        params.null_treatment,
    );
    let call = Expr::AggregateFunction(call);
    if counts {
        columns.insert("count".to_owned());
    }
    // A count of some rows is a condition, wherever they were chosen. The first or last day of some is what it says.
    let day = matches!(func.name(), "min" | "max")
        && params.args.iter().all(|arg| {
            let kind = arg.get_type(scope.schema);
            kind.is_ok_and(|kind| kind.is_temporal())
        });
    let all = (!chosen || day)
        && params.filter.is_none()
        && !params.distinct
        && (!counts || params.args.iter().all(counts_all));
    // So is a sum of counts of which it chose some. Their mean is no number of rows.
    let of_counts = inner.as_ref().is_some_and(Measure::is_count);
    let means = of_counts && func.name() == "avg";
    let of_some = means && (!all || inner.as_ref().is_some_and(Measure::is_chosen_count));
    let of = (measured && !repeated && !of_some).then(|| {
        Measure::of_one(without_tables(&call), inner.as_ref(), columns, all)
            .counting((counts || of_counts) && !means)
    });
    Ok((call, of))
}

/// The record's number that an aggregate of one person's rows is: the lowest or highest. Others of them but counts are refused.
fn record_of<'a>(expr: &Expr, rows: &'a Rows) -> Result<Option<&'a (String, String)>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return Ok(None);
    };
    for arg in &params.args {
        if let (Expr::Column(column), Some(origin)) = (uncast(arg), rows.origin(uncast(arg)))
            && is_record(origin)
        {
            return match func.name() {
                "min" | "max" => Ok(Some(origin)),
                "count" => Ok(None),
                _ => names_a_record(column),
            };
        }
    }
    Ok(None)
}

/// The range of an aggregate of one person's rows: the lowest, highest and mean value are within the column's.
fn of_one(expr: &Expr, bounds: &HashMap<Column, (f64, f64)>) -> Option<(f64, f64)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = plain(expr) else {
        return None;
    };
    match (func.name(), params.args.as_slice()) {
        ("min" | "max" | "avg", [arg]) => range(arg, bounds),
        _ => None,
    }
}
