//! Counts, sums, least and greatest values of groups that are runs of rows.
//!
//! The engine's own accumulators take each row's group by its number, and look whether the group has a value yet.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray,
    RecordBatch, downcast_primitive_array,
};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;

/// An aggregate of each run; none where it is not one of these.
pub(super) fn of(
    call: &AggregateFunctionExpr,
    chunk: &RecordBatch,
    runs: &[Range<usize>],
) -> Result<Option<ArrayRef>> {
    let exprs = call.expressions();
    let (Some(of), false, false) = (exprs.first(), exprs.len() > 1, call.is_distinct()) else {
        return Ok(None);
    };
    let name = call.fun().name();
    let counts = name == "count" && *call.field().data_type() == DataType::Int64;
    if counts
        && of
            .downcast_ref::<Literal>()
            .is_some_and(|one| !one.value().is_null())
    {
        let counts = runs.iter().map(|run| count(run.len()));
        return Ok(Some(Arc::new(Int64Array::from_iter_values(counts))));
    }
    let from = of.data_type(chunk.schema_ref())?;
    let same = from == *call.field().data_type();
    let least = match name {
        "count" if counts => None,
        "sum" if same && from == DataType::Int64 => None,
        // Of floating-point numbers it depends on the signs of zero and NaN.
        "min" | "max" if same && from.is_primitive() && !from.is_floating() => Some(name == "min"),
        _ => return Ok(None),
    };
    let column = of.evaluate(chunk)?.into_array(chunk.num_rows())?;
    let column = column.as_ref();
    Ok(match least {
        Some(least) => downcast_primitive_array! {
            column => Some(folded(column, runs, |a, b| if b.is_lt(a) == least { b } else { a })),
            _ => None
        },
        None if counts => {
            let nulls = column.logical_nulls();
            let counts = runs.iter().map(|run| {
                let nulls = nulls
                    .as_ref()
                    .map(|nulls| nulls.slice(run.start, run.len()));
                count(run.len() - nulls.map_or(0, |nulls| nulls.null_count()))
            });
            Some(Arc::new(Int64Array::from_iter_values(counts)))
        }
        None => {
            let column = column.as_primitive::<Int64Type>();
            Some(folded(column, runs, ArrowNativeTypeOp::add_wrapping))
        }
    })
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Folds each run's values that are not NULL; NULL where there are none.
fn folded<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    runs: &[Range<usize>],
    f: impl Fn(T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    let values = column.values();
    let folded: PrimitiveArray<T> = match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => PrimitiveArray::from_iter_values(runs.iter().map(|run| {
            // No run is empty.
            let rest = values[run.start + 1..run.end].iter();
            rest.fold(values[run.start], |one, other| f(one, *other))
        })),
        Some(nulls) => {
            let valid = |row: &usize| nulls.is_valid(*row);
            let of_run = |run: &Range<usize>| {
                let rows = run.clone().filter(valid);
                rows.map(|row| values[row]).reduce(&f)
            };
            runs.iter().map(of_run).collect()
        }
    };
    Arc::new(folded.with_data_type(column.data_type().clone()))
}
