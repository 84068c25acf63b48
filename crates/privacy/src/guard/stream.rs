//! The rows behind a guard: hidden ones dropped, columns masked, batches of a size that tells nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_expr::PhysicalExpr;
use futures::{Stream, StreamExt};

use crate::compact::{blanked, compact_rows};
use crate::pseudonym::Mask;

/// A column that a guard shows.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// Its place in the scan's batches.
    pub(super) source: usize,
    /// What is done to it.
    pub(super) mask: Option<Mask>,
}

/// What a guard does to the batches of its scan.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What is shown.
    pub(super) schema: SchemaRef,
    /// Which rows are shown.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Which columns are shown.
    pub(super) outputs: Vec<Output>,
    /// The person's place in the scan's batches, where a mask needs it.
    pub(super) person: Option<usize>,
}

/// The rows behind a guard.
pub(super) struct GuardStream {
    input: SendableRecordBatchStream,
    plan: Arc<Plan>,
    /// Filtered rows are gathered into full batches: how they were spread among hidden ones must not show.
    gather: Option<Gather>,
    done: bool,
}

struct Gather {
    coalescer: BatchCoalescer,
    /// The columns that are kept of the scan's: those shown, and the person.
    kept: Vec<usize>,
}

impl GuardStream {
    pub(super) fn new(
        input: SendableRecordBatchStream,
        plan: Arc<Plan>,
        batch_size: usize,
    ) -> Result<Self> {
        let mut kept: Vec<usize> = plan.outputs.iter().map(|output| output.source).collect();
        kept.extend(plan.person);
        kept.sort_unstable();
        kept.dedup();
        let gather = (plan.predicate.is_some() && !kept.is_empty())
            .then(|| {
                let schema = Arc::new(input.schema().project(&kept)?);
                Ok::<_, DataFusionError>(Gather {
                    coalescer: BatchCoalescer::new(schema, batch_size.max(1)),
                    kept,
                })
            })
            .transpose()?;
        Ok(Self {
            input,
            plan,
            gather,
            done: false,
        })
    }

    fn accept(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let keep = match &self.plan.predicate {
            None => return self.show(batch, |at| at).map(Some),
            Some(predicate) => predicate.evaluate(batch)?.into_array(batch.num_rows())?,
        };
        let keep = as_boolean_array(&keep)?;
        match &mut self.gather {
            Some(gather) => {
                let kept = batch.project(&gather.kept)?;
                gather.coalescer.push_batch_with_filter(kept, keep)?;
                Ok(None)
            }
            // Nothing but the number of rows is asked for.
            None => counted(&self.plan.schema, shown(keep)).map(Some),
        }
    }

    /// The next gathered batch, masked.
    fn gathered(&mut self) -> Result<Option<RecordBatch>> {
        let Some(gather) = &mut self.gather else {
            return Ok(None);
        };
        let Some(batch) = gather.coalescer.next_completed_batch() else {
            return Ok(None);
        };
        let kept = gather.kept.clone();
        let place = move |at: usize| kept.binary_search(&at).unwrap_or(usize::MAX);
        // Views of texts still point to those of hidden rows.
        compact_rows(self.show(&batch, place)?).map(Some)
    }

    fn show(&self, batch: &RecordBatch, place: impl Fn(usize) -> usize) -> Result<RecordBatch> {
        let column = |at: usize| -> Result<&ArrayRef> {
            batch.columns().get(place(at)).ok_or_else(|| {
                DataFusionError::Internal("a guard's scan lacks a column".to_owned())
            })
        };
        // Once for all dates of a row. A principal has one project, whose keys all masks share.
        let masks = || {
            self.plan
                .outputs
                .iter()
                .filter_map(|output| output.mask.as_ref())
        };
        let moves = masks().find(|mask| mask.needs_person());
        let offsets = match (moves, self.plan.person) {
            (Some(mask), Some(person)) => mask.offsets(column(person)?)?,
            _ => None,
        };
        let columns = self
            .plan
            .outputs
            .iter()
            .map(|output| {
                let values = column(output.source)?;
                // Under NULLs lie values of rows that were there before, some of them hidden.
                Ok(match &output.mask {
                    None => blanked(values)?,
                    Some(mask) => blanked(&mask.apply_with(values, offsets.as_ref())?)?,
                })
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.plan.schema),
            columns,
            &options,
        )?)
    }
}

fn shown(keep: &BooleanArray) -> usize {
    keep.true_count()
}

fn counted(schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        Vec::new(),
        &options,
    )?)
}

impl Stream for GuardStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.gathered() {
                Ok(Some(batch)) => return Poll::Ready(Some(Ok(batch))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.done {
                return Poll::Ready(None);
            }
            match ready!(self.input.poll_next_unpin(cx)) {
                Some(Ok(batch)) => match self.accept(&batch) {
                    Ok(Some(batch)) if batch.num_rows() > 0 => return Poll::Ready(Some(Ok(batch))),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.done = true;
                    if let Some(gather) = &mut self.gather
                        && let Err(error) = gather.coalescer.finish_buffered_batch()
                    {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
            }
        }
    }
}

impl RecordBatchStream for GuardStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Array, AsArray, Int64Array, StringViewArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::TryStreamExt;

    use super::*;
    use crate::compact::tests::holds;

    /// What is shown may be written as it lies in memory, as Arrow IPC does.
    #[tokio::test]
    async fn texts_of_hidden_rows_are_in_no_buffer() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("seen", DataType::Boolean, false),
            Field::new("text", DataType::Utf8View, false),
            Field::new("n", DataType::Int64, false),
        ]));
        // Few enough that the buffers are kept for the others.
        let seen = |n: i64| n % 10 != 0;
        let of = |n: i64| {
            let whose = if seen(n) { "a visible" } else { "a hidden" };
            format!("{whose} person's text {n:05}")
        };
        let rows = || 0..300_i64;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from_iter(rows().map(|n| Some(seen(n))))),
            Arc::new(StringViewArray::from_iter_values(rows().map(of)).gc()),
            Arc::new(Int64Array::from_iter_values(rows())),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let shown = Arc::new(schema.project(&[1, 2]).unwrap());
        let plan = Arc::new(Plan {
            schema: shown,
            predicate: Some(Arc::new(Column::new("seen", 0))),
            outputs: [1, 2].map(|source| Output { source, mask: None }).into(),
            person: None,
        });
        let input = futures::stream::iter([Ok(batch)]);
        let input = Box::pin(RecordBatchStreamAdapter::new(schema, input));
        let guarded = GuardStream::new(input, plan, 1_000).unwrap();
        let batches: Vec<RecordBatch> = guarded.try_collect().await.unwrap();
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            270
        );
        for batch in batches {
            assert!(holds(batch.column(0), "a visible person's text"));
            assert!(!holds(batch.column(0), "a hidden person's text"));
        }
    }

    /// As Parquet's reader leaves them: a NULL has the value of the row that was in its place.
    #[tokio::test]
    async fn values_of_hidden_rows_are_not_under_nulls() {
        const HIDDEN: i64 = 7_777;
        let schema = Arc::new(Schema::new(vec![
            Field::new("seen", DataType::Boolean, false),
            Field::new("text", DataType::Utf8View, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let text = "a hidden person's text";
        let nulls = NullBuffer::from_iter((0..300).map(|at| at % 3 != 0));
        let texts = StringViewArray::from_iter_values((0..300).map(|_| text));
        let texts = texts.to_data().into_builder().nulls(Some(nulls.clone()));
        let numbers = (0..300).map(|at| if at % 3 == 0 { HIDDEN } else { at });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from_iter(
                (0..300).map(|at| Some(at % 3 == 0)),
            )),
            arrow::array::make_array(texts.build().unwrap()),
            Arc::new(Int64Array::new(numbers.collect(), Some(nulls))),
        ];
        for predicate in [true, false] {
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns.clone()).unwrap();
            let seen: Arc<dyn PhysicalExpr> = Arc::new(Column::new("seen", 0));
            let outputs = [1, 2].map(|source| Output { source, mask: None });
            let plan = Arc::new(Plan {
                schema: Arc::new(schema.project(&[1, 2]).unwrap()),
                predicate: predicate.then_some(seen),
                outputs: outputs.into(),
                person: None,
            });
            let input = futures::stream::iter([Ok(batch)]);
            let input = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), input));
            let guarded = GuardStream::new(input, plan, 1_000).unwrap();
            let batches: Vec<RecordBatch> = guarded.try_collect().await.unwrap();
            assert!(!batches.is_empty());
            for batch in batches {
                assert!(!predicate || !holds(batch.column(0), text));
                let numbers = batch.column(1).as_primitive::<Int64Type>();
                assert!(!numbers.values().contains(&HIDDEN));
            }
        }
    }
}
