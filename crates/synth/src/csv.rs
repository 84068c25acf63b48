//! Record batches as CSV: RFC 4180 with LF, days as YYYY-MM-DD, NULL as nothing.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use columna_model::Day;

use crate::Error;

/// The header line of a batch's table.
pub(crate) fn header(names: &[&str], out: &mut Vec<u8>) {
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
}

/// A column, downcast once for all rows.
enum Column<'a> {
    Integer64(&'a [i64], &'a dyn Array),
    Integer32(&'a [i32], &'a dyn Array),
    Float(&'a [f64], &'a dyn Array),
    Text(&'a arrow::array::StringArray),
    Date(&'a [i32], &'a dyn Array),
    Time(&'a [i64], &'a dyn Array),
    Nothing,
}

/// Appends the rows of a batch.
pub(crate) fn rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for array in batch.columns() {
        columns.push(column(array.as_ref())?);
    }
    for row in 0..batch.num_rows() {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match column {
                Column::Nothing => {}
                Column::Integer64(values, array) if array.is_valid(row) => {
                    integer(values[row], out)
                }
                Column::Integer32(values, array) if array.is_valid(row) => {
                    integer(i64::from(values[row]), out)
                }
                Column::Float(values, array) if array.is_valid(row) => float(values[row], out),
                Column::Text(array) if array.is_valid(row) => text(array.value(row), out),
                Column::Date(values, array) if array.is_valid(row) => date(values[row], out),
                Column::Time(values, array) if array.is_valid(row) => time(values[row], out),
                _ => {}
            }
        }
        out.push(b'\n');
    }
    Ok(())
}

fn column(array: &dyn Array) -> Result<Column<'_>, Error> {
    if array.null_count() == array.len() {
        return Ok(Column::Nothing);
    }
    Ok(match array.data_type() {
        DataType::Int64 => Column::Integer64(array.as_primitive::<Int64Type>().values(), array),
        DataType::Int32 => Column::Integer32(array.as_primitive::<Int32Type>().values(), array),
        DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>().values(), array),
        DataType::Utf8 => Column::Text(array.as_string::<i32>()),
        DataType::Date32 => Column::Date(array.as_primitive::<Date32Type>().values(), array),
        DataType::Timestamp(..) => Column::Time(
            array.as_primitive::<TimestampMicrosecondType>().values(),
            array,
        ),
        other => return Err(Error::Internal(format!("no CSV form for {other}"))),
    })
}

/// A whole number.
pub(crate) fn integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut left = value.unsigned_abs();
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = digit(left % 10);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn digit(value: u64) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

/// A decimal number; values of two decimals or fewer, which is nearly all, without the general algorithm.
pub(crate) fn float(value: f64, out: &mut Vec<u8>) {
    let hundredths = (value * 100.0).round();
    if hundredths.abs() < 1e12 && hundredths / 100.0 == value {
        #[expect(clippy::cast_possible_truncation, reason = "below 1e12")]
        let hundredths = hundredths as i64;
        if hundredths < 0 {
            out.push(b'-');
        }
        let hundredths = hundredths.unsigned_abs();
        integer(i64::try_from(hundredths / 100).unwrap_or(0), out);
        let fraction = hundredths % 100;
        out.push(b'.');
        out.push(digit(fraction / 10));
        if !fraction.is_multiple_of(10) {
            out.push(digit(fraction % 10));
        }
    } else {
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

/// A text, quoted where it must be.
pub(crate) fn text(value: &str, out: &mut Vec<u8>) {
    if value
        .bytes()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
    {
        out.push(b'"');
        for byte in value.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(value.as_bytes());
    }
}

/// A day.
pub(crate) fn date(value: i32, out: &mut Vec<u8>) {
    let day = Day(value).civil();
    let year = u64::from(day.year.unsigned_abs());
    out.extend_from_slice(&[
        digit(year / 1000 % 10),
        digit(year / 100 % 10),
        digit(year / 10 % 10),
        digit(year % 10),
        b'-',
    ]);
    two(u64::from(day.month), out);
    out.push(b'-');
    two(u64::from(day.day), out);
}

/// A day with its time, to the second.
pub(crate) fn time(microseconds: i64, out: &mut Vec<u8>) {
    let seconds = microseconds.div_euclid(1_000_000);
    date(i32::try_from(seconds.div_euclid(86_400)).unwrap_or(0), out);
    let seconds = seconds.rem_euclid(86_400).unsigned_abs();
    out.push(b' ');
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
}

fn two(value: u64, out: &mut Vec<u8>) {
    out.push(digit(value / 10 % 10));
    out.push(digit(value % 10));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failure fails the test")]

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_as_a_reader_expects_them() {
        assert_eq!(written(|out| integer(0, out)), "0");
        assert_eq!(
            written(|out| integer(i64::MIN, out)),
            "-9223372036854775808"
        );
        assert_eq!(written(|out| float(7.0, out)), "7.0");
        assert_eq!(written(|out| float(7.1, out)), "7.1");
        assert_eq!(written(|out| float(-0.05, out)), "-0.05");
        assert_eq!(written(|out| float(1.005, out)), "1.005");
        assert_eq!(written(|out| text("a, \"b\"", out)), "\"a, \"\"b\"\"\"");
        assert_eq!(written(|out| date(0, out)), "1970-01-01");
        assert_eq!(written(|out| date(16_436, out)), "2015-01-01");
        assert_eq!(
            written(|out| time(86_400_000_000 + 61_000_000, out)),
            "1970-01-02 00:01:01"
        );
    }
}
