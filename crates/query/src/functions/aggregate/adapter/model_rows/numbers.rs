//! Columns of numbers: read from a batch in 16 bits where all are whole and small, and packed for a partial state.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use columna_stats::Numbers;
use datafusion::common::Result;

use crate::functions::aggregate::adapter::batch;

/// A column of numbers of a batch.
pub(super) enum BatchNumbers {
    /// Whole numbers of 16 bits; rows that are NULL have any.
    Whole(Vec<i16>, Option<NullBuffer>),
    /// Any numbers.
    Any(Float64Array),
}

impl BatchNumbers {
    /// Numbers; a boolean is 0 or 1.
    pub(super) fn read(array: &ArrayRef) -> Result<Self> {
        let small = match array.data_type() {
            DataType::Int8 => small::<Int8Type>(array),
            DataType::Int16 => small::<Int16Type>(array),
            DataType::Int32 => small::<Int32Type>(array),
            DataType::Int64 => small::<Int64Type>(array),
            DataType::UInt8 => small::<UInt8Type>(array),
            DataType::UInt16 => small::<UInt16Type>(array),
            DataType::UInt32 => small::<UInt32Type>(array),
            _ => None,
        };
        Ok(match small {
            Some(values) => Self::Whole(values, array.nulls().cloned()),
            None => Self::Any(batch::numbers(array)?),
        })
    }

    /// Days.
    pub(super) fn of_days(array: &ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Duration(_) => Ok(Self::Any(batch::days(array)?)),
            _ => Self::read(array),
        }
    }

    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Whole(_, nulls) => nulls.as_ref(),
            Self::Any(values) => values.nulls(),
        }
    }

    pub(super) fn value(&self, row: usize) -> f64 {
        match self {
            Self::Whole(values, _) => f64::from(values[row]),
            Self::Any(values) => values.value(row),
        }
    }

    /// Appends all rows to a column.
    pub(super) fn add_all(&self, column: &mut Numbers) {
        match self {
            Self::Whole(values, _) => column.extend_from_whole(values),
            Self::Any(values) => column.extend_from_slice(values.values()),
        }
    }

    /// Appends some rows to a column.
    pub(super) fn add_rows(&self, selected: &[usize], column: &mut Numbers) {
        match self {
            Self::Whole(values, _) => column.extend_from_whole(&those(values, selected)),
            Self::Any(values) => column.extend_from_slice(&those(values.values(), selected)),
        }
    }
}

fn those<T: Copy>(values: &[T], selected: &[usize]) -> Vec<T> {
    selected.iter().map(|row| values[*row]).collect()
}

/// The numbers in 16 bits, if they fit.
fn small<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<Vec<i16>>
where
    i16: TryFrom<T::Native>,
{
    let values = array.as_primitive::<T>().values();
    let mut fit = true;
    let mut in_bits = |value: &T::Native| {
        let small = i16::try_from(*value);
        fit &= small.is_ok();
        small.unwrap_or(0)
    };
    // Through to the end in any case: a loop without a way out is one of vector instructions.
    let small = values.iter().map(&mut in_bits).collect();
    fit.then_some(small)
}

/// Four numbers to a word, the last filled up with zeros.
pub(super) fn packed(values: &[i16]) -> Vec<u64> {
    let (words, rest) = values.as_chunks::<4>();
    let word = |values: [i16; 4]| {
        let bits = values.map(|value| u64::from(value.cast_unsigned()));
        bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
    };
    let mut packed = Vec::with_capacity(values.len().div_ceil(4));
    packed.extend(words.iter().map(|values| word(*values)));
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        packed.push(word(last));
    }
    packed
}

/// The first `length` numbers of words.
pub(super) fn unpacked(words: &[u64], length: usize) -> Vec<i16> {
    let mut values = Vec::with_capacity(4 * words.len());
    for word in words {
        #[expect(clippy::cast_possible_truncation, reason = "a quarter of a word")]
        values.extend([0, 16, 32, 48].map(|shift| (word >> shift) as i16));
    }
    values.truncate(length);
    values
}
