//! Which correlated subqueries the engine joins rightly.
//!
//! The engine (DataFusion 55) moves a subquery's conditions on outer columns up to where it is joined. What a window counts below
//! them is then counted over the rows of all outer values, a DISTINCT or a group holds rows of several, and a name that a derived
//! table gives hides the columns.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};

use super::outer::names_outer;

/// Whether the conditions of a subquery mean the same above it.
pub(super) fn is_plain(plan: &LogicalPlan) -> Result<bool> {
    if !names_outer(plan)? {
        return Ok(true);
    }
    Ok(match plan {
        LogicalPlan::Window(_) | LogicalPlan::Union(_) => false,
        LogicalPlan::SubqueryAlias(alias) => !has_condition(&alias.input)?,
        LogicalPlan::Distinct(Distinct::All(input)) => by_equal_columns(input)?,
        LogicalPlan::Distinct(Distinct::On(_)) => false,
        LogicalPlan::Aggregate(aggregate) if !aggregate.group_expr.is_empty() => {
            by_equal_columns(&aggregate.input)?
        }
        LogicalPlan::Join(join) if join.join_type != JoinType::Inner => false,
        other => {
            let mut plain = true;
            for input in other.inputs() {
                plain &= is_plain(input)?;
            }
            plain
        }
    })
}

/// Whether there is a condition on outer columns.
fn has_condition(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let condition = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        Ok(condition && node.contains_outer_reference())
    })
}

/// Whether all conditions on outer columns say that they are equal to columns of the subquery, which can be keys of a group.
pub(crate) fn by_equal_columns(plan: &LogicalPlan) -> Result<bool> {
    if !is_plain(plan)? {
        return Ok(false);
    }
    let mut equal = true;
    plan.apply(|node| {
        let conditions = match node {
            LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate),
            _ => Vec::new(),
        };
        let outer = conditions.iter().filter(|part| part.contains_outer());
        equal &= outer.clone().all(|part| is_equality(part));
        equal &= outer.count() > 0 || !node.contains_outer_reference();
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(equal)
}

fn is_equality(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return false;
    };
    let pair = (left.as_ref(), right.as_ref());
    matches!(
        pair,
        (Expr::Column(_), Expr::OuterReferenceColumn(..))
            | (Expr::OuterReferenceColumn(..), Expr::Column(_))
    )
}
