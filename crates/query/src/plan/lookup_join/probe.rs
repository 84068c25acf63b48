//! The rows that go through a join, beside those that they find.

use std::sync::Arc;

use arrow::array::{
    AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::compute::{BatchCoalescer, filter_record_batch, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::metrics::BaselineMetrics;
use futures::TryStreamExt;

use super::Key;
use super::table::{NONE, Table, is_row};

/// How the rows of the other side are joined.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) key: Key,
    pub(super) join_type: JoinType,
    pub(super) columns: Vec<ColumnIndex>,
    pub(super) schema: SchemaRef,
    pub(super) condition: Option<Arc<JoinFilter>>,
}

impl Probe {
    /// Of pairs of rows those that meet the condition.
    pub(super) fn met(
        &self,
        table: &Table,
        batch: &RecordBatch,
        (left, right): (Vec<u32>, Vec<u32>),
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let Some(condition) = &self.condition else {
            return Ok((left, right));
        };
        let (of_left, of_right) = (UInt32Array::from(left), UInt32Array::from(right));
        let passed_on = |column: &&ColumnIndex| column.side == JoinSide::Left;
        let mut asked = table.columns.iter();
        if let Some(before) = self.columns.iter().filter(passed_on).count().checked_sub(1) {
            asked.nth(before);
        }
        let mut columns = Vec::with_capacity(condition.column_indices().len());
        for column in condition.column_indices() {
            let (values, rows) = match (column.side, asked.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    asked.next();
                    (first, &of_left)
                }
                _ => (batch.column(column.index), &of_right),
            };
            columns.push(take(values.as_ref(), rows, None)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(of_left.len()));
        let schema = Arc::clone(condition.schema());
        let both = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let met = condition.expression().evaluate(&both)?;
        let met = met.into_array(of_left.len())?;
        let met = met.as_boolean().iter().map(|met| met == Some(true));
        let pairs = of_left.values().iter().zip(of_right.values());
        let pairs = pairs.zip(met).filter(|(_, met)| *met);
        Ok(pairs.map(|((left, right), _)| (*left, *right)).unzip())
    }

    /// Rows of the other side, all as they are or those that are named, beside those of the table; none of the table where there is
    /// no number.
    pub(super) fn beside(
        &self,
        table: &Table,
        batch: &RecordBatch,
        rows: &UInt32Array,
        named: Option<&UInt32Array>,
    ) -> Result<RecordBatch> {
        let mut of_table = table.columns.iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match (column.side, of_table.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    of_table.next();
                    take(first.as_ref(), rows, None)?
                }
                _ => match named {
                    Some(named) => take(batch.column(column.index).as_ref(), named, None)?,
                    None => Arc::clone(batch.column(column.index)),
                },
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }

    /// Only the columns of the other side that are passed on.
    pub(super) fn passed_on(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter();
        let columns: Vec<usize> = columns.map(|column| column.index).collect();
        Ok(batch.project(&columns)?)
    }
}

/// Rows of a batch that find several others, under way.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) batch: RecordBatch,
    /// Their rows, or the slots of several.
    pub(super) found: Vec<u32>,
    /// The row that is next, and how many of its pairs were made.
    pub(super) row: usize,
    pub(super) made: usize,
}

impl Pairs {
    /// About so many of the next pairs, and whether there are more.
    pub(super) fn next(&mut self, table: &Table, keeps: bool, most: usize) -> (Vec<u32>, Vec<u32>) {
        let about = most.min(2 * (self.found.len() - self.row));
        let (mut left, mut right) = (Vec::with_capacity(about), Vec::with_capacity(about));
        while self.row < self.found.len() && left.len() < most {
            #[expect(clippy::cast_possible_truncation, reason = "a row of a batch")]
            let row = self.row as u32;
            match &self.found[self.row] {
                &NONE if keeps => left.push(NONE),
                &NONE => {}
                found if is_row(*found) => left.push(*found),
                found => {
                    let all = table.rows_of(found);
                    let rest = &all[self.made..];
                    let taken = rest.len().min(most - left.len());
                    left.extend_from_slice(&rest[..taken]);
                    self.made += taken;
                    if self.made < all.len() {
                        right.resize(left.len(), row);
                        break;
                    }
                }
            }
            right.resize(left.len(), row);
            (self.row, self.made) = (self.row + 1, 0);
        }
        (left, right)
    }
}

/// The join of one partition, under way.
pub(super) struct Run {
    pub(super) right: SendableRecordBatchStream,
    pub(super) table: Arc<Table>,
    pub(super) probe: Probe,
    pub(super) block: usize,
    pub(super) pairs: Option<Pairs>,
    /// Which rows of the table were found, where they decide.
    pub(super) seen: Vec<bool>,
    /// Those that are to be told of in the end, and how many were.
    pub(super) rest: Option<(Vec<u32>, usize)>,
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
            let joined = if self.pairs.is_some() {
                // Pairs may be many, and none be told of.
                tokio::task::consume_budget().await;
                self.next_pairs()?
            } else if self.rest.is_some() {
                self.next_of_rest()?
            } else if let Some(batch) = self.right.try_next().await? {
                self.join(batch)?
            } else {
                self.rest = Some((self.unanswered(), 0));
                None
            };
            if self
                .rest
                .as_ref()
                .is_some_and(|(rows, told)| *told >= rows.len())
            {
                self.ended = true;
            }
            match joined {
                // Rows without columns are only counted.
                Some(batch) if batch.num_columns() == 0 && batch.num_rows() > 0 => {
                    self.metrics.record_output(batch.num_rows());
                    return Ok(Some(batch));
                }
                Some(batch) if batch.num_rows() > 0 => self.coalescer.push_batch(batch)?,
                _ => {}
            }
            if self.ended {
                self.coalescer.finish_buffered_batch()?;
            }
        }
    }

    /// The rows of the table that are told of in the end.
    pub(super) fn unanswered(&self) -> Vec<u32> {
        let seen = self.seen.iter().zip(0_u32..);
        let asked = self.probe.join_type == JoinType::LeftSemi;
        let rows = seen.filter(|(seen, _)| **seen == asked);
        rows.map(|(_, row)| row).collect()
    }

    pub(super) fn next_of_rest(&mut self) -> Result<Option<RecordBatch>> {
        let Some((rows, told)) = &mut self.rest else {
            return Ok(None);
        };
        let end = rows.len().min(*told + self.block);
        let some = UInt32Array::from(rows[*told..end].to_vec());
        *told = end;
        let mut of_table = self.table.columns.iter();
        let mut columns = Vec::with_capacity(self.probe.columns.len());
        let fields = self.probe.schema.fields().iter();
        for (column, field) in self.probe.columns.iter().zip(fields) {
            columns.push(match (column.side, of_table.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    of_table.next();
                    take(first.as_ref(), &some, None)?
                }
                _ => new_null_array(field.data_type(), some.len()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(some.len()));
        let schema = Arc::clone(&self.probe.schema);
        let rest = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Some(rest))
    }

    /// Marks what these found.
    pub(super) fn see(&mut self, found: &[u32]) {
        for found in found.iter().filter(|found| **found != NONE) {
            let rows = self.table.rows_of(found);
            // All of them were marked with the first.
            if rows.first().is_some_and(|row| !self.seen[*row as usize]) {
                rows.iter().for_each(|row| self.seen[*row as usize] = true);
            }
        }
    }

    pub(super) fn join(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let metrics = self.metrics.clone();
        let _timer = metrics.elapsed_compute().timer();
        let keys = self.probe.key.evaluate(&batch)?;
        let (found, missing) = self
            .table
            .look_up(keys.into_array(batch.num_rows())?.as_ref());
        let some = |found: &u32| *found != NONE;
        let conditional = self.probe.condition.is_some();
        if !self.seen.is_empty() && !conditional {
            self.see(&found);
        }
        let keeps = match self.probe.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti if !conditional => return Ok(None),
            JoinType::RightSemi | JoinType::RightAnti => {
                let anti = self.probe.join_type == JoinType::RightAnti;
                let passed = self.probe.passed_on(&batch)?;
                let passes: BooleanArray = found
                    .iter()
                    .map(|found| Some(some(found) != anti))
                    .collect();
                return Ok(match passes.true_count() {
                    0 => None,
                    all if all == batch.num_rows() => Some(passed),
                    _ => Some(filter_record_batch(&passed, &passes)?),
                });
            }
            join_type => join_type == JoinType::Right,
        };
        if !self.table.order.is_empty() || conditional {
            self.pairs = Some(Pairs {
                batch,
                found,
                row: 0,
                made: 0,
            });
            return Ok(None);
        }
        if missing == 0 || keeps {
            let rows = numbers(found, missing > 0);
            return self
                .probe
                .beside(&self.table, &batch, &rows, None)
                .map(Some);
        }
        if missing == batch.num_rows() {
            return Ok(None);
        }
        let passes: BooleanArray = found.iter().map(|found| Some(some(found))).collect();
        let batch = filter_record_batch(&batch, &passes)?;
        let rows = UInt32Array::from_iter_values(found.into_iter().filter(some));
        self.probe
            .beside(&self.table, &batch, &rows, None)
            .map(Some)
    }

    pub(super) fn next_pairs(&mut self) -> Result<Option<RecordBatch>> {
        let metrics = self.metrics.clone();
        let _timer = metrics.elapsed_compute().timer();
        let Some(mut pairs) = self.pairs.take() else {
            return Ok(None);
        };
        let keeps = self.probe.join_type == JoinType::Right;
        // Few that are left over would be copied together with the next batch.
        let made = pairs.next(&self.table, keeps, 2 * self.block);
        let (left, right) = self.probe.met(&self.table, &pairs.batch, made)?;
        if !self.seen.is_empty() && self.probe.condition.is_some() {
            left.iter().for_each(|row| self.seen[*row as usize] = true);
        }
        let told = match self.probe.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => None,
            _ => {
                let right = UInt32Array::from(right);
                let left = numbers(left, keeps);
                Some(
                    self.probe
                        .beside(&self.table, &pairs.batch, &left, Some(&right))?,
                )
            }
        };
        if pairs.row < pairs.found.len() {
            self.pairs = Some(pairs);
        }
        Ok(told)
    }
}

/// Rows of a table, of which some may be none.
pub(super) fn numbers(rows: Vec<u32>, some_are_none: bool) -> UInt32Array {
    if some_are_none {
        let rows = rows.into_iter();
        return rows.map(|row| (row != NONE).then_some(row)).collect();
    }
    UInt32Array::from(rows)
}
