//! Sort keys as unsigned numbers that compare as the values do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};

/// The order in which stores lie.
pub(super) fn ascending(key: &Arc<dyn PhysicalExpr>) -> PhysicalSortExpr {
    let options = SortOptions {
        descending: false,
        nulls_first: false,
    };
    PhysicalSortExpr::new(Arc::clone(key), options)
}

/// Whether all orders that one plan has are another's too: what is planned above may need them.
pub(super) fn keeps_orders(
    before: &EquivalenceProperties,
    after: &EquivalenceProperties,
) -> Result<bool> {
    for order in before.oeq_class().iter() {
        if !after.ordering_satisfy(order.iter().cloned())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a type's values are whole numbers of 64 bits with a sign, or times that are stored as such.
pub(super) fn is_whole(data_type: &DataType) -> bool {
    match data_type {
        DataType::UInt64 => false,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => true,
        other => other.is_integer(),
    }
}

/// A column of such a type as those numbers.
pub(super) fn whole_numbers(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Int64 => ArrayRef::clone(column),
        DataType::Date32 => cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(column, &DataType::Int64)?,
    })
}

/// A number without a sign that compares as the number does.
pub(super) fn unsigned(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// A column's values as numbers that compare as they do, whatever they are where the column has none.
///
/// None for types that have no such number; these are compared by the engine.
pub(super) fn ascending_numbers(column: &ArrayRef) -> Result<Option<Vec<u64>>> {
    let float = |value: f64| {
        let bits = value.to_bits();
        if bits >> 63 == 1 {
            !bits
        } else {
            bits | (1 << 63)
        }
    };
    Ok(Some(match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            values.iter().map(|&value| float(value)).collect()
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>().values();
            values.iter().map(|&day| unsigned(day.into())).collect()
        }
        of if is_whole(of) => {
            let wide = whole_numbers(column)?;
            let values = wide.as_primitive::<Int64Type>().values();
            values.iter().map(|&value| unsigned(value)).collect()
        }
        _ => return Ok(None),
    }))
}

/// A column's values as numbers: the position of nulls and the direction are in them.
pub(crate) fn numbers(column: &ArrayRef, options: SortOptions) -> Result<Option<Vec<u128>>> {
    let Some(values) = ascending_numbers(column)? else {
        return Ok(None);
    };
    // One bit above the value says on which side of it nulls are.
    let null = if options.nulls_first { 0 } else { u128::MAX };
    let nulls = column.nulls();
    let numbers = values.into_iter().enumerate().map(|(row, value)| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            null
        } else {
            let value = if options.descending { !value } else { value };
            u128::from(value) + 1
        }
    });
    Ok(Some(numbers.collect()))
}
