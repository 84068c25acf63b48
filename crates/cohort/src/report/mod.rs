//! Writes what a run found: the cohort as Parquet and into the store, attrition as CSV and as a diagram.

mod attrition_csv;
mod diagram;
mod parquet_file;
mod store_table;

pub use attrition_csv::attrition_csv;
pub use diagram::diagram;
pub use parquet_file::{CohortFile, batch, schema};
pub use store_table::StoreTable;
