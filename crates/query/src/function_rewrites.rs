//! The rewrites of functions, with which columns of grouping sets keep their names.
//!
//! The engine (DataFusion 55) keeps the names of expressions, of which a set of keys is one: of `ROLLUP (floor(year / 10)::INT)` it
//! looks for a column that the rewritten key is no more.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::optimizer::AnalyzerRule;

use crate::kept_names;

pub(crate) type Rewrite = Arc<dyn FunctionRewrite + Send + Sync>;

/// Applies each to every expression.
pub(crate) struct FunctionRewrites(pub(crate) Vec<Rewrite>);

impl fmt::Debug for FunctionRewrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|rewrite| rewrite.name()))
            .finish()
    }
}

impl AnalyzerRule for FunctionRewrites {
    fn name(&self) -> &'static str {
        "function_rewrites"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = columns_of(&node)?;
            kept_names::changed(node, |expr| {
                expr.transform_up(|expr| {
                    self.0
                        .iter()
                        .try_fold(Transformed::no(expr), |expr, rewrite| {
                            expr.transform_data(|expr| rewrite.rewrite(expr, &schema, config))
                        })
                })
            })
        })
        .data()
    }
}

/// The columns that a node's expressions may name.
pub(crate) fn columns_of(node: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = merge_schema(&node.inputs());
    if let LogicalPlan::TableScan(scan) = node {
        let source = scan.source.schema();
        schema.merge(&DFSchema::try_from_qualified_schema(
            scan.table_name.clone(),
            &source,
        )?);
    }
    Ok(schema)
}
