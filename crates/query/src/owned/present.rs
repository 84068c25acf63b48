//! `FROM visit v JOIN (SELECT visit_id, count(*) AS n FROM measurement GROUP BY visit_id) m ON m.visit_id = v.visit_id`: the group of
//! the rows without a visit meets nothing, and need not be made.
//!
//! Such rows are many persons', and would be grouped where the others are not.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ExprSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Filter, Join, LogicalPlan, Projection};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Groups only rows whose key can meet one of a join's other side.
#[derive(Debug)]
pub(crate) struct PresentKeys;

impl OptimizerRule for PresentKeys {
    fn name(&self) -> &'static str {
        "present_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let changed = present(&mut join)?;
        Ok(Transformed::new_transformed(
            LogicalPlan::Join(join),
            changed,
        ))
    }
}

/// Asks on the sides whose rows may be left out that keys of groups are there, and says whether it had to.
fn present(join: &mut Join) -> Result<bool> {
    if join.null_equality != NullEquality::NullEqualsNothing || join.null_aware {
        return Ok(false);
    }
    let (left, right) = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => (true, true),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => (false, true),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => (true, false),
        JoinType::Full => (false, false),
    };
    let mut changed = false;
    for (one, other) in &join.on {
        for (side, key, asked) in [(&mut join.left, one, left), (&mut join.right, other, right)] {
            if let (true, Expr::Column(key)) = (asked, key)
                && let Some(present) = grouped_where_present(side, key)?
            {
                *side = Arc::new(present);
                changed = true;
            }
        }
    }
    Ok(changed)
}

/// The plan whose groups are of rows that have the key; none where it has no such groups, or has them already.
fn grouped_where_present(plan: &LogicalPlan, key: &Column) -> Result<Option<LogicalPlan>> {
    let Some(at) = plan.schema().maybe_index_of_column(key) else {
        return Ok(None);
    };
    let below = match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            let column = alias.input.schema().columns().swap_remove(at);
            grouped_where_present(&alias.input, &column)?
        }
        LogicalPlan::Projection(Projection { input, expr, .. }) => match expr[at].clone().unalias()
        {
            Expr::Column(column) => grouped_where_present(input, &column)?,
            _ => None,
        },
        LogicalPlan::Filter(filter) => grouped_where_present(&filter.input, key)?,
        LogicalPlan::Aggregate(aggregate) => rows_with_key(aggregate, at)?,
        _ => None,
    };
    below
        .map(|below| plan.with_new_exprs(plan.expressions(), vec![below]))
        .transpose()
}

/// The rows that are grouped, if they have the key of this place.
fn rows_with_key(aggregate: &Aggregate, at: usize) -> Result<Option<LogicalPlan>> {
    let sets = |key: &Expr| matches!(key, Expr::GroupingSet(_));
    let Some(Expr::Column(key)) = aggregate.group_expr.get(at) else {
        return Ok(None);
    };
    let input = &aggregate.input;
    if aggregate.group_expr.iter().any(sets) || !input.schema().nullable(key)? {
        return Ok(None);
    }
    let asks = |expr: &Expr| {
        split_conjunction(expr).into_iter().any(|part| {
            matches!(part, Expr::IsNotNull(of) if matches!(of.as_ref(), Expr::Column(of) if of.name == key.name))
        })
    };
    let asked = input.exists(|node| {
        Ok(match node {
            LogicalPlan::Filter(filter) => asks(&filter.predicate),
            LogicalPlan::TableScan(scan) => scan.filters.iter().any(asks),
            _ => false,
        })
    })?;
    if asked {
        return Ok(None);
    }
    let present = Expr::Column(key.clone()).is_not_null();
    let rows = Filter::try_new(present, Arc::clone(input))?;
    Ok(Some(LogicalPlan::Filter(rows)))
}
