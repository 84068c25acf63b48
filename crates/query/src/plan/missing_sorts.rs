//! Sorts where rows are not in the order that a node asks for.
//!
//! The engine (DataFusion 55) sorts the parts of a UNION instead of all of it, without what is the same in all rows of a part. Where
//! the parts differ in that, `SELECT day, 'visit' AS kind … UNION ALL SELECT day, 'drug', …`, it does not know afterwards
//! that the union is in order, and refused its own plan.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::{LexOrdering, OrderingRequirements};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Sorts what the engine left unsorted.
#[derive(Debug)]
pub(crate) struct SortWhatIsNot;

impl PhysicalOptimizerRule for SortWhatIsNot {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let mut sorted = Vec::new();
            let mut changed = false;
            for (child, order) in plan
                .children()
                .into_iter()
                .zip(plan.required_input_ordering())
            {
                let missing = match order {
                    Some(OrderingRequirements::Hard(orders)) => {
                        let properties = child.equivalence_properties();
                        let mut there = orders
                            .iter()
                            .map(|order| properties.ordering_satisfy_requirement(order.clone()));
                        let there = there.try_fold(false, |any, one| one.map(|one| any || one))?;
                        orders.into_iter().next().filter(|_| !there)
                    }
                    Some(OrderingRequirements::Soft(_)) | None => None,
                };
                sorted.push(match missing {
                    None => Arc::clone(child),
                    Some(order) => {
                        changed = true;
                        let sort = SortExec::new(LexOrdering::from(order), Arc::clone(child));
                        Arc::new(sort.with_preserve_partitioning(true)) as _
                    }
                });
            }
            if !changed {
                return Ok(Transformed::no(plan));
            }
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(plan.replace_children(sorted, options)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "SortWhatIsNot"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::displayable;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

    use super::*;

    #[test]
    fn only_what_is_not_in_order_is_sorted() {
        let schema = Schema::new(vec![Field::new("day", DataType::Date32, true)]);
        let rows = EmptyExec::new(Arc::new(schema)).with_partitions(2);
        let day = Column::new("day", 0);
        let by = LexOrdering::new([PhysicalSortExpr::new_default(Arc::new(day))]).unwrap();
        let merged = SortPreservingMergeExec::new(by, Arc::new(rows));
        let optimize = |plan| SortWhatIsNot.optimize(plan, &ConfigOptions::default());
        let shown = |plan: &dyn ExecutionPlan| displayable(plan).indent(false).to_string();
        let sorted = optimize(Arc::new(merged)).unwrap();
        assert_eq!(shown(sorted.as_ref()).matches("SortExec").count(), 1);
        let again = optimize(Arc::clone(&sorted)).unwrap();
        assert_eq!(shown(again.as_ref()), shown(sorted.as_ref()));
    }
}
