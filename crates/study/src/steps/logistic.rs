//! Odds of the outcome within a time.

use columna_stats::causal::propensity::c_statistic;
use columna_stats::models::{Frame, Options, Variance, logistic_regression};

use super::count;
use super::cox::{Fit, model_words, rows_of};
use super::data::{Data, groups, terms};
use super::follow_up::FollowUp;
use crate::error::Result;
use crate::findings::{Coefficient, Interval, Logistic, LogisticModel, Num};
use crate::spec::{Located, Model, Spec};

/// Whether it happened within so many days; none if nobody can know.
fn within(follow: &FollowUp, days: i64) -> Option<bool> {
    let time = i64::from(follow.days);
    match follow.event {
        1 => Some(time <= days),
        // After a competing event the outcome can't happen any more.
        2 => Some(false),
        _ => (time >= days).then_some(false),
    }
}

/// Fits the models.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
    days: i64,
    models: &[Model],
    covariates: Option<&[Located<String>]>,
) -> Result<Logistic> {
    let compares = data.adjustment.is_some();
    let terms = terms(&data.dense, covariates);
    let of = Fit {
        spec,
        data,
        follow,
        adjustment: data.adjustment.as_ref(),
        terms: &terms,
        keep: None,
        period: None,
    };
    let unknown = super::data::at_risk(follow)
        .filter(|row| within(&follow[*row], days).is_none())
        .count();
    let mut fitted = Vec::new();
    for model in models {
        let by_terms = matches!(model, Model::Covariates | Model::DoublyRobust);
        let rows: Vec<(usize, f64, u64, Option<u64>)> = rows_of(*model, &of)
            .into_iter()
            .filter(|one| within(&follow[one.0], days).is_some())
            .collect();
        let y: Vec<f64> = rows
            .iter()
            .map(|one| f64::from(u8::from(within(&follow[one.0], days) == Some(true))))
            .collect();
        let mut labels = Vec::new();
        let mut columns: Vec<Vec<f64>> = Vec::new();
        if compares {
            labels.extend(groups(spec).into_iter().take(1));
            columns.push(
                rows.iter()
                    .map(|one| f64::from(u8::from(data.people[one.0].target)))
                    .collect(),
            );
        }
        if by_terms {
            for (label, column) in terms.labels.iter().zip(&terms.columns) {
                labels.push(label.clone());
                columns.push(rows.iter().map(|one| column[one.0]).collect());
            }
        }
        // Strata of the score enter as indicators.
        let mut strata: Vec<u64> = rows.iter().map(|one| one.2).collect();
        strata.sort_unstable();
        strata.dedup();
        for stratum in strata.iter().skip(1) {
            labels.push(format!("stratum {stratum} of the score"));
            columns.push(
                rows.iter()
                    .map(|one| f64::from(u8::from(one.2 == *stratum)))
                    .collect(),
            );
        }
        let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let weights: Vec<f64> = rows.iter().map(|one| one.1).collect();
        let clusters: Option<Vec<u64>> = rows.iter().map(|one| one.3).collect();
        let weighted = weights.iter().any(|weight| *weight != 1.0);
        let frame = Frame {
            weights: weighted.then_some(weights.as_slice()),
            clusters: clusters.as_deref(),
            ..Frame::new(&y, &slices)
        };
        let variance = match (clusters.is_some(), weighted) {
            (true, _) => Variance::Clustered { adjusted: true },
            (false, true) => Variance::Robust,
            (false, false) => Variance::Model,
        };
        let fit = logistic_regression::fit(
            &frame,
            &Options {
                conf_level: spec.confidence,
                variance,
                ..Options::default()
            },
        )?;
        let mut notes = Vec::new();
        if !fit.converged {
            notes.push("the fit did not converge".to_owned());
        }
        let infinite = fit.separation.as_ref().map_or(&[][..], |one| &one.terms);
        if !infinite.is_empty() {
            let names: Vec<String> = infinite
                .iter()
                .filter_map(|term| {
                    term.checked_sub(1)
                        .and_then(|term| labels.get(term))
                        .cloned()
                })
                .collect();
            notes.push(format!(
                "no finite estimate exists for {} (separation)",
                super::cox::list(&names)
            ));
        }
        let c = c_statistic(
            &fit.fitted(&frame)?,
            &y.iter().map(|y| *y > 0.5).collect::<Vec<_>>(),
        )
        .unwrap_or(f64::NAN);
        fitted.push(LogisticModel {
            model: *model,
            label: model_words(*model, spec, &terms),
            persons: count(rows.len()),
            events: count(y.iter().filter(|y| **y > 0.5).count()),
            terms: labels
                .into_iter()
                .zip(fit.coefficients.iter().enumerate().skip(1))
                .map(|(label, (term, one))| {
                    let finite = !infinite.contains(&term);
                    Coefficient {
                        label,
                        ratio: if finite {
                            one.ratio().into()
                        } else {
                            Interval::unknown()
                        },
                        p_value: Num(if finite { one.p_value } else { f64::NAN }),
                    }
                })
                .collect(),
            c_statistic: Num(c),
            notes,
        });
    }
    Ok(Logistic {
        outcome: outcome.to_owned(),
        within: days,
        unknown: count(unknown),
        compares,
        models: fitted,
    })
}
