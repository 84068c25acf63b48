//! Parquet columns into the types of their table, cell by cell where the types differ.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array, timezone::Tz,
};
use arrow::compute::{CastOptions, cast_with_options, filter};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::temporal_conversions::as_datetime_with_timezone;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::csv::{Builder, CellType, RowReject};
use crate::parse::{self, Fault, MICROS_PER_DAY};

/// A column to convert.
#[derive(Debug)]
pub(super) struct ColumnarColumn {
    pub(super) name: String,
    /// Its position in the file; `None` for a column that the file does not have.
    pub(super) source: Option<usize>,
    pub(super) target: DataType,
    /// Whether a row without it cannot be stored.
    pub(super) key: bool,
}

/// Converts the rows of one Parquet file.
#[derive(Debug)]
pub(super) struct Columnar {
    pub(super) columns: Vec<ColumnarColumn>,
    /// The column of the file with the person.
    pub(super) person: Option<usize>,
}

/// Rows of the table's types, and those that could not be made.
#[derive(Debug)]
pub(super) struct ColumnarRows {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) rejects: Vec<RowReject>,
}

impl Columnar {
    pub(super) fn decode(
        &self,
        batch: &RecordBatch,
        first: u64,
    ) -> Result<ColumnarRows, ArrowError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut faults: Vec<(usize, usize, Fault)> = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            let Some(source) = column.source else {
                columns.push(new_null_array(&column.target, batch.num_rows()));
                continue;
            };
            let given = batch.column(source);
            let converted = convert(given, &column.target, |row, fault| {
                faults.push((row, at, fault))
            })?;
            if column.key && converted.null_count() > 0 {
                let missing = (0..converted.len())
                    .filter(|row| converted.is_null(*row) && given.is_null(*row));
                faults.extend(missing.map(|row| (row, at, Fault::MissingKey)));
            }
            if let Some(numbers) = converted.as_primitive_opt::<Float64Type>() {
                let infinite =
                    |row: &usize| numbers.is_valid(*row) && !numbers.value(*row).is_finite();
                let rows = (0..numbers.len()).filter(infinite);
                faults.extend(rows.map(|row| (row, at, Fault::Float)));
            }
            columns.push(one_zero(converted));
        }
        if faults.is_empty() {
            return Ok(ColumnarRows {
                columns,
                rejects: Vec::new(),
            });
        }
        faults.sort_unstable_by_key(|(row, column, _)| (*row, *column));
        faults.dedup_by_key(|(row, _, _)| *row);
        let mut keep = vec![true; batch.num_rows()];
        let mut rejects = Vec::with_capacity(faults.len());
        for (row, column, fault) in faults {
            keep[row] = false;
            rejects.push(RowReject {
                line: first + row as u64 + 1,
                column: Some(self.columns[column].name.clone()),
                reason: fault.reason().to_owned(),
                raw: as_json(&batch.slice(row, 1))?,
                person: self
                    .person
                    .and_then(|column| person_of(batch.column(column), row)),
            });
        }
        let keep = BooleanArray::from(keep);
        let kept: Result<_, _> = columns.iter().map(|column| filter(column, &keep)).collect();
        Ok(ColumnarRows {
            columns: kept?,
            rejects,
        })
    }
}

/// The type in which a column that the model does not have is kept.
pub(super) fn kept_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Boolean | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            data_type.clone()
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ if data_type.is_integer() => DataType::Int64,
        _ => DataType::Utf8,
    }
}

/// Numbers without `-0.0`, as those of text have none.
fn one_zero(column: ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        Some(numbers)
            if numbers
                .values()
                .iter()
                .any(|number| *number == 0.0 && number.is_sign_negative()) =>
        {
            Arc::new(numbers.unary::<_, Float64Type>(|number| number + 0.0))
        }
        _ => column,
    }
}

fn convert(
    given: &ArrayRef,
    target: &DataType,
    mut fault: impl FnMut(usize, Fault),
) -> Result<ArrayRef, ArrowError> {
    let given = plain(given)?;
    let from = given.data_type().clone();
    if from == *target {
        return Ok(given);
    }
    match (&from, target) {
        (DataType::Timestamp(..), DataType::Timestamp(..)) => Ok(Arc::new(wall_clock(&given)?)),
        (DataType::Timestamp(..), DataType::Date32) => {
            let moments = wall_clock(&given)?;
            let days = moments.unary_opt::<_, arrow::datatypes::Date32Type>(|micros| {
                i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()
            });
            Ok(Arc::new(days) as Arc<Date32Array>)
        }
        _ if (from.is_integer() && (target.is_integer() || target.is_floating()))
            || (from.is_floating() && target.is_floating()) =>
        {
            let converted = safe_cast(&given, target)?;
            lost(&given, &converted, Fault::IntegerRange, fault);
            Ok(converted)
        }
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(..) | DataType::Date32) => {
            let converted = safe_cast(&given, target)?;
            lost(&given, &converted, Fault::Date, fault);
            Ok(converted)
        }
        (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, DataType::Utf8) => {
            let converted = safe_cast(&given, target)?;
            lost(&given, &converted, Fault::Utf8, fault);
            Ok(converted)
        }
        _ => {
            let text = as_text(&given)?;
            match CellType::of(target) {
                Some(CellType::Text) => Ok(Arc::new(text)),
                Some(cell_type) => parsed(&text, cell_type, &mut fault),
                None => {
                    let converted = safe_cast(&given, target)?;
                    lost(&given, &converted, Fault::Float, fault);
                    Ok(converted)
                }
            }
        }
    }
}

/// The column without dictionaries and the other ways of holding text.
fn plain(given: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match given.data_type() {
        DataType::Dictionary(_, values) => plain(&safe_cast(given, values)?),
        DataType::LargeUtf8 | DataType::Utf8View => safe_cast(given, &DataType::Utf8),
        _ => Ok(Arc::clone(given)),
    }
}

fn safe_cast(given: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(
        given,
        target,
        &CastOptions {
            safe: true,
            ..CastOptions::default()
        },
    )
}

/// What a clock on the wall of the column's zone showed, in microseconds; without a zone, what the column says.
fn wall_clock(given: &ArrayRef) -> Result<TimestampMicrosecondArray, ArrowError> {
    let DataType::Timestamp(_, zone) = given.data_type() else {
        return Err(ArrowError::CastError("not a timestamp".to_owned()));
    };
    let micros = safe_cast(
        given,
        &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
    )?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let zone: Option<Tz> = zone.as_deref().map(str::parse).transpose()?;
    match zone {
        None => Ok(micros.clone()),
        Some(zone) => Ok(micros.unary_opt(|micros| {
            as_datetime_with_timezone::<TimestampMicrosecondType>(micros, zone)
                .map(|moment| moment.naive_local().and_utc().timestamp_micros())
        })),
    }
}

/// Reports the cells whose value the conversion could not keep.
fn lost(given: &ArrayRef, converted: &ArrayRef, kind: Fault, mut fault: impl FnMut(usize, Fault)) {
    if converted.null_count() > given.null_count() {
        (0..given.len())
            .filter(|row| given.is_valid(*row) && converted.is_null(*row))
            .for_each(|row| fault(row, kind));
    }
}

/// Every value as text, as people write it.
fn as_text(given: &ArrayRef) -> Result<StringArray, ArrowError> {
    if let Some(text) = given.as_string_opt::<i32>() {
        return Ok(text.clone());
    }
    let formatter = ArrayFormatter::try_new(given, &FormatOptions::default())?;
    (0..given.len())
        .map(|row| {
            if given.is_null(row) {
                Ok(None)
            } else {
                formatter.value(row).try_to_string().map(Some)
            }
        })
        .collect()
}

/// Text parsed as cells of a text file are.
fn parsed(
    text: &StringArray,
    cell_type: CellType,
    fault: &mut impl FnMut(usize, Fault),
) -> Result<ArrayRef, ArrowError> {
    let mut builder = Builder::new(cell_type, text.len());
    for (row, cell) in text.iter().enumerate() {
        let cell = parse::trim(cell.unwrap_or_default().as_bytes());
        if cell.is_empty() || parse::is_null_word(cell) {
            builder.append_nulls(1);
            continue;
        }
        if let Err(kind) = builder.append_parsed(cell) {
            fault(row, kind);
            builder.append_nulls(1);
        }
    }
    builder.finish()
}

fn person_of(column: &ArrayRef, row: usize) -> Option<i64> {
    let value = safe_cast(&column.slice(row, 1), &DataType::Int64).ok()?;
    let value: &Int64Array = value.as_primitive();
    value.iter().next().flatten()
}

/// A row as a JSON object.
fn as_json(row: &RecordBatch) -> Result<String, ArrowError> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(row)?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner())
        .trim_end()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    #[test]
    fn times_with_a_zone_are_those_of_its_clock() -> Result<(), ArrowError> {
        // 2024-02-28T16:00:00Z is one in the morning of the 29th in Seoul; New York changed its clocks on 2024-03-10.
        let micros = [1_709_136_000_000_000, 1_710_090_000_000_000];
        let shown = |zone: Option<&str>, target: &DataType| {
            let moments = TimestampMicrosecondArray::from(micros.to_vec());
            let given: ArrayRef = Arc::new(moments.with_timezone_opt(zone));
            let stored = convert(&given, target, |_, _| ())?;
            let text = as_text(&stored)?;
            Ok::<_, ArrowError>([text.value(0).to_owned(), text.value(1).to_owned()])
        };
        let datetime = DataType::Timestamp(TimeUnit::Microsecond, None);
        for universal in [None, Some("UTC"), Some("+00:00")] {
            let expected = ["2024-02-28T16:00:00", "2024-03-10T17:00:00"];
            assert_eq!(shown(universal, &datetime)?, expected);
        }
        for seoul in ["Asia/Seoul", "+09:00"] {
            let expected = ["2024-02-29T01:00:00", "2024-03-11T02:00:00"];
            assert_eq!(shown(Some(seoul), &datetime)?, expected);
            assert_eq!(
                shown(Some(seoul), &DataType::Date32)?,
                ["2024-02-29", "2024-03-11"]
            );
        }
        let expected = ["2024-02-28T11:00:00", "2024-03-10T13:00:00"];
        assert_eq!(shown(Some("America/New_York"), &datetime)?, expected);
        Ok(())
    }

    /// As in text, a number is finite, and there is one zero; what is missing is no fault.
    #[test]
    fn rows_with_a_number_that_is_none_are_rejected() -> Result<(), ArrowError> {
        let given = [
            Some(1.5),
            Some(f64::NAN),
            None,
            Some(-0.0),
            Some(f64::INFINITY),
        ];
        let given: ArrayRef = Arc::new(Float64Array::from(given.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("value", given, true)])?;
        let columnar = Columnar {
            columns: vec![ColumnarColumn {
                name: "value_as_number".to_owned(),
                target: DataType::Float64,
                source: Some(0),
                key: false,
            }],
            person: None,
        };
        let rows = columnar.decode(&batch, 0)?;
        let lines: Vec<u64> = rows.rejects.iter().map(|reject| reject.line).collect();
        assert_eq!(lines, [2, 5]);
        let stored = rows.columns[0].as_primitive::<Float64Type>();
        let bits = stored.iter().map(|value| value.map(f64::to_bits));
        let kept = [Some(1.5), None, Some(0.0)].map(|value| value.map(f64::to_bits));
        assert!(bits.eq(kept));
        Ok(())
    }
}
