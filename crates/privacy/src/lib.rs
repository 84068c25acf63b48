//! Policies, guarded tables, disclosure control, budget, pseudonyms and audit.

mod access;
pub mod audit;
mod compact;
pub mod disclosure;
pub mod dp;
mod error;
pub mod guard;
pub mod ledger;
mod names;
pub mod policy;
mod principal;
pub mod pseudonym;
mod quiet;
pub mod release;
mod state;

pub use access::{Access, Gate};
pub use compact::blanked;
pub use error::{Error, Refusal, Result};
pub use policy::Policy;
pub use principal::Principal;
pub use state::{State, StateError};
