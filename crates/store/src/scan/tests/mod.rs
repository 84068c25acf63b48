//! The scan against the plain plan: same rows, fewer shuffles, fewer files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clinic;
mod colocation;
mod counting;
mod projections;
mod pruning;
