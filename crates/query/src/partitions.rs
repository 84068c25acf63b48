//! Windows over fewer rows each.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Expr;

/// The expression with its windows divided by these as well, before what they are divided by.
pub(crate) fn partitioned(expr: Expr, by: &[Expr]) -> Result<Expr> {
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::WindowFunction(mut call) => {
                call.params.partition_by.splice(0..0, by.iter().cloned());
                Transformed::yes(Expr::WindowFunction(call))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}
