//! Groups that lie within a person: whole chunks of persons at a time, of which each is done with its groups.
//!
//! The engine looks every row's group up in a hash table, whatever it knows of the order. Groups of a chunk are most often
//! runs of equal rows: by person alone they are always, and by what windows have numbered as well. Where they are not,
//! a person's few rows are sorted by the numbers that they are grouped by; what is no number is looked up in a table that holds the
//! chunk's groups alone.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
    RecordBatch, UInt32Array, downcast_primitive_array, make_comparator,
};
use arrow::compute::{SortColumn, SortOptions, take, take_arrays, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_err, internal_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{OrderingRequirements, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, InputOrderMode, PlanProperties, SendableRecordBatchStream,
};

use super::changes::Changes;
use super::keys;
use super::run_aggregates;
use super::segment_sort::order_within;
use super::segments::{self, Work, evaluate};
use super::window_functions::holding;
use crate::functions::aggregate::eras_of_groups;

/// Rows of a chunk: most often those of one batch, which is not copied for it.
const CHUNK_ROWS: usize = 4 * 1024;

/// Puts aggregates by person over rows sorted by person on the operator that goes chunk by chunk.
#[derive(Debug)]
pub(crate) struct AggregatesOverSegments;

impl PhysicalOptimizerRule for AggregatesOverSegments {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match segments_of(plan.as_ref())? {
                Some(of) => Transformed::yes(Arc::new(SegmentAggregateExec::new(plan, of)) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "AggregatesOverSegments"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Which keys tell the segments apart whose groups a node makes, all of them at once and in the order of its rows: the person, and
/// what rows are sorted by before; none where it does something else. Where rows do not lie in ranges of persons, a key's rows may
/// be all there are, which no memory would hold.
fn segments_of(plan: &dyn ExecutionPlan) -> Result<Option<Vec<usize>>> {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let groups = aggregate.group_expr();
    let single = matches!(
        aggregate.mode(),
        AggregateMode::Single | AggregateMode::SinglePartitioned
    );
    let plain = groups.is_single()
        && aggregate.limit_options().is_none()
        && aggregate.dynamic_expressions_produced().is_empty();
    let mut calls = aggregate.aggr_expr().iter();
    let known = calls.all(|call| known(call));
    let input = aggregate.input();
    let schema = input.schema();
    let flat = |(expr, _): &(Arc<dyn PhysicalExpr>, String)| {
        expr.data_type(&schema).is_ok_and(|key| !key.is_nested())
    };
    if !(single && plain && known && groups.expr().iter().all(flat)) {
        return Ok(None);
    }
    let Partitioning::Range(ranges) = input.output_partitioning() else {
        return Ok(None);
    };
    let properties = input.equivalence_properties();
    let same = properties.eq_group();
    let first = ranges.ordering().first();
    let mut keys = groups.expr().iter();
    let Some(person) = keys.position(|(expr, _)| same.exprs_equal(expr, &first.expr)) else {
        return Ok(None);
    };
    Ok(match aggregate.input_order_mode() {
        InputOrderMode::Sorted if properties.ordering_satisfy([first.clone()])? => {
            Some(vec![person])
        }
        InputOrderMode::Sorted => Some((0..groups.expr().len()).collect()),
        // What else rows are sorted by may be the same in all persons.
        InputOrderMode::PartiallySorted(sorted) => {
            let at = sorted.iter().position(|key| *key == person);
            at.map(|at| sorted[..=at].to_vec())
        }
        InputOrderMode::Linear => None,
    })
}

/// Whether an aggregate of a chunk's groups can be made here.
fn known(call: &AggregateFunctionExpr) -> bool {
    let picks = matches!(call.fun().name(), "first_value" | "last_value") && !call.is_distinct();
    call.order_bys().is_empty() && (picks || call.groups_accumulator_supported())
}

#[derive(Debug)]
pub(super) struct SegmentAggregateExec {
    /// The aggregate that this one stands for: it knows the plan's properties.
    aggregate: Arc<dyn ExecutionPlan>,
    /// The keys that tell segments apart.
    segments: Vec<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentAggregateExec {
    fn new(aggregate: Arc<dyn ExecutionPlan>, segments: Vec<usize>) -> Self {
        Self {
            aggregate,
            segments,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// Which of its columns tell segments apart.
    pub(super) fn segments(&self) -> &[usize] {
        &self.segments
    }
}

impl DisplayAs for SegmentAggregateExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentAggregateExec: ")?;
        self.aggregate.fmt_as(t, f)
    }
}

impl ExecutionPlan for SegmentAggregateExec {
    fn name(&self) -> &'static str {
        "SegmentAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.aggregate.children()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.aggregate.required_input_ordering()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.aggregate.input_distribution_requirements()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let aggregate = Arc::clone(&self.aggregate).replace_children(children, options)?;
        Ok(Arc::new(Self::new(aggregate, self.segments.clone())))
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
        let Some(aggregate) = self.aggregate.downcast_ref::<AggregateExec>() else {
            return self.aggregate.execute(partition, context);
        };
        let schema = self.schema();
        let by = aggregate.group_expr().input_exprs();
        let key = self.segments.iter().filter_map(|at| by.get(*at));
        let key = key.map(Arc::clone).collect();
        let calls = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let groups = Groups {
            by,
            segments: self.segments.clone(),
            sorted: *aggregate.input_order_mode() == InputOrderMode::Sorted,
            table: Mutex::new(new_group_values(
                aggregate
                    .group_expr()
                    .group_schema(&aggregate.input().schema())?,
                &GroupOrdering::None,
            )?),
            calls: calls
                .map(|(call, filter)| Call {
                    call: Arc::clone(call),
                    filter: filter.clone(),
                })
                .collect(),
            schema: Arc::clone(&schema),
        };
        let work = Work {
            name: "SegmentAggregate",
            partition,
            key,
            chunk_rows: CHUNK_ROWS,
            schema,
            metrics: BaselineMetrics::new(&self.metrics, partition),
            each: move |chunk: &RecordBatch| groups.of(chunk),
        };
        segments::stream(aggregate.input(), work, &context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Groups {
    by: Vec<Arc<dyn PhysicalExpr>>,
    segments: Vec<usize>,
    /// Whether rows are sorted by all keys.
    sorted: bool,
    /// For groups that are no runs: one for all chunks, which empties it, so that it does not grow anew in each.
    table: Mutex<Box<dyn GroupValues>>,
    calls: Vec<Call>,
    schema: SchemaRef,
}

impl Groups {
    /// The groups of a chunk that holds all rows of each.
    fn of(&self, chunk: &RecordBatch) -> Result<RecordBatch> {
        let keys = evaluate(&self.by, chunk)?;
        let changes = Changes::of(&keys, chunk.num_rows())?;
        let first = first_of(&keys, changes.runs())?;
        if self.sorted || self.ascend(&first)? {
            return self.of_runs(chunk, first, changes.runs());
        }
        let is_number = |key: &ArrayRef| keys::is_whole(key.data_type());
        let (segments, others): (Vec<_>, Vec<_>) =
            (0..keys.len()).partition(|at| self.segments.contains(at));
        if others.iter().all(|at| is_number(&keys[*at])) {
            // Within a segment rows keep their order where they are of one group.
            let segments: Vec<_> = segments
                .iter()
                .map(|at| ArrayRef::clone(&keys[*at]))
                .collect();
            let segments = Changes::of(&segments, chunk.num_rows())?;
            let others = others.iter().map(|at| SortColumn {
                values: ArrayRef::clone(&keys[*at]),
                options: None,
            });
            let order = order_within(
                segments.runs(),
                &others.collect::<Vec<_>>(),
                chunk.num_rows(),
            )?;
            let Some(order) = order else {
                // All equal rows follow each other after all.
                return self.of_runs(chunk, first, changes.runs());
            };
            let sorted = take_record_batch(chunk, &order)?;
            let keys = take_arrays(&keys, &order, None)?;
            let changes = Changes::of(&keys, chunk.num_rows())?;
            let runs = changes.runs();
            let groups = self.of_runs(&sorted, first_of(&keys, runs)?, runs)?;
            let first_rows = runs.iter().map(|run| order.value(run.start) as usize);
            return in_order_of_rows(&groups, first_rows, chunk.num_rows());
        }
        let mut ids = Vec::new();
        let (mut columns, count) = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.intern(&keys, &mut ids)?;
            let count = table.len();
            let groups = table.emit(EmitTo::All)?;
            table.clear_shrink(2 * CHUNK_ROWS);
            (groups, count)
        };
        for call in &self.calls {
            columns.push(call.of_groups(chunk, &ids, count)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The groups of a chunk in which each is a run of rows, whose keys are given.
    fn of_runs(
        &self,
        chunk: &RecordBatch,
        mut columns: Vec<ArrayRef>,
        runs: &[Range<usize>],
    ) -> Result<RecordBatch> {
        let mut ids = Vec::new();
        for call in &self.calls {
            if call.filter.is_none()
                && let Some(column) = run_aggregates::of(&call.call, chunk, runs)?
            {
                columns.push(column);
                continue;
            }
            if ids.is_empty() {
                for (id, run) in runs.iter().enumerate() {
                    ids.resize(run.end, id);
                }
            }
            columns.push(call.of_groups(chunk, &ids, runs.len())?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Whether each run's segment and other keys come after those of the run before it: no two runs are one group then.
    fn ascend(&self, runs: &[ArrayRef]) -> Result<bool> {
        let count = runs.first().map_or(0, |key| key.len());
        let segments = self.segments.iter().filter_map(|at| runs.get(*at));
        // Those that all keys up to now leave as the run before them.
        let mut equal = vec![true; count.saturating_sub(1)];
        for key in segments.chain(runs) {
            let compared = |equal: &mut Vec<bool>| -> Result<bool> {
                let compare = make_comparator(key, key, SortOptions::default())?;
                let mut open = equal.iter_mut().zip(1..).filter(|(equal, _)| **equal);
                Ok(open.all(|(equal, run)| {
                    let order = compare(run - 1, run);
                    *equal = order.is_eq();
                    order.is_le()
                }))
            };
            let numbers = key.as_ref();
            let ascends = if key.null_count() > 0 {
                compared(&mut equal)?
            } else {
                downcast_primitive_array! {
                    numbers => numbers_ascend(numbers, &mut equal),
                    _ => compared(&mut equal)?
                }
            };
            if !ascends {
                return Ok(false);
            }
        }
        Ok(!equal.contains(&true))
    }
}

/// Groups in the order of their first rows: whatever order the rows have is theirs, and the plan counts on that.
fn in_order_of_rows(
    groups: &RecordBatch,
    first_rows: impl Iterator<Item = usize>,
    rows: usize,
) -> Result<RecordBatch> {
    let mut at: Vec<Option<u32>> = vec![None; rows];
    for (row, group) in first_rows.zip(0..) {
        at[row] = Some(group);
    }
    let order = UInt32Array::from_iter_values(at.into_iter().flatten());
    Ok(take_record_batch(groups, &order)?)
}

/// The keys of each run's first row.
fn first_of(keys: &[ArrayRef], runs: &[Range<usize>]) -> Result<Vec<ArrayRef>> {
    let first = runs.iter().map(|run| u32::try_from(run.start).ok());
    match first.collect::<Option<Vec<u32>>>() {
        Some(first) => Ok(take_arrays(keys, &UInt32Array::from(first), None)?),
        None => exec_err!("a person has too many rows"),
    }
}

/// Whether no number comes before the one before it where they are equal in what was seen before; and which still are.
fn numbers_ascend<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, equal: &mut [bool]) -> bool {
    let mut back = false;
    for (equal, pair) in equal.iter_mut().zip(column.values().windows(2)) {
        back |= *equal & pair[1].is_lt(pair[0]);
        *equal &= pair[0].is_eq(pair[1]);
    }
    !back
}

/// One aggregate of a query.
struct Call {
    call: Arc<AggregateFunctionExpr>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl Call {
    /// The values of `count` groups, of which each row's is given.
    fn of_groups(&self, chunk: &RecordBatch, ids: &[usize], count: usize) -> Result<ArrayRef> {
        let arguments = evaluate(&self.call.expressions(), chunk)?;
        let filter = self.filter.as_ref();
        let kept = filter.map(|filter| holds(filter, chunk)).transpose()?;
        let last = match self.call.fun().name() {
            "first_value" => false,
            "last_value" => true,
            _ => {
                let (call, kept) = (&self.call, kept.as_ref());
                if let Some(eras) = eras_of_groups(call, &arguments, ids, kept, count)? {
                    return Ok(eras);
                }
                let mut accumulator = self.call.create_groups_accumulator()?;
                accumulator.update_batch(&arguments, ids, kept, count)?;
                return accumulator.evaluate(EmitTo::All);
            }
        };
        let values = arguments
            .first()
            .ok_or_else(|| internal_datafusion_err!("an aggregate has a value"))?;
        let nulls = values.logical_nulls().filter(|_| self.call.ignore_nulls());
        let rows = (0..ids.len()).filter(|&row| {
            kept.as_ref().is_none_or(|kept| kept.value(row))
                && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
        });
        let mut picked = vec![None; count];
        for row in rows {
            let picked = &mut picked[ids[row]];
            if last || picked.is_none() {
                *picked = Some(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        Ok(take(values, &UInt32Array::from(picked), None)?)
    }
}

/// The rows for which a condition holds.
fn holds(condition: &Arc<dyn PhysicalExpr>, chunk: &RecordBatch) -> Result<BooleanArray> {
    let kept = condition.evaluate(chunk)?.into_array(chunk.num_rows())?;
    Ok(holding(&kept))
}
