//! The window functions that go column by column over a chunk of whole segments.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array,
    Int64Array, PrimitiveArray, RecordBatch, UInt32Array, UInt64Array, downcast_primitive_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{prep_null_mask_filter, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CaseExpr, Literal};
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr, WindowExpr,
};
use datafusion::physical_plan::windows::WindowUDFExpr;

use super::frames::{Edge, Frame, Frames, Layout, index};
use super::segments::evaluate;
use super::shifts::{moved, shift, shifted_rows, shifted_valid};

/// A window function over segments.
#[derive(Debug, Clone)]
pub(super) enum Function {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    /// Into so many parts.
    Ntile(usize),
    /// `lag` and `lead`: the value this many rows on, back where negative.
    Shift {
        of: Arc<dyn PhysicalExpr>,
        by: i64,
        default: ScalarValue,
        pass_nulls: PassNulls,
    },
    /// The frame's first value or its last; of those that are not NULL, where these are passed over.
    FirstValue(Arc<dyn PhysicalExpr>, Frame, PassNulls),
    LastValue(Arc<dyn PhysicalExpr>, Frame, PassNulls),
    /// The value of the frame's row of this number, from 1 on.
    NthValue(Arc<dyn PhysicalExpr>, Frame, usize),
    Aggregate(Aggregate, Arc<dyn PhysicalExpr>, Frame),
    /// Any other aggregate, of all rows of the segment.
    OfAll(Arc<AggregateFunctionExpr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    /// Of the rows in which a condition holds.
    CountIf,
    Sum,
    Min,
    Max,
    Avg,
}

type PassNulls = bool;

impl Function {
    /// None for what only the engine's own operator can do.
    pub(super) fn of(expr: &Arc<dyn WindowExpr>, input: &Schema) -> Option<Self> {
        let any = expr.as_any();
        let call = any
            .downcast_ref::<PlainAggregateWindowExpr>()
            .map(PlainAggregateWindowExpr::get_aggregate_expr)
            .or_else(|| {
                any.downcast_ref::<SlidingAggregateWindowExpr>()
                    .map(SlidingAggregateWindowExpr::get_aggregate_expr)
            });
        if let Some(call) = call {
            return Self::aggregate(expr, call, input).or_else(|| Self::of_all(expr, call, input));
        }
        let standard = any.downcast_ref::<StandardWindowExpr>()?;
        let call = standard.get_standard_func_expr();
        let call = call.as_any().downcast_ref::<WindowUDFExpr>()?;
        // What the engine says here only: that it turned a function round to use an order that runs the other way.
        let flags = format!("{call:?}");
        let flag = |name: &str| match (
            flags.contains(&format!("{name}: true")),
            flags.contains(&format!("{name}: false")),
        ) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        };
        let (reversed, pass_nulls) = (flag("is_reversed")?, flag("ignore_nulls")?);
        let frame = || Frame::of(expr.as_ref(), input);
        match call.fun().name() {
            // Another name stands for what is turned round.
            "first_value" => Some(Self::FirstValue(argument(call)?, frame()?, pass_nulls)),
            "last_value" => Some(Self::LastValue(argument(call)?, frame()?, pass_nulls)),
            "row_number" if !reversed => Some(Self::RowNumber),
            "rank" if !reversed => Some(Self::Rank),
            "dense_rank" if !reversed => Some(Self::DenseRank),
            "percent_rank" if !reversed => Some(Self::PercentRank),
            "cume_dist" if !reversed => Some(Self::CumeDist),
            "ntile" if !reversed => Some(Self::Ntile(number(call.args().first()?)?)),
            "nth_value" if !reversed && !pass_nulls => Some(Self::NthValue(
                argument(call)?,
                frame()?,
                number(call.args().get(1)?)?,
            )),
            name @ ("lag" | "lead") => {
                let of = argument(call)?;
                let to = of.data_type(input).ok()?;
                let rows = match call.args().get(1) {
                    None => 1,
                    Some(rows) => match literal(rows)?.cast_to(&DataType::Int64).ok()? {
                        ScalarValue::Int64(Some(rows)) => rows,
                        _ => return None,
                    },
                };
                let default = match call.args().get(2) {
                    None => ScalarValue::try_from(&to).ok()?,
                    Some(default) => literal(default)?.cast_to(&to).ok()?,
                };
                let by = if (name == "lag") != reversed {
                    rows.checked_neg()?
                } else {
                    rows
                };
                (!to.is_null() && (by != 0 || !pass_nulls)).then_some(Self::Shift {
                    of,
                    by,
                    default,
                    pass_nulls,
                })
            }
            _ => None,
        }
    }

    fn aggregate(
        expr: &Arc<dyn WindowExpr>,
        call: &AggregateFunctionExpr,
        input: &Schema,
    ) -> Option<Self> {
        let plain = !call.is_distinct() && !call.ignore_nulls() && call.order_bys().is_empty();
        if !plain || filtered(expr) {
            return None;
        }
        let [of] = call.expressions().try_into().ok()?;
        let of: Arc<dyn PhysicalExpr> = of;
        let from = of.data_type(input).ok()?;
        let to = call.field().data_type().clone();
        let frame = Frame::of(expr.as_ref(), input)?;
        if call.fun().name() == "count"
            && to == DataType::Int64
            && let Some(condition) = counted(&of)
        {
            return Some(Self::Aggregate(Aggregate::CountIf, condition, frame));
        }
        let numeric = matches!(from, DataType::Int64 | DataType::UInt64 | DataType::Float64);
        let what = match call.fun().name() {
            "count" if to == DataType::Int64 => Aggregate::Count,
            "sum" if numeric && from == to => Aggregate::Sum,
            "avg" if from == DataType::Float64 && from == to => Aggregate::Avg,
            "min" if from.is_primitive() && from == to => Aggregate::Min,
            "max" if from.is_primitive() && from == to => Aggregate::Max,
            _ => return None,
        };
        Some(Self::Aggregate(what, of, frame))
    }

    fn of_all(
        expr: &Arc<dyn WindowExpr>,
        call: &AggregateFunctionExpr,
        input: &Schema,
    ) -> Option<Self> {
        let frame = Frame::of(expr.as_ref(), input)?;
        let known = frame.start == Edge::Segment
            && frame.end == Edge::Segment
            && !filtered(expr)
            && call.order_bys().is_empty()
            && call.groups_accumulator_supported();
        known.then(|| Self::OfAll(Arc::new(call.clone())))
    }

    /// Whether the function asks which rows are sorted equally.
    pub(super) fn needs_peers(&self) -> bool {
        match self {
            Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => true,
            Self::RowNumber | Self::Ntile(_) | Self::Shift { .. } | Self::OfAll(_) => false,
            Self::FirstValue(_, frame, _)
            | Self::LastValue(_, frame, _)
            | Self::NthValue(_, frame, _)
            | Self::Aggregate(_, _, frame) => frame.needs_peers(),
        }
    }

    /// Whether it looks ahead by more than one of the rows that are not NULL.
    pub(super) fn leads_over_nulls(&self) -> bool {
        matches!(
            self,
            Self::Shift {
                by: 2..,
                pass_nulls: true,
                ..
            }
        )
    }

    /// The function's value in each row of a chunk.
    pub(super) fn evaluate(&self, chunk: &RecordBatch, layout: &Layout) -> Result<ArrayRef> {
        let column =
            |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(chunk)?.into_array(chunk.num_rows());
        Ok(match self {
            Self::RowNumber => {
                let mut numbers = Vec::with_capacity(layout.rows);
                for segment in layout.segments() {
                    numbers.extend(1..=segment.len() as u64);
                }
                Arc::new(UInt64Array::from(numbers))
            }
            Self::Rank => Arc::new(ranks(layout, false)),
            Self::DenseRank => Arc::new(ranks(layout, true)),
            Self::PercentRank => Arc::new(shares(layout, |before, _, rows| {
                if rows > 1.0 {
                    before / (rows - 1.0)
                } else {
                    0.0
                }
            })),
            Self::CumeDist => Arc::new(shares(layout, |_, upto, rows| upto / rows)),
            Self::Ntile(parts) => Arc::new(tiles(layout, *parts)),
            Self::Shift {
                of,
                by,
                default,
                pass_nulls,
            } => {
                let values = column(of)?;
                let by_row = !*pass_nulls || values.null_count() == 0;
                if by_row
                    && default.is_null()
                    && let Some(moved) = moved(&values, *by, layout)
                {
                    return Ok(moved);
                }
                let from = match values.nulls() {
                    Some(nulls) if *pass_nulls => shifted_valid(nulls, *by, layout),
                    _ => shifted_rows(*by, layout),
                };
                shift(&values, &from, default)?
            }
            Self::FirstValue(of, frame, pass_nulls) => {
                let (values, frames) = (column(of)?, frame.over(layout)?);
                let valid = values.nulls().filter(|_| *pass_nulls).map(next_valid);
                let first = frames.pick(|frame| match &valid {
                    None => Some(frame.start),
                    Some(next) => Some(next[frame.start]).filter(|at| frame.contains(at)),
                });
                take(&values, &first, None)?
            }
            Self::LastValue(of, frame, pass_nulls) => {
                let (values, frames) = (column(of)?, frame.over(layout)?);
                let valid = values.nulls().filter(|_| *pass_nulls).map(last_valid);
                let last = frames.pick(|frame| match &valid {
                    None => Some(frame.end - 1),
                    Some(last) => last[frame.end - 1].filter(|at| frame.contains(at)),
                });
                take(&values, &last, None)?
            }
            Self::NthValue(of, frame, n) => {
                let (values, frames) = (column(of)?, frame.over(layout)?);
                let nth = frames.pick(|frame| {
                    let at = frame.start.checked_add(n - 1);
                    at.filter(|at| frame.contains(at))
                });
                take(&values, &nth, None)?
            }
            Self::OfAll(call) => {
                let segments = layout.segments();
                let mut of_row = Vec::with_capacity(layout.rows);
                for (at, segment) in segments.iter().enumerate() {
                    of_row.resize(segment.end, at);
                }
                let mut groups = call.create_groups_accumulator()?;
                let arguments = evaluate(&call.expressions(), chunk)?;
                groups.update_batch(&arguments, &of_row, None, segments.len())?;
                let rows: UInt32Array = of_row.into_iter().map(index).collect();
                take(&groups.evaluate(EmitTo::All)?, &rows, None)?
            }
            Self::Aggregate(what, of, frame) => {
                let counts = matches!(what, Aggregate::Count | Aggregate::CountIf);
                let values = column(of)?;
                if frame.start != Edge::Segment {
                    let frames = frame.over(layout)?;
                    return folded(*what, &values, layout, Some(&frames));
                }
                let running = folded(*what, &values, layout, None)?;
                if frame.end == Edge::Rows(0) {
                    return Ok(running);
                }
                if let Edge::Rows(by) = frame.end
                    && by < 0
                    && !counts
                    && let Some(moved) = moved(&running, by, layout)
                {
                    return Ok(moved);
                }
                if frame.end == Edge::Peers && layout.peers().len() == layout.rows {
                    return Ok(running);
                }
                let last = match frame.end {
                    Edge::Rows(by) if by < 0 => shifted_rows(by, layout),
                    Edge::Peers => last_of_each(layout.peers(), layout.rows),
                    _ => frame.over(layout)?.pick(|frame| Some(frame.end - 1)),
                };
                let taken = take(&running, &last, None)?;
                // Nothing counts as 0, while the other aggregates of nothing are NULL.
                match last.nulls() {
                    Some(_) if counts => Arc::new(
                        taken
                            .as_primitive::<Int64Type>()
                            .iter()
                            .map(|n| Some(n.unwrap_or(0)))
                            .collect::<Int64Array>(),
                    ),
                    _ => taken,
                }
            }
        })
    }
}

/// The last row of each row's range.
fn last_of_each(ranges: &[Range<usize>], rows: usize) -> UInt32Array {
    let mut last = Vec::with_capacity(rows);
    for range in ranges {
        last.resize(range.end, index(range.end - 1).unwrap_or_default());
    }
    UInt32Array::from(last)
}

/// The first row from each row on that has a value.
fn next_valid(nulls: &NullBuffer) -> Vec<usize> {
    let mut next = vec![nulls.len(); nulls.len()];
    let mut at = nulls.len();
    for row in (0..nulls.len()).rev() {
        if nulls.is_valid(row) {
            at = row;
        }
        next[row] = at;
    }
    next
}

/// The last row up to each row that has a value.
fn last_valid(nulls: &NullBuffer) -> Vec<Option<usize>> {
    let mut at = None;
    (0..nulls.len())
        .map(|row| {
            if nulls.is_valid(row) {
                at = Some(row);
            }
            at
        })
        .collect()
}

fn argument(call: &WindowUDFExpr) -> Option<Arc<dyn PhysicalExpr>> {
    call.args().first().map(Arc::clone)
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<ScalarValue> {
    expr.downcast_ref::<Literal>().map(|l| l.value().clone())
}

/// The condition under which a value is counted, where it is a literal otherwise.
fn counted(value: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let case = value.downcast_ref::<CaseExpr>()?;
    let [(condition, value)] = case.when_then_expr() else {
        return None;
    };
    let plain = case.expr().is_none() && case.else_expr().is_none();
    (plain && !literal(value)?.is_null()).then(|| Arc::clone(condition))
}

/// A literal number from 1 on.
fn number(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    match literal(expr)?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(n)) if n > 0 => usize::try_from(n).ok(),
        _ => None,
    }
}

/// Whether an aggregate may have a FILTER clause, which the engine shows in no other way.
pub(super) fn filtered(expr: &Arc<dyn WindowExpr>) -> bool {
    !format!("{expr:?}").ends_with("filter: None }")
}

fn ranks(layout: &Layout, dense: bool) -> UInt64Array {
    let mut ranks = Vec::with_capacity(layout.rows);
    let mut segments = layout.segments().iter();
    let (mut start, mut end, mut rank) = (0, 0, 0u64);
    for peers in layout.peers() {
        if peers.start >= end
            && let Some(segment) = segments.next()
        {
            (start, end, rank) = (segment.start, segment.end, 0);
        }
        rank = if dense {
            rank + 1
        } else {
            (peers.start - start) as u64 + 1
        };
        ranks.extend(peers.clone().map(|_| rank));
    }
    UInt64Array::from(ranks)
}

/// What is made of how many rows come before a row's peers, how many up to them, and how many there are.
#[expect(clippy::cast_precision_loss, reason = "no person has 2^53 rows")]
fn shares(layout: &Layout, share: impl Fn(f64, f64, f64) -> f64) -> Float64Array {
    let mut shares = Vec::with_capacity(layout.rows);
    let mut segments = layout.segments().iter();
    let mut segment = 0..0;
    for peers in layout.peers() {
        if peers.start >= segment.end
            && let Some(next) = segments.next()
        {
            segment = next.clone();
        }
        let before = (peers.start - segment.start) as f64;
        let upto = (peers.end - segment.start) as f64;
        let value = share(before, upto, segment.len() as f64);
        shares.extend(peers.clone().map(|_| value));
    }
    Float64Array::from(shares)
}

/// The number of each row's part, of so many parts as alike as can be, the larger ones first.
fn tiles(layout: &Layout, parts: usize) -> UInt64Array {
    let mut tiles = Vec::with_capacity(layout.rows);
    for segment in layout.segments() {
        let (size, larger) = (segment.len() / parts, segment.len() % parts);
        let longer = larger * (size + 1);
        tiles.extend((0..segment.len()).map(|row| {
            let part = if row < longer {
                row / (size + 1)
            } else {
                larger + (row - longer) / size.max(1)
            };
            part as u64 + 1
        }));
    }
    UInt64Array::from(tiles)
}

/// The aggregate of each row's frame; without frames, of its segment's rows up to it and with it.
fn folded(
    what: Aggregate,
    column: &ArrayRef,
    layout: &Layout,
    frames: Option<&Frames>,
) -> Result<ArrayRef> {
    let add = |a: f64, b: f64| a + b;
    Ok(match (what, column.data_type()) {
        (Aggregate::Count, _) => Arc::new(Int64Array::from(counts(column.nulls(), layout, frames))),
        (Aggregate::CountIf, _) => {
            let holds = NullBuffer::new(holding(column).into_parts().0);
            Arc::new(Int64Array::from(counts(Some(&holds), layout, frames)))
        }
        (Aggregate::Sum, DataType::Int64) => {
            let column = column.as_primitive::<Int64Type>();
            fold(column, layout, frames, ArrowNativeTypeOp::add_wrapping)
        }
        (Aggregate::Sum, DataType::UInt64) => {
            let column = column.as_primitive::<UInt64Type>();
            fold(column, layout, frames, ArrowNativeTypeOp::add_wrapping)
        }
        (Aggregate::Sum, DataType::Float64) => {
            fold(column.as_primitive::<Float64Type>(), layout, frames, add)
        }
        (Aggregate::Avg, DataType::Float64) => {
            let sums = fold(column.as_primitive::<Float64Type>(), layout, frames, add);
            let counts = counts(column.nulls(), layout, frames);
            let sums = sums.as_primitive::<Float64Type>();
            #[expect(clippy::cast_precision_loss, reason = "no person has 2^53 rows")]
            let means = sums
                .iter()
                .zip(counts)
                .map(|(sum, n)| sum.map(|sum| sum / n as f64));
            Arc::new(means.collect::<Float64Array>())
        }
        (Aggregate::Min | Aggregate::Max, _) => downcast_primitive_array! {
            column => extreme(column, layout, frames, what == Aggregate::Min),
            other => return exec_err!("no minimum or maximum of {other} over a window")
        },
        (_, other) => return exec_err!("no aggregate of {other} over a window"),
    })
}

/// The rows in which a condition holds, which is not where it is NULL.
pub(super) fn holding(condition: &ArrayRef) -> BooleanArray {
    let condition = condition.as_boolean();
    match condition.null_count() {
        0 => condition.clone(),
        _ => prep_null_mask_filter(condition),
    }
}

fn counts(nulls: Option<&NullBuffer>, layout: &Layout, frames: Option<&Frames>) -> Vec<i64> {
    let valid = |row| i64::from(nulls.is_none_or(|nulls| nulls.is_valid(row)));
    let mut counts = Vec::with_capacity(layout.rows + 1);
    if let Some(frames) = frames {
        let mut count = 0;
        counts.push(0);
        counts.extend((0..layout.rows).map(|row| {
            count += valid(row);
            count
        }));
        let frames = frames.starts.iter().zip(&frames.ends);
        return frames
            .map(|(start, end)| (counts[*end] - counts[*start]).max(0))
            .collect();
    }
    let mut count = 0;
    let marks = layout.segments.marks().iter().zip(0..);
    counts.extend(marks.map(|(begins, row)| {
        count = if *begins > 0 { 0 } else { count } + valid(row);
        count
    }));
    counts
}

fn extreme<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    layout: &Layout,
    frames: Option<&Frames>,
    min: bool,
) -> ArrayRef {
    fold(column, layout, frames, |a, b| {
        if b.is_lt(a) == min { b } else { a }
    })
}

/// Frames of so many rows are added up one by one.
const FEW_ROWS: usize = 16;

/// Folds the values that are not NULL; NULL where there are none.
fn fold<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    layout: &Layout,
    frames: Option<&Frames>,
    f: impl Fn(T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    let both = |a: Option<T::Native>, b: Option<T::Native>| match (a, b) {
        (Some(a), Some(b)) => Some(f(a, b)),
        (one, None) | (None, one) => one,
    };
    let mut folded = Vec::with_capacity(layout.rows);
    if frames.is_none() && column.null_count() == 0 {
        let mut state = T::Native::default();
        let rows = column.values().iter().zip(layout.segments.marks());
        folded.extend(rows.map(|(&value, begins)| {
            state = if *begins > 0 { value } else { f(state, value) };
            state
        }));
        let folded = PrimitiveArray::<T>::new(folded.into(), None);
        return Arc::new(folded.with_data_type(column.data_type().clone()));
    }
    let value = |row| column.is_valid(row).then(|| column.value(row));
    let mut present = Vec::with_capacity(layout.rows);
    let mut push = |state: Option<T::Native>| {
        folded.push(state.unwrap_or_default());
        present.push(state.is_some());
    };
    let mut backwards = vec![None; frames.map_or(0, |_| layout.rows)];
    for segment in layout.segments() {
        let Some(frames) = frames else {
            let mut state = None;
            for row in segment.clone() {
                state = both(state, value(row));
                push(state);
            }
            continue;
        };
        // Rows before the middle are folded backwards from it, once each, and those after it as they come: nothing is
        // ever taken out of a sum again, which would leave its rounding errors behind.
        let (mut middle, mut reached, mut since) = (segment.start, segment.start, None);
        for row in segment.clone() {
            let (start, end) = (frames.starts[row], frames.ends[row]);
            if start >= end {
                push(None);
                continue;
            }
            // Few are added up from the first, as one would by hand: the last digit is that of other engines.
            if end - start <= FEW_ROWS {
                push((start..end).fold(None, |state, row| both(state, value(row))));
                continue;
            }
            for row in reached..end {
                since = both(since, value(row));
            }
            reached = reached.max(end);
            if start >= middle {
                let mut state = None;
                for row in (start..reached).rev() {
                    state = both(value(row), state);
                    backwards[row] = state;
                }
                (middle, since) = (reached, None);
            }
            push(both(backwards[start], since));
        }
    }
    let nulls = NullBuffer::from(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let folded = PrimitiveArray::<T>::new(folded.into(), nulls);
    Arc::new(folded.with_data_type(column.data_type().clone()))
}
