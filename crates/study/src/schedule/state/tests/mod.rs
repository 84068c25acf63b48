//! The state machine, with clocks and processes that the tests make up.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod due;
mod ends;
mod holders;
mod order;
mod simulation;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{Capacity, Claim, Ending, Newest, Outcome, Run, RunFilter, RunState, State};
use crate::schedule::definition::Definition;
use crate::schedule::process::ProcessId;

/// A state in a folder of its own, a time, and this process.
struct World {
    folder: TempDir,
    state: State,
    now: DateTime<Utc>,
    me: ProcessId,
    newest: BTreeMap<String, Newest>,
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every ten minutes, and no retries unless a test wants them.
fn every_ten() -> Definition {
    let mut definition = Definition::new("/s.yaml".into(), "/store".to_owned(), "/out".into());
    definition.cron = Some("*/10 * * * *".to_owned());
    definition.retries = 0;
    definition
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = State::create(&folder.path().join("x.schedule")).unwrap();
        Self {
            folder,
            state,
            now: utc("2026-11-26T00:05:00Z"),
            me: ProcessId::own().unwrap(),
            newest: BTreeMap::new(),
        }
    }

    /// Another process's view of the same state.
    fn second(&self) -> State {
        State::open(&self.folder.path().join("x.schedule")).unwrap()
    }

    fn add(&mut self, name: &str, definition: &Definition) {
        let newest = self.newest.get(&definition.store).cloned();
        let definition = Definition {
            out: format!("/out/{name}").into(),
            ..definition.clone()
        };
        self.state
            .add(name, &definition, newest.as_ref(), false, self.now)
            .unwrap();
    }

    fn snapshot(&mut self, version: u64) {
        let newest = Newest {
            version,
            hash: format!("hash{version}"),
            time: self.now,
        };
        self.newest.insert("/store".to_owned(), newest);
    }

    fn pass(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
    }

    fn plan(&mut self) {
        self.state.plan(&self.newest, self.now).unwrap();
    }

    fn claim(&mut self) -> Option<Claim> {
        self.claim_of(3)
    }

    fn claim_of(&mut self, runs: usize) -> Option<Claim> {
        let capacity = Capacity {
            runs,
            memory: None,
            threads: None,
        };
        let token = crate::schedule::token().unwrap();
        self.state
            .claim(&self.me, &token, &capacity, self.now)
            .unwrap()
    }

    fn finish(&mut self, claim: &Claim, outcome: Outcome) {
        let ending = Ending::plain(outcome, "as the test says");
        let written = self.state.finish(claim.run, claim.fence, &ending, self.now);
        assert!(written.unwrap(), "the run is the claim's");
    }

    fn runs(&self) -> Vec<Run> {
        self.state.runs(&RunFilter::default()).unwrap()
    }

    fn states(&self) -> Vec<RunState> {
        self.runs().into_iter().map(|run| run.state).collect()
    }

    fn reason(&self, run: i64) -> String {
        self.state.run(run).unwrap().reason.unwrap_or_default()
    }
}

/// A process that had this process's number before.
fn dead() -> ProcessId {
    let own = ProcessId::own().unwrap().encode();
    let mut words: Vec<&str> = own.splitn(3, ' ').collect();
    words[1] = "1";
    ProcessId::decode(&words.join(" ")).unwrap()
}

/// A process of another machine.
fn elsewhere() -> ProcessId {
    ProcessId::decode("1 1 another/pid:[1]").unwrap()
}
