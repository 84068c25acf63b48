//! Lets blocking code wait for an object store, from any thread.

use std::future::Future;
use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Result};

/// Runs a future to its end on a small runtime of the store's own.
///
/// `Handle::block_on` would panic inside a runtime's worker, and writers may be called from anywhere.
pub(crate) fn wait<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // The receiver waits below, so this cannot fail unless its thread is gone.
        let _ = sender.send(future.await);
    });
    receiver
        .recv()
        .map_err(|_| Error::engine("the object store's task ended without an answer"))?
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("columna-store")
        .enable_all()
        .build()
        .map_err(|e| Error::io("the store's input and output threads", e))?;
    if let Err(other) = RUNTIME.set(made) {
        // Another thread was first. Dropping a runtime waits, which async callers may not.
        other.shutdown_background();
    }
    RUNTIME
        .get()
        .ok_or_else(|| Error::engine("the store's input and output threads are gone"))
}

/// Runs blocking work on behalf of an async caller.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::engine(format!("a writing task ended early: {e}")))?
}
