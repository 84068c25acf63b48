//! The SQL functions that Columna adds to DataFusion's, one file each, and what is known of them.

pub mod aggregate;
pub mod docs;
pub mod scalar;
pub mod table;

pub use docs::{FunctionDoc, FunctionKind, functions, reference};
