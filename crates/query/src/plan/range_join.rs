//! Joins by nothing but a range: `calendar JOIN visits ON day BETWEEN start AND end`.
//!
//! The engine compares each row of one side with each of the other. The side that it keeps is sorted by what is between the
//! others' bounds here, and each of those finds its rows by two searches, one after the other: rows that lie person by person stay
//! so. Where there are bounds of another value as well, such as the end of a month, and it ascends with the first, they are searched
//! for, too.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::compute::{concat_batches, filter, sort_to_indices, take, take_arrays};
use arrow::datatypes::{Int64Type, SchemaRef, UInt32Type};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinSide, JoinType, Result, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::equivalence::{ProjectionMapping, join_equivalence_properties};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, build_join_schema};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::build_side::rows;
use super::keys;
use super::range_bounds::{Bounds, bounds, narrow};

/// A larger side is left to the engine, which can spill it.
const MOST_ROWS: usize = 1 << 20;

/// Puts nested loops with bounds on the operator that searches.
#[derive(Debug)]
pub(crate) struct JoinRanges;

impl PhysicalOptimizerRule for JoinRanges {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match RangeJoinExec::of(&plan)? {
                Some(join) => Transformed::yes(Arc::new(join) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "JoinRanges"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct RangeJoinExec {
    /// The join that this one stands for: it knows the plan's properties.
    join: Arc<dyn ExecutionPlan>,
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    bounds: Bounds,
    output: Output,
    built: Arc<OnceCell<Built>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

#[derive(Debug, Clone)]
struct Output {
    join_type: JoinType,
    columns: Vec<ColumnIndex>,
    schema: SchemaRef,
}

impl RangeJoinExec {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() else {
            return Ok(None);
        };
        let known = matches!(
            join.join_type(),
            JoinType::Inner | JoinType::Left | JoinType::Right
        );
        let large = rows(join.left()).is_some_and(|rows| rows > MOST_ROWS);
        let Some(condition) = join.filter().filter(|_| known && !large) else {
            return Ok(None);
        };
        let Some(bounds) = bounds(join, condition)? else {
            return Ok(None);
        };
        let (left, right) = (join.left().schema(), join.right().schema());
        let (whole, mut columns) = build_join_schema(&left, &right, join.join_type());
        let properties = properties(join, &Arc::new(whole))?;
        if let Some(projection) = join.projection() {
            let kept = projection.iter().filter_map(|at| columns.get(*at).cloned());
            columns = kept.collect();
        }
        Ok(Some(Self {
            join: Arc::clone(plan),
            left: Arc::clone(join.left()),
            right: Arc::clone(join.right()),
            bounds,
            output: Output {
                join_type: *join.join_type(),
                columns,
                schema: join.schema(),
            },
            built: Arc::default(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// What is known of a join's rows: where each has a match, they come in the order of the right side.
fn properties(join: &NestedLoopJoinExec, whole: &SchemaRef) -> Result<Arc<PlanProperties>> {
    if *join.join_type() != JoinType::Inner {
        return Ok(Arc::clone(join.properties()));
    }
    let mut left = join.left().equivalence_properties().clone();
    left.clear_orderings();
    let mut known = join_equivalence_properties(
        left,
        join.right().equivalence_properties().clone(),
        join.join_type(),
        Arc::clone(whole),
        &[false, true],
        Some(JoinSide::Right),
        &[],
    )?;
    if let Some(projection) = join.projection() {
        let mapping = ProjectionMapping::from_indices(projection, whole)?;
        known = known.project(&mapping, join.schema());
    }
    let properties = PlanProperties::clone(join.properties());
    Ok(Arc::new(properties.with_eq_properties(known)))
}

impl DisplayAs for RangeJoinExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeJoinExec: key={}, ", self.bounds.key)?;
        self.join.fmt_as(kind, f)
    }
}

impl ExecutionPlan for RangeJoinExec {
    fn name(&self) -> &'static str {
        "RangeJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.join.input_distribution_requirements()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false, self.output.join_type == JoinType::Inner]
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
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let join = Arc::clone(&self.join).replace_children(children, options)?;
        Ok(match Self::of(&join)? {
            Some(join) => Arc::new(join),
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
        let (left, cell) = (Arc::clone(&self.left), Arc::clone(&self.built));
        let readers = self.right.output_partitioning().partition_count();
        let schema = Arc::clone(&self.output.schema);
        let block = context.session_config().batch_size().max(1);
        let right = self.right.execute(partition, Arc::clone(&context))?;
        let (bounds, output) = (self.bounds.clone(), self.output.clone());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let begin = async move {
            let keys = bounds.clone();
            let build = || Built::of(left, keys, readers, context);
            let built = cell.get_or_try_init(build).await?;
            let asked = output.join_type == JoinType::Left;
            Ok::<_, DataFusionError>(Run {
                matched: vec![false; if asked { built.rows.num_rows() } else { 0 }],
                built: Arc::clone(&cell),
                right,
                step: None,
                ended: false,
                bounds,
                output,
                block,
                metrics,
            })
        };
        let batches = futures::stream::once(begin).map_ok(|run| {
            futures::stream::try_unfold(run, |mut run| async move {
                Ok(run.next().await?.map(|batch| (batch, run)))
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            batches.try_flatten(),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The left side, sorted by its key; rows without one are at the end.
#[derive(Debug)]
struct Built {
    rows: RecordBatch,
    keys: Vec<i64>,
    /// Those of the other bounds, if they ascend as well.
    others: Vec<Option<Vec<i64>>>,
    /// Which rows had a match, where those without are asked for.
    matched: Mutex<Vec<bool>>,
    /// Who has not read the right side to its end.
    readers: AtomicUsize,
    _reservation: MemoryReservation,
}

impl Built {
    async fn of(
        left: Arc<dyn ExecutionPlan>,
        bounds: Bounds,
        readers: usize,
        context: Arc<TaskContext>,
    ) -> Result<Self> {
        let reservation = MemoryConsumer::new("RangeJoin").register(context.memory_pool());
        let mut input = left.execute(0, context)?;
        let mut batches = Vec::new();
        while let Some(batch) = input.try_next().await? {
            // Once as it comes, and once sorted.
            reservation.try_grow(2 * batch.get_array_memory_size())?;
            batches.push(batch);
        }
        let rows = concat_batches(&left.schema(), &batches)?;
        if u32::try_from(rows.num_rows()).is_err() {
            return exec_err!("a side of a join has more than four billion rows");
        }
        let key = bounds.key.evaluate(&rows)?.into_array(rows.num_rows())?;
        let options = arrow::compute::SortOptions::default().with_nulls_first(false);
        let order = sort_to_indices(&key, Some(options), None)?;
        let valid = key.len() - key.null_count();
        let key = keys::whole_numbers(&take(&key, &order, None)?)?;
        let sorted = take_arrays(rows.columns(), &order, None)?;
        let rows = batch(&rows.schema(), sorted, rows.num_rows())?;
        let others = bounds.others.iter().map(|other| {
            let key = other.key.evaluate(&rows)?.into_array(rows.num_rows())?;
            let key = keys::whole_numbers(&key.slice(0, valid))?;
            let ascends = key.null_count() == 0;
            let key = key.as_primitive::<Int64Type>().values();
            Ok((ascends && key.is_sorted()).then(|| key.to_vec()))
        });
        let others = others.collect::<Result<_>>()?;
        Ok(Self {
            others,
            keys: key.as_primitive::<Int64Type>().values()[..valid].to_vec(),
            matched: Mutex::new(vec![false; rows.num_rows()]),
            rows,
            readers: AtomicUsize::new(readers),
            _reservation: reservation,
        })
    }
}

/// A batch of the right side, under way.
struct Step {
    rows: RecordBatch,
    /// Where each row's pairs are among the sorted rows.
    ranges: Vec<Range<usize>>,
    row: usize,
    at: usize,
    matched: Vec<bool>,
}

impl Step {
    fn of(rows: RecordBatch, bounds: &Bounds, built: &Built) -> Result<Self> {
        let mut ranges = vec![0..built.keys.len(); rows.num_rows()];
        for (bounds, lower) in [(&bounds.lower, true), (&bounds.upper, false)] {
            for (bound, strict) in bounds {
                narrow(&mut ranges, &rows, &built.keys, bound, (lower, *strict))?;
            }
        }
        for (other, keys) in bounds.others.iter().zip(&built.others) {
            if let Some(keys) = keys {
                let kind = (other.lower, other.strict);
                narrow(&mut ranges, &rows, keys, &other.bound, kind)?;
            }
        }
        Ok(Self {
            row: 0,
            at: ranges.first().map_or(0, |range| range.start),
            matched: vec![false; rows.num_rows()],
            rows,
            ranges,
        })
    }

    /// The next pairs, and none after the last.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the sorted rows and those of a batch are fewer than 2^32"
    )]
    fn pairs(&mut self, block: usize) -> Option<(Vec<u32>, Vec<u32>)> {
        let (mut left, mut right) = (Vec::with_capacity(block), Vec::with_capacity(block));
        while left.len() < block
            && let Some(range) = self.ranges.get(self.row)
        {
            let end = range.end.min(self.at + block - left.len());
            if self.at < end {
                left.extend(self.at as u32..end as u32);
                right.resize(left.len(), self.row as u32);
            }
            if end < range.end {
                self.at = end;
            } else {
                self.row += 1;
                self.at = self.ranges.get(self.row).map_or(0, |range| range.start);
            }
        }
        (!left.is_empty()).then_some((left, right))
    }
}

/// The join of one partition, under way.
struct Run {
    built: Arc<OnceCell<Built>>,
    right: SendableRecordBatchStream,
    step: Option<Step>,
    /// Which of the sorted rows had a match here, where those without are asked for.
    matched: Vec<bool>,
    ended: bool,
    bounds: Bounds,
    output: Output,
    block: usize,
    metrics: BaselineMetrics,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let cell = Arc::clone(&self.built);
        let Some(built) = cell.get() else {
            return Ok(None);
        };
        let time = self.metrics.elapsed_compute().clone();
        loop {
            let timer = time.timer();
            if let Some(step) = &mut self.step {
                let batch = match step.pairs(self.block) {
                    Some((left, right)) => self.joined(built, left.into(), right.into())?,
                    None => self.without_left(built)?,
                };
                if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
                    self.metrics.record_output(batch.num_rows());
                    return Ok(Some(batch));
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            timer.done();
            match self.right.next().await {
                Some(rows) => self.step = Some(Step::of(rows?, &self.bounds, built)?),
                None => {
                    self.ended = true;
                    let batch = self.without_right(built)?;
                    self.metrics
                        .record_output(batch.as_ref().map_or(0, RecordBatch::num_rows));
                    return Ok(batch);
                }
            }
        }
    }

    /// Those of some pairs that fulfil what else is asked.
    fn joined(
        &mut self,
        built: &Built,
        mut left: UInt32Array,
        mut right: UInt32Array,
    ) -> Result<Option<RecordBatch>> {
        let Some(step) = &mut self.step else {
            return Ok(None);
        };
        let sides = (&built.rows, &step.rows);
        if let Some(rest) = &self.bounds.rest {
            let places = rest.column_indices();
            let pairs = pairs(rest.schema(), places, sides, (&left, &right))?;
            let kept = rest.expression().evaluate(&pairs)?.into_array(left.len())?;
            let kept = as_boolean_array(&kept)?;
            left = filter(&left, kept)?.as_primitive::<UInt32Type>().clone();
            right = filter(&right, kept)?.as_primitive::<UInt32Type>().clone();
        }
        let Output {
            join_type,
            columns,
            schema,
        } = &self.output;
        match join_type {
            JoinType::Left => left
                .values()
                .iter()
                .for_each(|row| self.matched[*row as usize] = true),
            JoinType::Right => right
                .values()
                .iter()
                .for_each(|row| step.matched[*row as usize] = true),
            _ => {}
        }
        pairs(schema, columns, sides, (&left, &right)).map(Some)
    }

    /// Ends a batch of the right side, with its rows that match nothing where they are asked for.
    fn without_left(&mut self, built: &Built) -> Result<Option<RecordBatch>> {
        let (Some(step), JoinType::Right) = (self.step.take(), self.output.join_type) else {
            return Ok(None);
        };
        let right = unmatched(&step.matched);
        let left = UInt32Array::new_null(right.len());
        let Output {
            columns, schema, ..
        } = &self.output;
        pairs(schema, columns, (&built.rows, &step.rows), (&left, &right)).map(Some)
    }

    /// The left side's rows that match nothing, after the last of the right side's.
    fn without_right(&self, built: &Built) -> Result<Option<RecordBatch>> {
        if self.output.join_type != JoinType::Left {
            return Ok(None);
        }
        let mut all = built.matched.lock().unwrap_or_else(PoisonError::into_inner);
        for (all, matched) in all.iter_mut().zip(&self.matched) {
            *all |= matched;
        }
        if built.readers.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(None);
        }
        let left = unmatched(&all);
        let right = UInt32Array::new_null(left.len());
        let none = RecordBatch::new_empty(self.right.schema());
        let Output {
            columns, schema, ..
        } = &self.output;
        pairs(schema, columns, (&built.rows, &none), (&left, &right)).map(Some)
    }
}

fn unmatched(matched: &[bool]) -> UInt32Array {
    let rows = (0u32..).zip(matched);
    rows.filter_map(|(row, matched)| (!matched).then_some(row))
        .collect::<Vec<_>>()
        .into()
}

/// Rows of both sides beside each other; of a side that has none, NULL.
fn pairs(
    schema: &SchemaRef,
    columns: &[ColumnIndex],
    (left, right): (&RecordBatch, &RecordBatch),
    (of_left, of_right): (&UInt32Array, &UInt32Array),
) -> Result<RecordBatch> {
    let columns = columns.iter().map(|column| {
        let (side, rows) = match column.side {
            JoinSide::Left => (left, of_left),
            _ => (right, of_right),
        };
        let values = side.column(column.index);
        Ok(match rows.null_count() == rows.len() {
            true => new_null_array(values.data_type(), rows.len()),
            false => take(values, rows, None)?,
        })
    });
    batch(schema, columns.collect::<Result<_>>()?, of_left.len())
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::clone(schema);
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}
