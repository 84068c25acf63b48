//! The session as its users see it.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod aggregates;
mod behind_pseudonyms;
mod by_person;
mod fixture;
mod hospital;
mod looked_up;
mod lung;
mod passes;
mod projections;
mod pseudonym_attacks;
mod questions;
mod regressions;
mod row_attacks;
mod sessions;
mod slt;
mod unlisted_row_attacks;
