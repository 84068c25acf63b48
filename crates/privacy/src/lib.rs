//! Policies, guarded tables, disclosure control, budget, pseudonyms and audit.

pub mod disclosure;
pub mod dp;
pub mod ledger;
