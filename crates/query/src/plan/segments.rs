//! Cuts a stream that is sorted by a key into chunks that hold whole segments: all rows of each key in them. Without a key,
//! the stream is one.
//!
//! What is made of a chunk is one batch, and where the next operator asks for segments that it holds whole, that one need not
//! cut it and put it together anew.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::{StreamExt, TryStreamExt, future};

use super::segment_aggregate::SegmentAggregateExec;
use super::segment_sort::SegmentSortExec;
use super::segment_window::SegmentWindowExec;

/// Rows of a chunk: enough that work goes column by column, few enough that a chunk's columns stay in the cache.
pub(super) const CHUNK_ROWS: usize = 32 * 1024;

/// The values of expressions, one array for each.
pub(super) fn evaluate(
    exprs: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>> {
    exprs
        .iter()
        .map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows()))
        .collect()
}

/// Whether each batch of a plan holds all rows of its keys.
pub(super) fn are_whole(plan: &Arc<dyn ExecutionPlan>, key: &[Arc<dyn PhysicalExpr>]) -> bool {
    !key.is_empty() && holds_whole(plan, &columns(key))
}

/// Whether all rows that agree in the columns are in one batch.
fn holds_whole(plan: &Arc<dyn ExecutionPlan>, of: &[usize]) -> bool {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let of = of.iter().filter_map(|at| projection.expr().get(*at));
        let of: Vec<_> = of.map(|column| Arc::clone(&column.expr)).collect();
        return holds_whole(projection.input(), &columns(&of));
    }
    // The columns that tell the operator's segments apart, and the input whose columns come first in its own.
    let (key, input) = if let Some(sort) = plan.downcast_ref::<SegmentSortExec>() {
        (sort.segments(), plan.children())
    } else if let Some(window) = plan.downcast_ref::<SegmentWindowExec>() {
        (window.segments(), plan.children())
    } else if let Some(aggregate) = plan.downcast_ref::<SegmentAggregateExec>() {
        return aggregate.segments().iter().all(|at| of.contains(at));
    } else {
        return false;
    };
    let known = columns(&key);
    let all = !key.is_empty() && known.len() == key.len();
    if all && known.iter().all(|at| of.contains(at)) {
        return true;
    }
    // It has put whole batches of its input together.
    let [input] = input.as_slice() else {
        return false;
    };
    let theirs = input.schema().fields().len();
    let of: Vec<usize> = of.iter().copied().filter(|at| *at < theirs).collect();
    are_whole(input, &key) && holds_whole(input, &of)
}

/// The places of those expressions that are columns.
fn columns(exprs: &[Arc<dyn PhysicalExpr>]) -> Vec<usize> {
    let columns = exprs
        .iter()
        .filter_map(|expr| expr.downcast_ref::<Column>());
    columns.map(Column::index).collect()
}

/// The first of the last rows that are equal.
fn last_run(keys: &[ArrayRef], rows: usize) -> Result<usize> {
    let compare = keys
        .iter()
        .map(|key| make_comparator(key, key, SortOptions::default()));
    let compare: Vec<_> = compare.collect::<Result<_, _>>()?;
    let differs = |row: &usize| compare.iter().any(|compare| compare(row - 1, *row).is_ne());
    Ok((1..rows).rev().find(differs).unwrap_or(0))
}

/// Rows that are not handed on yet.
struct Pending {
    schema: SchemaRef,
    key: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether batches hold whole segments.
    whole: bool,
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Of a chunk, at the least.
    chunk_rows: usize,
    reservation: MemoryReservation,
}

impl Pending {
    /// Takes a batch, and gives a chunk when there are enough rows that end with a segment.
    fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        self.reservation.try_grow(batch.get_array_memory_size())?;
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows < self.chunk_rows || self.key.is_empty() {
            return Ok(None);
        }
        if self.whole {
            return self.take();
        }
        let Some(last) = self.batches.pop() else {
            return Ok(None);
        };
        let cut = last_run(&evaluate(&self.key, &last)?, last.num_rows())?;
        if cut == 0 {
            self.batches.push(last);
            return Ok(None);
        }
        let rest = last.slice(cut, last.num_rows() - cut);
        self.batches.push(last.slice(0, cut));
        let chunk = self.take()?;
        self.reservation.try_grow(rest.get_array_memory_size())?;
        self.rows = rest.num_rows();
        self.batches.push(rest);
        Ok(chunk)
    }

    fn take(&mut self) -> Result<Option<RecordBatch>> {
        let batches = mem::take(&mut self.batches);
        self.rows = 0;
        self.reservation.free();
        Ok(match batches.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(concat_batches(&self.schema, many)?),
        })
    }
}

/// What is made of a stream of chunks.
pub(super) struct Work<F> {
    pub(super) name: &'static str,
    pub(super) partition: usize,
    pub(super) key: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows of a chunk, at the least.
    pub(super) chunk_rows: usize,
    pub(super) schema: SchemaRef,
    pub(super) metrics: BaselineMetrics,
    pub(super) each: F,
}

/// Gives each chunk of whole segments to `each`, and its results on.
pub(super) fn stream<F>(
    input: &Arc<dyn ExecutionPlan>,
    work: Work<F>,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream>
where
    F: Fn(&RecordBatch) -> Result<RecordBatch> + Send + 'static,
{
    let whole = are_whole(input, &work.key);
    let input = input.execute(work.partition, Arc::clone(context))?;
    let consumer = MemoryConsumer::new(format!("{}[{}]", work.name, work.partition));
    let pending = Pending {
        schema: input.schema(),
        key: work.key,
        whole,
        batches: Vec::new(),
        rows: 0,
        chunk_rows: work.chunk_rows,
        reservation: consumer.register(context.memory_pool()),
    };
    let schema = work.schema;
    let (each, metrics) = (work.each, work.metrics);
    let chunks = futures::stream::try_unfold(
        (Some(input), pending, each, metrics),
        |(mut input, mut pending, each, metrics)| async move {
            loop {
                let chunk = match &mut input {
                    None => return Ok(None),
                    Some(stream) => match stream.next().await {
                        Some(batch) => pending.push(batch?)?,
                        None => {
                            input = None;
                            pending.take()?
                        }
                    },
                };
                if let Some(chunk) = chunk {
                    let timer = metrics.elapsed_compute().timer();
                    let result = each(&chunk)?;
                    timer.done();
                    metrics.record_output(result.num_rows());
                    return Ok(Some((result, (input, pending, each, metrics))));
                }
            }
        },
    );
    let chunks = chunks.try_filter(|chunk| future::ready(chunk.num_rows() > 0));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, chunks)))
}
