//! What a store promises, checked from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod append;
mod concurrency;
mod damage;
mod fixture;
mod kill;
mod maintenance;
