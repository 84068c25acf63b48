//! Cuts a stream that is sorted by a key into chunks that hold whole segments: all rows of each key in them. Without a key,
//! the stream is one.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{concat_batches, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

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

/// Rows that are not handed on yet.
struct Pending {
    schema: SchemaRef,
    key: Vec<Arc<dyn PhysicalExpr>>,
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
        let Some(last) = self.batches.pop() else {
            return Ok(None);
        };
        let keys = evaluate(&self.key, &last)?;
        let cut = partition(&keys)?.ranges().last().map_or(0, |r| r.start);
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

/// Gives each chunk of whole segments to `each`, and its results on in batches of the usual size.
pub(super) fn stream<F>(
    input: SendableRecordBatchStream,
    work: Work<F>,
    context: &TaskContext,
) -> SendableRecordBatchStream
where
    F: Fn(&RecordBatch) -> Result<RecordBatch> + Send + 'static,
{
    let consumer = MemoryConsumer::new(format!("{}[{}]", work.name, work.partition));
    let pending = Pending {
        schema: input.schema(),
        key: work.key,
        batches: Vec::new(),
        rows: 0,
        chunk_rows: work.chunk_rows,
        reservation: consumer.register(context.memory_pool()),
    };
    let batch_size = context.session_config().batch_size();
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
    let batches = chunks.flat_map(move |chunk: Result<RecordBatch>| {
        let pieces = match chunk {
            Err(error) => vec![Err(error)],
            Ok(chunk) => (0..chunk.num_rows())
                .step_by(batch_size.max(1))
                .map(|at| Ok(chunk.slice(at, batch_size.min(chunk.num_rows() - at))))
                .collect(),
        };
        futures::stream::iter(pieces)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}
