//! Partial states as columns: a list of whole numbers, one of numbers and one of labels for each summary.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Builder, ListArray, ListBuilder, StringArray, StringBuilder,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::utils::format_state_name;

/// The columns of a partial state.
pub(super) fn fields(name: &str) -> Vec<FieldRef> {
    let list = |part: &str, item: DataType| {
        let item = DataType::List(Arc::new(Field::new_list_field(item, true)));
        Arc::new(Field::new(format_state_name(name, part), item, true))
    };
    vec![
        list("ints", DataType::UInt64),
        list("floats", DataType::Float64),
        list("labels", DataType::Utf8),
    ]
}

/// Builds the columns of partial states.
#[derive(Debug)]
pub(crate) struct StateBuilder {
    ints: ListBuilder<UInt64Builder>,
    floats: ListBuilder<Float64Builder>,
    labels: ListBuilder<StringBuilder>,
}

impl StateBuilder {
    pub(super) fn with_capacity(states: usize) -> Self {
        Self {
            ints: ListBuilder::with_capacity(UInt64Builder::new(), states),
            floats: ListBuilder::with_capacity(Float64Builder::new(), states),
            labels: ListBuilder::with_capacity(StringBuilder::new(), states),
        }
    }

    pub(crate) fn append(&mut self, ints: &[u64], floats: &[f64], labels: &[&str]) {
        self.ints.values().append_slice(ints);
        self.ints.append(true);
        self.floats.values().append_slice(floats);
        self.floats.append(true);
        for label in labels {
            self.labels.values().append_value(label);
        }
        self.labels.append(true);
    }

    /// The state of no rows.
    pub(super) fn append_null(&mut self) {
        self.ints.append(false);
        self.floats.append(false);
        self.labels.append(false);
    }

    pub(super) fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.ints.finish()),
            Arc::new(self.floats.finish()),
            Arc::new(self.labels.finish()),
        ]
    }
}

/// One partial state.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) ints: &'a [u64],
    pub(crate) floats: &'a [f64],
    pub(crate) labels: StringArray,
}

/// Reads the columns of partial states.
pub(super) struct States<'a> {
    ints: &'a ListArray,
    floats: &'a ListArray,
    labels: &'a ListArray,
}

impl<'a> States<'a> {
    pub(super) fn new(arrays: &'a [ArrayRef]) -> Result<Self> {
        match arrays {
            [ints, floats, labels] => Ok(Self {
                ints: ints.as_list::<i32>(),
                floats: floats.as_list::<i32>(),
                labels: labels.as_list::<i32>(),
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
                .as_string::<i32>()
                .slice(labels.start, labels.len()),
        })
    }
}

fn range(list: &ListArray, row: usize) -> Option<std::ops::Range<usize>> {
    let offsets = list.value_offsets();
    let from = usize::try_from(*offsets.get(row)?).ok()?;
    let to = usize::try_from(*offsets.get(row + 1)?).ok()?;
    Some(from..to)
}
