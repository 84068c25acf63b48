//! Partial states as columns: a list of whole numbers, one of numbers and one of labels for each summary.
//!
//! The lists are large ones (64-bit offsets): the state of a regression holds its rows, and there may be hundreds
//! of millions of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, LargeListArray, LargeStringArray, LargeStringBuilder,
    UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::utils::format_state_name;

/// The columns of a partial state.
pub(super) fn fields(name: &str) -> Vec<FieldRef> {
    let list = |part: &str, item: DataType| {
        let item = DataType::LargeList(item_field(item));
        Arc::new(Field::new(format_state_name(name, part), item, true))
    };
    vec![
        list("ints", DataType::UInt64),
        list("floats", DataType::Float64),
        list("labels", DataType::LargeUtf8),
    ]
}

fn item_field(item: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(item, true))
}

/// Builds the columns of partial states.
#[derive(Debug)]
pub(crate) struct StateBuilder {
    ints: Vec<u64>,
    floats: Vec<f64>,
    labels: LargeStringBuilder,
    /// Where each state ends in `ints`, `floats` and `labels`, after a 0.
    ends: [Vec<i64>; 3],
    number_of_labels: i64,
    present: Vec<bool>,
}

impl StateBuilder {
    pub(super) fn with_capacity(states: usize) -> Self {
        let ends = || {
            let mut ends = Vec::with_capacity(states + 1);
            ends.push(0);
            ends
        };
        Self {
            ints: Vec::new(),
            floats: Vec::new(),
            labels: LargeStringBuilder::new(),
            ends: [ends(), ends(), ends()],
            number_of_labels: 0,
            present: Vec::with_capacity(states),
        }
    }

    pub(crate) fn append(&mut self, ints: &[u64], floats: &[f64], labels: &[&str]) {
        self.append_parts(&[ints], &[floats], labels.iter().copied());
    }

    /// Appends a state whose numbers lie in several pieces, such as columns.
    pub(crate) fn append_parts<'l>(
        &mut self,
        ints: &[&[u64]],
        floats: &[&[f64]],
        labels: impl IntoIterator<Item = &'l str>,
    ) {
        extend(&mut self.ints, ints);
        extend(&mut self.floats, floats);
        for label in labels {
            self.labels.append_value(label);
            self.number_of_labels += 1;
        }
        self.end(true);
    }

    /// The state of no rows.
    pub(super) fn append_null(&mut self) {
        self.end(false);
    }

    fn end(&mut self, present: bool) {
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let [ints, floats, labels] = &mut self.ends;
        ints.push(length(self.ints.len()));
        floats.push(length(self.floats.len()));
        labels.push(self.number_of_labels);
        self.present.push(present);
    }

    pub(super) fn finish(mut self) -> Result<Vec<ArrayRef>> {
        let nulls = NullBuffer::from(self.present);
        let list = |item: DataType, ends: Vec<i64>, values: ArrayRef| -> Result<ArrayRef> {
            Ok(Arc::new(LargeListArray::try_new(
                item_field(item),
                OffsetBuffer::new(ScalarBuffer::from(ends)),
                values,
                Some(nulls.clone()),
            )?))
        };
        let [ints, floats, labels] = self.ends;
        Ok(vec![
            list(
                DataType::UInt64,
                ints,
                Arc::new(UInt64Array::from(self.ints)),
            )?,
            list(
                DataType::Float64,
                floats,
                Arc::new(Float64Array::from(self.floats)),
            )?,
            list(DataType::LargeUtf8, labels, Arc::new(self.labels.finish()))?,
        ])
    }
}

fn extend<T: Copy>(all: &mut Vec<T>, pieces: &[&[T]]) {
    let more = pieces.iter().map(|piece| piece.len()).sum();
    all.reserve(more);
    for piece in pieces {
        all.extend_from_slice(piece);
    }
}

/// One partial state.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) ints: &'a [u64],
    pub(crate) floats: &'a [f64],
    pub(crate) labels: LargeStringArray,
}

/// Reads the columns of partial states.
pub(super) struct States<'a> {
    ints: &'a LargeListArray,
    floats: &'a LargeListArray,
    labels: &'a LargeListArray,
}

impl<'a> States<'a> {
    pub(super) fn new(arrays: &'a [ArrayRef]) -> Result<Self> {
        match arrays {
            [ints, floats, labels] => Ok(Self {
                ints: ints.as_list::<i64>(),
                floats: floats.as_list::<i64>(),
                labels: labels.as_list::<i64>(),
            }),
            _ => internal_err!(
                "a partial state has {} columns instead of three",
                arrays.len()
            ),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ints.len()
    }

    /// The state of a row, `None` if it is that of no rows.
    pub(super) fn get(&self, row: usize) -> Option<State<'a>> {
        if self.ints.is_null(row) {
            return None;
        }
        let ints = self.ints.values().as_primitive::<UInt64Type>().values();
        let floats = self.floats.values().as_primitive::<Float64Type>().values();
        let labels = range(self.labels, row)?;
        Some(State {
            ints: ints.get(range(self.ints, row)?)?,
            floats: floats.get(range(self.floats, row)?)?,
            labels: self
                .labels
                .values()
                .as_string::<i64>()
                .slice(labels.start, labels.len()),
        })
    }
}

fn range(list: &LargeListArray, row: usize) -> Option<std::ops::Range<usize>> {
    let offsets = list.value_offsets();
    let from = usize::try_from(*offsets.get(row)?).ok()?;
    let to = usize::try_from(*offsets.get(row + 1)?).ok()?;
    Some(from..to)
}
