//! `count(*) FILTER (WHERE x > ALL (SELECT …))`: comparisons with all rows of a subquery, within expressions that keep their names.
//!
//! The engine's rule (DataFusion 55) makes other expressions of them, by whose names what is above an aggregate does not find it.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::unnested::Rule;

/// The engine's rule, one node after the other.
#[derive(Debug)]
pub(crate) struct SetComparisons {
    pub(crate) rule: Rule,
}

impl OptimizerRule for SetComparisons {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| {
            let exprs = node.expressions();
            if !exprs.iter().any(compares) {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            let mut saved = exprs.iter().map(|expr| names.save(expr));
            let written = self.rule.rewrite(node, config)?;
            written.transform_data(|node| {
                node.map_expressions(|expr| {
                    Ok(Transformed::yes(match saved.next() {
                        Some(name) => name.restore(expr),
                        None => expr,
                    }))
                })
            })
        })
    }
}

fn compares(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::SetComparison(_))))
        .unwrap_or(false)
}
