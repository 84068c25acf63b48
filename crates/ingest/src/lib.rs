//! Readers, validation and quarantine: a hospital's files into a store.
//!
//! [`ingest`] is the way in. A reader of a source format (`omop`, `synthea`) turns blocks of files into rows of target
//! tables and knows nothing else; the `engine` routes the rows to the store's buckets, holds or spills them, sorts
//! each bucket once, looks for what is implausible, and hands the runs to one transaction.
//!
//! Every row read is stored or quarantined in `ingest_rejects`, and the report adds up.

mod csv;
mod engine;
mod error;
mod files;
mod findings;
mod ingest;
mod near;
mod omop;
mod options;
mod parse;
mod reader;
mod report;
mod screen;
mod source;
mod synthea;
mod treat;

pub use error::{Error, Result};
pub use findings::{Finding, FindingKind};
pub use ingest::ingest;
pub use options::{Format, IngestOptions, Projections};
pub use report::{IngestReport, SourceReport, TableReport};
pub use screen::{IdentifierColumn, IdentifierKind};
pub use treat::{TableTreatment, Treatment};
