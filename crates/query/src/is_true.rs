//! Plans `x IS TRUE` and its like as what runs.
//!
//! The engine (DataFusion 55) says of `x IS TRUE` that it is never NULL, and runs `x IS NOT DISTINCT FROM true`, of which it
//! says that it may be. A column of the one under a GROUP BY then does not have the schema that was planned, and the
//! query fails: `count(*) FILTER (WHERE x IS TRUE AND …)` twice is enough, as both share the term.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;

/// Writes tests of truth as comparisons with a literal.
#[derive(Debug)]
pub(crate) struct IsTrue;

impl OptimizerRule for IsTrue {
    fn name(&self) -> &'static str {
        "is_true"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !tests_truth(&plan)? {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| {
            let node =
                kept_names::changed(node, |expr| expr.transform_up(|expr| Ok(compared(expr))))?;
            // What may be NULL has changed here or below.
            Ok(Transformed::yes(node.data.recompute_schema()?))
        })
    }
}

fn tests_truth(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_test(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn is_test(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
    )
}

fn compared(expr: Expr) -> Transformed<Expr> {
    let (same, other) = (Operator::IsNotDistinctFrom, Operator::IsDistinctFrom);
    let unknown = || lit(ScalarValue::Boolean(None));
    Transformed::yes(match expr {
        Expr::IsTrue(expr) => binary_expr(*expr, same, lit(true)),
        Expr::IsNotTrue(expr) => binary_expr(*expr, other, lit(true)),
        Expr::IsFalse(expr) => binary_expr(*expr, same, lit(false)),
        Expr::IsNotFalse(expr) => binary_expr(*expr, other, lit(false)),
        Expr::IsUnknown(expr) => binary_expr(*expr, same, unknown()),
        Expr::IsNotUnknown(expr) => binary_expr(*expr, other, unknown()),
        expr => return Transformed::no(expr),
    })
}
