//! `NOT IN` over rows that may have no value: `visit_occurrence_id NOT IN (SELECT visit_occurrence_id FROM procedure_occurrence)`.
//!
//! Where one is NULL, no row is told to be outside. The engine (DataFusion 55) heeds that while it joins, for which it puts all rows
//! of the outer side into one table in one thread. Asked for by themselves, NULLs are soon counted, most often by what files say of
//! their pages; and the join is one as any other, which runs where the rows lie.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, JoinType, NullEquality, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{
    Distinct, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, lit, scalar_subquery,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::owned::is_near;

/// Counts NULLs before such a join.
#[derive(Debug)]
pub(crate) struct NotIn;

impl OptimizerRule for NotIn {
    fn name(&self) -> &'static str {
        "not_in"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let [(value, other)] = join.on.as_slice() else {
            return Ok(Transformed::no(plan));
        };
        let fits = join.null_aware
            && join.join_type == JoinType::LeftAnti
            && join.null_equality == NullEquality::NullEqualsNothing
            && join.filter.is_none()
            && !other.is_volatile()
            && is_soon_read(&join.right);
        if !fits {
            return Ok(Transformed::no(plan));
        }
        let none = |rows: LogicalPlanBuilder| {
            let number = rows
                .aggregate(Vec::<Expr>::new(), [count(lit(1))])?
                .build()?;
            Ok::<_, DataFusionError>(scalar_subquery(Arc::new(number)).eq(lit(0_i64)))
        };
        let rows = || LogicalPlanBuilder::from(Arc::clone(&join.right));
        let no_nulls = none(rows().filter(other.clone().is_null())?)?;
        // Of no rows, even what is NULL is outside.
        let asked = value.clone().is_not_null().or(none(rows())?);
        let outer = Filter::try_new(no_nulls.and(asked), Arc::clone(&join.left))?;
        let plain = Join::try_new(
            Arc::new(LogicalPlan::Filter(outer)),
            Arc::clone(&join.right),
            join.on.clone(),
            None,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            false,
        )?;
        Ok(Transformed::yes(LogicalPlan::Join(plain)))
    }
}

/// Whether rows may be read once more: those of a table, or the different ones of them.
fn is_soon_read(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_soon_read(&alias.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_soon_read(input),
        LogicalPlan::Aggregate(groups) => {
            groups.aggr_expr.is_empty()
                && !groups.group_expr.iter().any(Expr::is_volatile)
                && is_soon_read(&groups.input)
        }
        _ => is_near(plan),
    }
}
