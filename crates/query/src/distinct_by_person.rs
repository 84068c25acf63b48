//! What only one person has is counted person by person: `count(*), count(DISTINCT (person_id, measurement_date))`.
//!
//! Different records, and different visits beside other aggregates, are a set of all of them for each group. No two persons share
//! one, so that their number is the sum of the numbers of each person, whose rows lie together: the sets are of one person's values.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast, col, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::once_per_key::PERSON;
use crate::owned::owner::Owners;
use crate::struct_keys::{counted_record, record_values};

/// Counts different values of one person each by the person.
#[derive(Debug)]
pub(crate) struct DistinctByPerson;

impl OptimizerRule for DistinctByPerson {
    fn name(&self) -> &'static str {
        "distinct_by_person"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        Ok(match by_person(aggregate, config)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(plan),
        })
    }
}

fn by_person(aggregate: &Aggregate, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        match expr.clone().unalias_nested().data {
            Expr::AggregateFunction(call) if is_plain(&call) => calls.push(call),
            _ => return Ok(None),
        }
    }
    let sets = |key: &Expr| matches!(key, Expr::GroupingSet(_));
    if calls.len() < 2 || aggregate.group_expr.iter().any(sets) {
        return Ok(None);
    }
    let names = config.alias_generator();
    let Some((person, input)) = person(&calls, &aggregate.input, &Owners::new(names))? else {
        return Ok(None);
    };
    if aggregate.group_expr.contains(&person) {
        return Ok(None);
    }
    let (mut own, mut totals) = (Vec::new(), Vec::new());
    let named = |exprs: &mut Vec<Expr>, expr: Expr| {
        let name = names.next("__by_person");
        exprs.push(expr.alias(&name));
        col(name)
    };
    let mut of_each = |call: AggregateFunction| named(&mut own, Expr::AggregateFunction(call));
    let mut of_all = |expr: Expr| named(&mut totals, expr);
    let mut made = Vec::with_capacity(calls.len());
    for mut call in calls {
        let rows = aggregate.input.schema();
        let kind = |value: &Expr| value.get_type(rows);
        let function = Arc::clone(&call.func);
        let [value] = call.params.args.as_slice() else {
            return Ok(None);
        };
        let value = value.clone();
        made.push(match function.name() {
            "count" if call.params.distinct && value == person && call.params.filter.is_none() => {
                of_all(count(person.clone()))
            }
            "count" => {
                if let (true, Some(values)) = (call.params.distinct, record_values(&value)) {
                    let rest = values.into_iter().filter(|value| *value != person);
                    let rest: Vec<Expr> = rest.collect();
                    match rest.as_slice() {
                        // A record of the person alone.
                        [] => return Ok(None),
                        [value] if !value.nullable(rows)? => call.params.args = rest,
                        _ => counted_record(&mut call, rest),
                    }
                }
                coalesce(vec![of_all(sum(of_each(call))), lit(0_i64)])
            }
            _ if call.params.distinct => return Ok(None),
            "sum" if !matches!(kind(&value)?, DataType::Int64 | DataType::Float64) => {
                return Ok(None);
            }
            "sum" | "min" | "max" | "bool_and" | "bool_or" => {
                of_all(function.call(vec![of_each(call)]))
            }
            "avg" if kind(&value)? == DataType::Float64 => {
                let of = |func| AggregateFunction {
                    func,
                    params: call.params.clone(),
                };
                let total = of_all(sum(of_each(of(sum_udaf()))));
                let number = of_all(sum(of_each(of(count_udaf()))));
                total / cast(number, DataType::Float64)
            }
            _ => return Ok(None),
        });
    }
    let keys = aggregate.group_expr.iter().cloned().chain([person]);
    let own = LogicalPlan::Aggregate(Aggregate::try_new(input, keys.collect(), own)?);
    let keys = aggregate.group_expr.len();
    let columns = |rows: &LogicalPlan| -> Vec<Expr> {
        let columns = rows.schema().columns().into_iter().take(keys);
        columns.map(Expr::Column).collect()
    };
    let all = Aggregate::try_new(Arc::new(own.clone()), columns(&own), totals)?;
    let all = LogicalPlan::Aggregate(all);
    let made = columns(&all).into_iter().chain(made);
    let made = made
        .zip(aggregate.schema.iter())
        .map(|(expr, (table, field))| expr.alias_qualified(table.cloned(), field.name()));
    let projection = Projection::try_new(made.collect(), Arc::new(all))?;
    Ok(Some(LogicalPlan::Projection(projection)))
}

/// The person of whom all values are that are counted once each, and the rows with that column.
fn person(
    calls: &[AggregateFunction],
    rows: &Arc<LogicalPlan>,
    owners: &Owners,
) -> Result<Option<(Expr, Arc<LogicalPlan>)>> {
    let mut rows = Arc::clone(rows);
    let counted = calls.iter().filter(|call| call.params.distinct);
    let values: Vec<&Expr> = counted.flat_map(|call| &call.params.args).collect();
    let records: Vec<_> = values.iter().map(|value| record_values(value)).collect();
    let is_person = |value: &&Expr| matches!(value, Expr::Column(column) if column.name == PERSON);
    let mut person = records.iter().flatten().flatten().find(is_person).cloned();
    for (value, record) in values.iter().zip(&records) {
        match (value, record) {
            (_, Some(values))
                if person
                    .as_ref()
                    .is_some_and(|person| values.contains(person)) => {}
            (Expr::Column(column), None) if !is_person(value) => {
                let owned = owners.of(&rows, column)?;
                let Some(owned) = owned.filter(|owned| owned.column.shared.is_empty()) else {
                    return Ok(None);
                };
                let owner = Expr::Column(owned.person);
                if person.as_ref().is_some_and(|person| *person != owner) {
                    return Ok(None);
                }
                person = Some(owner);
                rows = owned.plan.unwrap_or(rows);
            }
            (value, None) if is_person(value) => {}
            _ => return Ok(None),
        }
    }
    // Persons alone are counted by other ways.
    let alone = values.iter().all(is_person);
    let theirs = |person: &Expr| {
        let persons = values.iter().filter(|value| is_person(value));
        persons.into_iter().all(|value| **value == *person)
    };
    Ok(person
        .filter(|person| !alone && theirs(person))
        .map(|person| (person, rows)))
}

/// Its arguments say all there is to it, but for a filter.
fn is_plain(call: &AggregateFunction) -> bool {
    let params = &call.params;
    let mut read = params.args.iter().chain(params.filter.as_deref());
    params.order_by.is_empty() && params.null_treatment.is_none() && !read.any(Expr::is_volatile)
}
