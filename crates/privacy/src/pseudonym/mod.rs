//! Keyed pseudonyms, shifted dates and generalisation: what policies do to columns.
//!
//! The key of a project is never in the store, never printed and wiped from memory when it is no longer needed.
//! Principals cannot call the keyed functions: whoever can ask for the pseudonym of a known number can find a person.

mod cipher;
mod hmac;
mod ingest;
mod keys;
mod mask;
mod project;
mod store_keys;
mod zip;

pub use ingest::{PseudonymTable, Pseudonymiser};
pub use keys::{KeySource, Keys, new_key_line};
pub use mask::Mask;
pub use project::ProjectKeys;
pub use store_keys::StoreKeys;
