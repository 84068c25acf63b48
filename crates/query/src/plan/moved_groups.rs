//! Groups of rows that were sent elsewhere: by a table of groups, and not by the order that their partitions had.
//!
//! The engine (DataFusion 55), told to keep an order where it can, merges what each partition is sent, row by row, for groups that
//! could be told by the order then. That is several times what it takes to look a row's group up.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, InputOrderMode, Partitioning,
};

/// Sends rows in any order for such groups. What was to be sorted above is no longer.
#[derive(Debug)]
pub(crate) struct GroupWhatMoved;

impl PhysicalOptimizerRule for GroupWhatMoved {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let groups = plan.downcast_ref::<AggregateExec>();
            // Groups that were made before are fewer, and by the order take no memory.
            let of_rows =
                groups.filter(|groups| groups.mode().input_mode() == AggregateInputMode::Raw);
            let by_order = of_rows.filter(|a| *a.input_order_mode() != InputOrderMode::Linear);
            let Some(groups) = by_order else {
                return Ok(Transformed::no(plan));
            };
            Ok(match in_any_order(groups.input())? {
                Some(input) => Transformed::yes(over(&plan, 0, input)?),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "GroupWhatMoved"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with rows sent in any order; none where they are not sent, or others ask for the order.
fn in_any_order(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(sent) = plan.downcast_ref::<RepartitionExec>() {
        let input = sent.input();
        let merges = sent.preserve_order() && input.output_partitioning().partition_count() > 1;
        let by_hash = matches!(sent.partitioning(), Partitioning::Hash(..));
        if !(merges && by_hash) {
            return Ok(None);
        }
        let sent = RepartitionExec::try_new(Arc::clone(input), sent.partitioning().clone())?;
        return Ok(Some(Arc::new(sent)));
    }
    let at = match plan.children().len() {
        1 if plan.is::<ProjectionExec>() || plan.is::<FilterExec>() => 0,
        // The side whose order a join keeps.
        2 if plan.is::<HashJoinExec>() => 1,
        _ => return Ok(None),
    };
    let Some(input) = in_any_order(plan.children()[at])? else {
        return Ok(None);
    };
    over(plan, at, input).map(Some)
}

fn over(
    plan: &Arc<dyn ExecutionPlan>,
    at: usize,
    input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut inputs: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    inputs[at] = input;
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(inputs, options)
}
