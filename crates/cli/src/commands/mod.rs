//! One file for each command.

pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod cohort;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod info;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod privacy;
#[cfg(unix)]
pub(crate) mod schedule;
pub(crate) mod sql;
pub(crate) mod store;
pub(crate) mod study;
pub(crate) mod synth;

use columna_store::Store;
use tokio::runtime::{Builder, Runtime};

use crate::error::CliError;

/// Bytes of a thread's stack. Plans are walked and, on a cluster, decoded by recursion; memory is taken as it is used.
const STACK: usize = 16 << 20;

/// A runtime for a command.
pub(crate) fn runtime(threads: Option<usize>) -> Result<Runtime, CliError> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK);
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .build()
        .map_err(|error| CliError::failed(format!("cannot start threads: {error}")))
}

/// Opens a store that must be there.
pub(crate) async fn open(url: &str) -> Result<Store, CliError> {
    Store::open(url)
        .await
        .map(keys::unlocked)
        .map_err(|error| CliError::engine(&error))
}
