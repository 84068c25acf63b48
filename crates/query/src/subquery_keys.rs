//! `GROUP BY (SELECT count(*) FROM death d WHERE d.person_id = p.person_id)`: a key that asks about each row is a column of the rows.
//! So is what a window is of, or ordered by.
//!
//! The engine (DataFusion 55) refuses such a subquery in a window, and where it is not also among the aggregates.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, Window};
use datafusion::optimizer::AnalyzerRule;

use crate::kept_names;

/// Makes columns of such keys.
#[derive(Debug)]
pub(crate) struct SubqueryKeys;

impl AnalyzerRule for SubqueryKeys {
    fn name(&self) -> &'static str {
        "subquery_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut found = Vec::new();
            Ok(match node {
                LogicalPlan::Aggregate(groups) => {
                    let keys = without(&groups.group_expr, &mut found)?;
                    if found.is_empty() {
                        return Ok(Transformed::no(LogicalPlan::Aggregate(groups)));
                    }
                    let input = beside(&groups.input, found)?;
                    let groups = Aggregate::try_new(input, keys, groups.aggr_expr)?;
                    Transformed::yes(LogicalPlan::Aggregate(groups))
                }
                LogicalPlan::Window(windows) => {
                    let exprs = without(&windows.window_expr, &mut found)?;
                    if found.is_empty() {
                        return Ok(Transformed::no(LogicalPlan::Window(windows)));
                    }
                    let input = beside(&windows.input, found)?;
                    let schema = windows.schema.columns().into_iter().map(Expr::Column);
                    let windows = LogicalPlan::Window(Window::try_new(exprs, input)?);
                    let shown = Projection::try_new(schema.collect(), Arc::new(windows))?;
                    Transformed::yes(LogicalPlan::Projection(shown))
                }
                other => Transformed::no(other),
            })
        })
        .data()
    }
}

/// The expressions with columns in place of their subqueries.
fn without(exprs: &[Expr], found: &mut Vec<Expr>) -> Result<Vec<Expr>> {
    let exprs = exprs.iter().map(|expr| {
        let expr = kept_names::of(expr.clone(), |expr| {
            expr.transform_down(|expr| match &expr {
                Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                    // A set's key is there as often as the sets that have it.
                    let known = found.iter().position(|known| *known == expr);
                    let at = known.unwrap_or_else(|| {
                        found.push(expr);
                        found.len() - 1
                    });
                    let key = Expr::Column(column(at));
                    Ok(Transformed::new(key, true, TreeNodeRecursion::Jump))
                }
                _ => Ok(Transformed::no(expr)),
            })
        })?;
        Ok(expr.data)
    });
    exprs.collect()
}

fn column(at: usize) -> Column {
    Column::new_unqualified(format!("__subquery_key_{at}"))
}

/// The rows with the subqueries' columns beside their own.
fn beside(input: &Arc<LogicalPlan>, found: Vec<Expr>) -> Result<Arc<LogicalPlan>> {
    let found = found.into_iter().enumerate();
    let found = found.map(|(at, subquery)| subquery.alias(column(at).name));
    let columns = input.schema().columns();
    let columns = columns.into_iter().map(Expr::Column).chain(found);
    let input = Projection::try_new(columns.collect(), Arc::clone(input))?;
    Ok(Arc::new(LogicalPlan::Projection(input)))
}
