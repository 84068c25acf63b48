//! Batch studies and their schedule.

#[cfg(unix)]
pub mod schedule;
