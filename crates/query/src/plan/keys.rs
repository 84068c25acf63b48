//! Sort keys as unsigned numbers that compare as the values do.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;

/// A column's values as numbers: the position of nulls and the direction are in them.
///
/// None for types that have no such number; these are compared by the engine.
pub(super) fn numbers(column: &ArrayRef, options: SortOptions) -> Result<Option<Vec<u128>>> {
    let wide = match column.data_type() {
        DataType::Float64 => None,
        DataType::UInt64 => return Ok(None),
        DataType::Int64 => Some(ArrayRef::clone(column)),
        DataType::Date32 => Some(cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?),
        DataType::Timestamp(_, _) | DataType::Date64 => Some(cast(column, &DataType::Int64)?),
        other if other.is_integer() => Some(cast(column, &DataType::Int64)?),
        _ => return Ok(None),
    };
    let values: Vec<u64> = match &wide {
        Some(wide) => wide
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .map(|&value| value.cast_unsigned() ^ (1 << 63))
            .collect(),
        None => column
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .map(|value| {
                let bits = value.to_bits();
                if bits >> 63 == 1 {
                    !bits
                } else {
                    bits | (1 << 63)
                }
            })
            .collect(),
    };
    // One bit above the value says on which side of it nulls are.
    let null = if options.nulls_first { 0 } else { u128::MAX };
    Ok(Some(
        values
            .into_iter()
            .enumerate()
            .map(|(row, value)| {
                if column.is_null(row) {
                    null
                } else {
                    let value = if options.descending { !value } else { value };
                    u128::from(value) + 1
                }
            })
            .collect(),
    ))
}
