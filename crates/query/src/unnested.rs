//! What GROUP BY makes unique is unique no longer after `unnest`.
//!
//! DataFusion 55 hands the dependencies of a grouping through `unnest` unchanged: after
//! `SELECT g, unnest(a) AS u FROM (SELECT g, array_agg(x) AS a … GROUP BY g)` it takes `g` for a key, drops `u` from
//! `ORDER BY g, u`, and leaves `DISTINCT g` out. Every curve and table of terms by group is such a query. This
//! rule forgets the dependencies before each rule that uses them, because every rule that rebuilds a plan brings them
//! back. A plan without `unnest` is left alone.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{FunctionalDependencies, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rules that use what depends on what.
const USERS: [&str; 4] = [
    "eliminate_duplicated_expr",
    "replace_distinct_aggregate",
    "optimize_projections",
    "eliminate_join",
];

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// The engine's own rules, with this one before each that needs it.
pub(crate) fn optimizer_rules() -> Rules {
    let forget: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(ForgetUnnested);
    let mut rules: Rules = Vec::new();
    for rule in Optimizer::new().rules {
        if USERS.contains(&rule.name()) {
            rules.push(Arc::clone(&forget));
        }
        rules.push(rule);
    }
    rules
}

#[derive(Debug)]
struct ForgetUnnested;

impl OptimizerRule for ForgetUnnested {
    fn name(&self) -> &str {
        "forget_unnested_dependencies"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut found = false;
        plan.apply_with_subqueries(|node| {
            found |= matches!(node, LogicalPlan::Unnest(_));
            Ok(if found {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })?;
        if !found {
            return Ok(Transformed::no(plan));
        }
        // The plan is the same to the optimizer, which would go on for ever if it were told of a change.
        let forgotten = plan.transform_up_with_subqueries(|node| {
            Ok(match node {
                LogicalPlan::Unnest(mut unnest) => {
                    let schema = unnest.schema.as_ref().clone();
                    let schema =
                        schema.with_functional_dependencies(FunctionalDependencies::empty())?;
                    unnest.schema = Arc::new(schema);
                    Transformed::yes(LogicalPlan::Unnest(unnest))
                }
                other => Transformed::yes(other.recompute_schema()?),
            })
        })?;
        Ok(Transformed::no(forgotten.data))
    }
}
