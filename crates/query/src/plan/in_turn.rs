//! Many small partitions as few: one after the other, where it does not matter which is whose.
//!
//! A table that is read by its copy has a partition for each bucket, which may be hundreds. An exchange starts all its input's
//! partitions at once, and each holds memory from then on.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::equivalence::EquivalenceProperties;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::shared::SharedExec;

/// As many partitions stand ready for each thread as a scan has elsewhere.
const PER_THREAD: usize = 4;

/// Has exchanges take many partitions in turn.
#[derive(Debug)]
pub(crate) struct TakeInTurn;

impl PhysicalOptimizerRule for TakeInTurn {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let most = config
            .execution
            .target_partitions
            .saturating_mul(PER_THREAD);
        plan.transform_up(|node| {
            let exchange = node.downcast_ref::<RepartitionExec>();
            let merges = node.downcast_ref::<SortPreservingMergeExec>().is_some()
                || exchange.is_some_and(RepartitionExec::preserve_order);
            let mixes = node.downcast_ref::<CoalescePartitionsExec>().is_some();
            let input = match node.children()[..] {
                [input] if merges || mixes || exchange.is_some() => Arc::clone(input),
                _ => return Ok(Transformed::no(node)),
            };
            if input.output_partitioning().partition_count() <= most || !is_alone(&input) {
                return Ok(Transformed::no(node));
            }
            let order = input.output_ordering().cloned().filter(|_| merges);
            if order.is_some() && !are_groups(&input) {
                return Ok(Transformed::no(node));
            }
            let mut input: Arc<dyn ExecutionPlan> = Arc::new(InTurnExec::new(input, most));
            // They are groups, and few.
            if let Some(order) = order {
                input = Arc::new(SortExec::new(order, input).with_preserve_partitioning(true));
            }
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let node = node.replace_children(vec![input], options)?;
            Ok(Transformed::yes(node))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "TakeInTurn"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether rows are groups.
fn are_groups(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let computed = plan.downcast_ref::<ProjectionExec>();
    let input = computed.map_or(plan, ProjectionExec::input);
    input.downcast_ref::<AggregateExec>().is_some()
}

/// Whether rows come from one table and go nowhere else: what is read twice at once is kept from one reader to the other.
fn is_alone(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children()[..] {
        [] => true,
        [input] => plan.downcast_ref::<SharedExec>().is_none() && is_alone(input),
        _ => false,
    }
}

#[derive(Debug)]
struct InTurnExec {
    input: Arc<dyn ExecutionPlan>,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl InTurnExec {
    fn new(input: Arc<dyn ExecutionPlan>, most: usize) -> Self {
        let partitions = most.clamp(1, input.output_partitioning().partition_count().max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(partitions),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self {
            input,
            partitions,
            properties: Arc::new(properties),
        }
    }

    /// Which of the input's partitions one is.
    fn of(&self, partition: usize) -> Range<usize> {
        let all = self.input.output_partitioning().partition_count();
        let from = |partition: usize| partition * all / self.partitions;
        from(partition)..from(partition + 1)
    }
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.input.output_partitioning().partition_count();
        write!(f, "InTurnExec: {all} partitions as {}", self.partitions)
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &'static str {
        "InTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::new(input, self.partitions)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = Arc::clone(&self.input);
        let each = futures::stream::iter(self.of(partition))
            .map(move |partition| input.execute(partition, Arc::clone(&context)));
        let rows = each.try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    #[test]
    fn each_partition_is_taken_once() {
        let schema = Arc::new(Schema::empty());
        for (all, most) in [(64, 8), (9, 8), (8, 8), (1, 8), (17, 3)] {
            let input = EmptyExec::new(Arc::clone(&schema)).with_partitions(all);
            let few = InTurnExec::new(Arc::new(input), most);
            let taken: Vec<usize> = (0..few.partitions).flat_map(|part| few.of(part)).collect();
            assert_eq!(taken, (0..all).collect::<Vec<_>>());
            assert_eq!(few.partitions, most.min(all));
        }
    }
}
