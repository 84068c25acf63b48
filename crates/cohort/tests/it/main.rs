//! Cohorts over stores.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod oracle;
mod properties;
mod refusals;
mod rules;
mod tables;
