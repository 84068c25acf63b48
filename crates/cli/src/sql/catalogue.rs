//! The names that a session knows: tables, columns and functions.

use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct ColumnName {
    /// The name.
    pub(crate) name: String,
    /// The SQL type.
    pub(crate) sql_type: String,
    /// It may be NULL.
    pub(crate) nullable: bool,
}

/// The tables of the default schema, sorted.
pub(crate) fn tables(context: &SessionContext) -> Vec<String> {
    let state = context.state();
    let defaults = &state.config_options().catalog;
    let mut names = context
        .catalog(&defaults.default_catalog)
        .and_then(|catalog| catalog.schema(&defaults.default_schema))
        .map(|schema| schema.table_names())
        .unwrap_or_default();
    names.sort();
    names
}

/// The columns of a table.
pub(crate) async fn columns(
    context: &SessionContext,
    table: &str,
) -> Result<Vec<ColumnName>, DataFusionError> {
    let provider = context.table_provider(table).await?;
    Ok(provider
        .schema()
        .fields()
        .iter()
        .map(|field| ColumnName {
            name: field.name().clone(),
            sql_type: sql_type(field.data_type()),
            nullable: field.is_nullable(),
        })
        .collect())
}

/// All functions of a session, sorted and without repetition.
pub(crate) fn functions(context: &SessionContext) -> Vec<String> {
    let state = context.state();
    let mut names: Vec<String> = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys())
        .chain(state.table_functions().keys())
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

/// An Arrow type as SQL writes it.
pub(crate) fn sql_type(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt8 => "TINYINT UNSIGNED".into(),
        DataType::UInt16 => "SMALLINT UNSIGNED".into(),
        DataType::UInt32 => "INTEGER UNSIGNED".into(),
        DataType::UInt64 => "BIGINT UNSIGNED".into(),
        DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(zone)) => format!("TIMESTAMP WITH TIME ZONE ({zone})"),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("DECIMAL({precision}, {scale})")
        }
        DataType::Dictionary(_, value) => sql_type(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            format!("LIST<{}>", sql_type(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_type(field.data_type())))
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}
