//! Joins within two bounds are divided by person, however few rows a side has.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::keys::ascending;
use super::segment_join::asks_within_bounds;

/// Divides joins by person whose rows ask for those within two bounds, however few they are: sent to all, each row meets all rows
/// of the person, and one in intensive care has thousands.
#[derive(Debug)]
pub(crate) struct DivideBounded;

impl PhysicalOptimizerRule for DivideBounded {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let sent = *join.partition_mode() == PartitionMode::CollectLeft && !join.null_aware;
            if !sent || !asks_within_bounds(join, join.left())? || !any_sorted(join)? {
                return Ok(Transformed::no(plan));
            }
            let divided = join
                .builder()
                .with_partition_mode(PartitionMode::Partitioned);
            Ok(Transformed::yes(divided.build_exec()?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "DivideBounded"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a key sorts both sides.
fn any_sorted(join: &HashJoinExec) -> Result<bool> {
    for (l, r) in join.on() {
        let sides = [(join.left(), l), (join.right(), r)];
        let mut both = true;
        for (side, key) in sides {
            let properties = side.equivalence_properties();
            both &= properties.ordering_satisfy([ascending(key)])?;
        }
        if both {
            return Ok(true);
        }
    }
    Ok(false)
}
