//! The cluster as its users see it: a scheduler and three executors on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../query/tests/it/fixture.rs"]
mod fixture;

mod attacks;
mod cluster;
mod passes;
mod plans;
mod same_answers;
mod trust;
