//! Whole ingests: real data, damaged data, little memory, several deliveries.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod conformance;
mod damaged;
mod deliveries;
mod fixture;
mod identifiers;
mod memory;
mod synthea;
