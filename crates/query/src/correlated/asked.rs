//! EXISTS and IN of correlated subqueries that the engine joins wrongly or not at all: `EXISTS (SELECT … QUALIFY …)`.
//!
//! The subquery's rows are made for all values of the outer columns at once, with these as columns of theirs. What is left to
//! compare is whether they are those of the row that asks, which the engine knows how to join.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, FetchType, LogicalPlan, SkipType, Subquery, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::outer::Outer;
use super::plain::is_plain;
use super::{Correlated, lateral_subquery, refused};

/// Makes the rows of such subqueries for all values of the outer columns.
#[derive(Debug)]
pub(crate) struct AskedOfEach;

impl OptimizerRule for AskedOfEach {
    fn name(&self) -> &'static str {
        "asked_of_each"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        // A subquery's own subqueries first.
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
        let [input] = inputs.as_slice() else {
            return Ok(Transformed::no(plan));
        };
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|expr| {
                Ok(match expr {
                    Expr::Exists(Exists { subquery, negated }) => {
                        if has_a_row(&subquery.subquery) {
                            return Ok(Transformed::yes(lit(!negated)));
                        }
                        let asked = unlimited(subquery)?;
                        let asked =
                            asked.transform_data(|subquery| of_each(subquery, input, config))?;
                        asked.update_data(|subquery| Expr::Exists(Exists { subquery, negated }))
                    }
                    Expr::InSubquery(InSubquery {
                        expr,
                        subquery,
                        negated,
                    }) => of_each(subquery, input, config)?.update_data(|subquery| {
                        Expr::InSubquery(InSubquery {
                            expr,
                            subquery,
                            negated,
                        })
                    }),
                    other => Transformed::no(other),
                })
            })?;
            Ok(done.update_data(|expr| name.restore(expr)))
        })
    }
}

/// The subquery without a LIMIT that leaves it a row if it has one.
fn unlimited(subquery: Subquery) -> Result<Transformed<Subquery>> {
    let LogicalPlan::Limit(limit) = subquery.subquery.as_ref() else {
        return Ok(Transformed::no(subquery));
    };
    let whole = matches!(limit.get_skip_type()?, SkipType::Literal(0))
        && matches!(limit.get_fetch_type()?, FetchType::Literal(rows) if rows != Some(0));
    if !whole {
        return Ok(Transformed::no(subquery));
    }
    let plan = Arc::clone(&limit.input);
    Ok(Transformed::yes(Subquery {
        subquery: plan,
        ..subquery
    }))
}

/// Whether a subquery has a row whatever is asked: an aggregate without groups.
fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch != Some(0) && has_a_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// The subquery with its outer columns compared above all that it does.
fn of_each(
    mut subquery: Subquery,
    rows: &LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<Subquery>> {
    // Those of a LATERAL within it are the subquery's own.
    let joined = with_laterals(subquery.subquery, config)?;
    subquery.subquery = joined.data;
    subquery.outer_ref_columns = subquery.subquery.all_out_ref_exprs();
    let limited = subquery
        .subquery
        .exists(|node| Ok(matches!(node, LogicalPlan::Limit(_))))?;
    if subquery.outer_ref_columns.is_empty() || (is_plain(&subquery.subquery)? && !limited) {
        return Ok(Transformed::new_transformed(subquery, joined.transformed));
    }
    let name = config.alias_generator().next("__outer");
    let Some(mut outer) = Outer::of(rows, &subquery.outer_ref_columns, name)? else {
        return Err(refused());
    };
    let Some(compared) = outer.compared(&subquery)? else {
        return Err(refused());
    };
    Ok(Transformed::yes(Subquery {
        subquery: Arc::new(compared),
        ..subquery
    }))
}

/// The plan in which LATERAL subqueries are joined.
fn with_laterals(
    plan: Arc<LogicalPlan>,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<Arc<LogicalPlan>>> {
    let is_lateral = |node: &LogicalPlan| matches!(node, LogicalPlan::Join(join) if lateral_subquery(join).is_some());
    if !plan.exists(|node| Ok(is_lateral(node)))? {
        return Ok(Transformed::no(plan));
    }
    let plan = Arc::unwrap_or_clone(plan);
    let joined = plan.transform_up(|node| match is_lateral(&node) {
        true => Correlated.rewrite(node, config),
        false => Ok(Transformed::no(node)),
    })?;
    Ok(joined.update_data(Arc::new))
}
