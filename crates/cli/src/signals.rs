//! Requests to stop, heard whatever else the process does.
//!
//! A runtime hears signals on a thread of its own that has nothing to do. While each computes, as in a large join, it hears
//! none; so they are waited for on a thread beside it.

use std::sync::LazyLock;

use tokio::runtime::Builder;
use tokio::sync::watch::{Sender, channel};

static INTERRUPTS: LazyLock<Sender<()>> = LazyLock::new(|| listen(interrupt));
static REQUESTS: LazyLock<Sender<()>> = LazyLock::new(|| listen(interrupt_or_terminate));

/// Ctrl-C.
pub(crate) async fn interrupted() {
    next(&INTERRUPTS).await;
}

/// Ctrl-C, or the system's request to end.
pub(crate) async fn asked_to_stop() {
    next(&REQUESTS).await;
}

async fn next(sender: &Sender<()>) {
    // The sender is never dropped.
    let _ = sender.subscribe().changed().await;
}

/// Starts a thread that tells of each time that `signal` comes. If it cannot start, or cannot listen, none ever does.
fn listen<F: Future<Output = bool> + 'static>(signal: fn() -> F) -> Sender<()> {
    let (sender, _) = channel(());
    let teller = sender.clone();
    let _ = std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let Ok(runtime) = Builder::new_current_thread().enable_io().build() else {
                return;
            };
            while runtime.block_on(signal()) {
                teller.send_replace(());
            }
        });
    sender
}

async fn interrupt() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

async fn interrupt_or_terminate() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                heard = interrupt() => heard,
                heard = terminate.recv() => heard.is_some(),
            };
        }
    }
    interrupt().await
}
