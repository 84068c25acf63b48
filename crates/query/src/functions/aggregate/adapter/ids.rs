//! What names the rows of a result: numbers stay numbers and words stay words, so that it joins to where it came from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;

use super::{Kind, Layout, ModelRows};

/// Ids of rows.
#[derive(Debug)]
pub(crate) enum Ids {
    Numbers(Vec<i64>),
    Words(Vec<String>),
}

impl Ids {
    /// The type of an id in the result, given that of the argument.
    pub(crate) fn data_type(argument: Option<&DataType>) -> DataType {
        match argument {
            Some(whole) if whole.is_integer() => DataType::Int64,
            _ => DataType::Utf8,
        }
    }

    /// None yet, of the kind that the argument `id` has.
    pub(crate) fn none(layout: &Layout) -> Self {
        match layout.slot("id") {
            Some(slot) if slot.kind != Kind::Word => Self::Numbers(Vec::new()),
            _ => Self::Words(Vec::new()),
        }
    }

    /// Those of the rows, in the argument `id`.
    pub(crate) fn of(rows: &ModelRows, layout: &Layout) -> Self {
        match layout.slot("id") {
            Some(slot) if slot.kind == Kind::Word => {
                let words = rows.words.get(slot.place);
                Self::Words(words.map_or_else(Vec::new, |words| {
                    let codes = words.codes().iter();
                    codes
                        .map(|code| words.levels()[*code as usize].clone())
                        .collect()
                }))
            }
            slot => {
                let codes = rows.codes_of(slot).iter();
                Self::Numbers(codes.map(|code| code.cast_signed()).collect())
            }
        }
    }

    /// The rows in order of their ids: numbers by size, words in theirs.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        match self {
            Self::Numbers(numbers) => order.sort_by_key(|row| numbers[*row]),
            Self::Words(words) => order.sort_by(|a, b| words[*a].cmp(&words[*b])),
        }
        order
    }

    /// Appends the id of a row of others of the same kind.
    pub(crate) fn push(&mut self, others: &Self, row: usize) {
        match (self, others) {
            (Self::Numbers(numbers), Self::Numbers(others)) => numbers.push(others[row]),
            (Self::Words(words), Self::Words(others)) => words.push(others[row].clone()),
            (Self::Words(words), Self::Numbers(others)) => words.push(others[row].to_string()),
            // A call has ids of one kind, that of its argument.
            (Self::Numbers(_), Self::Words(_)) => {}
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Words(words) => words.len(),
        }
    }

    /// As a column.
    pub(crate) fn into_array(self) -> ArrayRef {
        match self {
            Self::Numbers(numbers) => Arc::new(Int64Array::from(numbers)),
            Self::Words(words) => Arc::new(StringArray::from(words)),
        }
    }
}
