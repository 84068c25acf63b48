//! Results as lists of structs and as structs: numbers as R prints them, NULL where R has NA.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, internal_err};

/// A struct type of nullable columns.
pub(crate) fn struct_of(columns: &[(&str, DataType)]) -> DataType {
    let fields: Fields = columns
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    DataType::Struct(fields)
}

/// A list type of such structs.
pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The columns of a result, one vector of numbers for each field.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    columns: [Vec<Option<f64>>; N],
}

impl<const N: usize> Table<N> {
    pub(crate) fn new() -> Self {
        Self {
            columns: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Appends a row; a number that is not defined becomes NULL.
    pub(crate) fn push(&mut self, row: [f64; N]) {
        for (column, number) in self.columns.iter_mut().zip(row) {
            column.push((!number.is_nan()).then_some(number));
        }
    }

    /// Appends a row of NULLs, for a group without rows.
    pub(crate) fn push_null(&mut self) {
        self.columns.iter_mut().for_each(|column| column.push(None));
    }

    fn fields(self, fields: &Fields) -> Result<Vec<ArrayRef>> {
        let columns = self.columns.into_iter().zip(fields);
        columns
            .map(|(column, field)| Ok(cast(&Float64Array::from(column), field.data_type())?))
            .collect()
    }

    /// One struct for each row; `present` says which are not NULL.
    pub(crate) fn into_structs(self, output: &DataType, present: Vec<bool>) -> Result<ArrayRef> {
        let DataType::Struct(fields) = output else {
            return internal_err!("a statistic's result is a struct, not {output}");
        };
        let columns = self.fields(fields)?;
        let nulls = Some(NullBuffer::from(present));
        Ok(Arc::new(StructArray::try_new(
            fields.clone(),
            columns,
            nulls,
        )?))
    }

    /// One list for each group, of as many rows as `lengths` says; NULL where it says none.
    pub(crate) fn into_lists(
        self,
        output: &DataType,
        lengths: &[Option<usize>],
    ) -> Result<ArrayRef> {
        let DataType::List(item) = output else {
            return internal_err!("a statistic's result is a list, not {output}");
        };
        let DataType::Struct(fields) = item.data_type() else {
            return internal_err!("a statistic's result is a list of structs, not {output}");
        };
        let columns = self.fields(fields)?;
        let structs = StructArray::try_new(fields.clone(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
        let nulls = NullBuffer::from(lengths.iter().map(Option::is_some).collect::<Vec<_>>());
        let lists = ListArray::try_new(Arc::clone(item), offsets, Arc::new(structs), Some(nulls))?;
        Ok(Arc::new(lists))
    }
}

/// Columns of any types as one list for each group, of as many rows as `lengths` says; NULL where it says none.
pub(crate) fn lists(
    output: &DataType,
    lengths: &[Option<usize>],
    columns: &[ArrayRef],
) -> Result<ArrayRef> {
    let DataType::List(item) = output else {
        return internal_err!("a statistic's result is a list, not {output}");
    };
    let rows = lengths.iter().flatten().sum();
    let structs = structs(item.data_type(), vec![true; rows], columns)?;
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
    let nulls = NullBuffer::from(lengths.iter().map(Option::is_some).collect::<Vec<_>>());
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        offsets,
        structs,
        Some(nulls),
    )?))
}

/// Columns of any types as one struct for each row; `present` says which are not NULL.
pub(crate) fn structs(
    output: &DataType,
    present: Vec<bool>,
    columns: &[ArrayRef],
) -> Result<ArrayRef> {
    let DataType::Struct(fields) = output else {
        return internal_err!("a statistic's result is a struct, not {output}");
    };
    let columns = columns
        .iter()
        .zip(fields)
        .map(|(column, field)| Ok(cast(column, field.data_type())?))
        .collect::<Result<Vec<_>>>()?;
    let nulls = Some(NullBuffer::from(present));
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        nulls,
    )?))
}

/// Numbers as a column; one that is not defined becomes NULL.
pub(crate) fn numbers(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    let column: Float64Array = values
        .into_iter()
        .map(|number| (!number.is_nan()).then_some(number))
        .collect();
    Arc::new(column)
}
