//! `count(x) FILTER (WHERE p) OVER w` as `count(CASE WHEN p THEN x END) OVER w`, which windows by person run as rows lie.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition, when};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Aggregates of one value that pass over NULL.
const PASS_OVER_NULL: [&str; 5] = ["count", "sum", "min", "max", "avg"];

/// Takes the filters of windows into what they aggregate.
#[derive(Debug)]
pub(crate) struct FilteredWindows;

impl OptimizerRule for FilteredWindows {
    fn name(&self) -> &'static str {
        "filtered_windows"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut found = false;
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Window(window) = node {
                for expr in &window.window_expr {
                    found |= expr.exists(|part| {
                        Ok(matches!(part, Expr::WindowFunction(call) if call.params.filter.is_some()))
                    })?;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !found {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Window(_)) {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let done = expr.transform_up(taken_in)?;
                Ok(done.update_data(|expr| name.restore(expr)))
            })
        })
    }
}

fn taken_in(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expr else {
        return Ok(Transformed::no(expr));
    };
    let WindowFunction { fun, params } = &mut *call;
    let known = matches!(fun, WindowFunctionDefinition::AggregateUDF(f) if PASS_OVER_NULL.contains(&f.name()));
    let ([value], true) = (&mut params.args[..], known) else {
        return Ok(Transformed::no(Expr::WindowFunction(call)));
    };
    let Some(filter) = params.filter.take() else {
        return Ok(Transformed::no(Expr::WindowFunction(call)));
    };
    *value = when(*filter, value.clone()).end()?;
    Ok(Transformed::yes(Expr::WindowFunction(call)))
}
