//! Growing columns of a target table.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use columna_model::ColumnType;

use super::evaluate::Value;
use super::plan::TablePlan;
use crate::{Error, Result};

/// The columns of a table, as far as they are filled.
#[derive(Debug)]
pub(super) struct Columns {
    builders: Vec<Builder>,
    rows: usize,
}

#[derive(Debug)]
enum Builder {
    BigInt(Int64Builder),
    Integer(Int32Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    DateTime(TimestampMicrosecondBuilder),
}

impl Columns {
    pub(super) fn new(table: &TablePlan) -> Self {
        let builder = |data_type| match data_type {
            ColumnType::BigInt => Builder::BigInt(Int64Builder::new()),
            ColumnType::Integer => Builder::Integer(Int32Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Text => Builder::Text(StringBuilder::new()),
            ColumnType::Date => Builder::Date(Date32Builder::new()),
            ColumnType::DateTime => Builder::DateTime(TimestampMicrosecondBuilder::new()),
        };
        Self {
            builders: table
                .columns
                .iter()
                .map(|column| builder(column.data_type))
                .collect(),
            rows: 0,
        }
    }

    /// Appends a row, leaving `values` empty. A value of another type than its column's is an error in a mapping.
    pub(super) fn append(&mut self, table: &TablePlan, values: &mut Vec<Value<'_>>) -> Result<()> {
        for (at, (builder, value)) in self.builders.iter_mut().zip(values.drain(..)).enumerate() {
            if !builder.append(&value) {
                let column = table.columns.get(at).map_or("", |column| &column.name);
                return Err(Error::engine(format!(
                    "table `{}`: a rule for `{column}` has another type",
                    table.name
                )));
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(self, table: &TablePlan) -> Result<RecordBatch> {
        let arrays = self.builders.into_iter().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::new(table.schema()), arrays)
            .map_err(|error| Error::arrow(&table.name, error))
    }
}

impl Builder {
    fn append(&mut self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::BigInt(builder), Value::Null) => builder.append_null(),
            (Self::BigInt(builder), Value::Integer(value)) => builder.append_value(*value),
            (Self::Integer(builder), Value::Null) => builder.append_null(),
            (Self::Integer(builder), Value::Integer(value)) => {
                builder.append_option(i32::try_from(*value).ok())
            }
            (Self::Float(builder), Value::Null) => builder.append_null(),
            (Self::Float(builder), Value::Number(value)) => builder.append_value(*value),
            (Self::Text(builder), Value::Null) => builder.append_null(),
            (Self::Text(builder), Value::Text(value)) => builder.append_value(value),
            (Self::Date(builder), Value::Null) => builder.append_null(),
            (Self::Date(builder), Value::Day(value)) => builder.append_value(*value),
            (Self::DateTime(builder), Value::Null) => builder.append_null(),
            (Self::DateTime(builder), Value::Moment(value)) => builder.append_value(*value),
            _ => return false,
        }
        true
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::BigInt(mut builder) => Arc::new(builder.finish()),
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::DateTime(mut builder) => Arc::new(builder.finish()),
        }
    }
}
