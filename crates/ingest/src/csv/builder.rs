//! Growing columns, without a look at anything but the value appended.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, NullBufferBuilder, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::decode::CellType;
use crate::parse::{self, Fault};

/// A growing column.
#[derive(Debug)]
pub(crate) enum Builder {
    BigInt(Numbers<i64>),
    Integer(Numbers<i32>),
    Float(Numbers<f64>),
    Text(Texts),
    Date(Numbers<i32>),
    DateTime(Numbers<i64>),
}

impl Builder {
    pub(crate) fn new(cell_type: CellType, rows: usize) -> Self {
        match cell_type {
            CellType::BigInt => Self::BigInt(Numbers::new(rows)),
            CellType::Integer => Self::Integer(Numbers::new(rows)),
            CellType::Float => Self::Float(Numbers::new(rows)),
            CellType::Text => Self::Text(Texts::new(rows)),
            CellType::Date => Self::Date(Numbers::new(rows)),
            CellType::DateTime => Self::DateTime(Numbers::new(rows)),
        }
    }

    pub(crate) fn append_nulls(&mut self, rows: usize) {
        match self {
            Self::BigInt(values) | Self::DateTime(values) => values.append_nulls(rows),
            Self::Integer(values) | Self::Date(values) => values.append_nulls(rows),
            Self::Float(values) => values.append_nulls(rows),
            Self::Text(values) => (0..rows).for_each(|_| values.append_null()),
        }
    }

    /// Appends what a cell that is not empty says.
    pub(crate) fn append_parsed(&mut self, cell: &[u8]) -> Result<(), Fault> {
        match self {
            Self::BigInt(values) => values.append(parse::integer(cell)?),
            Self::Integer(values) => values.append(parse::small_integer(cell)?),
            Self::Float(values) => values.append(parse::float(cell)?),
            Self::Date(values) => values.append(parse::date(cell)?),
            Self::DateTime(values) => values.append(parse::datetime(cell)?),
            Self::Text(values) => values.append(|content| content.extend_from_slice(cell)),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::BigInt(mut column) => {
                Arc::new(Int64Array::new(column.take(), column.nulls.finish()))
            }
            Self::Integer(mut column) => {
                Arc::new(Int32Array::new(column.take(), column.nulls.finish()))
            }
            Self::Float(mut column) => {
                Arc::new(Float64Array::new(column.take(), column.nulls.finish()))
            }
            Self::Date(mut column) => {
                Arc::new(Date32Array::new(column.take(), column.nulls.finish()))
            }
            Self::DateTime(mut column) => Arc::new(TimestampMicrosecondArray::new(
                column.take(),
                column.nulls.finish(),
            )),
            Self::Text(column) => column.finish()?,
        })
    }
}

/// A growing column of numbers.
#[derive(Debug)]
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Default> Numbers<T> {
    fn new(rows: usize) -> Self {
        Self {
            values: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    pub(crate) fn append(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    #[inline]
    pub(crate) fn append_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    fn append_nulls(&mut self, rows: usize) {
        self.values
            .resize_with(self.values.len() + rows, T::default);
        self.nulls.append_n_nulls(rows);
    }
}

impl<T: arrow::datatypes::ArrowNativeType> Numbers<T> {
    fn take(&mut self) -> ScalarBuffer<T> {
        // The guessed capacity may be far from the truth, and the column may be held for long.
        self.values.shrink_to_fit();
        ScalarBuffer::from(std::mem::take(&mut self.values))
    }
}

/// A growing column of text.
#[derive(Debug)]
pub(crate) struct Texts {
    content: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Texts {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            content: Vec::new(),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.content);
        self.end();
        self.nulls.append_non_null();
    }

    #[inline]
    pub(crate) fn append_null(&mut self) {
        self.end();
        self.nulls.append_null();
    }

    #[inline]
    fn end(&mut self) {
        // A block is far smaller than two gigabytes; one that is not fails when the column is finished.
        self.offsets
            .push(i32::try_from(self.content.len()).unwrap_or(-1));
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        if self.offsets.contains(&-1) {
            return Err(ArrowError::OffsetOverflowError(self.content.len()));
        }
        self.content.shrink_to_fit();
        self.offsets.shrink_to_fit();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(Arc::new(StringArray::try_new(
            offsets,
            Buffer::from_vec(self.content),
            self.nulls.finish(),
        )?))
    }
}
