//! `GROUP BY (SELECT count(*) FROM death d WHERE d.person_id = p.person_id)`: a key that asks about each row is a column of the rows.
//!
//! The engine (DataFusion 55) refuses such a subquery where it is not also among the aggregates.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

/// Makes columns of such keys.
#[derive(Debug)]
pub(crate) struct SubqueryKeys;

impl AnalyzerRule for SubqueryKeys {
    fn name(&self) -> &'static str {
        "subquery_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => below(aggregate),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn below(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new_for_projection();
    let mut found: Vec<Expr> = Vec::new();
    let column = |at: usize| Column::new_unqualified(format!("__subquery_key_{at}"));
    let mut keys = Vec::with_capacity(aggregate.group_expr.len());
    for key in aggregate.group_expr.clone() {
        let name = names.save(&key);
        let key = key.transform_down(|expr| match &expr {
            Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                found.push(expr);
                let key = Expr::Column(column(found.len() - 1));
                Ok(Transformed::new(key, true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        keys.push(name.restore(key.data));
    }
    if found.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let columns = aggregate.input.schema().columns();
    let found = found.into_iter().enumerate();
    let found = found.map(|(at, subquery)| subquery.alias(column(at).name));
    let columns = columns.into_iter().map(Expr::Column).chain(found);
    let input = Projection::try_new(columns.collect(), Arc::clone(&aggregate.input))?;
    aggregate.input = Arc::new(LogicalPlan::Projection(input));
    let changed = Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(changed)))
}
