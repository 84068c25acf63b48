//! What a schedule is: which study, when, and under which policies.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::error::{Error, Result};

/// What happens with times that passed while no scheduler ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: they are put on record as missed.
    Skip,
    /// One run in place of all of them.
    Once,
    /// A run for each of them.
    All,
}

/// What happens with a run that is due while an earlier one of the same schedule is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new one does not happen.
    Skip,
    /// The new one waits.
    Queue,
    /// The old one is cancelled.
    Cancel,
}

/// Which ends of a run are told to hooks and webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// All of them.
    Always,
    /// All but success.
    Failure,
    /// Success only.
    Success,
}

/// A schedule: which study, when, and under which policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The study's specification, as an absolute path.
    pub specification: PathBuf,
    /// The store: an absolute path or an address.
    pub store: String,
    /// The folder for results, as an absolute path.
    pub out: PathBuf,
    /// Times, as a cron pattern.
    pub cron: Option<String>,
    /// The zone that the pattern is read in.
    pub timezone: String,
    /// A new snapshot of the store starts a run.
    pub on_snapshot: bool,
    /// A snapshot counts when no other followed it for this long.
    pub settle_seconds: u64,
    /// Schedules that must have succeeded before.
    pub after: Vec<String>,
    /// What happens with missed times.
    pub missed: Missed,
    /// A time is missed when it is longer ago than this.
    pub grace_seconds: u64,
    /// What happens with a run that is due too early.
    pub overlap: Overlap,
    /// How long one attempt may take.
    pub time_limit_seconds: Option<u64>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// The pause before the first retry; it doubles with each.
    pub backoff_seconds: u64,
    /// The longest pause.
    pub backoff_max_seconds: u64,
    /// Runs of higher priority start first.
    pub priority: i32,
    /// Memory for a run, in bytes.
    pub memory_limit: Option<u64>,
    /// Threads for a run.
    pub threads: Option<u32>,
    /// Further arguments of `columna study run`.
    pub arguments: Vec<String>,
    /// Which ends are told.
    pub notify: Notify,
    /// Commands that are told, for the shell.
    pub hooks: Vec<String>,
    /// Addresses that are told by HTTP POST.
    pub webhooks: Vec<String>,
}

impl Definition {
    /// A definition with every policy at its default, and no trigger yet.
    #[must_use]
    pub fn new(specification: PathBuf, store: String, out: PathBuf) -> Self {
        Self {
            specification,
            store,
            out,
            cron: None,
            timezone: "UTC".to_owned(),
            on_snapshot: false,
            settle_seconds: 60,
            after: Vec::new(),
            missed: Missed::Once,
            grace_seconds: 600,
            overlap: Overlap::Skip,
            time_limit_seconds: None,
            retries: 2,
            backoff_seconds: 60,
            backoff_max_seconds: 3_600,
            priority: 0,
            memory_limit: None,
            threads: None,
            arguments: Vec::new(),
            notify: Notify::Always,
            hooks: Vec::new(),
            webhooks: Vec::new(),
        }
    }

    /// The calendar, where the schedule has times.
    ///
    /// # Errors
    /// When pattern or zone cannot be read.
    pub fn calendar(&self) -> Result<Option<Calendar>> {
        self.cron
            .as_deref()
            .map(|pattern| Calendar::parse(pattern, &self.timezone))
            .transpose()
    }

    /// The zone of its times; none where its name is not known here.
    #[must_use]
    pub fn zone(&self) -> Option<chrono_tz::Tz> {
        self.timezone.parse().ok()
    }

    /// Other schedules' success is what starts a run, not only what it waits for.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.cron.is_none() && !self.on_snapshot && !self.after.is_empty()
    }

    /// The pause before the retry that follows this many failures.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(62);
        self.backoff_seconds
            .saturating_mul(1 << doublings)
            .min(self.backoff_max_seconds.max(self.backoff_seconds))
    }

    /// Checks what can be checked without the state.
    ///
    /// # Errors
    /// When something cannot be, saying what to do.
    pub fn check(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.calendar()?;
        if self.cron.is_none() && !self.on_snapshot && self.after.is_empty() {
            return Err(Error::refused(
                "nothing says when the study runs",
                "give `--cron \"0 2 * * *\"`, `--on-snapshot` or `--after NAME`",
            ));
        }
        if self.after.iter().any(|other| other == name) {
            return Err(Error::refused(
                format!("`{name}` cannot wait for itself"),
                "name another schedule after `--after`",
            ));
        }
        for address in &self.webhooks {
            Address::parse(address)?;
        }
        for own in ["--store", "--out", "--memory-limit", "--threads"] {
            if self
                .arguments
                .iter()
                .any(|a| a == own || a.starts_with(&format!("{own}=")))
            {
                return Err(Error::refused(
                    format!("`{own}` cannot stand after `--`"),
                    format!("give `{own}` to `columna schedule add` itself"),
                ));
            }
        }
        Ok(())
    }
}

/// A name goes into paths, labels and command lines.
fn check_name(name: &str) -> Result<()> {
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits {
        return Ok(());
    }
    Err(Error::refused(
        format!("`{name}` cannot be a schedule's name"),
        "give `--name` with letters, digits, `-`, `_` and `.`, at most 64 of them",
    ))
}

/// Where a webhook goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// To this machine, by plain HTTP.
    Loopback,
    /// Anywhere, by HTTPS.
    Secure,
}

impl Address {
    /// Reads an address. Plain HTTP is for this machine only: on a network, others could read and change it.
    pub(crate) fn parse(address: &str) -> Result<Self> {
        let wrong = || {
            Error::refused(
                format!("`{address}` is not a webhook's address"),
                "write it as `https://HOST/PATH`, or `http://127.0.0.1:PORT/PATH` on this machine",
            )
        };
        if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong());
        }
        let (secure, rest) = match address.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(wrong()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority.is_empty() || authority.starts_with(':') {
            return Err(wrong());
        }
        if secure {
            return Ok(Self::Secure);
        }
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(""),
            None => authority.split(':').next().unwrap_or(""),
        };
        let loopback = host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback {
            return Ok(Self::Loopback);
        }
        Err(Error::refused(
            format!("the webhook `{address}` would send notices over the network for all to read"),
            "write `https://`; plain `http://` is for 127.0.0.1, [::1] and localhost",
        ))
    }
}
