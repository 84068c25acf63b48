//! What a table of a store is: its columns, its person key, its order, its bloom filters.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use columna_model::TableDef;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a table of a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct TableSpec {
    /// The table's name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// The column that holds the person. A table that has one is bucketed.
    pub person_key: Option<String>,
    /// The columns that its rows are ordered by, ascending, nulls last; the person key first.
    pub sort: Vec<String>,
    /// Columns that get a bloom filter, beside the person key.
    pub bloom: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    columns: Vec<StoredColumn>,
    person_key: Option<String>,
    sort: Vec<String>,
    bloom: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
}

impl From<TableSpec> for Stored {
    fn from(spec: TableSpec) -> Self {
        let columns = spec.schema.fields().iter().map(|f| StoredColumn {
            name: f.name().clone(),
            data_type: f.data_type().to_string(),
            nullable: f.is_nullable(),
        });
        Self {
            columns: columns.collect(),
            name: spec.name,
            person_key: spec.person_key,
            sort: spec.sort,
            bloom: spec.bloom,
        }
    }
}

impl TryFrom<Stored> for TableSpec {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let mut fields = Vec::with_capacity(stored.columns.len());
        for column in stored.columns {
            let data_type: DataType = column
                .data_type
                .parse()
                .map_err(|_| format!("column `{}` has an unknown type", column.name))?;
            fields.push(Field::new(column.name, data_type, column.nullable));
        }
        Ok(Self {
            name: stored.name,
            schema: Arc::new(Schema::new(fields)),
            person_key: stored.person_key,
            sort: stored.sort,
            bloom: stored.bloom,
        })
    }
}

impl TableSpec {
    /// The stored form of a table of the model.
    #[must_use]
    pub fn from_model(def: &TableDef) -> Self {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Self {
            name: def.name.to_owned(),
            schema: def.schema(),
            person_key: def.person_key.map(str::to_owned),
            sort: owned(def.sort_columns()),
            bloom: owned(def.bloom_columns()),
        }
    }

    /// The same table with more columns, all of them nullable.
    #[must_use]
    pub fn with_extra_columns(mut self, columns: impl IntoIterator<Item = Field>) -> Self {
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        fields.extend(columns.into_iter().map(|c| Arc::new(c.with_nullable(true))));
        self.schema = Arc::new(Schema::new(fields));
        self
    }

    /// Whether the table is divided into buckets.
    #[must_use]
    pub fn is_bucketed(&self) -> bool {
        self.person_key.is_some()
    }

    /// The positions of the sort columns in the schema.
    pub(crate) fn sort_positions(&self) -> Result<Vec<usize>> {
        self.sort.iter().map(|name| self.position(name)).collect()
    }

    /// The position of the person key in the schema.
    pub(crate) fn person_position(&self) -> Result<Option<usize>> {
        self.person_key
            .as_deref()
            .map(|name| self.position(name))
            .transpose()
    }

    /// The position of a column in the schema.
    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        self.schema.index_of(name).map_err(|_| {
            self.wrong(format!(
                "it has no column `{name}`, which its order or key names"
            ))
        })
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Table {
            table: self.name.clone(),
            reason,
        }
    }

    /// Checks a table before it is stored for the first time, and gives it its stored form.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if self.name.is_empty() || self.name.len() > 128 {
            return Err(self.wrong("its name must have between 1 and 128 characters".to_owned()));
        }
        if self.schema.fields().is_empty() {
            return Err(self.wrong("it has no columns".to_owned()));
        }
        let mut names: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(self.wrong(format!("it has two columns `{}`", twice[0])));
        }
        for field in self.schema.fields() {
            let (name, data_type) = (field.name(), field.data_type());
            if data_type.is_nested()
                || data_type.to_string().parse().ok().as_ref() != Some(data_type)
            {
                return Err(self.wrong(format!(
                    "column `{name}` has the type {data_type}, which is not supported"
                )));
            }
        }
        self.sort_positions()?;
        if let Some(at) = self.person_position()? {
            let field = self.schema.field(at);
            if field.data_type() != &DataType::Int64 {
                return Err(self.wrong(format!(
                    "its person key `{}` is {}, and must be Int64",
                    field.name(),
                    field.data_type()
                )));
            }
            if self.sort.first() != self.person_key.as_ref() {
                return Err(self.wrong("its order does not begin with the person key".to_owned()));
            }
        }
        self.bloom.retain(|name| self.schema.index_of(name).is_ok());
        // Field metadata of a source file means nothing to a store, and would make equal schemas differ.
        let plain = self.schema.fields().iter();
        let plain: Vec<Field> = plain
            .map(|f| Field::new(f.name(), f.data_type().clone(), f.is_nullable()))
            .collect();
        self.schema = Arc::new(Schema::new(plain));
        Ok(self)
    }

    /// This table, widened by the columns of `other` that it does not have.
    pub(crate) fn widened(&self, other: &Self) -> Result<Self> {
        if self.person_key != other.person_key || self.sort != other.sort {
            return Err(self.wrong(format!(
                "the store has it ordered by ({}), and this delivery by ({})",
                self.sort.join(", "),
                other.sort.join(", ")
            )));
        }
        let mut fields: Vec<Field> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        for field in &mut fields {
            match other.schema.field_with_name(field.name()) {
                Ok(given) if given.data_type() != field.data_type() => {
                    return Err(Error::ColumnType {
                        table: self.name.clone(),
                        column: field.name().clone(),
                        stored: field.data_type().to_string(),
                        given: given.data_type().to_string(),
                    });
                }
                Ok(given) => {
                    *field = field
                        .clone()
                        .with_nullable(field.is_nullable() || given.is_nullable())
                }
                // A column that this delivery does not have is NULL in its rows.
                Err(_) => *field = field.clone().with_nullable(true),
            }
        }
        for field in other.schema.fields() {
            if self.schema.index_of(field.name()).is_err() {
                fields.push(field.as_ref().clone().with_nullable(true));
            }
        }
        let mut bloom = self.bloom.clone();
        bloom.extend(
            other
                .bloom
                .iter()
                .filter(|b| !self.bloom.contains(b))
                .cloned(),
        );
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            bloom,
            ..self.clone()
        })
    }
}

/// The folder of a table: its name, with everything but `a-z0-9_` written as the hexadecimal of its bytes.
pub(crate) fn folder(table: &str) -> String {
    let mut folder = String::with_capacity(table.len());
    for byte in table.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' {
            folder.push(char::from(byte));
        } else {
            folder.push_str(&format!("-{byte:02x}"));
        }
    }
    folder
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn spec(columns: &[(&str, DataType)]) -> TableSpec {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, t)| Field::new(*name, t.clone(), *name != "person_id"))
            .collect();
        TableSpec {
            name: "visits".to_owned(),
            schema: Arc::new(Schema::new(fields)),
            person_key: Some("person_id".to_owned()),
            sort: vec!["person_id".to_owned()],
            bloom: vec![],
        }
    }

    #[test]
    fn widening_keeps_columns_and_adds_nullable_ones() {
        let old = spec(&[("person_id", DataType::Int64), ("ward", DataType::Utf8)]);
        let new = spec(&[("person_id", DataType::Int64), ("bed", DataType::Int32)]);
        let both = old.widened(&new).unwrap();
        let names: Vec<&str> = both
            .schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        assert_eq!(names, ["person_id", "ward", "bed"]);
        assert!(!both.schema.field(0).is_nullable());
        assert!(both.schema.field(2).is_nullable());
    }

    #[test]
    fn types_that_disagree_name_table_column_and_both_types() {
        let old = spec(&[("person_id", DataType::Int64), ("ward", DataType::Utf8)]);
        let new = spec(&[("person_id", DataType::Int64), ("ward", DataType::Int32)]);
        let message = old.widened(&new).unwrap_err().to_string();
        for part in ["`ward`", "`visits`", "Utf8", "Int32"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        assert!(
            spec(&[("person_id", DataType::Int64), ("x", list)])
                .checked()
                .is_err()
        );
        assert!(spec(&[("person_id", DataType::Int32)]).checked().is_err());
        assert!(spec(&[("x", DataType::Int64)]).checked().is_err());
        let twice = [
            ("person_id", DataType::Int64),
            ("a", DataType::Utf8),
            ("a", DataType::Utf8),
        ];
        assert!(spec(&twice).checked().is_err());
    }

    #[test]
    fn json_keeps_every_type() {
        use arrow::datatypes::TimeUnit;
        let spec = spec(&[
            ("person_id", DataType::Int64),
            ("a", DataType::Utf8),
            ("b", DataType::Date32),
            ("c", DataType::Timestamp(TimeUnit::Microsecond, None)),
            (
                "d",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            ("e", DataType::Decimal128(18, 4)),
            ("f", DataType::Boolean),
            ("g", DataType::Float64),
        ]);
        let spec = spec.checked().unwrap();
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<TableSpec>(&json).unwrap(), spec);
    }

    #[test]
    fn folders_are_plain_and_distinct() {
        assert_eq!(folder("drug_exposure"), "drug_exposure");
        assert_eq!(folder("../x"), "-2e-2e-2fx");
        assert_ne!(folder("A"), folder("a"));
    }
}
