//! Processes: who they are, whether they live, and how they end.
//!
//! A process id alone says nothing, for the system gives it away again. With the moment at which the process began, and
//! the machine's start and the name space in which the id counts, it names one process for ever.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

/// The variable in the environment that holds an attempt's token.
pub(crate) const TOKEN: &str = "COLUMNA_SCHEDULE_TOKEN";

/// The variable in a study's environment that holds its runner's process number.
pub(crate) const RUNNER: &str = "COLUMNA_SCHEDULE_RUNNER";

/// How long killed processes may take to disappear.
const GONE: Duration = Duration::from_secs(5);

/// One process, among all that there ever were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it began, in the system's own terms.
    started: String,
    /// Where and since when its number counts.
    place: String,
}

/// Whether a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It does; also when it is stopped.
    Alive,
    /// It does not; also when only its exit code is left.
    Dead,
    /// It cannot be seen from here.
    Unknown,
}

impl ProcessId {
    /// This process.
    ///
    /// # Errors
    /// When the system does not say when it began.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
            .ok_or_else(|| Error::engine("the system does not say when this process began"))
    }

    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            started: began(pid)?,
            place: place(),
        })
    }

    /// Whether it lives.
    #[must_use]
    pub fn life(&self) -> Life {
        if self.place != place() {
            return Life::Unknown;
        }
        match began(self.pid) {
            Some(started) if started == self.started => Life::Alive,
            _ => Life::Dead,
        }
    }

    /// As the state keeps it.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{} {} {}", self.pid, self.started, self.place)
    }

    /// From the state.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        Some(Self {
            pid: words.next()?.parse().ok()?,
            started: words.next()?.to_owned(),
            place: words.next()?.to_owned(),
        })
    }
}

/// The fields of a process after its name, which may hold anything: state, parent, group and so on.
#[cfg(target_os = "linux")]
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// When a living process began.
#[cfg(target_os = "linux")]
fn began(pid: u32) -> Option<String> {
    let fields = fields(pid)?;
    let dead = matches!(fields.first().map(String::as_str), Some("Z" | "X"));
    if dead { None } else { fields.get(19).cloned() }
}

#[cfg(not(target_os = "linux"))]
fn began(pid: u32) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, began) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| began.split_whitespace().collect::<Vec<_>>().join("-"))
}

/// Where process numbers count: this start of the machine, this name space.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), space.display())
}

/// Processes of an attempt that are left, found by their environment.
#[cfg(target_os = "linux")]
#[must_use]
pub(crate) fn remains(token: &str) -> Vec<u32> {
    let wanted = format!("{TOKEN}={token}");
    let me = std::process::id();
    processes()
        .filter(|pid| *pid != me && began(*pid).is_some())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == wanted.as_bytes())
            })
        })
        .collect()
}

/// Elsewhere only the runner's death tells: the study ends with it.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub(crate) fn remains(_token: &str) -> Vec<u32> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Kills what is left of an attempt; whether nothing is left.
pub(crate) fn clear(token: &str) -> bool {
    if token.is_empty() {
        return true;
    }
    let started = Instant::now();
    loop {
        let left = remains(token);
        if left.is_empty() {
            return true;
        }
        for pid in left {
            signal_process(pid, Signal::SIGKILL);
        }
        if started.elapsed() > GONE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn raw(pid: u32) -> Option<Pid> {
    // 0 and 1 mean other things than a process of ours.
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .map(Pid::from_raw)
}

/// Sends a signal to one process. That it is gone already is no failure.
pub(crate) fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        let _ = kill(pid, signal);
    }
}

/// Sends a signal to a process group. That it is gone already is no failure.
pub(crate) fn signal_group(leader: u32, signal: Signal) {
    if let Some(leader) = raw(leader) {
        let _ = killpg(leader, signal);
    }
}

/// The memory that the processes of a group hold together, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn group_memory(leader: u32) -> u64 {
    let leader = leader.to_string();
    processes()
        .filter(|pid| fields(*pid).is_some_and(|fields| fields.get(2) == Some(&leader)))
        .map(|pid| resident(pid).unwrap_or(0))
        .sum()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn group_memory(_leader: u32) -> u64 {
    0
}

/// Memory that counts against the machine: private pages and shared anonymous ones, not mapped files.
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((field("RssAnon:")? + field("RssShmem:").unwrap_or(0)) * 1_024)
}

/// Offers a process to the system as the first to be ended when memory runs out. Only a wish.
pub(crate) fn end_first(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "500");
}

/// Whether a child has ended, without taking its exit code: until that is taken, nobody else can get its number, and its
/// group can be ended without ending a stranger's.
#[cfg(target_os = "linux")]
pub(crate) fn has_ended(child: &mut Child) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let Some(pid) = raw(child.id()) else {
        return true;
    };
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(
        waitid(Id::Pid(pid), look),
        Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR)
    )
}

/// Waits for a child's end, without taking its exit code.
#[cfg(target_os = "linux")]
pub(crate) fn await_end(pid: u32) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    if let Some(pid) = raw(pid) {
        while waitid(Id::Pid(pid), look) == Err(nix::errno::Errno::EINTR) {}
    }
}

/// Elsewhere the child is looked at from time to time.
#[cfg(not(target_os = "linux"))]
pub(crate) fn await_end(_pid: u32) {
    std::thread::sleep(std::time::Duration::from_millis(10));
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Lets the system end this process when its runner ends, so that a study never outlives its runner unseen.
///
/// Does nothing in a process that no runner started, and on systems that cannot.
pub fn end_with_runner() {
    #[cfg(target_os = "linux")]
    {
        let runner = std::env::var(RUNNER).ok().and_then(|pid| pid.parse().ok());
        let Some(runner) = runner.map(Pid::from_raw) else {
            return;
        };
        // A grandchild of the runner's ends with its own parent, or not; that is the parent's affair.
        if nix::unistd::getppid() != runner {
            return;
        }
        if nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_ok()
            && nix::unistd::getppid() != runner
        {
            // The runner ended before the system knew.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}
