//! Cells as text: scalars as SQL writes them, nested values as JSON.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Dates and times as SQL writes them, without a fraction where there is none.
pub(crate) const FORMAT: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(false)
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"));

/// Writes the cells of one column of one batch.
pub(crate) enum CellWriter<'a> {
    /// A scalar.
    Scalar(ArrayFormatter<'a>, &'a dyn Array),
    /// A list, struct or map, as JSON.
    Nested(NullableEncoder<'a>, Vec<u8>),
}

impl std::fmt::Debug for CellWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar(..) => "Scalar",
            Self::Nested(..) => "Nested",
        })
    }
}

impl<'a> CellWriter<'a> {
    /// Writers for the columns of a batch.
    pub(crate) fn of_batch(
        schema: &'a SchemaRef,
        batch: &'a RecordBatch,
        json: &'a EncoderOptions,
    ) -> Result<Vec<Self>, ArrowError> {
        schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Self::new(field, column, json))
            .collect()
    }

    /// A writer for one column.
    pub(crate) fn new(
        field: &'a FieldRef,
        column: &'a ArrayRef,
        json: &'a EncoderOptions,
    ) -> Result<Self, ArrowError> {
        Ok(if is_nested(column.data_type()) {
            Self::Nested(make_encoder(field, column.as_ref(), json)?, Vec::new())
        } else {
            Self::Scalar(
                ArrayFormatter::try_new(column.as_ref(), &FORMAT)?,
                column.as_ref(),
            )
        })
    }

    /// Appends a cell's text; false for NULL, which appends nothing.
    pub(crate) fn append(&mut self, row: usize, text: &mut String) -> Result<bool, ArrowError> {
        match self {
            Self::Scalar(formatter, array) => {
                // A column of nothing but NULLs does not call them so.
                if array.is_null(row) || *array.data_type() == DataType::Null {
                    return Ok(false);
                }
                write!(text, "{}", formatter.value(row)).map_err(|_| {
                    ArrowError::CastError(format!(
                        "a {} lies outside what can be written",
                        array.data_type()
                    ))
                })?;
            }
            Self::Nested(encoder, bytes) => {
                if encoder.is_null(row) {
                    return Ok(false);
                }
                bytes.clear();
                encoder.encode(row, bytes);
                text.push_str(&String::from_utf8_lossy(bytes));
            }
        }
        Ok(true)
    }
}

/// Lists, structs and maps.
pub(crate) fn is_nested(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..)
            | DataType::Union(..)
    )
}

/// Numbers line up at their right end.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

/// How JSON is written inside other formats and as a format of its own: NULLs are written.
pub(crate) fn json_options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true)
}

/// Makes control characters visible, so that data cannot drive the terminal; line feeds stay when `lines`.
pub(crate) fn visible(text: &str, lines: bool) -> std::borrow::Cow<'_, str> {
    let harmless = |c: char| !c.is_control() || (lines && c == '\n');
    if text.chars().all(harmless) {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if harmless(c) => clean.push(c),
            '\n' => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            '\t' => clean.push_str("\\t"),
            c => {
                let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    clean.into()
}
