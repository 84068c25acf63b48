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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::path::Path;

    use super::*;
    use crate::spec::words;

    fn keys(schema: &serde_json::Value, path: &str) -> Vec<String> {
        let mut keys: Vec<String> = schema
            .pointer(path)
            .and_then(|node| node.as_object())
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default();
        keys.sort();
        keys
    }

    fn sorted(words: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.sort();
        words
    }

    #[test]
    fn the_schema_knows_the_fields_that_are_read() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        for (path, known) in [
            ("/properties", words::STUDY),
            ("/$defs/cohort/properties", words::COHORT),
            ("/$defs/design/properties", words::DESIGN),
            ("/$defs/time_at_risk/properties", words::TIME_AT_RISK),
            ("/$defs/outcome/properties", words::OUTCOME),
            ("/properties/covariates/properties", words::COVARIATES),
            ("/$defs/covariate/properties", words::COVARIATE),
            ("/$defs/sparse/properties", words::SPARSE),
            ("/properties/propensity/properties", words::PROPENSITY),
            ("/properties/outputs/properties", words::OUTPUTS),
            (
                "/properties/analyses/items/anyOf/1/properties",
                words::ANALYSES,
            ),
        ] {
            assert_eq!(keys(&schema, path), sorted(known), "{path}");
        }
        for (analysis, known) in [
            ("attrition", words::PLAIN),
            ("table_one", words::TABLE_ONE),
            ("kaplan_meier", words::KAPLAN_MEIER),
            ("cox", words::COX),
            ("competing_risks", words::COMPETING_RISKS),
            ("incidence", words::INCIDENCE),
            ("rates", words::RATES),
            ("logistic", words::LOGISTIC),
            ("readmission", words::READMISSION),
            ("subgroups", words::SUBGROUPS),
            ("sensitivity", words::SENSITIVITY),
            ("sql", words::SQL),
        ] {
            let path = format!(
                "/properties/analyses/items/anyOf/1/properties/{analysis}/anyOf/0/properties"
            );
            assert_eq!(keys(&schema, &path), sorted(known), "{analysis}");
        }
    }

    #[test]
    fn the_shipped_specifications_are_valid() {
        for text in [START, EXAMPLE] {
            Study::parse(Path::new("s.yaml"), text.to_owned()).unwrap();
        }
    }
}
