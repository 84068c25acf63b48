//! Which rows of two sorted pieces match, and the rows of the join that follow from it.

use std::mem;
use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array,
    new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, not, take};
use arrow::datatypes::{SchemaRef, UInt32Type};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{JoinSide, JoinType, Result, exec_err};
use datafusion::physical_plan::joins::utils::ColumnIndex;
use datafusion::physical_plan::joins::utils::JoinFilter;

use super::nearby::{Bounds, Nearby, Pair};
use super::nearest::{Candidates, Nearest};
use super::sorted_input::Piece;

/// What a join returns.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) join_type: JoinType,
    pub(super) filter: Option<JoinFilter>,
    /// What the condition says of single pairs' order, if it does.
    pub(super) bounds: Option<Bounds>,
    /// Columns that must be equal as well, and by which rows are not sorted.
    pub(super) equal: Option<Pair>,
    /// Where of the pairs of each driving row one is enough: which.
    pub(super) nearest: Option<Nearest>,
    pub(super) columns: Vec<ColumnIndex>,
    pub(super) schema: SchemaRef,
    /// Pairs of rows that are looked at together.
    pub(super) block: usize,
}

/// The side in whose order the rows come out: the one whose rows are all kept, the right one if both or none are.
pub(super) fn driver(join_type: JoinType) -> JoinSide {
    match join_type {
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            JoinSide::Left
        }
        _ => JoinSide::Right,
    }
}

/// The join of two pieces that hold the same range of keys, made block by block.
#[derive(Debug)]
pub(super) struct Step {
    driver: Piece,
    other: Piece,
    /// The driver's row under way.
    row: usize,
    /// The other side's rows that have its key.
    equal: Range<usize>,
    /// Those of them that can match and were not looked at: among `nearby`'s where `in_order`.
    ahead: Range<usize>,
    in_order: bool,
    nearby: Option<Nearby>,
    candidates: Option<Candidates>,
    /// Whether `equal` is about `row`.
    found: bool,
    /// Whether the row under way had a match in an earlier block.
    carried: bool,
    matched: Vec<bool>,
    other_matched: Vec<bool>,
    done: bool,
}

impl Step {
    pub(super) fn new(left: Piece, right: Piece, output: &Output) -> Result<Self> {
        let (driver, other) = match output.driver() {
            JoinSide::Left => (left, right),
            _ => (right, left),
        };
        if u32::try_from(driver.len().max(other.len())).is_err() {
            return exec_err!("one key of a join has more than four billion rows");
        }
        let rows = if output.keeps_rows() { driver.len() } else { 0 };
        let others = if output.join_type == JoinType::Full {
            other.len()
        } else {
            0
        };
        let candidates = output
            .nearest
            .map(|nearest| Candidates::new(nearest, output.equal, &driver, &other));
        let candidates = candidates.transpose()?;
        let nearby = match (output.equal, output.bounds) {
            _ if candidates.is_some() => None,
            (Some(equal), bounds) => Some(Nearby::equal(equal, bounds, &driver, &other)?),
            (None, Some(bounds)) => Some(Nearby::new(bounds, &driver, &other)?),
            (None, None) => None,
        };
        Ok(Self {
            driver,
            other,
            row: 0,
            equal: 0..0,
            ahead: 0..0,
            in_order: false,
            nearby,
            candidates,
            found: false,
            carried: false,
            matched: vec![false; rows],
            other_matched: vec![false; others],
            done: false,
        })
    }

    /// The next rows of the join, perhaps none; nothing at all after the last.
    pub(super) fn next(&mut self, output: &Output) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        if output.keeps_rows() && output.filter.is_none() {
            while self.row < self.driver.len() {
                self.find();
                self.matched[self.row] = self.matches();
                self.leave_row();
            }
        }
        if self.row >= self.driver.len() {
            self.done = true;
            return self.rest(output).map(Some);
        }
        let first = self.row;
        let (rows, others) = self.passing(output)?;
        if output.keeps_rows() {
            for row in rows {
                self.matched[row as usize] = true;
            }
            return Ok(Some(RecordBatch::new_empty(SchemaRef::clone(
                &output.schema,
            ))));
        }
        if !self.other_matched.is_empty() {
            for row in &others {
                self.other_matched[*row as usize] = true;
            }
        }
        if matches!(output.join_type, JoinType::Inner) {
            let (rows, others) = (UInt32Array::from(rows), UInt32Array::from(others));
            return self.batch(output, &rows, &others).map(Some);
        }
        let (rows, others) = self.with_unmatched(first, &rows, &others);
        self.batch(output, &rows, &others).map(Some)
    }

    /// Finds the other side's rows with the key of the row under way.
    fn find(&mut self) {
        if self.found {
            return;
        }
        self.found = true;
        let keys = &self.other.keys;
        let key = self.driver.keys[self.row];
        if self.equal.is_empty() || keys[self.equal.start] != key {
            let start = galloped(keys, self.equal.end, &key);
            let mut end = start;
            while end < keys.len() && keys[end] == key {
                end += 1;
            }
            self.equal = start..end;
            if let Some(nearby) = &mut self.nearby {
                nearby.begin(&self.equal);
            }
            if let Some(candidates) = &mut self.candidates {
                candidates.begin(&self.equal);
            }
        }
        if let Some(candidates) = &self.candidates {
            let found = candidates
                .of(self.row)
                .filter(|_| !self.driver.is_null(self.row));
            self.in_order = false;
            self.ahead = found.map_or(0..0, |row| row..row + 1);
            return;
        }
        let nearby = self.nearby.as_mut();
        let near = nearby.and_then(|nearby| nearby.range(self.row));
        self.in_order = near.is_some();
        self.ahead = near.unwrap_or_else(|| self.equal.clone());
        if self.driver.is_null(self.row) {
            self.ahead.start = self.ahead.end;
        }
    }

    /// Goes on to the next row, or where the other side has nothing of the key, to the first row whose key it may have.
    fn leave_row(&mut self) {
        self.row += 1;
        self.found = false;
        if self.equal.is_empty() {
            let keys = &self.driver.keys;
            self.row = match self.other.keys.get(self.equal.start) {
                Some(next) => galloped(keys, self.row, next),
                None => keys.len(),
            };
        }
    }

    /// Whether the row under way has an equal one.
    fn matches(&self) -> bool {
        if self.other.nulls.is_none() {
            return !self.ahead.is_empty();
        }
        match self.nearby.as_ref().filter(|_| self.in_order) {
            Some(nearby) => {
                let mut rows = nearby.rows(self.ahead.clone()).iter();
                rows.any(|row| !self.other.is_null(*row as usize))
            }
            None => self.ahead.clone().any(|row| !self.other.is_null(row)),
        }
    }

    /// The next block of pairs with equal keys that pass the filter.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "pieces have fewer than 2^32 rows"
    )]
    fn passing(&mut self, output: &Output) -> Result<(Vec<u32>, Vec<u32>)> {
        let mut rows: Vec<u32> = Vec::with_capacity(output.block);
        let mut others: Vec<u32> = Vec::with_capacity(output.block);
        while rows.len() < output.block && self.row < self.driver.len() {
            self.find();
            let next = self.ahead.start;
            let end = self.ahead.end.min(next + output.block - rows.len());
            rows.resize(rows.len() + end - next, self.row as u32);
            match self.nearby.as_ref().filter(|_| self.in_order) {
                Some(nearby) => others.extend(nearby.rows(next..end)),
                None => others.extend(next as u32..end as u32),
            }
            self.ahead.start = end;
            if self.ahead.is_empty() {
                self.leave_row();
            }
        }
        if self.other.nulls.is_some() {
            let valid = |row: &u32| !self.other.is_null(*row as usize);
            let keep: Vec<bool> = others.iter().map(valid).collect();
            let mut kept = keep.iter();
            rows.retain(|_| kept.next() == Some(&true));
            others.retain(valid);
        }
        // Candidates meet the condition.
        let Some(condition) = output.filter.as_ref().filter(|_| self.candidates.is_none()) else {
            return Ok((rows, others));
        };
        if rows.is_empty() {
            return Ok((rows, others));
        }
        let (rows, others) = (UInt32Array::from(rows), UInt32Array::from(others));
        let side = output.driver();
        let columns = self.columns(condition.column_indices(), side, &rows, &others)?;
        let pairs = batch(condition.schema(), columns, rows.len())?;
        let passed = condition
            .expression()
            .evaluate(&pairs)?
            .into_array(rows.len())?;
        let passed = as_boolean_array(&passed)?;
        let kept = |indices: &UInt32Array| -> Result<Vec<u32>> {
            let kept = filter(indices, passed)?;
            Ok(kept.as_primitive::<UInt32Type>().values().to_vec())
        };
        Ok((kept(&rows)?, kept(&others)?))
    }

    /// The pairs with the driver's rows among them, in their order, that match nothing.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "pieces have fewer than 2^32 rows"
    )]
    fn with_unmatched(
        &mut self,
        first: usize,
        rows: &[u32],
        others: &[u32],
    ) -> (UInt32Array, UInt32Array) {
        let complete = self.row;
        let mut all = Vec::with_capacity(rows.len() + complete - first);
        let mut their: Vec<Option<u32>> = Vec::with_capacity(all.capacity());
        let mut pair = 0;
        let mut carried = mem::take(&mut self.carried);
        for row in first..complete {
            let before = pair;
            while pair < rows.len() && rows[pair] as usize == row {
                all.push(row as u32);
                their.push(Some(others[pair]));
                pair += 1;
            }
            if pair == before && !mem::take(&mut carried) {
                all.push(row as u32);
                their.push(None);
            }
            carried = false;
        }
        // The row that the next block goes on with.
        self.carried = carried || pair < rows.len();
        all.extend(&rows[pair..]);
        their.extend(others[pair..].iter().map(|row| Some(*row)));
        (all.into(), their.into())
    }

    /// What comes after all pairs.
    fn rest(&self, output: &Output) -> Result<RecordBatch> {
        if output.keeps_rows() {
            return self.kept_rows(output);
        }
        let unmatched = (0u32..).zip(&self.other_matched);
        let others: UInt32Array = unmatched
            .filter_map(|(row, matched)| (!matched).then_some(Some(row)))
            .collect();
        let rows = UInt32Array::new_null(others.len());
        self.batch(output, &rows, &others)
    }

    /// The driver's rows that match, or that do not, or all with what they do.
    fn kept_rows(&self, output: &Output) -> Result<RecordBatch> {
        let rows = self.matched.len();
        let matched =
            BooleanArray::from(BooleanBuffer::collect_bool(rows, |row| self.matched[row]));
        let keep = match output.join_type {
            JoinType::LeftMark | JoinType::RightMark => None,
            JoinType::LeftAnti | JoinType::RightAnti => Some(not(&matched)?),
            _ => Some(matched.clone()),
        };
        let rows = keep
            .as_ref()
            .map_or(matched.len(), BooleanArray::true_count);
        let columns = output.columns.iter().map(|column| {
            Ok(match (column.side, &keep) {
                (JoinSide::None, _) => std::sync::Arc::new(matched.clone()) as ArrayRef,
                (_, Some(keep)) => filter(self.driver.rows.column(column.index), keep)?,
                (_, None) => ArrayRef::clone(self.driver.rows.column(column.index)),
            })
        });
        batch(&output.schema, columns.collect::<Result<_>>()?, rows)
    }

    fn batch(
        &self,
        output: &Output,
        rows: &UInt32Array,
        others: &UInt32Array,
    ) -> Result<RecordBatch> {
        let side = output.driver();
        let columns = self.columns(&output.columns, side, rows, others)?;
        batch(&output.schema, columns, rows.len())
    }

    fn columns(
        &self,
        columns: &[ColumnIndex],
        driver: JoinSide,
        rows: &UInt32Array,
        others: &UInt32Array,
    ) -> Result<Vec<ArrayRef>> {
        columns
            .iter()
            .map(|column| {
                let (piece, indices) = if column.side == driver {
                    (&self.driver, rows)
                } else {
                    (&self.other, others)
                };
                let values = piece.rows.column(column.index);
                Ok(if indices.null_count() == indices.len() {
                    new_null_array(values.data_type(), indices.len())
                } else {
                    take(values, indices, None)?
                })
            })
            .collect()
    }
}

/// The first place from this one on, in a row of numbers, of one that is not below another.
fn galloped<T: Ord>(numbers: &[T], from: usize, not_below: &T) -> usize {
    let (mut start, mut step) = (from, 1);
    while numbers
        .get(start + step - 1)
        .is_some_and(|number| number < not_below)
    {
        start += step;
        step *= 2;
    }
    let end = numbers.len().min(start + step);
    start + numbers[start..end].partition_point(|number| number < not_below)
}

impl Output {
    /// The side in whose order the rows come out.
    pub(super) fn driver(&self) -> JoinSide {
        let driver = |nearest: Nearest| nearest.driver;
        self.nearest
            .map_or_else(|| self::driver(self.join_type), driver)
    }

    /// Whether rows of one side come out, each once at most, and none of the other's.
    fn keeps_rows(&self) -> bool {
        !matches!(
            self.join_type,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
        )
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        SchemaRef::clone(schema),
        columns,
        &options,
    )?)
}
