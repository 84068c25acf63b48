//! Batch studies and their schedule.

mod error;
mod findings;
mod frame;
mod problem;
pub mod spec;
mod yaml;

pub use error::{Error, Result};
pub use problem::{Problem, Spot};
pub use spec::Study;

#[cfg(unix)]
pub mod schedule;
