//! Numbers, dates and moments as the numbers that quantiles are taken of, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{Result, exec_err};

/// Whole numbers up to here are doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;
const MICROSECONDS_PER_DAY: f64 = 86_400e6;

/// What values of a type are taken as, where they have quantiles. Only one that is `reached` is of the same type.
pub(super) fn taken_as(given: &DataType, reached: bool) -> Option<DataType> {
    Some(match given {
        DataType::Null => DataType::Float64,
        DataType::Date32 => DataType::Date32,
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        given if !given.is_numeric() => return None,
        given if reached => given.clone(),
        _ => DataType::Float64,
    })
}

/// What lies between two values of a type.
pub(super) fn between(value: &DataType) -> DataType {
    match value {
        DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => other.clone(),
    }
}

pub(super) fn as_numbers(values: &ArrayRef) -> Result<Float64Array> {
    let plain = match values.data_type() {
        DataType::Float64 => return Ok(values.as_primitive::<Float64Type>().clone()),
        DataType::Date32 => cast(values, &DataType::Int32)?,
        DataType::Timestamp(..) => cast(values, &DataType::Int64)?,
        _ => Arc::clone(values),
    };
    let numbers = cast(&plain, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>().clone();
    // Of moments the seconds are exact for longer than anybody writes.
    let whole = matches!(values.data_type(), DataType::Int64 | DataType::UInt64);
    if whole && numbers.iter().flatten().any(|v| v.abs() >= EXACT) {
        return exec_err!(
            "quantiles are taken of whole numbers up to two to the power of fifty-three"
        );
    }
    Ok(numbers)
}

pub(super) fn as_values(
    numbers: Float64Array,
    value: &DataType,
    answer: &DataType,
) -> Result<ArrayRef> {
    let whole = |numbers: &Float64Array, scale: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "made of whole numbers up to 2^53"
        )]
        let whole: Int64Array = numbers.unary(|v| (v * scale).floor() as i64);
        whole
    };
    Ok(match (value, answer) {
        (_, DataType::Float64) => Arc::new(numbers),
        (DataType::Date32, DataType::Timestamp(..)) => {
            cast(&whole(&numbers, MICROSECONDS_PER_DAY), answer)?
        }
        (_, DataType::Date32) => cast(
            &cast(&whole(&numbers, 1.0), &DataType::Int32)?,
            &DataType::Date32,
        )?,
        (_, DataType::Timestamp(..)) => cast(&whole(&numbers, 1.0), answer)?,
        _ => cast(&numbers, answer)?,
    })
}
