//! The words in which the tables are written: one short function per kind of column.

use crate::table::{ColumnDef, ColumnType, IdentifierClass};

const fn column(name: &'static str, data_type: ColumnType, class: IdentifierClass) -> ColumnDef {
    ColumnDef {
        name,
        data_type,
        required: false,
        primary_key: false,
        class,
        foreign_key: None,
    }
}

/// An identifier of a record; of a person only where the class says so.
pub(super) const fn id(name: &'static str) -> ColumnDef {
    column(name, ColumnType::BigInt, IdentifierClass::Code)
}

/// The table's own primary key.
pub(super) const fn key(name: &'static str) -> ColumnDef {
    id(name).primary()
}

/// The person a row belongs to.
pub(super) const fn person() -> ColumnDef {
    link("person_id", "person")
        .is(IdentifierClass::Direct)
        .required()
}

/// A reference to another table's key of the same name.
pub(super) const fn link(name: &'static str, table: &'static str) -> ColumnDef {
    id(name).references(table, name)
}

/// A concept of the vocabulary.
pub(super) const fn concept(name: &'static str) -> ColumnDef {
    id(name).references("concept", "concept_id")
}

/// A count or another small whole number.
pub(super) const fn integer(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Integer, IdentifierClass::Value)
}

/// A measured or monetary amount.
pub(super) const fn float(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Float, IdentifierClass::Value)
}

/// A day.
pub(super) const fn date(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Date, IdentifierClass::Date)
}

/// A day with a time.
pub(super) const fn datetime(name: &'static str) -> ColumnDef {
    column(name, ColumnType::DateTime, IdentifierClass::Date)
}

/// A code of a source system or of the vocabulary, as text.
pub(super) const fn code(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Text, IdentifierClass::Code)
}

/// Text that somebody typed about a person.
pub(super) const fn free_text(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Text, IdentifierClass::FreeText)
}

/// Text that is not about a person unless its class says so.
pub(super) const fn text(name: &'static str) -> ColumnDef {
    column(name, ColumnType::Text, IdentifierClass::Value)
}

impl ColumnDef {
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn primary(mut self) -> Self {
        self.primary_key = true;
        self.required()
    }

    pub(super) const fn is(mut self, class: IdentifierClass) -> Self {
        self.class = class;
        self
    }

    pub(super) const fn references(mut self, table: &'static str, column: &'static str) -> Self {
        self.foreign_key = Some((table, column));
        self
    }
}
