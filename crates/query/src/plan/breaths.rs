//! Breaths in joins: a query ends where it waits, and in memory nothing is waited for.
//!
//! The engine (55.2) has scans and exchanges yield now and then, and takes it that what lies between them does little for
//! each of their batches. What makes many rows of one does not: a count of a join by value ran on for minutes after its
//! query had been cancelled, and held its thread, on which nothing else could run.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// What makes many rows of one, and so could compute for minutes before it looks up.
const MANY_OF_ONE: [&str; 7] = [
    "CrossJoinExec",
    "HashJoinExec",
    "LookupJoinExec",
    "NestedLoopJoinExec",
    "RangeJoinExec",
    "SortMergeJoinExec",
    "UnnestExec",
];

/// Gives such nodes a breath after every few batches, in which they can be ended.
///
/// # Errors
/// When a node cannot be made anew.
pub fn breathing(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(if MANY_OF_ONE.contains(&node.name()) {
            Transformed::yes(Arc::new(CooperativeExec::new(node)) as _)
        } else {
            Transformed::no(node)
        })
    })
    .data()
}

/// That, as a rule.
#[derive(Debug)]
pub(crate) struct Breathe;

impl PhysicalOptimizerRule for Breathe {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        breathing(plan)
    }

    fn name(&self) -> &'static str {
        "Breathe"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
