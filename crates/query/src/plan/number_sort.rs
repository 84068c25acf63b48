//! Sorts of whole partitions by numbers, dates and times.
//!
//! The engine sorts batch by batch, and merges the batches row by row. Where the rows fit into memory and their keys into
//! one number of 128 bits, with the row's place behind them, sorting these numbers is all that is to be done.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat, take_arrays};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::keys;
use super::packed::{self, Packed, packed};
use super::rest::Rest;

/// Puts sorts of everything by numbers on the operator that uses this.
#[derive(Debug)]
pub(crate) struct SortNumbers;

impl PhysicalOptimizerRule for SortNumbers {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let by_numbers = match plan.downcast_ref::<SortExec>() {
                Some(sort) => by_numbers(sort)?,
                None => false,
            };
            Ok(if by_numbers {
                Transformed::yes(Arc::new(NumberSortExec::new(plan)) as _)
            } else {
                Transformed::no(plan)
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "SortNumbers"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn by_numbers(sort: &SortExec) -> Result<bool> {
    let input = sort.input();
    if sort.fetch().is_some()
        || !(sort.preserve_partitioning() || input.output_partitioning().partition_count() == 1)
    {
        return Ok(false);
    }
    let schema = input.schema();
    for key in sort.expr() {
        let of = key.expr.data_type(&schema)?;
        if of != DataType::Float64 && !keys::is_whole(&of) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[derive(Debug)]
struct NumberSortExec {
    /// The sort that this one stands for: it knows the plan's properties, and sorts what does not fit into memory.
    sort: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
}

impl NumberSortExec {
    fn new(sort: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            sort,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for NumberSortExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sort.downcast_ref::<SortExec>().map(SortExec::expr) {
            Some(keys) if !matches!(kind, DisplayFormatType::TreeRender) => {
                write!(f, "NumberSortExec: expr=[{keys}]")
            }
            Some(keys) => write!(f, "{keys}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for NumberSortExec {
    fn name(&self) -> &'static str {
        "NumberSortExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.sort.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.sort.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.sort.input_distribution_requirements()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.sort.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sort = Arc::clone(&self.sort).replace_children(children, options)?;
        Ok(Arc::new(Self::new(sort)))
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
        let sort = self.sort.downcast_ref::<SortExec>();
        let sort = sort.ok_or_else(|| exec_datafusion_err!("a sort is a sort"))?;
        let keys = sort.expr().clone();
        let input = sort.input().execute(partition, Arc::clone(&context))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let consumer = MemoryConsumer::new(format!("NumberSort[{partition}]")).with_can_spill(true);
        let reservation = consumer.register(context.memory_pool());
        let schema = self.schema();
        let sorted = sorted(input, keys, reservation, metrics, context);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::once(sorted).try_flatten(),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// A stream's rows in order: by their numbers where there is room for it, or as the engine sorts them.
async fn sorted(
    mut input: SendableRecordBatchStream,
    keys: LexOrdering,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let schema = input.schema();
    let mut batches = Vec::new();
    let mut rows = 0;
    let mut room = true;
    while room && let Some(batch) = input.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        // Together with all others in one piece, and with the numbers of the keys.
        let bytes = 2 * batch.get_array_memory_size() + batch.num_rows() * 16 * (keys.len() + 2);
        room = reservation.try_grow(bytes).is_ok() && u32::try_from(rows).is_ok();
        batches.push(batch);
    }
    let timer = metrics.elapsed_compute().timer();
    if room && let Some(order) = order(&batches, &keys)? {
        let all = in_one_piece(&schema, batches)?;
        timer.done();
        let block = context.session_config().batch_size().max(1);
        let pieces = (0..order.len()).step_by(block).map(move |at| {
            // Held as long as there are rows to come.
            let _ = &reservation;
            let timer = metrics.elapsed_compute().timer();
            let order = order.slice(at, block.min(order.len() - at));
            let columns = take_arrays(all.columns(), &order, None)?;
            timer.done();
            metrics.record_output(order.len());
            Ok(RecordBatch::try_new(all.schema(), columns)?)
        });
        let stream = futures::stream::iter(pieces);
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)));
    }
    timer.done();
    drop(reservation);
    let rows = futures::stream::iter(batches.into_iter().map(Ok)).chain(input);
    let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), rows);
    SortExec::new(keys, Arc::new(Rest::new(Box::pin(rows)))).execute(0, context)
}

/// All rows, a column at a time, so that few are there twice.
fn in_one_piece(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
    let columns = 0..schema.fields().len();
    let pieces: Vec<Vec<ArrayRef>> = columns
        .map(|at| batches.iter().map(|b| Arc::clone(b.column(at))).collect())
        .collect();
    drop(batches);
    let columns = pieces.into_iter().map(|pieces| together(&pieces));
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        columns.collect::<Result<_>>()?,
    )?)
}

fn together(pieces: &[ArrayRef]) -> Result<ArrayRef> {
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    Ok(concat(&pieces)?)
}

/// The rows' places in order; none where the keys are too many or too wide.
fn order(batches: &[RecordBatch], keys: &LexOrdering) -> Result<Option<UInt32Array>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(None);
    }
    let columns = keys.iter().map(|PhysicalSortExpr { expr, options }| {
        let pieces = batches
            .iter()
            .map(|batch| expr.evaluate(batch)?.into_array(batch.num_rows()));
        Ok(SortColumn {
            values: together(&pieces.collect::<Result<Vec<_>>>()?)?,
            options: Some(*options),
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let place = usize::BITS - rows.leading_zeros();
    // There are fewer rows than 32 bits count.
    let below = u32::MAX >> (u32::BITS - place);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the highest bits, and a row's place in the lowest"
    )]
    Ok(match packed(&columns, place)? {
        Some(Packed::Narrow(numbers)) => {
            let bits = u64::BITS - numbers.iter().fold(0, |all, n| all | n).leading_zeros();
            let high = |number: u64, below| number.unbounded_shr(below) as usize;
            let sorted = packed::sort(numbers, high, bits).into_iter();
            Some(UInt32Array::from_iter_values(
                sorted.map(|n| n as u32 & below),
            ))
        }
        Some(Packed::Wide(numbers)) => {
            let bits = u128::BITS - numbers.iter().fold(0, |all, n| all | n).leading_zeros();
            let high = |number: u128, below| number.unbounded_shr(below) as usize;
            let sorted = packed::sort(numbers, high, bits).into_iter();
            Some(UInt32Array::from_iter_values(
                sorted.map(|n| n as u32 & below),
            ))
        }
        None => None,
    })
}
