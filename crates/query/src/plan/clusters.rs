//! Windows by person behind a pseudonym, whose rows lie person by person in an order that no column shows.
//!
//! The planner sorts them anew by pseudonym, all of them. But a window asks only for each person's rows in one piece and
//! in order, which a sort within persons gives. Whatever else was planned on the order by pseudonym must not lose it:
//! the change is made only where every node above still gets the order that it asks for, and what may go by an order
//! without asking still gets the order that it had.

use std::sync::Arc;

use columna_privacy::guard::StoredOrder;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};

use super::colocated_join::ColocatedJoinExec;
use super::keys;
use super::segment_sort;
use super::segment_window::SegmentWindowExec;
use super::shared::SharedExec;

/// Sorts within persons for windows by person, where the person is a pseudonym.
#[derive(Debug)]
pub(crate) struct WindowsOverClusters;

impl PhysicalOptimizerRule for WindowsOverClusters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = unmerged(plan)?;
        // One after the other: what forbids one need not forbid the next. From above, since a window takes with it those
        // below it that share its sort.
        for at in (0..windows(&plan)?).rev() {
            if let Some(changed) = changed(&plan, at)?
                && still_ordered(&changed)?
                && keeps_order(&plan, &changed)?
            {
                plan = changed;
            }
        }
        Ok(plan)
    }

    fn name(&self) -> &'static str {
        "WindowsOverClusters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Rows that are sent on without being merged by an order that nobody can evaluate.
fn unmerged(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(moved) = node.downcast_ref::<RepartitionExec>() else {
            return Ok(Transformed::no(node));
        };
        let order = moved.input().output_ordering();
        let mut keys = order.into_iter().flatten().map(|key| &key.expr);
        if !moved.preserve_order() || !keys.any(StoredOrder::is_in) {
            return Ok(Transformed::no(node));
        }
        let partitioning = moved.partitioning().clone();
        let moved = RepartitionExec::try_new(Arc::clone(moved.input()), partitioning)?;
        Ok(Transformed::yes(Arc::new(moved) as _))
    })
    .data()
}

fn windows(plan: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let mut count = 0;
    plan.apply(|node| {
        count += usize::from(SegmentWindowExec::may_stand_for(node));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

/// The plan with its window of this number, from below, over persons that lie together; none where they do not.
fn changed(plan: &Arc<dyn ExecutionPlan>, number: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut seen = 0;
    let mut any = false;
    let changed = Arc::clone(plan)
        .transform_up(|node| {
            if !SegmentWindowExec::may_stand_for(&node) {
                return Ok(Transformed::no(node));
            }
            let this = seen == number;
            seen += 1;
            let window = match this {
                true => over_clusters(&node)?,
                false => None,
            };
            any |= window.is_some();
            Ok(match window {
                Some(window) => Transformed::yes(window),
                None => Transformed::no(node),
            })
        })
        .data()?;
    Ok(any.then_some(changed))
}

/// A window over a sort by pseudonym, with nothing between them but what looks at one row at a time, and other windows.
fn over_clusters(window: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut between = Vec::new();
    let mut node = window.children().first().copied();
    let sort = loop {
        let Some(here) = node else {
            return Ok(None);
        };
        if let Some(sort) = here.downcast_ref::<SortExec>() {
            break sort;
        }
        let plain = here.fetch().is_none()
            && (here.downcast_ref::<ProjectionExec>().is_some()
                || here.downcast_ref::<FilterExec>().is_some()
                || SegmentWindowExec::may_stand_for(here));
        match here.children().as_slice() {
            [child] if plain => {
                between.push(here);
                node = Some(*child);
            }
            _ => return Ok(None),
        }
    };
    let Some(sorted) = ClusterSortExec::of(sort)? else {
        return Ok(None);
    };
    let mut input: Arc<dyn ExecutionPlan> = Arc::new(sorted);
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    for node in between.into_iter().rev() {
        input = if SegmentWindowExec::may_stand_for(node) {
            let Some(window) = SegmentWindowExec::over_clusters(node, input)? else {
                return Ok(None);
            };
            window
        } else {
            Arc::clone(node).replace_children(vec![input], options)?
        };
    }
    SegmentWindowExec::over_clusters(window, input)
}

/// Whether every node gets the order that it asks for. Nothing but orders has changed.
pub(super) fn still_ordered(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut kept = true;
    plan.apply(|node| {
        let required = node.required_input_ordering();
        for (child, required) in node.children().into_iter().zip(required) {
            if let Some(required) = required {
                let properties = child.equivalence_properties();
                kept &= properties.ordering_satisfy_requirement(required.into_single())?;
            }
        }
        Ok(if kept {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(kept)
}

/// Whether whatever may go by an order without asking for it gets the order that it got, down to where it comes from: a
/// projection in between may not show it. The result is asked for by the node on top.
pub(super) fn keeps_order(
    before: &Arc<dyn ExecutionPlan>,
    after: &Arc<dyn ExecutionPlan>,
) -> Result<bool> {
    let matters = before.downcast_ref::<OutputRequirementExec>().is_none();
    let mut pairs = vec![(before, after, matters)];
    while let Some((before, after, matters)) = pairs.pop() {
        if Arc::ptr_eq(before, after) {
            continue;
        }
        if matters
            && !keys::keeps_orders(
                before.equivalence_properties(),
                after.equivalence_properties(),
            )?
        {
            return Ok(false);
        }
        let (inputs, changed) = (before.children(), after.children());
        if inputs.len() != changed.len() {
            return Ok(false);
        }
        let silent = !says_what_it_needs(before);
        let passes_on = before.maintains_input_order();
        for ((input, changed), passes_on) in inputs.into_iter().zip(changed).zip(passes_on) {
            pairs.push((input, changed, silent || matters && passes_on));
        }
    }
    Ok(true)
}

/// Whether a node asks for every order that it goes by. A limit, for one, does not.
fn says_what_it_needs(node: &Arc<dyn ExecutionPlan>) -> bool {
    if node.downcast_ref::<SortExec>().is_some()
        || node.downcast_ref::<OutputRequirementExec>().is_some()
        || SegmentWindowExec::may_stand_for(node)
    {
        return true;
    }
    node.fetch().is_none()
        && (node.downcast_ref::<ProjectionExec>().is_some()
            || node.downcast_ref::<FilterExec>().is_some()
            || node
                .downcast_ref::<AggregateExec>()
                .is_some_and(|aggregate| aggregate.limit_options().is_none())
            || node
                .downcast_ref::<RepartitionExec>()
                .is_some_and(|moved| !moved.preserve_order())
            || node.downcast_ref::<CoalescePartitionsExec>().is_some()
            || node.downcast_ref::<HashJoinExec>().is_some()
            || node.downcast_ref::<ColocatedJoinExec>().is_some()
            || node.downcast_ref::<SegmentWindowExec>().is_some()
            || node.downcast_ref::<SharedExec>().is_some())
}

/// A sort's keys with the first one in the order of what it stands for.
fn stored_first(keys: &[PhysicalSortExpr]) -> Option<LexOrdering> {
    let (first, rest) = keys.split_first()?;
    let stored = PhysicalSortExpr::new(StoredOrder::of(&first.expr), first.options);
    LexOrdering::new(std::iter::once(stored).chain(rest.iter().cloned()))
}

/// Sorts the rows of each person, and leaves the persons as they are.
#[derive(Debug)]
struct ClusterSortExec {
    keys: LexOrdering,
    /// So many of the keys need no sort.
    prefix: usize,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ClusterSortExec {
    /// None for a sort whose first key is no pseudonym of persons that lie together.
    fn of(sort: &SortExec) -> Result<Option<Self>> {
        let input = sort.input();
        let one_by_one =
            sort.preserve_partitioning() || input.output_partitioning().partition_count() == 1;
        if sort.fetch().is_some() || !one_by_one {
            return Ok(None);
        }
        Self::over(sort.expr().clone(), Arc::clone(input))
    }

    fn over(keys: LexOrdering, input: Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let before = input.equivalence_properties();
        // A constant would be one segment with everything in it.
        if before.is_expr_constant(&keys.first().expr).is_some() {
            return Ok(None);
        }
        let Some(order) = stored_first(&keys) else {
            return Ok(None);
        };
        let mut prefix = 0;
        while prefix < order.len() && before.ordering_satisfy(order[..=prefix].iter().cloned())? {
            prefix += 1;
        }
        if prefix == 0 {
            return Ok(None);
        }
        let mut equivalences = before.clone();
        equivalences.clear_orderings();
        equivalences.add_ordering(order);
        let properties = PlanProperties::new(
            equivalences,
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            input.boundedness(),
        );
        Ok(Some(Self {
            keys,
            prefix,
            input,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

impl DisplayAs for ClusterSortExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ClusterSortExec: expr=[{}], sorted_prefix={}",
            self.keys, self.prefix
        )
    }
}

impl ExecutionPlan for ClusterSortExec {
    fn name(&self) -> &'static str {
        "ClusterSortExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::UnspecifiedDistribution])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            if f(&key.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return datafusion::common::internal_err!("a sort has one input");
        };
        Ok(match Self::over(self.keys.clone(), Arc::clone(&input))? {
            Some(sort) => Arc::new(sort),
            // Persons no longer lie together: a sort of everything is in order too.
            None => {
                Arc::new(SortExec::new(self.keys.clone(), input).with_preserve_partitioning(true))
            }
        })
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
        let keys = (&self.keys, self.prefix);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        segment_sort::sort_each(
            "ClusterSort",
            keys,
            &self.input,
            partition,
            &context,
            metrics,
        )
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
