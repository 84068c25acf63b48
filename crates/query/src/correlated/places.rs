//! Puts subqueries and outer columns where the engine joins them.
//!
//! It (DataFusion 55) takes them in WHERE and in the list of a SELECT. A condition of an inner join says the same in a WHERE behind it,
//! and what rows are sorted by can be a column of theirs until they are.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Sort,
};

use super::exprs_of;

/// A node without subqueries or outer columns in the condition of an inner join, and without subqueries in a sort.
pub(super) fn moved(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => behind(join),
        LogicalPlan::Sort(sort) if sort.expr.iter().any(|key| asks(&key.expr)) => before(sort),
        other => Ok(Transformed::no(other)),
    }
}

/// Whether an expression has a subquery that is not of the same value everywhere.
fn asks(expr: &Expr) -> bool {
    let asks = |expr: &Expr| match expr {
        Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => true,
        _ => false,
    };
    expr.exists(|expr| Ok(asks(expr))).unwrap_or(false)
}

fn behind(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(condition) = join.filter.clone() else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let (behind, within): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(condition)
        .into_iter()
        .partition(|part| part.contains_outer() || asks(part));
    let Some(behind) = conjunction(behind) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let join = Join {
        filter: conjunction(within),
        ..join
    };
    let filter = Filter::try_new(behind, Arc::new(LogicalPlan::Join(join)))?;
    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
}

fn before(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let own = exprs_of(&sort.input);
    let mut all = own.clone();
    let mut keys = Vec::with_capacity(sort.expr.len());
    for (mut key, at) in sort.expr.into_iter().zip(1..) {
        if asks(&key.expr) {
            let name = format!("__sorted_by_{at}");
            let column = Expr::from(Column::new_unqualified(name.as_str()));
            all.push(std::mem::replace(&mut key.expr, column).alias(name));
        }
        keys.push(key);
    }
    let sorted = LogicalPlanBuilder::from(Arc::unwrap_or_clone(sort.input))
        .project(all)?
        .sort_with_limit(keys, sort.fetch)?
        .project(own)?;
    Ok(Transformed::yes(sorted.build()?))
}
