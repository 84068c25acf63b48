//! One machine's session on many: the roles of a Ballista cluster, and the session that talks to it.
//!
//! The crate starts roles and connects them. Every function and every setting comes from the session factory of
//! `columna-query`; what a client sends is a logical plan in which a table is only a name, a snapshot and a store,
//! and the [`scheduler`](serve_scheduler) looks all three up among the stores it was started with. Nobody reaches a
//! file by writing its path into a plan.
//!
//! Roles and clients share a [`Token`]. Traffic is not encrypted, so that roles bind to loopback and refuse any
//! other address. Sessions under a policy do not go to a cluster: see [`connect`].

mod codec;
mod error;
mod executor;
mod scheduler;
mod session;
mod stores;
mod token;

pub use error::{Error, Result};
pub use executor::{ExecutorOptions, run_executor};
pub use scheduler::{SchedulerOptions, serve_scheduler};
pub use session::connect;
pub use stores::Stores;
pub use token::Token;

use std::net::SocketAddr;

/// The port that a scheduler listens on where none is given.
pub const SCHEDULER_PORT: u16 = 50_050;

/// Refuses an address that other machines can reach.
fn only_loopback(address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        Ok(())
    } else {
        Err(Error::NotLoopback { address })
    }
}
