//! The join of one partition, step by step.

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::metrics::BaselineMetrics;

use crate::plan::matches::{Output, Step};
use crate::plan::sorted_input::SortedInput;

/// The join of one partition, under way.
pub(super) struct Run {
    pub(super) left: SortedInput,
    pub(super) right: SortedInput,
    pub(super) step: Option<Step>,
    pub(super) output: Output,
    pub(super) coalescer: BatchCoalescer,
    pub(super) ended: bool,
    pub(super) metrics: BaselineMetrics,
}

impl Run {
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(step) = &mut self.step {
                let timer = self.metrics.elapsed_compute().timer();
                let batch = step.next(&self.output)?;
                match batch {
                    None => self.step = None,
                    Some(batch) if batch.num_rows() == 0 => {}
                    // Rows without columns are only counted.
                    Some(batch) if batch.num_columns() == 0 => {
                        timer.done();
                        self.metrics.record_output(batch.num_rows());
                        return Ok(Some(batch));
                    }
                    Some(batch) => self.coalescer.push_batch(batch)?,
                }
                timer.done();
                continue;
            }
            self.left.fill().await?;
            // The other side is not looked at where it adds nothing by itself.
            if !(self.left.is_empty() && self.needs_left()) {
                self.right.fill().await?;
            }
            if self.is_over() {
                self.ended = true;
                self.coalescer.finish_buffered_batch()?;
                continue;
            }
            let timer = self.metrics.elapsed_compute().timer();
            let limit = match (self.left.limit(), self.right.limit()) {
                (Some(left), Some(right)) => Some(left.min(right)),
                (left, right) => left.or(right),
            };
            let (left, right) = (self.left.take(limit), self.right.take(limit));
            self.step = Some(Step::new(left, right, &self.output)?);
            timer.done();
        }
    }

    /// Whether nothing comes of rows of the right side alone.
    fn needs_left(&self) -> bool {
        !matches!(
            self.output.join_type,
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark | JoinType::Full
        )
    }

    /// Whether no more rows can come, once both sides are filled.
    fn is_over(&self) -> bool {
        let (left, right) = (self.left.is_empty(), self.right.is_empty());
        match self.output.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => left || right,
            JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => left,
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark => right,
            JoinType::Full => left && right,
        }
    }
}
