//! The table definitions against OHDSI's lists, and the documentation against the definitions.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a specification that cannot be read fails the test; a skipped test says so"
)]

mod conformance;
mod documentation;
