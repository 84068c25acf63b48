//! Names in a specification must lead somewhere.

use super::Spec;
use super::analyses::Kind;
use super::covariates::{CovariateSource, Demographic};
use super::decode::{Decoder, Located};
use super::design::Competing;
use crate::problem::nearest;

pub(super) fn check(decoder: &Decoder, spec: &Spec) {
    let cohorts: Vec<&str> = spec
        .cohorts
        .iter()
        .map(|cohort| cohort.name.as_str())
        .collect();
    let cohort = |name: &Located<String>| {
        known(decoder, name, &cohorts, "cohort", "name it under `cohorts`")
    };
    if let Some(design) = &spec.design {
        cohort(&design.target);
        if let Some(comparator) = &design.comparator {
            cohort(comparator);
            if comparator.value == design.target.value {
                decoder.note(
                    comparator.at,
                    &comparator.path,
                    "target and comparator are the same cohort",
                );
            }
        }
        for criterion in design.require.iter().chain(&design.exclude) {
            cohort(&criterion.cohort);
        }
    }
    for outcome in spec.outcomes.iter().chain(&spec.negative_controls) {
        cohort(&outcome.cohort);
    }
    for control in &spec.negative_controls {
        if spec
            .outcomes
            .iter()
            .any(|outcome| outcome.name == control.name)
        {
            decoder.note(
                control.cohort.at,
                "negative_controls",
                format!("`{}` is an outcome already", control.name),
            );
        }
    }
    spec.time_at_risk.censor_at.iter().for_each(cohort);
    if let Some(Competing::Cohort(name)) = &spec.time_at_risk.competing {
        cohort(name);
    }
    for covariate in &spec.covariates.named {
        if let CovariateSource::Cohort(name) = &covariate.source {
            cohort(name);
        }
    }
    let terms: Vec<&str> = (spec.covariates.demographics.iter().map(|one| one.name()))
        .chain(spec.covariates.named.iter().map(|one| one.name.as_str()))
        .collect();
    let term = |name: &Located<String>| {
        known(
            decoder,
            name,
            &terms,
            "covariate",
            "name it under `covariates`",
        );
    };
    let outcomes: Vec<&str> = spec
        .outcomes
        .iter()
        .chain(&spec.negative_controls)
        .map(|outcome| outcome.name.as_str())
        .collect();
    let outcome = |name: &Located<String>| {
        known(
            decoder,
            name,
            &outcomes,
            "outcome",
            "name it under `outcomes`",
        )
    };
    spec.propensity.covariates.iter().flatten().for_each(term);
    if let Some((low, high)) = spec.propensity.trim
        && !(0.0 <= low && low < high && high <= 1.0)
    {
        decoder.note(
            crate::problem::Spot::default(),
            "propensity.trim",
            "scores are trimmed to a range within 0 and 1, such as [0.05, 0.95]",
        );
    }
    for analysis in &spec.analyses {
        match &analysis.kind {
            Kind::TableOne { variables } => variables.iter().for_each(term),
            Kind::KaplanMeier { outcome: name, .. } | Kind::Incidence { outcome: name } => {
                outcome(name)
            }
            Kind::Cox {
                outcome: name,
                covariates,
                ..
            }
            | Kind::CompetingRisks {
                outcome: name,
                covariates,
                ..
            }
            | Kind::Logistic {
                outcome: name,
                covariates,
                ..
            } => {
                outcome(name);
                covariates.iter().flatten().for_each(term);
            }
            Kind::Subgroups {
                outcome: name, by, ..
            } => {
                outcome(name);
                let by_known: Vec<&str> = (Demographic::ALL.iter().map(|(name, _)| *name))
                    .chain(terms.iter().copied())
                    .collect();
                for name in by {
                    known(
                        decoder,
                        name,
                        &by_known,
                        "covariate",
                        "name it under `covariates`",
                    );
                }
            }
            Kind::Sensitivity { outcome: name, .. } => outcome(name),
            Kind::Rates(rates) => {
                cohort(&rates.event);
                rates.among.iter().for_each(cohort);
            }
            Kind::Attrition
            | Kind::Propensity
            | Kind::NegativeControls
            | Kind::Readmission(_)
            | Kind::Sql { .. } => {}
        }
    }
}

fn known(decoder: &Decoder, name: &Located<String>, names: &[&str], what: &str, otherwise: &str) {
    if !names.contains(&name.value.as_str()) {
        let hint = nearest(&name.value, names.iter().copied()).map_or_else(
            || otherwise.to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        decoder.hint(
            name.at,
            &name.path,
            format!("there is no {what} `{}`", name.value),
            hint,
        );
    }
}
