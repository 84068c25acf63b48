//! The session as its users see it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod fixture;
mod lung;
mod sessions;
mod slt;
