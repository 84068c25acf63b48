//! The session factory, the SQL functions and the catalogue over a snapshot.

mod add_days;
mod at_once;
mod correlated;
mod cox_together;
mod csv_nulls;
mod day_frames;
mod dialect;
mod error;
mod exists;
mod filtered_windows;
pub mod functions;
mod is_true;
mod joins;
mod looked_up;
mod lookups_first;
mod named_windows;
pub mod names;
mod once_per_key;
pub mod passes;
mod percentiles;
mod plan;
pub mod script;
mod selects;
mod session;
mod spill;
mod subquery_names;
mod unneeded_sorts;
mod unnested;
mod vocabulary;
mod widest;

pub use error::{Error, Result};
pub use functions::{FunctionDoc, FunctionKind, functions};
pub use plan::{breathing, in_a_task};
pub use session::{SessionOptions, session, worker_state};
pub use spill::remove_spilled;
pub use vocabulary::Vocabulary;
