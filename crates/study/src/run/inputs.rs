//! Results of earlier steps, from their files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::spec::{Competing, Spec};
use crate::steps::cohort::{self, Entry};
use crate::steps::population::Cohorts;

/// The entries of some cohorts.
pub(super) fn cohorts<'a>(
    work: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Cohorts> {
    let mut cohorts = Cohorts::new();
    for name in names {
        if !cohorts.contains_key(name) {
            cohorts.insert(
                name.to_owned(),
                cohort::read(&work.join(format!("cohort-{name}.parquet")))?,
            );
        }
    }
    Ok(cohorts)
}

/// Names of the cohorts that end the time at risk.
pub(super) fn ends(spec: &Spec) -> Vec<&str> {
    let competing = match &spec.time_at_risk.competing {
        Some(Competing::Cohort(name)) => Some(name.value.as_str()),
        _ => None,
    };
    spec.time_at_risk
        .censor_at
        .iter()
        .map(|name| name.value.as_str())
        .chain(competing)
        .collect()
}

/// Entries by role for an outcome's cohort.
pub(super) fn ends_of<'a>(
    spec: &Spec,
    cohorts: &'a Cohorts,
    outcome: &str,
) -> crate::steps::follow_up::Ends<'a> {
    let entries =
        |name: &str| -> &'a [Entry] { cohorts.get(name).map(Vec::as_slice).unwrap_or_default() };
    crate::steps::follow_up::Ends {
        outcome: entries(outcome),
        censor: spec
            .time_at_risk
            .censor_at
            .iter()
            .map(|name| entries(&name.value))
            .collect(),
        competing: match &spec.time_at_risk.competing {
            Some(Competing::Cohort(name)) => Some(entries(&name.value)),
            _ => None,
        },
    }
}

/// A finding of an earlier step.
pub(super) fn finding<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(serde_json::from_slice(&bytes)?)
}
