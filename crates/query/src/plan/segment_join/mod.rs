//! Joins of rows that are sorted by the join's keys on both sides: one pass through both, and no table of either.
//!
//! Tables lie patient by patient in the same ranges, so that this is how most of them meet.

mod run;
mod sides;

use std::sync::Arc;

use arrow::compute::BatchCoalescer;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::{
    LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr, PhysicalExprRef,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};
use futures::TryStreamExt;

use super::build_order::UnorderedExec;
use super::build_side::rows;
use super::colocated_join::ColocatedJoinExec;
use super::few_persons::Persons;
use super::keys::{self, ascending};
use super::matches::{Output, driver};
use super::nearby::Bounds;
use super::nearest::Nearest;
use super::one_sided::{split, with_computed};
use super::sorted_input::SortedInput;
use run::Run;
use sides::{looked_up_keys, properties, sorted_keys};

/// As many keys as a number of 128 bits holds.
const MOST_KEYS: usize = 2;

/// So many times the rows of a table that is small enough to be sent to all: from there on, both sides are gone through.
const TIMES_SMALL: usize = 8;
/// One side is at most so many times as large as the other then.
const ALIKE: usize = 4;

/// Puts hash joins whose two sides are sorted by their keys on the operator that uses this.
#[derive(Debug)]
pub(crate) struct JoinSegments;

impl PhysicalOptimizerRule for JoinSegments {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let small = options.optimizer.hash_join_single_partition_threshold_rows;
        let large = small.saturating_mul(TIMES_SMALL);
        plan.transform_up(|plan| {
            let by_two_keys = match plan.downcast_ref::<ColocatedJoinExec>() {
                Some(join) => join.by_two_keys()?,
                None => None,
            };
            let join = SegmentJoinExec::of(by_two_keys.as_ref().unwrap_or(&plan), large)?;
            Ok(match join {
                Some(join) => Transformed::yes(Arc::new(join) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "JoinSegments"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a row of one side asks for rows of the other within two bounds.
pub(super) fn asks_within_bounds(
    join: &HashJoinExec,
    left: &Arc<dyn ExecutionPlan>,
) -> Result<bool> {
    let Some(condition) = join.filter() else {
        return Ok(false);
    };
    let condition = split(condition, &left.schema(), &join.right().schema())?.condition;
    let bounds = Bounds::of(&condition, driver(*join.join_type()));
    Ok(bounds.is_some_and(Bounds::are_two))
}

fn hash_join(plan: &dyn ExecutionPlan) -> Option<&HashJoinExec> {
    match plan.downcast_ref::<ColocatedJoinExec>() {
        Some(join) => join.hash_join(),
        None => plan.downcast_ref::<HashJoinExec>(),
    }
}

#[derive(Debug, Clone)]
pub(super) struct SegmentJoinExec {
    /// The join that this one stands for: it knows schema and partitioning.
    join: Arc<dyn ExecutionPlan>,
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    /// What both sides are sorted by: all keys, or the first of two.
    left_keys: LexOrdering,
    right_keys: LexOrdering,
    /// What is computed of each side's rows for the condition, behind their own columns.
    of_left: Vec<PhysicalExprRef>,
    of_right: Vec<PhysicalExprRef>,
    output: Output,
    /// The persons of the left side, where the right one's scan is told of them.
    persons: Option<Arc<Persons>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentJoinExec {
    pub(super) fn join_type(&self) -> JoinType {
        self.output.join_type
    }

    /// What both sides are sorted by first.
    pub(super) fn person(&self) -> Option<(&PhysicalExprRef, &PhysicalExprRef)> {
        let (left, right) = (self.left_keys.iter().next(), self.right_keys.iter().next());
        left.zip(right)
            .map(|(left, right)| (&left.expr, &right.expr))
    }

    /// The join whose left side is read first, and tells the right one's scan of its persons.
    pub(super) fn telling(&self, right: Arc<dyn ExecutionPlan>, persons: Arc<Persons>) -> Self {
        Self {
            right,
            persons: Some(persons),
            ..self.clone()
        }
    }

    /// The join that pairs each row of the side that has the grouped columns with one other at most, whose value counts; none where all
    /// pairs count, or which one is not known.
    pub(super) fn paired_with_nearest(
        &self,
        grouped: &[usize],
        value: usize,
        least: bool,
    ) -> Result<Option<Self>> {
        let place = |at: usize| self.output.columns.get(at);
        let sides: Option<Vec<_>> = grouped.iter().map(|at| Some(place(*at)?.side)).collect();
        let (Some(sides), Some(value), Some(condition)) =
            (sides, place(value), &self.output.filter)
        else {
            return Ok(None);
        };
        let driver = match value.side {
            JoinSide::Left => JoinSide::Right,
            _ => JoinSide::Left,
        };
        if self.output.join_type != JoinType::Inner || sides.iter().any(|side| *side != driver) {
            return Ok(None);
        }
        match Nearest::of(condition, driver, value.index, least) {
            None => Ok(None),
            nearest => self.clone().pairing(nearest).map(Some),
        }
    }

    fn pairing(mut self, nearest: Option<Nearest>) -> Result<Self> {
        let (Some(nearest), Some(join)) = (nearest, hash_join(self.join.as_ref())) else {
            return Ok(self);
        };
        if nearest.driver != self.output.driver() {
            self.output.equal = self.output.equal.map(|(other, driver)| (driver, other));
        }
        self.properties = Arc::new(properties(join, &self.left, nearest.driver)?);
        self.output.nearest = Some(nearest);
        Ok(self)
    }

    /// None for what is not such a join. `large`: rows from which on a side may be sorted further for it.
    fn of(plan: &Arc<dyn ExecutionPlan>, large: usize) -> Result<Option<Self>> {
        let Some(join) = hash_join(plan.as_ref()) else {
            return Ok(None);
        };
        if *join.partition_mode() != PartitionMode::Partitioned
            || join.null_aware
            || join.null_equality() != NullEquality::NullEqualsNothing
            || join.on().len() > MOST_KEYS
            || plan.fetch().is_some()
        {
            return Ok(None);
        }
        let left = match join.left().downcast_ref::<UnorderedExec>() {
            Some(hidden) => hidden.input(),
            None => join.left(),
        };
        let sorted = match sorted_keys(join, left)? {
            Some((left_keys, right_keys)) => Some((left_keys, right_keys, None)),
            None => looked_up_keys(join, left, large)?,
        };
        let Some((left_keys, right_keys, equal)) = sorted else {
            return match large {
                usize::MAX => Ok(None),
                _ => Self::sorted_for_bounds(plan, join, left),
            };
        };
        let (left_schema, right_schema) = (left.schema(), join.right().schema());
        let (_, mut columns) = build_join_schema(&left_schema, &right_schema, join.join_type());
        if let Some(projection) = &join.projection {
            columns = projection
                .iter()
                .filter_map(|at| columns.get(*at).cloned())
                .collect();
        }
        let properties = properties(join, left, driver(*join.join_type()))?;
        let condition = join.filter();
        let condition = condition.map(|condition| split(condition, &left_schema, &right_schema));
        let condition = condition.transpose()?;
        let (condition, of_left, of_right) = match condition {
            Some(split) => (Some(split.condition), split.left, split.right),
            None => Default::default(),
        };
        Ok(Some(Self {
            of_left,
            of_right,
            left: Arc::clone(left),
            right: Arc::clone(join.right()),
            left_keys,
            right_keys,
            output: Output {
                join_type: *join.join_type(),
                bounds: condition
                    .as_ref()
                    .and_then(|condition| Bounds::of(condition, driver(*join.join_type()))),
                equal,
                nearest: None,
                filter: condition,
                columns,
                schema: join.schema(),
                block: 0,
            },
            persons: None,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            join: Arc::clone(plan),
        }))
    }

    /// The join of rows of which each asks for those of a person within two bounds, where one side is not sorted by person, as copies
    /// by concept are not: all pairs of a person's rows would have to be made.
    fn sorted_for_bounds(
        plan: &Arc<dyn ExecutionPlan>,
        join: &HashJoinExec,
        left: &Arc<dyn ExecutionPlan>,
    ) -> Result<Option<Self>> {
        match asks_within_bounds(join, left)? {
            true => Self::sorted_anew(plan, false),
            false => Ok(None),
        }
    }

    /// The join over the side that is not sorted by its key, sorted by it, unless it is by far the larger one; or over both, if asked for
    /// and the key is the person, of whom no table has most rows.
    pub(super) fn sorted_anew(plan: &Arc<dyn ExecutionPlan>, both: bool) -> Result<Option<Self>> {
        let Some(join) = hash_join(plan.as_ref()) else {
            return Ok(None);
        };
        let left = match join.left().downcast_ref::<UnorderedExec>() {
            Some(hidden) => hidden.input(),
            None => join.left(),
        };
        let [(l, r)] = join.on() else {
            return Ok(None);
        };
        let sorted = |side: &Arc<dyn ExecutionPlan>, key| {
            let properties = side.equivalence_properties();
            properties.ordering_satisfy([ascending(key)])
        };
        let by = |side: &Arc<dyn ExecutionPlan>, key| {
            let sort = LexOrdering::new([ascending(key)])
                .map(|keys| SortExec::new(keys, Arc::clone(side)).with_preserve_partitioning(true));
            sort.map_or_else(|| Arc::clone(side), |sort| Arc::new(sort) as _)
        };
        let right = join.right();
        let (few, many) = (rows(left), rows(right));
        let fewer = |side: Option<usize>, other: Option<usize>| {
            side.zip(other)
                .is_none_or(|(side, other)| side / ALIKE <= other)
        };
        let by_person = match left.output_partitioning() {
            Partitioning::Range(ranges) => ranges.ordering().first().expr.eq(l),
            _ => false,
        };
        match (sorted(left, l)?, sorted(right, r)?) {
            (false, true) if fewer(few, many) => Self::over(plan, &by(left, l), right),
            (true, false) if fewer(many, few) => Self::over(plan, left, &by(right, r)),
            (false, false)
                if both
                    && by_person
                    && few.zip(many).is_some()
                    && fewer(few, many)
                    && fewer(many, few) =>
            {
                Self::over(plan, &by(left, l), &by(right, r))
            }
            _ => Ok(None),
        }
    }

    /// The join over sides that are sorted anew; none where what is planned above may need the order that there was.
    fn over(
        plan: &Arc<dyn ExecutionPlan>,
        left: &Arc<dyn ExecutionPlan>,
        right: &Arc<dyn ExecutionPlan>,
    ) -> Result<Option<Self>> {
        let hidden = Arc::new(UnorderedExec::new(Arc::clone(left)));
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let children = vec![hidden as _, Arc::clone(right)];
        let changed = Arc::clone(plan).replace_children(children, options)?;
        let Some(join) = hash_join(changed.as_ref()) else {
            return Ok(None);
        };
        if sorted_keys(join, left)?.is_none() {
            return Ok(None);
        }
        let Some(changed) = Self::of(&changed, usize::MAX)? else {
            return Ok(None);
        };
        let (before, after) = (
            plan.equivalence_properties(),
            &changed.properties.eq_properties,
        );
        Ok(keys::keeps_orders(before, after)?.then_some(changed))
    }
}

impl DisplayAs for SegmentJoinExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = hash_join(self.join.as_ref());
        // Those by which both sides are sorted first.
        let mut on: Vec<_> = join.map_or(&[][..], HashJoinExec::on).iter().collect();
        on.sort_by_key(|(key, _)| {
            self.left_keys
                .iter()
                .position(|by| by.expr.eq(key))
                .unwrap_or(usize::MAX)
        });
        let on: Vec<String> = on
            .iter()
            .map(|(left, right)| format!("({left}, {right})"))
            .collect();
        let (join_type, on) = (self.output.join_type, on.join(", "));
        if matches!(kind, DisplayFormatType::TreeRender) {
            return write!(f, "join_type={join_type}\non={on}");
        }
        write!(f, "SegmentJoinExec: join_type={join_type}, on=[{on}]")?;
        if let Some(filter) = join.and_then(HashJoinExec::filter) {
            write!(f, ", filter={}", filter.expression())?;
        }
        if self.output.nearest.is_some() {
            write!(f, ", nearest")?;
        }
        let projected = join.is_some_and(|j| j.projection.is_some());
        if projected {
            let fields = self.output.schema.fields();
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            write!(f, ", projection=[{}]", names.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SegmentJoinExec {
    fn name(&self) -> &'static str {
        "SegmentJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.join.input_distribution_requirements()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let sides = [&self.left_keys, &self.right_keys];
        sides
            .into_iter()
            .map(|keys| Some(keys.clone().into()))
            .collect()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        match self.output.join_type {
            JoinType::Full => vec![false, false],
            _ => vec![
                self.output.driver() == JoinSide::Left,
                self.output.driver() == JoinSide::Right,
            ],
        }
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(left) = children.first_mut() {
            *left = Arc::new(UnorderedExec::new(Arc::clone(left)));
        }
        let join = Arc::clone(&self.join).replace_children(children, options)?;
        // Other inputs may be sorted otherwise.
        Ok(match Self::of(&join, usize::MAX)? {
            Some(join) => {
                let join = join.pairing(self.output.nearest)?;
                let same = join.person() == self.person();
                let persons = self.persons.clone().filter(|_| same);
                Arc::new(Self { persons, ..join })
            }
            None => join,
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
        let memory = || {
            let consumer = MemoryConsumer::new(format!("SegmentJoin[{partition}]"));
            consumer.register(context.memory_pool())
        };
        let input = |rows, keys: &LexOrdering, computed: &[PhysicalExprRef]| -> Result<_> {
            let keys = keys.iter().map(|key| Arc::clone(&key.expr)).collect();
            Ok(SortedInput::new(
                with_computed(rows, computed)?,
                keys,
                memory(),
            ))
        };
        let left = self.left.execute(partition, Arc::clone(&context))?;
        let right = self.right.execute(partition, Arc::clone(&context))?;
        let left = match (&self.persons, self.person()) {
            (Some(persons), Some((key, _))) => {
                let schema = left.schema();
                let persons = Arc::clone(persons);
                let learned = persons.learn(partition, Arc::clone(key), left, memory());
                let rows = futures::stream::once(learned).try_flatten();
                Box::pin(RecordBatchStreamAdapter::new(schema, rows)) as SendableRecordBatchStream
            }
            _ => left,
        };
        let block = context.session_config().batch_size().max(1);
        let mut output = self.output.clone();
        output.block = block;
        let schema = Arc::clone(&output.schema);
        // Large batches pass as they are.
        let coalescer = BatchCoalescer::new(Arc::clone(&schema), block)
            .with_biggest_coalesce_batch_size(Some(block / 2));
        let run = Run {
            left: input(left, &self.left_keys, &self.of_left)?,
            right: input(right, &self.right_keys, &self.of_right)?,
            step: None,
            output,
            coalescer,
            ended: false,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let batches = futures::stream::try_unfold(run, |mut run| async move {
            Ok(run.next().await?.map(|batch| (batch, run)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
