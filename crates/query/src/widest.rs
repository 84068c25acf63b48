//! Plans what is used twice the same way in both places.
//!
//! The optimizer takes the columns that nobody needs out of each use of a CTE by itself. Where one place needs fewer
//! columns of a GROUP BY than another, two plans come out of one CTE, and both would run. Here the smaller one becomes
//! a projection of the larger one, so that [`crate::plan`] finds the same part twice and runs it once.

use std::sync::Arc;

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, TableScan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// More GROUP BYs than a person writes are not compared with each other.
const MOST_AGGREGATES: usize = 40;

/// Puts the larger GROUP BY in the place of each that is a part of it.
#[derive(Debug)]
pub(crate) struct Widest;

impl OptimizerRule for Widest {
    fn name(&self) -> &'static str {
        "widest"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut all: Vec<Aggregate> = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Aggregate(aggregate) = node {
                all.push(aggregate.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if all.len() < 2 || all.len() > MOST_AGGREGATES {
            return Ok(Transformed::no(plan));
        }
        // From below, so that what a part holds is as large as it becomes before it is compared itself.
        plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Aggregate(small) = &node else {
                return Ok(Transformed::no(node));
            };
            let larger = all
                .iter()
                .filter(|large| large.aggr_expr.len() > small.aggr_expr.len())
                .filter(|large| part_of_aggregate(small, large))
                .max_by_key(|large| large.aggr_expr.len());
            Ok(match larger {
                Some(large) => Transformed::yes(columns_of(small, large)?),
                None => Transformed::no(node),
            })
        })
    }
}

/// The columns of the one from the rows of the other.
fn columns_of(small: &Aggregate, large: &Aggregate) -> Result<LogicalPlan> {
    let columns = small.schema.columns().into_iter().map(Expr::Column);
    let large = Arc::new(LogicalPlan::Aggregate(large.clone()));
    let projection =
        Projection::try_new_with_schema(columns.collect(), large, Arc::clone(&small.schema))?;
    Ok(LogicalPlan::Projection(projection))
}

fn part_of_aggregate(small: &Aggregate, large: &Aggregate) -> bool {
    small.group_expr == large.group_expr
        && among(&small.aggr_expr, &large.aggr_expr)
        && part_of(&small.input, &large.input)
}

fn among(few: &[Expr], many: &[Expr]) -> bool {
    few.iter()
        .all(|expr| many.contains(expr) && !expr.is_volatile())
}

/// Whether two plans have the same rows, and the second one all columns of the first one.
fn part_of(small: &LogicalPlan, large: &LogicalPlan) -> bool {
    match (small, large) {
        (LogicalPlan::TableScan(small), LogicalPlan::TableScan(large)) => {
            part_of_scan(small, large)
        }
        (LogicalPlan::Filter(s), LogicalPlan::Filter(l)) => {
            s.predicate == l.predicate && !s.predicate.is_volatile() && part_of(&s.input, &l.input)
        }
        (LogicalPlan::Projection(s), LogicalPlan::Projection(l)) => {
            among(&s.expr, &l.expr) && part_of(&s.input, &l.input)
        }
        (LogicalPlan::SubqueryAlias(s), LogicalPlan::SubqueryAlias(l)) => {
            s.alias == l.alias && part_of(&s.input, &l.input)
        }
        (LogicalPlan::Aggregate(s), LogicalPlan::Aggregate(l)) => part_of_aggregate(s, l),
        (LogicalPlan::Join(s), LogicalPlan::Join(l)) => {
            s.join_type == l.join_type
                && s.on == l.on
                && s.filter == l.filter
                && s.null_equality == l.null_equality
                && s.null_aware == l.null_aware
                && !s.filter.as_ref().is_some_and(Expr::is_volatile)
                && part_of(&s.left, &l.left)
                && part_of(&s.right, &l.right)
        }
        _ => false,
    }
}

fn part_of_scan(small: &TableScan, large: &TableScan) -> bool {
    // Names are not enough: the results of table functions share one.
    let same = match (
        source_as_provider(&small.source),
        source_as_provider(&large.source),
    ) {
        (Ok(small), Ok(large)) => Arc::ptr_eq(&small, &large),
        _ => false,
    };
    let columns = match (&small.projection, &large.projection) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(few), Some(many)) => few.iter().all(|column| many.contains(column)),
    };
    same && columns
        && small.table_name == large.table_name
        && small.filters == large.filters
        && small.fetch.is_none()
        && large.fetch.is_none()
        && !small.filters.iter().any(Expr::is_volatile)
}
