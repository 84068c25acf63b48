//! Whole hospitals, as a reader of the files sees them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a failure fails the test, and ids are whole"
)]

mod bytes;
mod integrity;
mod linkage;
mod read;
mod truth;
