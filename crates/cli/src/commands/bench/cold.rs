//! A question in a process of its own: how long with the start, and how much memory at most.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::CliError;

/// How often the memory of the process is read. Its peak only grows, so little is missed.
const EVERY: Duration = Duration::from_millis(2);

/// What a process of its own took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cold {
    pub(super) seconds: f64,
    /// In bytes, where the system tells.
    pub(super) peak: Option<u64>,
}

/// Asks once. The system's cache of files is as it is.
///
/// # Errors
///
/// When the process can't be started or fails.
pub(super) fn ask(store: &str, script: &Path, options: &[String]) -> Result<Cold, CliError> {
    let program =
        env::current_exe().map_err(|error| CliError::io("find", "the program itself", &error))?;
    let began = Instant::now();
    let mut command = Command::new(&program);
    crate::commands::keys::hand_to(&mut command);
    let mut child = command
        .args(["sql", "--quiet", "--format", "csv", "--store", store, "-f"])
        .arg(script)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| CliError::io("start", program.display(), &error))?;
    let mut peak = None;
    let status = loop {
        peak = memory(child.id()).or(peak);
        let ended = child.try_wait();
        match ended.map_err(|error| CliError::io("wait for", program.display(), &error))? {
            Some(status) => break status,
            None => sleep(EVERY),
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    if status.success() {
        Ok(Cold { seconds, peak })
    } else {
        Err(CliError::failed(format!(
            "the question failed in a process of its own: {status}"
        )))
    }
}

/// The most memory that a process has held so far, in bytes; Linux tells.
fn memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
