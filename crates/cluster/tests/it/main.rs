//! The cluster as its users see it: a scheduler and three executors on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../query/tests/it/fixture.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of columna-query, which use all of it"
)]
mod fixture;

mod attacks;
mod cluster;
mod plans;
mod same_answers;
mod trust;
