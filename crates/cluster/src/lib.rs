//! One machine's session on many: the roles of a Ballista cluster, and the session that talks to it.
//!
//! The crate starts roles and connects them. Every function and every setting comes from the session factory of
//! `columna-query`; what a client sends is a logical plan in which a table is only a name, a snapshot and a store,
//! and the [`scheduler`](serve_scheduler) looks all three up among the stores it was started with. Nobody reaches a
//! file by writing its path into a plan.
//!
//! Roles and clients share a [`Trust`]: a token, and for other machines than this one a certificate. Sessions under a
//! policy name their tables and their principal; each role attaches its own guards: see [`connect`].

mod certificate;
mod codec;
mod connections;
mod constants;
mod error;
mod executor;
mod failure;
mod parts;
mod passes;
mod persistent;
mod pieces;
mod planner;
mod scheduler;
mod session;
mod status;
mod stores;
mod token;
mod trust;

pub use certificate::Secrets;
pub use error::{Error, Result};
pub use executor::{ExecutorEvent, ExecutorOptions, run_executor};
pub use scheduler::{SchedulerOptions, serve_scheduler};
pub use session::connect;
pub use status::{ClusterStatus, ExecutorStatus, QueryStatus, status};
pub use stores::Stores;
pub use token::Token;
pub use trust::{CERTIFICATE_NAME, Trust};

/// The port that a scheduler listens on where none is given.
pub const SCHEDULER_PORT: u16 = 50_050;
