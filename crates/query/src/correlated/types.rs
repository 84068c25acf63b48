//! What a subquery takes the columns of the rows outside for: what they are.
//!
//! The engine (DataFusion 55) notes the type of an outer column when it plans the subquery. What a CASE or a coalesce of a derived table
//! comes to is known later, and a whole number was compared with one of floating point.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;

/// Notes the types anew, once they are known.
#[derive(Debug)]
pub(crate) struct OuterTypes;

impl AnalyzerRule for OuterTypes {
    fn name(&self) -> &'static str {
        "outer_types"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let noted = plan.transform_down_with_subqueries(noted)?;
        match noted.transformed {
            true => TypeCoercion::new().analyze(noted.data, config),
            false => Ok(noted.data),
        }
    }
}

/// A node whose subqueries have the types of its rows' columns.
fn noted(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Join(Join { left, .. }) = &node {
        let rows = Arc::clone(left.schema());
        return node.map_children(|side| within(side, &rows));
    }
    let rows = merge_schema(&node.inputs());
    node.map_subqueries(|subquery| within(subquery, &rows))
}

fn within(plan: LogicalPlan, rows: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Subquery(mut subquery) => {
            let outer = subquery.outer_ref_columns.into_iter();
            let outer = outer.map(|column| Ok(typed(column, rows)?.data));
            subquery.outer_ref_columns = outer.collect::<Result<_>>()?;
            Ok(Transformed::no(LogicalPlan::Subquery(subquery)))
        }
        other => other.map_expressions(|expr| expr.transform_up(|part| typed(part, rows))),
    })
}

fn typed(expr: Expr, rows: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::OuterReferenceColumn(noted, column) => match rows.maybe_index_of_column(&column) {
            Some(at) if rows.field(at).data_type() != noted.data_type() => {
                let field = Arc::clone(&rows.fields()[at]);
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            _ => Transformed::no(Expr::OuterReferenceColumn(noted, column)),
        },
        other => Transformed::no(other),
    })
}
