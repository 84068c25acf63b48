//! What the manifest knows of a file, as DataFusion statistics.

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};

use crate::FileEntry;

/// Statistics of one file: rows, and the range of persons where the manifest has one.
pub(crate) fn of_file(schema: &SchemaRef, person: Option<usize>, file: &FileEntry) -> Statistics {
    of_files(schema, person, std::iter::once(file))
}

/// Statistics of several files together. Row counts and person ranges are exact: files never change.
pub(crate) fn of_files<'a>(
    schema: &SchemaRef,
    person: Option<usize>,
    files: impl Iterator<Item = &'a FileEntry>,
) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    let (mut rows, mut bytes) = (0u64, 0u64);
    let mut range: Option<(i64, i64)> = None;
    let mut range_known = true;
    for file in files {
        rows = rows.saturating_add(file.rows);
        bytes = bytes.saturating_add(file.bytes);
        if file.rows == 0 {
            continue;
        }
        match (file.min_person, file.max_person) {
            (Some(min), Some(max)) => {
                range = Some(range.map_or((min, max), |(a, b)| (a.min(min), b.max(max))));
            }
            _ => range_known = false,
        }
    }
    if let Ok(rows) = usize::try_from(rows) {
        statistics.num_rows = Precision::Exact(rows);
    }
    if let Ok(bytes) = usize::try_from(bytes) {
        statistics.total_byte_size = Precision::Inexact(bytes);
    }
    if let (true, Some((min, max)), Some(person)) = (range_known, range, person)
        && let Some(column) = statistics.column_statistics.get_mut(person)
        && let Some((min, max)) = person_values(schema.field(person).data_type(), min, max)
    {
        column.min_value = Precision::Exact(min);
        column.max_value = Precision::Exact(max);
        // Every row of a bucketed table has a person: the writer refuses others.
        column.null_count = Precision::Exact(0);
    }
    statistics
}

/// The statistics of about so many of these rows, picked by another column.
pub(crate) fn of_some(mut statistics: Statistics, rows: u64) -> Statistics {
    let all = statistics.num_rows.get_value().copied().unwrap_or_default();
    let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(all);
    statistics.num_rows = Precision::Inexact(rows);
    if let (Some(&bytes), true) = (statistics.total_byte_size.get_value(), all > 0) {
        let share = u128::from(bytes as u64) * rows as u128 / all as u128;
        statistics.total_byte_size = Precision::Inexact(usize::try_from(share).unwrap_or(bytes));
    }
    statistics.to_inexact()
}

fn person_values(data_type: &DataType, min: i64, max: i64) -> Option<(ScalarValue, ScalarValue)> {
    match data_type {
        DataType::Int64 => Some((ScalarValue::from(min), ScalarValue::from(max))),
        DataType::Int32 => Some((
            ScalarValue::from(i32::try_from(min).ok()?),
            ScalarValue::from(i32::try_from(max).ok()?),
        )),
        _ => None,
    }
}

/// Gives the sort columns after the person key the widest plausible bounds, as inexact values.
///
/// DataFusion keeps the order of several files in one partition only where it has bounds for every sort
/// column. The files of adjacent buckets share no person, so the bounds of the columns behind the key
/// decide nothing, and any will do. They are inexact and as wide as the calendar, so that neither pruning
/// nor an estimate can draw a conclusion from them.
pub(crate) fn widen_sort_columns(
    statistics: &mut Statistics,
    schema: &SchemaRef,
    columns: &[usize],
) {
    for &index in columns {
        let Some(column) = statistics.column_statistics.get_mut(index) else {
            continue;
        };
        if column.min_value == Precision::Absent
            && let Some((min, max)) = widest(schema.field(index).data_type())
        {
            column.min_value = Precision::Inexact(min);
            column.max_value = Precision::Inexact(max);
        }
    }
}

/// Whether every one of these columns can be given such bounds.
pub(crate) fn can_widen(schema: &SchemaRef, columns: &[usize]) -> bool {
    columns
        .iter()
        .all(|&index| widest(schema.field(index).data_type()).is_some())
}

/// 0001-01-01 and 9999-12-31, as days since 1970-01-01.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;
const MICROS_PER_DAY: i64 = 86_400_000_000;

fn widest(data_type: &DataType) -> Option<(ScalarValue, ScalarValue)> {
    match data_type {
        DataType::Date32 => Some((
            ScalarValue::Date32(Some(FIRST_DAY)),
            ScalarValue::Date32(Some(LAST_DAY)),
        )),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Some((
            ScalarValue::TimestampMicrosecond(
                Some(i64::from(FIRST_DAY) * MICROS_PER_DAY),
                zone.clone(),
            ),
            ScalarValue::TimestampMicrosecond(
                Some(i64::from(LAST_DAY) * MICROS_PER_DAY),
                zone.clone(),
            ),
        )),
        DataType::Int32 => Some((ScalarValue::from(i32::MIN), ScalarValue::from(i32::MAX))),
        // Half the range, so that the width of the interval still fits.
        DataType::Int64 => Some((
            ScalarValue::from(i64::MIN / 2),
            ScalarValue::from(i64::MAX / 2),
        )),
        _ => None,
    }
}
