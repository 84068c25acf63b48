//! `row_number() OVER (PARTITION BY month(day) > 6 ORDER BY id)`: a key that compares what is computed is a column of the rows.
//!
//! The engine (DataFusion 55) bounds what a function, a CASE or a product gives by an interval of no type, and fails where it
//! compares or negates that one: then it does not know rows to be in the order of such a key, though it has sorted them by it.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Window};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;
use crate::key_columns::{KeyColumns, windows_over};

/// Makes columns of such keys.
#[derive(Debug)]
pub(crate) struct WindowKeys;

impl OptimizerRule for WindowKeys {
    fn name(&self) -> &'static str {
        "window_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Window(windows) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let mut keys = KeyColumns::named("__window_key");
        let exprs = by_columns(windows, &mut keys)?;
        if keys.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let rows = keys.beside(&windows.input)?;
        Ok(Transformed::yes(windows_over(windows, exprs, rows)?))
    }
}

/// The windows with columns in place of such keys.
fn by_columns(windows: &Window, keys: &mut KeyColumns) -> Result<Vec<Expr>> {
    let exprs = windows.window_expr.iter().map(|expr| {
        let expr = kept_names::of(expr.clone(), |expr| {
            expr.transform_up(|expr| {
                let Expr::WindowFunction(mut window) = expr else {
                    return Ok(Transformed::no(expr));
                };
                let by = window.params.partition_by.iter_mut();
                let order = window.params.order_by.iter_mut();
                for key in by.chain(order.map(|order| &mut order.expr)) {
                    if compares(key)? {
                        *key = keys.of(std::mem::take(key));
                    }
                }
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            })
        })?;
        Ok(expr.data)
    });
    exprs.collect()
}

/// Whether an expression says which of two values is less, or negates one.
fn compares(key: &Expr) -> Result<bool> {
    key.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(
                op,
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            ),
            Expr::Between(_) | Expr::Negative(_) => true,
            _ => false,
        })
    })
}
