//! `FROM t, LATERAL (SELECT unnest(t.list) AS x)`: what is made of each row, beside the row.
//!
//! The engine (DataFusion 55) plans a subquery that reads the rows beside it only where it can be a join. One that reads no table
//! is none: its expressions are computed of the rows, and its lists unnested there.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Plans such subqueries over the rows beside them.
#[derive(Debug)]
pub(crate) struct Laterals;

impl OptimizerRule for Laterals {
    fn name(&self) -> &'static str {
        "laterals"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else {
            return Ok(Transformed::no(plan));
        };
        if join.join_type != JoinType::Inner || !join.on.is_empty() || !looks_out(&join.right) {
            return Ok(Transformed::no(plan));
        }
        Ok(match beside(&join.right, &join.left)? {
            Some(made) => Transformed::yes(filtered(join, made)?),
            None => Transformed::no(plan),
        })
    }
}

fn filtered(join: &Join, made: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match &join.filter {
        Some(filter) => LogicalPlan::Filter(Filter::try_new(filter.clone(), Arc::new(made))?),
        None => made,
    })
}

/// Whether a plan is a subquery that reads the rows around it.
fn looks_out(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        _ => matches!(plan.inputs().as_slice(), [input] if looks_out(input)),
    }
}

/// The plan with the rows' columns before its own; none where it reads a table, or does something else with rows.
fn beside(plan: &LogicalPlan, rows: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let theirs = || rows.schema().columns().into_iter().map(Expr::Column);
    Ok(match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Some(rows.as_ref().clone()),
        LogicalPlan::Subquery(subquery) => beside(&subquery.subquery, rows)?,
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = beside(&alias.input, rows)? else {
                return Ok(None);
            };
            let columns = alias.input.schema().columns().into_iter();
            let renamed = columns
                .zip(alias.schema.columns())
                .map(|(from, to)| Expr::Column(from).alias_qualified(to.relation.clone(), to.name));
            let exprs = theirs().chain(renamed).collect();
            let projection = Projection::try_new(exprs, Arc::new(input))?;
            Some(LogicalPlan::Projection(projection))
        }
        LogicalPlan::Projection(projection) => {
            let Some(input) = beside(&projection.input, rows)? else {
                return Ok(None);
            };
            let names = NamePreserver::new(plan);
            let own = projection.expr.iter().map(|expr| {
                let name = names.save(expr);
                Ok(name.restore(inside(expr.clone())?))
            });
            let own = own.collect::<Result<Vec<_>>>()?;
            let exprs = theirs().chain(own).collect();
            let projection = Projection::try_new(exprs, Arc::new(input))?;
            Some(LogicalPlan::Projection(projection))
        }
        LogicalPlan::Filter(filter) => {
            let Some(input) = beside(&filter.input, rows)? else {
                return Ok(None);
            };
            let predicate = inside(filter.predicate.clone())?;
            Some(LogicalPlan::Filter(Filter::try_new(
                predicate,
                Arc::new(input),
            )?))
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = beside(&unnest.input, rows)? else {
                return Ok(None);
            };
            let columns: Vec<Column> = unnest.exec_columns.clone();
            let options = unnest.options.clone();
            let builder = LogicalPlanBuilder::from(input);
            Some(
                builder
                    .unnest_columns_with_options(columns, options)?
                    .build()?,
            )
        }
        _ => None,
    })
}

/// An expression of the rows around, where these are the rows that it is computed of.
fn inside(expr: Expr) -> Result<Expr> {
    let expr = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(expr.data)
}
