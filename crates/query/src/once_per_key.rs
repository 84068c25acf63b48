//! Subqueries that are only looked up in have each key once: `day IN (SELECT visit_start_date FROM visit_occurrence)`.
//!
//! The engine's hash join goes through all rows of a key for each row of the other side, to find no more than the first of them
//! told: of a day with hundreds of rows on both sides, tens of thousands of times. Persons are left alone: their rows are
//! met in one pass over both sides.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The column that tables are divided by.
pub(crate) const PERSON: &str = "person_id";

/// Leaves out what a semi join would find again.
#[derive(Debug)]
pub(crate) struct OncePerKey;

impl OptimizerRule for OncePerKey {
    fn name(&self) -> &'static str {
        "once_per_key"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let right = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => false,
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        };
        let inner = if right { &join.right } else { &join.left };
        let of_person = |key: &Expr| matches!(key, Expr::Column(column) if column.name == PERSON);
        let mut keys: Vec<Expr> = Vec::new();
        for (left, other) in &join.on {
            let key = if right { other } else { left };
            if !matches!(key, Expr::Column(_)) || of_person(left) || of_person(other) {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            }
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        if keys.is_empty() || join.filter.is_some() || has_groups(inner, keys.len()) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let once = Aggregate::try_new(Arc::clone(inner), keys, Vec::new())?;
        let once = Arc::new(LogicalPlan::Aggregate(once));
        let (left, right) = match right {
            true => (join.left, once),
            false => (once, join.right),
        };
        Ok(Transformed::yes(LogicalPlan::Join(Join {
            left,
            right,
            ..join
        })))
    }
}

/// Whether rows are groups by so many columns already.
fn has_groups(plan: &LogicalPlan, keys: usize) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => has_groups(&alias.input, keys),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.len() <= keys,
        _ => false,
    }
}
