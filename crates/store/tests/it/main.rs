//! What a store promises, checked from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod append;
mod concurrency;
mod damage;
#[cfg(feature = "delta")]
mod delta;
mod encryption;
mod fixture;
mod kill;
mod maintenance;
mod owned;
mod projections;
#[cfg(feature = "test-s3")]
mod s3;
