//! Conditions stay above totals: `SELECT * FROM (SELECT 'death' AS what, count(*) AS n FROM death) WHERE what = 'person'`.
//!
//! The engine (DataFusion 55) moves a condition without columns below an aggregate of all rows, among them what is left of one on a
//! constant. It leaves no row to aggregate there, and the total of nothing comes out in place of no total.
//!
//! So do conditions on what comes anew for each row: `HAVING random() < 0.5` is of groups, and chose rows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Limit, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::unnested::{Rule, applied};

/// The engine's rule that moves conditions, which sees limits where totals are.
#[derive(Debug)]
pub(crate) struct AboveTotals {
    pub(crate) rule: Rule,
}

impl OptimizerRule for AboveTotals {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let marked = plan.transform_up_with_subqueries(|node| {
            Ok(match node {
                node if is_total(&node) => Transformed::yes(held(node)),
                LogicalPlan::Filter(filter) if filter.predicate.is_volatile() => {
                    Transformed::yes(asked_here(filter)?)
                }
                node => Transformed::no(node),
            })
        })?;
        let moved = applied(&self.rule, marked.data, config)?;
        if !marked.transformed {
            return Ok(moved);
        }
        let unmarked = moved.data.transform_up_with_subqueries(|node| {
            Ok(match node {
                LogicalPlan::Limit(Limit {
                    skip: None,
                    fetch: None,
                    input,
                }) => Transformed::yes(Arc::unwrap_or_clone(input)),
                other => Transformed::no(other),
            })
        })?;
        Ok(Transformed::new_transformed(
            unmarked.data,
            moved.transformed,
        ))
    }
}

/// The node below a limit, which no condition passes.
fn held(node: LogicalPlan) -> LogicalPlan {
    LogicalPlan::Limit(Limit {
        skip: None,
        fetch: None,
        input: Arc::new(node),
    })
}

/// The filter with what may be another thing each time apart, above a limit.
fn asked_here(filter: Filter) -> Result<LogicalPlan> {
    let parts = split_conjunction_owned(filter.predicate);
    let (here, rest): (Vec<Expr>, Vec<Expr>) = parts.into_iter().partition(Expr::is_volatile);
    let input = match conjunction(rest) {
        Some(rest) => LogicalPlan::Filter(Filter::try_new(rest, filter.input)?),
        None => Arc::unwrap_or_clone(filter.input),
    };
    Ok(match conjunction(here) {
        Some(here) => LogicalPlan::Filter(Filter::try_new(here, Arc::new(held(input)))?),
        None => input,
    })
}

/// Whether a node has a row where there is nothing to aggregate.
pub(crate) fn is_total(node: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = node else {
        return false;
    };
    let keys = aggregate.group_expr.as_slice();
    keys.is_empty() || matches!(keys, [Expr::GroupingSet(_)])
}
