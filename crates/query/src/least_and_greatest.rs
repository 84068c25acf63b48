//! `x < ANY (SELECT y …)` and `x >= ALL (SELECT y …)` by the least or greatest `y`.
//!
//! The engine (DataFusion 55) compares each `x` with each `y`. Subqueries that ask for outer columns are left to it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr, lit, not, when,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;

/// Compares with one value instead of all.
#[derive(Debug)]
pub(crate) struct LeastAndGreatest;

impl OptimizerRule for LeastAndGreatest {
    fn name(&self) -> &'static str {
        "least_and_greatest"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|node| {
            kept_names::changed(node, |expr| {
                expr.transform_up(|expr| match &expr {
                    Expr::SetComparison(comparison) => Ok(match compared(comparison)? {
                        Some(by_one) => Transformed::yes(by_one),
                        None => Transformed::no(expr),
                    }),
                    _ => Ok(Transformed::no(expr)),
                })
            })
        })
    }
}

/// The comparison with the one value that decides; NULL where SQL says so.
fn compared(comparison: &SetComparison) -> Result<Option<Expr>> {
    use Operator::{Gt, GtEq, Lt, LtEq};
    let SetComparison {
        expr,
        subquery,
        op,
        quantifier,
    } = comparison;
    let any = *quantifier == SetQuantifier::Any;
    let greatest = match op {
        Lt | LtEq => any,
        Gt | GtEq => !any,
        _ => return Ok(None),
    };
    if !subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let y = Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
    let of_all = |what: Expr| -> Result<Expr> {
        let rows = LogicalPlanBuilder::from(Arc::clone(&subquery.subquery));
        let none: [Expr; 0] = [];
        Ok(Expr::ScalarSubquery(Subquery {
            subquery: Arc::new(rows.aggregate(none, [what])?.build()?),
            ..subquery.clone()
        }))
    };
    let holds = binary_expr(
        expr.as_ref().clone(),
        *op,
        of_all(if greatest {
            max(y.clone())
        } else {
            min(y.clone())
        })?,
    );
    let decided = if any { holds } else { not(holds) };
    let rows = of_all(count(lit(1_i64)))?;
    let unknown = expr
        .as_ref()
        .clone()
        .is_null()
        .or(of_all(count(y))?.lt(rows.clone()));
    let by_one = when(decided, lit(any))
        .when(rows.eq(lit(0_i64)), lit(!any))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(!any))?;
    Ok(Some(by_one))
}
