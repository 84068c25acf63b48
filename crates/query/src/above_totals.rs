//! Conditions stay above totals: `SELECT * FROM (SELECT 'death' AS what, count(*) AS n FROM death) WHERE what = 'person'`.
//!
//! The engine (DataFusion 55) moves a condition without columns below an aggregate of all rows, among them what is left of one on a
//! constant. It leaves no row to aggregate there, and the total of nothing comes out in place of no total.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, Limit, LogicalPlan};
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
            Ok(match is_total(&node) {
                true => Transformed::yes(LogicalPlan::Limit(Limit {
                    skip: None,
                    fetch: None,
                    input: Arc::new(node),
                })),
                false => Transformed::no(node),
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

/// Whether a node has a row where there is nothing to aggregate.
pub(crate) fn is_total(node: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = node else {
        return false;
    };
    let keys = aggregate.group_expr.as_slice();
    keys.is_empty() || matches!(keys, [Expr::GroupingSet(_)])
}
