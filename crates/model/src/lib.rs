//! OMOP CDM table definitions, identifier classes and clinical time.

mod class;
mod omop;
pub mod progress;
mod table;
pub mod time;

pub use class::{IDENTIFIER_CLASSES, identifier_class, table_of_any_version};
pub use omop::{CdmVersion, detect_version, table, table_in, tables};
pub use table::{ColumnDef, ColumnType, IdentifierClass, TableDef, TableKind};
pub use time::Day;

/// A person's key, unique in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub i64);

/// A concept of the OMOP vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConceptId(pub i64);

/// A contiguous range of persons, the same in every table of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u32);
