//! A sorted stream, given out in pieces that hold whole segments: all rows of each key in them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;

use super::keys;
use super::segments::evaluate;

/// Rows with one number for each, by which they are sorted.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) rows: RecordBatch,
    pub(super) keys: ScalarBuffer<i128>,
    /// Where a key is NULL, which equals nothing. Such rows are sorted as if the key were the greatest number.
    pub(super) nulls: Option<NullBuffer>,
}

impl Piece {
    fn new(rows: RecordBatch, by: &[Arc<dyn PhysicalExpr>]) -> Result<Self> {
        let mut keys = vec![0i128; rows.num_rows()];
        let mut nulls = None;
        for column in evaluate(by, &rows)? {
            let column = keys::whole_numbers(&column)?;
            let numbers = column.as_primitive::<Int64Type>();
            for (row, (key, number)) in keys.iter_mut().zip(numbers.values()).enumerate() {
                let number = if numbers.is_null(row) {
                    i64::MAX
                } else {
                    *number
                };
                // Keys one after the other, each one's sign turned so that it sorts as a number without one.
                *key = (*key << 64) | i128::from(keys::unsigned(number));
            }
            nulls = NullBuffer::union(nulls.as_ref(), numbers.nulls());
        }
        if by.len() > 1 {
            // The first key's top bit is the sign of the whole.
            for key in &mut keys {
                *key ^= i128::MIN;
            }
        }
        Ok(Self {
            rows,
            keys: keys.into(),
            nulls,
        })
    }

    fn slice(&self, from: usize, rows: usize) -> Self {
        Self {
            rows: self.rows.slice(from, rows),
            keys: self.keys.slice(from, rows),
            nulls: self.nulls.as_ref().map(|nulls| nulls.slice(from, rows)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// How many rows have at most this key.
    fn up_to(&self, key: i128) -> usize {
        self.keys.partition_point(|k| *k <= key)
    }
}

/// A stream that is sorted by one or two keys, ascending, NULL last.
pub(super) struct SortedInput {
    stream: Option<SendableRecordBatchStream>,
    by: Vec<Arc<dyn PhysicalExpr>>,
    empty: RecordBatch,
    front: Option<Piece>,
    /// What follows the front: it tells whether the front's last segment is complete.
    next: Option<Piece>,
    reservation: MemoryReservation,
}

impl SortedInput {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        by: Vec<Arc<dyn PhysicalExpr>>,
        reservation: MemoryReservation,
    ) -> Self {
        Self {
            empty: RecordBatch::new_empty(stream.schema()),
            stream: Some(stream),
            by,
            front: None,
            next: None,
            reservation,
        }
    }

    /// Reads until there is a whole segment, or the end.
    pub(super) async fn fill(&mut self) -> Result<()> {
        loop {
            match (self.front.take(), self.next.take()) {
                (None, Some(next)) => self.front = Some(next),
                (Some(front), Some(next)) => {
                    let (first, last) = (front.keys.first(), front.keys.last());
                    if last != next.keys.first() || first != last {
                        self.front = Some(front);
                        self.next = Some(next);
                        return Ok(());
                    }
                    // All of the front is one segment, and it goes on.
                    let run = last.map_or(0, |key| next.up_to(*key));
                    let both = [&front.rows, &next.rows.slice(0, run)];
                    let rows = concat_batches(self.empty.schema_ref(), both)?;
                    self.front = Some(Piece::new(rows, &self.by)?);
                    if run < next.len() {
                        self.next = Some(next.slice(run, next.len() - run));
                    }
                    self.account()?;
                }
                (front, None) => {
                    self.front = front;
                    let Some(stream) = &mut self.stream else {
                        return Ok(());
                    };
                    match stream.next().await {
                        Some(batch) => {
                            let batch = batch?;
                            if batch.num_rows() > 0 {
                                self.next = Some(Piece::new(batch, &self.by)?);
                                self.account()?;
                            }
                        }
                        None => self.stream = None,
                    }
                }
            }
        }
    }

    fn account(&self) -> Result<()> {
        let pieces = self.front.iter().chain(&self.next);
        let bytes = pieces
            .map(|piece| piece.rows.get_array_memory_size() + piece.len() * size_of::<i128>());
        self.reservation.try_resize(bytes.sum())
    }

    /// Whether nothing is left, once filled.
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    /// The key up to which the segments are complete, once filled; none when all that is left is there.
    pub(super) fn limit(&self) -> Option<i128> {
        let (front, next) = (self.front.as_ref()?, self.next.as_ref()?);
        let last = *front.keys.last()?;
        if next.keys.first() != Some(&last) {
            return Some(last);
        }
        let before = front.keys.partition_point(|key| *key < last);
        front.keys.get(before.checked_sub(1)?).copied()
    }

    /// Takes the rows up to this key; all without one.
    pub(super) fn take(&mut self, limit: Option<i128>) -> Piece {
        let Some(front) = self.front.take() else {
            return Piece {
                rows: self.empty.clone(),
                keys: Vec::new().into(),
                nulls: None,
            };
        };
        let rows = limit.map_or(front.len(), |key| front.up_to(key));
        if rows < front.len() {
            self.front = Some(front.slice(rows, front.len() - rows));
        }
        front.slice(0, rows)
    }
}
