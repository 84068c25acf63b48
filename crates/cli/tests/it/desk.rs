//! Principals under a policy at the shared hospital, each with a place for budgets and releases of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, columna, command, folder, ran, store, text};

pub(crate) const POLICY: &str = r#"
version = 1

[projects.study]

[roles.counter]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely" }

[roles.noisy]
kind = "dp"
purposes = ["research"]
projects = ["study"]
[roles.noisy.dp]
epsilon = 4.0
delta = 1e-6
epsilon_per_query = 0.5
max_groups = 3
max_rows = 4
bounds = { "person.year_of_birth" = [1900, 2025] }
keys = { "person.gender_concept_id" = [8507, 8532] }

[[rules]]
name = "clinical data"
roles = ["counter", "noisy"]
tables = ["@clinical", "@derived"]
[rules.classes]
person_key = "raw"
code = "raw"
value = "raw"
date = "raw"
quasi = "raw"

[[rules]]
name = "vocabulary"
roles = ["counter", "noisy"]
tables = ["@vocabulary"]
classes = { direct = "raw", key = "raw", code = "raw", value = "raw", date = "raw", free_text = "raw", quasi = "raw" }
"#;

/// A policy, and a place for budgets and releases that no other test shares.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::under(POLICY)
    }

    pub(crate) fn under(policy: &str) -> Self {
        let desk = Self { folder: folder() };
        desk.change_policy(policy);
        desk
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    pub(crate) fn change_policy(&self, policy: &str) {
        std::fs::write(self.policy(), policy).expect("a policy");
    }

    pub(crate) fn state(&self) -> String {
        text(&self.folder.path().join("private"))
    }

    pub(crate) fn asking(&self, role: &str, sql: &str) -> Command {
        let mut asking = command();
        asking.args([
            "sql",
            "--store",
            &store(),
            "--policy",
            &text(&self.policy()),
            "--state",
            &self.state(),
            "--role",
            role,
            "--purpose",
            "research",
            "--principal",
            "ana",
            "--format",
            "csv",
            "-c",
            sql,
        ]);
        asking
    }

    pub(crate) fn ask(&self, role: &str, sql: &str) -> Ran {
        ran(&mut self.asking(role, sql))
    }

    /// The answer's rows, without the header.
    pub(crate) fn rows(&self, role: &str, sql: &str) -> Vec<String> {
        let out = self.ask(role, sql).ok();
        out.lines().skip(1).map(str::to_owned).collect()
    }

    pub(crate) fn ledger(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["privacy", "ledger"];
        all.extend(arguments);
        let state = self.state();
        all.extend(["--state", &state]);
        columna(&all)
    }

    /// Rho that was spent, and how many questions were charged and answered.
    pub(crate) fn spent(&self) -> (f64, usize, usize) {
        if !Path::new(&self.state()).join("ledger.sqlite").is_file() {
            return (0.0, 0, 0);
        }
        let out = self.ledger(&["show", "--json"]).ok();
        let all: Value = serde_json::from_str(&out).expect("JSON");
        let Some(account) = all.get(0) else {
            return (0.0, 0, 0);
        };
        let charges = account["charges"].as_array().expect("charges");
        let answered = charges.iter().filter(|c| c["answered"] == true).count();
        (
            account["spent"]["rho"].as_f64().expect("a number"),
            charges.len(),
            answered,
        )
    }
}
