//! Requests to stop, heard whatever else the process does.
//!
//! A runtime hears signals on a thread of its own that has nothing to do. While each computes, as in a large join, it hears
//! none; so they are waited for on a thread beside it.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch::{Receiver, Sender, channel};

static INTERRUPTS: LazyLock<Sender<u64>> = LazyLock::new(|| listen(&[Asks::Interrupt]));
static ENDS: LazyLock<Sender<u64>> = LazyLock::new(|| listen(&[Asks::Terminate, Asks::Hangup]));

/// What a process that was asked to end has to do so by itself: rows of persons may lie where only this process removes them.
const GRACE: Duration = Duration::from_secs(5);

/// What a signal asks for.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// Ctrl-C.
    Interrupt,
    /// The system's request to end.
    Terminate,
    /// The terminal is gone.
    Hangup,
}

/// Ctrl-C, or a request to end; also one that came before.
pub(crate) async fn asked_to_stop() {
    let (mut interrupts, mut ends) = (INTERRUPTS.subscribe(), ENDS.subscribe());
    // The senders are never dropped.
    tokio::select! {
        _ = interrupts.changed() => {}
        _ = ends.wait_for(|asked| *asked > 0) => {}
    }
}

/// Whether the system asked for the end, or the terminal is gone.
pub(crate) fn is_ending() -> bool {
    *ENDS.borrow() > 0
}

/// Once the system asks for the end, calls `end` where the process is still there after a moment: at a prompt, or with a
/// reader that takes nothing.
pub(crate) fn end_when_asked(end: impl FnOnce() + Send + 'static) {
    end_when(ENDS.subscribe(), GRACE, end);
}

/// At Ctrl-C, calls `end`: for what hears none by itself.
pub(crate) fn end_when_interrupted(end: impl FnOnce() + Send + 'static) {
    end_when(INTERRUPTS.subscribe(), Duration::ZERO, end);
}

fn end_when(mut asked: Receiver<u64>, grace: Duration, end: impl FnOnce() + Send + 'static) {
    let wait = move || {
        let Ok(runtime) = Builder::new_current_thread().build() else {
            return;
        };
        if runtime.block_on(asked.wait_for(|times| *times > 0)).is_ok() {
            std::thread::sleep(grace);
            end();
        }
    };
    let _ = std::thread::Builder::new().name("end".into()).spawn(wait);
}

/// Starts a thread that counts how often one of the signals came. If it cannot start, or cannot listen, none ever does.
/// They are listened to when this returns.
fn listen(asks: &[Asks]) -> Sender<u64> {
    let (sender, _) = channel(0);
    let teller = sender.clone();
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else {
        return sender;
    };
    // Who asks may be within another runtime, which lets nothing wait here.
    let mut signals = {
        let _entered = runtime.enter();
        signals(asks)
    };
    let tell = move || {
        while runtime.block_on(signals.next()) {
            teller.send_modify(|heard| *heard += 1);
        }
    };
    let _ = std::thread::Builder::new()
        .name("signals".into())
        .spawn(tell);
    sender
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
fn signals(asks: &[Asks]) -> Signals {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = asks.iter().filter_map(|asks| match asks {
        Asks::Interrupt => Some(SignalKind::interrupt()),
        Asks::Terminate => Some(SignalKind::terminate()),
        Asks::Hangup => (!outlives_terminals()).then(SignalKind::hangup),
    });
    Signals(kinds.filter_map(|kind| signal(kind).ok()).collect())
}

#[cfg(unix)]
impl Signals {
    async fn next(&mut self) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let each = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(each).await.0.is_some()
    }
}

/// Whether the process was told to go on without a terminal, as `nohup` does. Where nobody can tell, it may have been.
#[cfg(unix)]
fn outlives_terminals() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is the signal of number 1.
    ignored.is_none_or(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
struct Signals(bool);

#[cfg(not(unix))]
fn signals(asks: &[Asks]) -> Signals {
    Signals(asks.iter().any(|asks| matches!(asks, Asks::Interrupt)))
}

#[cfg(not(unix))]
impl Signals {
    async fn next(&mut self) -> bool {
        self.0 && tokio::signal::ctrl_c().await.is_ok()
    }
}
