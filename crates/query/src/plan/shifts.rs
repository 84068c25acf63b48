//! Values of other rows of a segment, so many rows on or back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, PrimitiveArray,
    UInt32Array, downcast_primitive_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{kernels::zip::zip, take};
use datafusion::common::{Result, ScalarValue};

use super::frames::{Layout, index, shifted};
/// Each row's row so many rows on, in its segment.
pub(super) fn shifted_rows(by: i64, layout: &Layout) -> UInt32Array {
    let away = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let mut rows: Vec<u32> = Vec::with_capacity(layout.rows);
    let mut inside = BooleanBufferBuilder::new(layout.rows);
    for segment in layout.segments() {
        let outside = away.min(segment.len());
        let (from, to) = if by < 0 {
            (segment.start, segment.end - outside)
        } else {
            (segment.start + outside, segment.end)
        };
        let found = (from..to).map(|row| index(row).unwrap_or_default());
        if by < 0 {
            rows.resize(rows.len() + outside, 0);
            inside.append_n(outside, false);
        }
        rows.extend(found);
        inside.append_n(to - from, true);
        if by >= 0 {
            rows.resize(rows.len() + outside, 0);
            inside.append_n(outside, false);
        }
    }
    UInt32Array::new(rows.into(), Some(NullBuffer::new(inside.finish())))
}

/// Each row's value so many rows on, in its segment; NULL where there is none. None where values are not all of one width.
pub(super) fn moved(column: &ArrayRef, by: i64, layout: &Layout) -> Option<ArrayRef> {
    downcast_primitive_array! {
        column => Some(moved_numbers(column, by, layout)),
        _ => None
    }
}

fn moved_numbers<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    by: i64,
    layout: &Layout,
) -> ArrayRef {
    let away = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let (outside, kept) = (away.min(layout.rows), layout.rows.saturating_sub(away));
    let back = by < 0;
    let from = if back { 0 } else { outside };
    let values = &column.values()[from..from + kept];
    let mut moved = Vec::with_capacity(layout.rows);
    let mut valid = BooleanBufferBuilder::new(layout.rows);
    if back {
        moved.resize(outside, T::Native::default());
        valid.append_n(outside, false);
    }
    moved.extend_from_slice(values);
    match column.nulls() {
        Some(nulls) => valid.append_buffer(&nulls.inner().slice(from, kept)),
        None => valid.append_n(kept, true),
    }
    moved.resize(layout.rows, T::Native::default());
    valid.resize(layout.rows);
    for segment in layout.segments() {
        let outside = away.min(segment.len());
        let rows = match back {
            true => segment.start..segment.start + outside,
            false => segment.end - outside..segment.end,
        };
        rows.for_each(|row| valid.set_bit(row, false));
    }
    let nulls = NullBuffer::new(valid.finish());
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let moved = PrimitiveArray::<T>::new(moved.into(), nulls);
    Arc::new(moved.with_data_type(column.data_type().clone()))
}

/// Each row's row so many rows with a value on, in its segment.
pub(super) fn shifted_valid(nulls: &NullBuffer, by: i64, layout: &Layout) -> UInt32Array {
    let valid: Vec<usize> = nulls.valid_indices().collect();
    let mut passed = 0;
    let segments = layout.segments().iter();
    segments
        .flat_map(|segment| segment.clone().map(move |row| (row, segment)))
        .map(|(row, segment)| {
            let before = passed;
            passed += usize::from(nulls.is_valid(row));
            let at = if by < 0 {
                shifted(before, by)
            } else {
                shifted(passed, by - 1)
            };
            valid
                .get(at?)
                .filter(|at| segment.contains(at))
                .and_then(|at| index(*at))
        })
        .collect()
}

pub(super) fn shift(
    column: &ArrayRef,
    from: &UInt32Array,
    default: &ScalarValue,
) -> Result<ArrayRef> {
    let taken = take(column, from, None)?;
    if default.is_null() || from.null_count() == 0 {
        return Ok(taken);
    }
    let inside: BooleanArray = from.iter().map(|at| Some(at.is_some())).collect();
    Ok(zip(&inside, &taken, &default.to_scalar()?)?)
}
