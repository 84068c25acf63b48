//! From a reader's rows to committed runs: people, routing, memory, order, checks, writing.

mod checks;
mod delivery;
mod keys;
mod merge;
mod order;
mod parts;
mod people;
mod pipeline;
mod quarantine;
mod run;
mod spill;
mod stored;
mod write;

pub(crate) use delivery::Known;
pub(crate) use quarantine::REJECTS;
pub(crate) use run::{Job, Outcome, TargetCounts};
pub(crate) use stored::stored_people;
