//! Expressions that change and keep their names.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// A node with its expressions changed, and called what they were. Of grouping sets, each of their columns is: under a name of its
/// own a set would be a column, and is none.
///
/// # Errors
/// When an expression cannot be changed.
pub(crate) fn changed(
    plan: LogicalPlan,
    mut change: impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| one(&names, expr, &mut change))
}

/// An expression that changes and is called what it was, as one of [`changed`].
///
/// # Errors
/// When it cannot be changed.
pub(crate) fn of(
    expr: Expr,
    mut change: impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    one(&NamePreserver::new_for_projection(), expr, &mut change)
}

fn one(
    names: &NamePreserver,
    expr: Expr,
    change: &mut impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    if matches!(expr, Expr::GroupingSet(_)) {
        return expr.map_children(|expr| one(names, expr, change));
    }
    let name = names.save(&expr);
    Ok(change(expr)?.update_data(|expr| name.restore(expr)))
}
