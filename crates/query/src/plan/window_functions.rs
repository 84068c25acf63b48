//! The window functions that go column by column over a chunk of whole segments.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array,
    Int64Array, PrimitiveArray, RecordBatch, UInt32Array, UInt64Array, downcast_primitive_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{kernels::zip::zip, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::windows::WindowUDFExpr;

use super::frames::{FrameEnd, Layout, index, shifted};

/// A window function over segments.
#[derive(Debug, Clone)]
pub(super) enum Function {
    RowNumber,
    Rank,
    DenseRank,
    /// `lag` and `lead`: the value this many rows on, back where negative.
    Shift {
        of: Arc<dyn PhysicalExpr>,
        by: i64,
        default: ScalarValue,
    },
    FirstValue(Arc<dyn PhysicalExpr>, FrameEnd),
    LastValue(Arc<dyn PhysicalExpr>, FrameEnd),
    Aggregate(Aggregate, Arc<dyn PhysicalExpr>, FrameEnd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

impl Function {
    /// None for what only the engine's own operator can do.
    pub(super) fn of(expr: &Arc<dyn WindowExpr>, input: &Schema) -> Option<Self> {
        if let Some(aggregate) = expr.as_any().downcast_ref::<PlainAggregateWindowExpr>() {
            return Self::aggregate(aggregate, input);
        }
        let standard = expr.as_any().downcast_ref::<StandardWindowExpr>()?;
        let call = standard.get_standard_func_expr();
        let call = call.as_any().downcast_ref::<WindowUDFExpr>()?;
        // The engine turns functions round to use an order that runs the other way, and says so here only.
        let flags = format!("{call:?}");
        if flags.contains("is_reversed: true") || flags.contains("ignore_nulls: true") {
            return None;
        }
        if !flags.contains("is_reversed: false") || !flags.contains("ignore_nulls: false") {
            return None;
        }
        let end = FrameEnd::of(expr.get_window_frame());
        match call.fun().name() {
            "row_number" => Some(Self::RowNumber),
            "rank" => Some(Self::Rank),
            "dense_rank" => Some(Self::DenseRank),
            "first_value" => Some(Self::FirstValue(argument(call)?, end?)),
            "last_value" => Some(Self::LastValue(argument(call)?, end?)),
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
                let by = if name == "lag" {
                    rows.checked_neg()?
                } else {
                    rows
                };
                (!to.is_null()).then_some(Self::Shift { of, by, default })
            }
            _ => None,
        }
    }

    fn aggregate(expr: &PlainAggregateWindowExpr, input: &Schema) -> Option<Self> {
        let call = expr.get_aggregate_expr();
        let plain = !call.is_distinct() && !call.ignore_nulls() && call.order_bys().is_empty();
        if !plain || filtered(expr) {
            return None;
        }
        let [of] = call.expressions().try_into().ok()?;
        let of: Arc<dyn PhysicalExpr> = of;
        let from = of.data_type(input).ok()?;
        let to = call.field().data_type().clone();
        let end = FrameEnd::of(expr.get_window_frame())?;
        let numeric = matches!(from, DataType::Int64 | DataType::UInt64 | DataType::Float64);
        let what = match call.fun().name() {
            "count" if to == DataType::Int64 => Aggregate::Count,
            "sum" if numeric && from == to => Aggregate::Sum,
            "avg" if from == DataType::Float64 && from == to => Aggregate::Avg,
            "min" if from.is_primitive() && from == to => Aggregate::Min,
            "max" if from.is_primitive() && from == to => Aggregate::Max,
            _ => return None,
        };
        Some(Self::Aggregate(what, of, end))
    }

    /// Whether the function asks which rows are sorted equally.
    pub(super) fn needs_peers(&self) -> bool {
        match self {
            Self::Rank | Self::DenseRank => true,
            Self::RowNumber | Self::Shift { .. } => false,
            Self::FirstValue(_, end) | Self::LastValue(_, end) | Self::Aggregate(_, _, end) => {
                *end == FrameEnd::Peers
            }
        }
    }

    /// The function's value in each row of a chunk.
    pub(super) fn evaluate(&self, chunk: &RecordBatch, layout: &Layout) -> Result<ArrayRef> {
        let column =
            |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(chunk)?.into_array(chunk.num_rows());
        Ok(match self {
            Self::RowNumber => {
                let mut numbers = Vec::with_capacity(layout.rows);
                for segment in &layout.segments {
                    numbers.extend(1..=segment.len() as u64);
                }
                Arc::new(UInt64Array::from(numbers))
            }
            Self::Rank => Arc::new(ranks(layout, false)),
            Self::DenseRank => Arc::new(ranks(layout, true)),
            Self::Shift { of, by, default } => shift(&column(of)?, *by, default, layout)?,
            Self::LastValue(of, end) => take(
                &column(of)?,
                &UInt32Array::from(end.last_rows(layout)),
                None,
            )?,
            Self::FirstValue(of, end) => {
                let mut first = end.last_rows(layout);
                for segment in &layout.segments {
                    for row in &mut first[segment.clone()] {
                        *row = row.and_then(|_| index(segment.start));
                    }
                }
                take(&column(of)?, &UInt32Array::from(first), None)?
            }
            Self::Aggregate(what, of, end) => {
                let running = running(*what, &column(of)?, layout)?;
                if *end == FrameEnd::Rows(0) {
                    return Ok(running);
                }
                let last = UInt32Array::from(end.last_rows(layout));
                let taken = take(&running, &last, None)?;
                // Nothing counts as 0, while the other aggregates of nothing are NULL.
                match (what, last.nulls()) {
                    (Aggregate::Count, Some(_)) => Arc::new(
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

fn argument(call: &WindowUDFExpr) -> Option<Arc<dyn PhysicalExpr>> {
    call.args().first().map(Arc::clone)
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<ScalarValue> {
    expr.downcast_ref::<Literal>().map(|l| l.value().clone())
}

/// Whether an aggregate may have a FILTER clause, which the engine shows in no other way.
fn filtered(expr: &PlainAggregateWindowExpr) -> bool {
    !format!("{expr:?}").ends_with("filter: None }")
}

fn ranks(layout: &Layout, dense: bool) -> UInt64Array {
    let mut ranks = Vec::with_capacity(layout.rows);
    let mut segments = layout.segments.iter();
    let (mut start, mut end, mut rank) = (0, 0, 0u64);
    for peers in &layout.peers {
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

fn shift(column: &ArrayRef, by: i64, default: &ScalarValue, layout: &Layout) -> Result<ArrayRef> {
    let mut from = Vec::with_capacity(layout.rows);
    for segment in &layout.segments {
        from.extend(segment.clone().map(|row| {
            shifted(row, by)
                .filter(|at| segment.contains(at))
                .and_then(index)
        }));
    }
    let from = UInt32Array::from(from);
    let taken = take(column, &from, None)?;
    if default.is_null() || from.null_count() == 0 {
        return Ok(taken);
    }
    let inside: BooleanArray = from.iter().map(|at| Some(at.is_some())).collect();
    Ok(zip(&inside, &taken, &default.to_scalar()?)?)
}

/// The aggregate of each segment's rows up to and with each row.
fn running(what: Aggregate, column: &ArrayRef, layout: &Layout) -> Result<ArrayRef> {
    Ok(match (what, column.data_type()) {
        (Aggregate::Count, _) => Arc::new(Int64Array::from(counts(column.nulls(), layout))),
        (Aggregate::Sum, DataType::Int64) => {
            fold::<Int64Type>(column, layout, |a, b| a.add_wrapping(b))
        }
        (Aggregate::Sum, DataType::UInt64) => {
            fold::<UInt64Type>(column, layout, |a, b| a.add_wrapping(b))
        }
        (Aggregate::Sum, DataType::Float64) => fold::<Float64Type>(column, layout, |a, b| a + b),
        (Aggregate::Avg, DataType::Float64) => {
            let sums = fold::<Float64Type>(column, layout, |a, b| a + b);
            let counts = counts(column.nulls(), layout);
            let sums = sums.as_primitive::<Float64Type>();
            #[expect(clippy::cast_precision_loss, reason = "no person has 2^53 rows")]
            let means = sums
                .iter()
                .zip(counts)
                .map(|(sum, n)| sum.map(|sum| sum / n as f64));
            Arc::new(means.collect::<Float64Array>())
        }
        (Aggregate::Min | Aggregate::Max, _) => downcast_primitive_array! {
            column => extreme(column, layout, what == Aggregate::Min),
            other => return exec_err!("no running minimum or maximum of {other}")
        },
        (_, other) => return exec_err!("no running aggregate of {other}"),
    })
}

fn counts(nulls: Option<&NullBuffer>, layout: &Layout) -> Vec<i64> {
    let mut counts = Vec::with_capacity(layout.rows);
    for segment in &layout.segments {
        let mut count = 0;
        counts.extend(segment.clone().map(|row| {
            count += i64::from(nulls.is_none_or(|nulls| nulls.is_valid(row)));
            count
        }));
    }
    counts
}

fn extreme<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    layout: &Layout,
    min: bool,
) -> ArrayRef {
    fold_primitive(column, layout, |a, b| if b.is_lt(a) == min { b } else { a })
}

fn fold<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    layout: &Layout,
    f: impl Fn(T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    fold_primitive(column.as_primitive::<T>(), layout, f)
}

/// Folds the values that are not null; null up to each segment's first such value.
fn fold_primitive<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    layout: &Layout,
    f: impl Fn(T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    let mut folded = Vec::with_capacity(layout.rows);
    let mut present = Vec::with_capacity(layout.rows);
    for segment in &layout.segments {
        let mut state = None;
        for row in segment.clone() {
            if column.is_valid(row) {
                let value = column.value(row);
                state = Some(state.map_or(value, |state| f(state, value)));
            }
            folded.push(state.unwrap_or_default());
            present.push(state.is_some());
        }
    }
    let nulls = NullBuffer::from(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let folded = PrimitiveArray::<T>::new(folded.into(), nulls);
    Arc::new(folded.with_data_type(column.data_type().clone()))
}
