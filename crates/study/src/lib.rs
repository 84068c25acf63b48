//! Batch studies and their schedule.
//!
//! A study is one YAML file ([`Study`]): cohorts, a design, outcomes, covariates, analyses. [`run`] performs its
//! steps as a graph into a run folder and writes a report. Later steps read the files of earlier ones, so that
//! a step whose inputs did not change is not computed again, and a killed run goes on where it was.

mod check;
mod error;
mod findings;
mod frame;
mod problem;
mod report;
mod run;
pub mod spec;
mod steps;
mod yaml;

pub use check::check;
pub use error::{Error, Result};
pub use findings::*;
pub use problem::{Problem, Spot};
pub use report::report;
pub use run::{
    Event, Output, RunOptions, RunRecord, Source, Status, StepRecord, StepStatus, StoreRecord,
    note_interruption, run, unfinished,
};
pub use spec::Study;

#[cfg(unix)]
pub mod schedule;

/// A commented specification to start from.
pub const START: &str = include_str!("../examples/start.yaml");

/// The study of the synthetic hospital.
pub const EXAMPLE: &str = include_str!("../examples/hypertension.yaml");

/// The JSON Schema of specifications.
pub const SCHEMA: &str = include_str!("../schema/study.schema.json");

/// What specifications call the schema beside them.
pub const SCHEMA_FILE: &str = "study.schema.json";
