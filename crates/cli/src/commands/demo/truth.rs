//! What `truth.json` says of the comparison that the demo draws.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::CliError;

/// The part of `truth.json` that the demo tells.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) treatment: String,
    pub(crate) treatment_concept: i64,
    pub(crate) comparator: String,
    pub(crate) comparator_concept: i64,
    pub(crate) outcome_concept: i64,
    pub(crate) hazard_ratio: f64,
    pub(crate) confounders: Vec<String>,
    pub(crate) treatment_events: u64,
    pub(crate) comparator_events: u64,
}

#[derive(Deserialize)]
struct Document {
    new_user_comparison: Comparison,
}

#[derive(Deserialize)]
struct Comparison {
    treatment: Named,
    comparator: Named,
    outcome: Named,
    hazard_ratio: f64,
    confounders: Vec<Confounder>,
    counts: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    concept_id: i64,
}

#[derive(Deserialize)]
struct Confounder {
    name: String,
}

impl Truth {
    /// Reads it from beside the tables.
    pub(crate) fn read(hospital: &Path) -> Result<Self, CliError> {
        let path = hospital.join("truth.json");
        let text = fs::read(&path).map_err(|error| CliError::io("read", path.display(), &error))?;
        let Document {
            new_user_comparison: found,
        } = serde_json::from_slice(&text).map_err(|error| {
            CliError::failed(format!(
                "`{}` is not as it was written: {error}",
                path.display()
            ))
        })?;
        let events = |name: &str| {
            found
                .counts
                .get(name)
                .and_then(|counts| counts.get("events"))
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0)
        };
        Ok(Self {
            treatment_events: events(&found.treatment.name),
            comparator_events: events(&found.comparator.name),
            treatment: found.treatment.name,
            treatment_concept: found.treatment.concept_id,
            comparator: found.comparator.name,
            comparator_concept: found.comparator.concept_id,
            outcome_concept: found.outcome.concept_id,
            hazard_ratio: found.hazard_ratio,
            confounders: found
                .confounders
                .into_iter()
                .map(|confounder| confounder.name)
                .collect(),
        })
    }
}
