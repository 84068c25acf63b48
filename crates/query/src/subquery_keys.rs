//! `GROUP BY (SELECT count(*) FROM death d WHERE d.person_id = p.person_id)`: a key that asks about each row is a column of the rows.
//! So is what a window is of, or ordered by.
//!
//! The engine (DataFusion 55) refuses such a subquery in a window, and where it is not also among the aggregates.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::kept_names;
use crate::key_columns::{KeyColumns, windows_over};

/// Makes columns of such keys.
#[derive(Debug)]
pub(crate) struct SubqueryKeys;

impl AnalyzerRule for SubqueryKeys {
    fn name(&self) -> &'static str {
        "subquery_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut found = KeyColumns::named("__subquery_key");
            Ok(match node {
                LogicalPlan::Aggregate(groups) => {
                    let keys = without(&groups.group_expr, &mut found)?;
                    if found.is_empty() {
                        return Ok(Transformed::no(LogicalPlan::Aggregate(groups)));
                    }
                    let input = found.beside(&groups.input)?;
                    let groups = Aggregate::try_new(input, keys, groups.aggr_expr)?;
                    Transformed::yes(LogicalPlan::Aggregate(groups))
                }
                LogicalPlan::Window(windows) => {
                    let exprs = without(&windows.window_expr, &mut found)?;
                    if found.is_empty() {
                        return Ok(Transformed::no(LogicalPlan::Window(windows)));
                    }
                    let input = found.beside(&windows.input)?;
                    Transformed::yes(windows_over(&windows, exprs, input)?)
                }
                other => Transformed::no(other),
            })
        })
        .data()
    }
}

/// The expressions with columns in place of their subqueries.
fn without(exprs: &[Expr], found: &mut KeyColumns) -> Result<Vec<Expr>> {
    let exprs = exprs.iter().map(|expr| {
        let expr = kept_names::of(expr.clone(), |expr| {
            expr.transform_down(|expr| match &expr {
                Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                    let key = found.of(expr);
                    Ok(Transformed::new(key, true, TreeNodeRecursion::Jump))
                }
                _ => Ok(Transformed::no(expr)),
            })
        })?;
        Ok(expr.data)
    });
    exprs.collect()
}
