//! What the rows of windows are divided by.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Expr;

/// The expression with its windows divided by these as well, before what they are divided by.
pub(crate) fn partitioned(expr: Expr, by: &[Expr]) -> Result<Expr> {
    repartitioned(expr, |keys| {
        keys.splice(0..0, by.iter().cloned());
    })
}

/// The expression with what its windows are divided by changed.
pub(crate) fn repartitioned(expr: Expr, change: impl Fn(&mut Vec<Expr>)) -> Result<Expr> {
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::WindowFunction(mut call) => {
                change(&mut call.params.partition_by);
                Transformed::yes(Expr::WindowFunction(call))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}

/// What a window's rows are divided by.
pub(crate) fn partition(window: &Expr) -> Option<&[Expr]> {
    match window {
        Expr::WindowFunction(call) => Some(&call.params.partition_by),
        Expr::Alias(alias) => partition(&alias.expr),
        _ => None,
    }
}
