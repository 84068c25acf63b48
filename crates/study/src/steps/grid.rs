//! Sensitivity analyses: the model under every combination of the alternatives.

use super::adjust::{adjust, method_words};
use super::cox::{Fit, fit, list};
use super::data::{Data, terms};
use super::follow_up::{Ends, follow};
use super::propensity::balance;
use super::sparse::Sparse;
use crate::error::Result;
use crate::findings::{Grid, GridRow, Interval, Num};
use crate::spec::{self, Method, Model, Outcome, Propensity, RiskEnd, Spec, TimeAtRisk};

/// The entries that decide about the follow-up.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) outcome: &'a Outcome,
    pub(crate) ends: Ends<'a>,
}

#[derive(Debug, Clone)]
struct Alternative {
    label: Vec<String>,
    washout: i64,
    risk: TimeAtRisk,
    propensity: Propensity,
}

/// The analysis as specified, and every alternative.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    sparse: &Sparse,
    inputs: &Inputs<'_>,
    model: Model,
    grid: &spec::Grid,
) -> Result<Grid> {
    let terms = terms(&data.dense, None);
    let scores = data
        .adjustment
        .as_ref()
        .map(|one| one.scores.clone())
        .unwrap_or_default();
    let mut rows = Vec::new();
    for alternative in alternatives(spec, grid) {
        let keep: Vec<bool> = data
            .people
            .iter()
            .map(|person| i64::from(person.index) - i64::from(person.start) >= alternative.washout)
            .collect();
        let label = if alternative.label.is_empty() {
            "As specified".to_owned()
        } else {
            alternative.label.join("; ")
        };
        let computed = || -> Result<GridRow> {
            let adjustment = adjust(&data.people, &scores, &keep, &alternative.propensity)?;
            let followed: Vec<_> = data
                .people
                .iter()
                .map(|person| follow(person, inputs.outcome, &alternative.risk, &inputs.ends))
                .collect();
            let of = Fit {
                spec,
                data,
                follow: &followed,
                adjustment: Some(&adjustment),
                terms: &terms,
                keep: Some(&keep),
                period: None,
            };
            let one = fit(model, &of, false)?;
            let largest = balance(&data.people, &data.dense, sparse, &adjustment)?
                .iter()
                .map(|row| row.after.get().abs())
                .filter(|value| value.is_finite())
                .fold(0.0, f64::max);
            Ok(GridRow {
                label: label.clone(),
                persons: one.persons,
                events: one.events,
                ratio: one.ratio,
                p_value: one.p_value,
                balance: Num(largest),
                note: one
                    .ratio
                    .value
                    .finite()
                    .is_none()
                    .then(|| "no finite estimate".to_owned()),
            })
        };
        rows.push(computed().unwrap_or_else(|error| GridRow {
            label: label.clone(),
            persons: 0,
            events: 0,
            ratio: Interval::unknown(),
            p_value: Num(f64::NAN),
            balance: Num(f64::NAN),
            note: Some(error.to_string()),
        }));
    }
    let words = match model {
        Model::Crude => "unadjusted".to_owned(),
        Model::Covariates => format!("adjusted for {}", list(&terms.labels)),
        Model::Propensity => "adjusted by the propensity score".to_owned(),
        Model::DoublyRobust => format!(
            "adjusted by the propensity score, and for {}",
            list(&terms.labels)
        ),
    };
    Ok(Grid {
        outcome: inputs.outcome.label.clone(),
        model: words,
        rows,
    })
}

fn alternatives(spec: &Spec, grid: &spec::Grid) -> Vec<Alternative> {
    let washout = spec.design.as_ref().map_or(0, |design| design.washout);
    let base = Alternative {
        label: Vec::new(),
        washout,
        risk: spec.time_at_risk.clone(),
        propensity: spec.propensity.clone(),
    };
    let mut all = vec![base];
    spread(&mut all, &grid.washout, |one, days| {
        one.washout = *days;
        (*days != washout).then(|| format!("washout of {days} days"))
    });
    spread(&mut all, &grid.end, |one, end| {
        one.risk.end = *end;
        (*end != spec.time_at_risk.end).then(|| match end {
            RiskEnd::Observation => "followed to the end of observation".to_owned(),
            RiskEnd::Days(days) => format!("followed for {days} days"),
            RiskEnd::Cohort => "followed while treated".to_owned(),
        })
    });
    spread(&mut all, &grid.method, |one, method| {
        one.propensity.method = *method;
        (*method != spec.propensity.method).then(|| match method {
            Method::Weighting => "weighting".to_owned(),
            Method::Matching => "matching".to_owned(),
            Method::Stratification => "stratification".to_owned(),
        })
    });
    spread(&mut all, &grid.estimand, |one, estimand| {
        one.propensity.estimand = *estimand;
        (*estimand != spec.propensity.estimand && one.propensity.method == Method::Weighting).then(
            || {
                method_words(&Propensity {
                    trim: None,
                    ..one.propensity.clone()
                })
            },
        )
    });
    spread(&mut all, &grid.caliper, |one, caliper| {
        one.propensity.caliper = *caliper;
        (*caliper != spec.propensity.caliper && one.propensity.method == Method::Matching)
            .then(|| format!("caliper of {caliper}"))
    });
    spread(&mut all, &grid.strata, |one, strata| {
        one.propensity.strata = usize::try_from(*strata).unwrap_or(5).clamp(2, 100);
        (one.propensity.strata != spec.propensity.strata
            && one.propensity.method == Method::Stratification)
            .then(|| format!("{strata} strata"))
    });
    // What differs in nothing that matters is the analysis as specified.
    let mut seen: Vec<Vec<String>> = Vec::new();
    all.retain(|one| {
        let new = !seen.contains(&one.label);
        seen.push(one.label.clone());
        new
    });
    all
}

/// Every alternative, as it is and with each of the values.
fn spread<T>(
    all: &mut Vec<Alternative>,
    values: &[T],
    set: impl Fn(&mut Alternative, &T) -> Option<String>,
) {
    let mut more = Vec::new();
    for one in all.iter() {
        for value in values {
            let mut other = one.clone();
            if let Some(label) = set(&mut other, value) {
                other.label.push(label);
                more.push(other);
            }
        }
    }
    all.extend(more);
}
