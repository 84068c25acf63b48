//! Rows that are only counted need no order: `SELECT k, count(*) FROM (SELECT DISTINCT ON (person_id) … ORDER BY …) GROUP BY k`.
//!
//! The engine (DataFusion 55) plans the aggregate for the one stream that the sort makes, then takes the sort out and leaves the
//! aggregate with the many streams below, which it refuses.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Aggregates that heed the order of rows that come to them.
const HEED: [&str; 5] = [
    "array_agg",
    "first_value",
    "last_value",
    "nth_value",
    "string_agg",
];

/// Takes sorts out below aggregates.
#[derive(Debug)]
pub(crate) struct UnneededSorts;

impl OptimizerRule for UnneededSorts {
    fn name(&self) -> &'static str {
        "unneeded_sorts"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        if aggregate.aggr_expr.iter().any(heeds_order) {
            return Ok(Transformed::no(plan));
        }
        Ok(match without_sort(&aggregate.input)? {
            Some(input) => Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(
                Arc::new(input),
                aggregate.group_expr.clone(),
                aggregate.aggr_expr.clone(),
            )?)),
            None => Transformed::no(plan),
        })
    }
}

fn heeds_order(function: &Expr) -> bool {
    match function {
        Expr::Alias(alias) => heeds_order(&alias.expr),
        Expr::AggregateFunction(function) => HEED.contains(&function.func.name()),
        _ => false,
    }
}

/// A plan without the sort that its rows come from, if they do.
fn without_sort(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Ok(Some(sort.input.as_ref().clone())),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            let [input] = plan.inputs()[..] else {
                return Ok(None);
            };
            let Some(input) = without_sort(input)? else {
                return Ok(None);
            };
            plan.with_new_exprs(plan.expressions(), vec![input])
                .map(Some)
        }
        _ => Ok(None),
    }
}
