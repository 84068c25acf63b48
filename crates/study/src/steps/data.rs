//! What analyses of the population start from: its persons, their covariates, the adjustment.

use std::path::Path;

use super::adjust::Adjustment;
use super::covariates::Dense;
use super::follow_up::{self, FollowUp, Status};
use super::population::{self, Person};
use crate::error::Result;
use crate::report::lower;
use crate::spec::{Located, Missing, Spec};

/// The population with all that is known of it, row by row.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) people: Vec<Person>,
    pub(crate) dense: Dense,
    /// Where two groups are compared.
    pub(crate) adjustment: Option<Adjustment>,
}

impl Data {
    /// From the work folder of a run.
    pub(crate) fn read(work: &Path, spec: &Spec) -> Result<Self> {
        let people = population::read(&work.join("population.parquet"))?;
        let dense = Dense::read(&work.join("covariates.parquet"), spec)?;
        let compares = spec
            .design
            .as_ref()
            .is_some_and(|design| design.comparator.is_some());
        let adjustment = if compares {
            Some(Adjustment::read(&work.join("propensity.parquet"))?)
        } else {
            None
        };
        Ok(Self {
            people,
            dense,
            adjustment,
        })
    }

    /// Follow-up for an outcome, in the order of the population.
    pub(crate) fn follow_up(work: &Path, outcome: &str) -> Result<Vec<FollowUp>> {
        follow_up::read(&work.join(format!("follow-up-{outcome}.parquet")))
    }
}

/// The groups, target first.
pub(crate) fn groups(spec: &Spec) -> Vec<String> {
    spec.design.as_ref().map_or_else(Vec::new, |design| {
        std::iter::once(&design.target)
            .chain(&design.comparator)
            .map(|name| spec.cohort_label(&name.value))
            .collect()
    })
}

/// The rows at risk.
pub(crate) fn at_risk(follow: &[FollowUp]) -> impl Iterator<Item = usize> {
    (0..follow.len()).filter(|row| follow[*row].status == Status::AtRisk)
}

/// Columns of a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) labels: Vec<String>,
    /// The covariates that they stand for, as a sentence has them.
    pub(crate) covariates: Vec<String>,
    pub(crate) columns: Vec<Vec<f64>>,
    /// Rows without a value that the specification does not let be filled in.
    pub(crate) incomplete: Vec<bool>,
}

/// The terms of the covariates that were asked for: filled in where values are missing.
pub(crate) fn terms(dense: &Dense, wanted: Option<&[Located<String>]>) -> Terms {
    let rows = dense.columns.first().map_or(0, Vec::len);
    let mut terms = Terms {
        incomplete: vec![false; rows],
        ..Terms::default()
    };
    for (index, name) in dense.names.iter().enumerate() {
        if wanted.is_some_and(|wanted| wanted.iter().all(|one| one.value != *name)) {
            continue;
        }
        let column = &dense.columns[index];
        let known: Vec<f64> = column
            .iter()
            .copied()
            .filter(|value| !value.is_nan())
            .collect();
        let missing = known.len() < column.len();
        let mean = if known.is_empty() {
            0.0
        } else {
            known.iter().sum::<f64>() / super::length(known.len())
        };
        let filler = match dense.missing[index] {
            Missing::Zero => 0.0,
            Missing::Indicator | Missing::Mean | Missing::Drop => mean,
        };
        if missing && dense.missing[index] == Missing::Drop {
            for (incomplete, value) in terms.incomplete.iter_mut().zip(column) {
                *incomplete |= value.is_nan();
            }
        }
        let filled: Vec<f64> = column
            .iter()
            .map(|value| if value.is_nan() { filler } else { *value })
            .collect();
        // A column without spread is no term.
        if filled.windows(2).any(|pair| pair[0] != pair[1]) {
            terms.labels.push(dense.term_label(index));
            terms.covariates.push(lower(&dense.labels[index]));
            terms.columns.push(filled);
        }
        if missing && dense.missing[index] == Missing::Indicator && !known.is_empty() {
            terms
                .labels
                .push(format!("{}: not recorded", dense.labels[index]));
            terms.columns.push(
                column
                    .iter()
                    .map(|value| f64::from(u8::from(value.is_nan())))
                    .collect(),
            );
        }
    }
    terms
}
