//! Policies, guarded tables, disclosure control, budget, pseudonyms and audit.

pub mod disclosure;
pub mod dp;
mod error;
pub mod ledger;
pub mod release;
mod state;

pub use error::Refusal;
pub use state::{State, StateError};
