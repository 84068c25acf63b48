//! What is written down of a run: `run.json`, and one small file for each step that is done.

use std::fs;
use std::path::Path;

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::Source;
use crate::error::{Error, Result};
use crate::frame::write_bytes;
use crate::spec::Study;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is at work, or was killed.
    Running,
    /// All steps are done.
    Finished,
    /// A step failed.
    Failed,
    /// It was asked to stop.
    Interrupted,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It was computed in this run.
    Computed,
    /// It was taken from an earlier run.
    Reused,
    /// It failed.
    Failed,
    /// A step that it needs failed.
    Skipped,
}

/// A file that a step wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Relative to the run folder.
    pub path: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// How it went.
    pub status: StepStatus,
    /// A hash of all that its result depends on.
    pub key: String,
    /// How long it took when it was computed.
    pub seconds: f64,
    /// Its files.
    pub outputs: Vec<Output>,
    /// Why it failed, or what its result lacks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// The data that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRecord {
    /// Its address.
    pub url: String,
    /// The snapshot's version.
    pub snapshot: u64,
    /// The snapshot's hash.
    pub snapshot_hash: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this software.
    pub columna_version: String,
    /// How it stands.
    pub status: Status,
    /// The title of the study.
    pub title: String,
    /// The specification's file.
    pub specification: String,
    /// BLAKE3 of the specification.
    pub specification_hash: String,
    /// The data.
    pub store: StoreRecord,
    /// Who asked.
    pub principal: String,
    /// What for.
    pub purpose: Option<String>,
    /// The hash of the policy that was obeyed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// The role, where it may not see everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// What tells its persons' pseudonyms from others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pseudonyms: Option<String>,
    /// When it began.
    pub started: String,
    /// When it came to its end.
    pub finished: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// BLAKE3 over the hashes of all files of all steps: equal for equal results.
    pub result_hash: String,
    /// Steps in the order of the plan.
    pub steps: Vec<StepRecord>,
}

const RECORD: &str = "run.json";

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write_bytes(path, &bytes)
}

impl RunRecord {
    pub(super) fn begin(study: &Study, source: &Source) -> Self {
        let path = fs::canonicalize(&study.path).unwrap_or_else(|_| study.path.clone());
        Self {
            columna_version: env!("CARGO_PKG_VERSION").to_owned(),
            status: Status::Running,
            title: study.spec.title.clone(),
            specification: path.display().to_string(),
            specification_hash: study.hash.clone(),
            store: StoreRecord {
                url: source.store.clone(),
                snapshot: source.snapshot,
                snapshot_hash: source.snapshot_hash.clone(),
            },
            principal: source.principal.clone(),
            purpose: source.purpose.clone(),
            policy: source.policy.clone(),
            role: source.role.clone(),
            pseudonyms: source.pseudonyms.clone(),
            started: now(),
            finished: None,
            seconds: 0.0,
            result_hash: String::new(),
            steps: Vec::new(),
        }
    }

    pub(super) fn finish(&mut self) {
        self.status = Status::Finished;
        self.finished = Some(now());
        self.result_hash = self.hash();
    }

    /// BLAKE3 over the hashes of all files of all steps.
    pub fn hash(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for output in self.steps.iter().flat_map(|step| &step.outputs) {
            hash.update(format!("{} {}\n", output.blake3, output.path).as_bytes());
        }
        hash.finalize().to_hex().to_string()
    }

    /// The record of a run folder, if there is one.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        read(&out.join(RECORD))
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        write_json(&out.join(RECORD), self)
    }
}

impl StepRecord {
    fn path(name: &str) -> String {
        format!("work/steps/{name}.json")
    }

    pub(super) fn read(out: &Path, name: &str) -> Result<Option<Self>> {
        // A damaged record is no record: the step is computed again.
        Ok(read(&out.join(Self::path(name))).unwrap_or(None))
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        write_json(&out.join(Self::path(&self.name)), self)
    }

    /// Whether its files are as they were written.
    pub(super) fn holds(&self, out: &Path) -> bool {
        self.outputs.iter().all(|output| {
            hash_of(&out.join(&output.path)).is_some_and(|hash| hash == output.blake3)
        })
    }

    pub(super) fn skipped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: StepStatus::Skipped,
            key: String::new(),
            seconds: 0.0,
            outputs: Vec::new(),
            message: None,
        }
    }

    pub(super) fn failed(name: &str, seconds: f64, message: String) -> Self {
        Self {
            status: StepStatus::Failed,
            seconds,
            message: Some(message),
            ..Self::skipped(name)
        }
    }
}

/// BLAKE3 of a file, if it is there.
pub(super) fn hash_of(path: &Path) -> Option<String> {
    Some(blake3::hash(&fs::read(path).ok()?).to_hex().to_string())
}
