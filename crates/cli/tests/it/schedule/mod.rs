//! Schedules: the commands, and the processes behind them when they are killed.
//!
//! The study is a shell script in place of `columna study run`: it is told its specification as the third argument, and
//! the specification is a script itself. What happens is written to a ledger beside it.

#![cfg(target_os = "linux")]

#[cfg(feature = "cluster")]
mod cluster;
mod commands;
mod deaths;
mod real;
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, command, copy, folder, ran, store, text};

/// A busy machine is slow; nothing here takes longer on an idle one than a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// A store, schedules beside it, and a ledger.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = folder();
        copy(std::path::Path::new(&store()), &folder.path().join("store"));
        let place = Self { folder };
        let study = place.path("study.sh");
        fs::write(&study, "#!/bin/sh\nexec sh \"$3\" \"$@\"\n").expect("written");
        fs::set_permissions(&study, fs::Permissions::from_mode(0o755)).expect("made executable");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A specification that writes its begin, does something, and writes its end.
    fn specification(&self, name: &str, does: &str) -> String {
        let ledger = text(&self.path("ledger"));
        let script = format!(
            "echo \"begin $COLUMNA_SCHEDULE_RUN $$ $PPID\" >> {ledger}\n{does}\n\
             echo \"end $COLUMNA_SCHEDULE_RUN\" >> {ledger}\n"
        );
        let file = self.path(&format!("{name}.yaml"));
        fs::write(&file, script).expect("written");
        text(&file)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command
            .arg("schedule")
            .args(arguments)
            .env("COLUMNA_STORE", self.path("store"));
        command
    }

    fn schedule(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Tries to add a schedule; the script that stands for its specification is no study.
    fn try_add(&self, specification: &str, arguments: &[&str]) -> Ran {
        let mut all = vec!["add", specification, "--unchecked"];
        all.extend(arguments);
        self.schedule(&all)
    }

    fn add(&self, specification: &str, arguments: &[&str]) {
        self.try_add(specification, arguments).ok();
    }

    fn scheduler(&self, arguments: &[&str]) -> Command {
        let study = text(&self.path("study.sh"));
        let mut all = vec!["run", "--poll=20", "--watch=50", "--study-program", &study];
        all.extend(arguments);
        self.command(&all)
    }

    fn once(&self) -> Ran {
        ran(&mut self.scheduler(&["--once", "--max-runs=4"]))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.scheduler(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often each run came to its end.
    fn ends(&self) -> BTreeMap<i64, usize> {
        let mut ends = BTreeMap::new();
        for line in self.ledger() {
            if let Some(run) = line.strip_prefix("end ") {
                *ends.entry(run.parse().expect("a number")).or_default() += 1;
            }
        }
        ends
    }

    fn runs(&self) -> Vec<Value> {
        let text = self.schedule(&["history", "--json", "--limit=1000"]).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    fn states(&self) -> Vec<String> {
        self.runs()
            .iter()
            .map(|run| run["state"].as_str().expect("a state").to_owned())
            .collect()
    }

    fn wait(&self, for_what: &str, until: impl Fn() -> bool) {
        let started = Instant::now();
        while !until() {
            assert!(
                started.elapsed() < PATIENCE,
                "waited for {for_what}\n{:#?}\n{:#?}",
                self.runs(),
                self.ledger()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill")
        .args([name, pid])
        .stderr(Stdio::null())
        .status();
    sent.expect("`kill` runs");
}

fn alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state
        .rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn killed(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("it ends");
}

/// Living processes that have all these texts, each for itself, in a file of theirs: `environ` or `cmdline`.
fn processes(file: &str, texts: &[&str]) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|pid| pid.parse::<u32>().is_ok() && alive(pid))
        .filter(|pid| {
            let found = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let has = |text: &&str| {
                found
                    .split(|byte| *byte == 0)
                    .any(|part| part == text.as_bytes())
            };
            texts.iter().all(has)
        })
        .collect()
}
