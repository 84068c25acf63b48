//! What travels in a pass: lists of whole numbers, numbers and words for each group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, internal_err};

use crate::functions::aggregate::adapter::state::{State, StateBuilder, States, fields};

/// One message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    pub(super) ints: Vec<u64>,
    pub(super) floats: Vec<f64>,
    pub(super) words: Vec<String>,
}

impl Message {
    pub(super) fn of(state: &State<'_>) -> Self {
        let words = state.labels.iter().flatten().map(str::to_owned);
        Self {
            ints: state.ints.to_vec(),
            floats: state.floats.to_vec(),
            words: words.collect(),
        }
    }

    pub(super) fn append_to(&self, states: &mut StateBuilder) {
        let words = self.words.iter().map(String::as_str);
        states.append_parts(&[&self.ints], &[&self.floats], words);
    }
}

fn columns() -> Fields {
    fields("pass").into()
}

/// The type of an answer. Its lists are not large ones: a cluster's results come with lists that are not.
pub(super) fn answer_type() -> DataType {
    let columns = columns();
    let small = columns.iter().map(|field| match field.data_type() {
        DataType::LargeList(item) => {
            let list = DataType::List(Arc::clone(item));
            Arc::new(field.as_ref().clone().with_data_type(list))
        }
        _ => Arc::clone(field),
    });
    DataType::Struct(small.collect())
}

/// An answer as a struct.
pub(super) fn answer(message: Option<Message>) -> Result<StructArray> {
    Ok(cast(&structs(&[message])?, &answer_type())?
        .as_struct()
        .clone())
}

/// Messages as structs; `None` is NULL.
fn structs(messages: &[Option<Message>]) -> Result<StructArray> {
    let mut states = StateBuilder::with_capacity(messages.len());
    for message in messages {
        match message {
            Some(message) => message.append_to(&mut states),
            None => states.append_null(),
        }
    }
    Ok(StructArray::try_new(columns(), states.finish()?, None)?)
}

/// Messages as one literal: of a dictionary, as the engine makes a column of every argument, and would repeat a list for
/// each row.
pub(super) fn literal(messages: &[Message]) -> Result<ScalarValue> {
    let messages: Vec<_> = messages.iter().cloned().map(Some).collect();
    let structs = structs(&messages)?;
    let item = Arc::new(Field::new_list_field(structs.data_type().clone(), true));
    let lengths = OffsetBuffer::from_lengths([structs.len()]);
    let list = ListArray::try_new(item, lengths, Arc::new(structs), None)?;
    let list = ScalarValue::List(Arc::new(list));
    Ok(ScalarValue::Dictionary(
        Box::new(DataType::Int8),
        Box::new(list),
    ))
}

/// The messages of answers.
pub(super) fn read(array: &ArrayRef) -> Result<Vec<Option<Message>>> {
    if !array.data_type().equals_datatype(&answer_type()) {
        return internal_err!("the answers of a pass are {}", array.data_type());
    }
    messages(cast(array, &DataType::Struct(columns()))?.as_struct())
}

fn messages(structs: &StructArray) -> Result<Vec<Option<Message>>> {
    let states = States::new(structs.columns())?;
    let rows = 0..structs.len();
    Ok(rows
        .map(|row| states.get(row).map(|state| Message::of(&state)))
        .collect())
}

/// The messages of a literal.
pub(super) fn read_literal(value: &ScalarValue) -> Result<Vec<Message>> {
    let list = match value {
        ScalarValue::Dictionary(_, value) => match value.as_ref() {
            ScalarValue::List(list) => Some(list),
            _ => None,
        },
        _ => None,
    };
    let Some(list) = list else {
        return internal_err!("the questions of a pass are not a list");
    };
    if !list
        .values()
        .data_type()
        .equals_datatype(&DataType::Struct(columns()))
    {
        return internal_err!("the questions of a pass are {}", list.value_type());
    }
    let messages = messages(list.values().as_struct())?;
    Ok(messages
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect())
}
