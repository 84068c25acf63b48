//! Outcome statistics as mergeable summaries: no Arrow, no I/O, one file per statistic.
//!
//! A statistic has two halves. A [`Summary`] takes rows and merges with other summaries, in any order and any
//! grouping; an estimator turns a finished summary into numbers. Threads, query partitions, executors and
//! hospitals all merge the same summaries, so one implementation serves every scale. Statistics of the same
//! shape share a summary: everything that is built on times and events reads [`survival::EventTimes`].
//!
//! Conventions are those of R's survival package (3.x); where a choice had to be made, the file says which.

pub mod causal;
pub mod description;
mod error;
mod estimate;
mod grouped;
pub mod models;
mod numbers;
pub(crate) mod numeric;
pub mod rates;
mod roots;
mod summary;
pub mod survival;
pub mod tables;

pub use error::{Error, Result};
pub use estimate::Estimate;
pub use grouped::Grouped;
pub use numbers::{Numbers, Values};
pub use numeric::{chi_squared_tail, two_sided_z};
pub use summary::Summary;
