//! Negative controls, and the main result calibrated by them.

use columna_stats::causal::calibration::{EmpiricalNull, LogEstimate};

use super::cox::{Fit, counts, fit, model_words};
use super::data::{Data, terms};
use super::follow_up::FollowUp;
use crate::error::Result;
use crate::findings::{Calibration, ControlResult, Controls, CoxModel, Interval, Num};
use crate::spec::{Located, Model, Spec};

/// Calibration needs this many.
const LEAST: usize = 3;

/// An outcome with everybody's follow-up.
pub(crate) type Followed = (String, Vec<FollowUp>);

/// Fits the model for each control, and calibrates the primary outcome's.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    model: Model,
    covariates: Option<&[Located<String>]>,
    controls: &[Followed],
    primary: Option<&Followed>,
) -> Result<Controls> {
    let terms = terms(&data.dense, covariates);
    let of = |follow| Fit {
        spec,
        data,
        follow,
        adjustment: data.adjustment.as_ref(),
        terms: &terms,
        keep: None,
        period: None,
    };
    let mut results = Vec::new();
    for (label, follow) in controls {
        let events: Vec<u64> = counts(data, follow, 2, None)
            .into_iter()
            .map(|one| one.1)
            .collect();
        let fitted = fit(model, &of(follow), false);
        let crude = fit(Model::Crude, &of(follow), false);
        results.push(result(
            label.clone(),
            events,
            fitted,
            crude.map_or_else(|_| Interval::unknown(), |one| one.ratio),
        ));
    }
    let usable: Vec<LogEstimate> = results
        .iter()
        .filter_map(|one| {
            Some(LogEstimate {
                value: one.log_ratio.finite()?,
                std_err: one.std_err.finite().filter(|se| *se > 0.0)?,
            })
        })
        .collect();
    let mut calibration = Vec::new();
    if usable.len() >= LEAST
        && let Some((label, follow)) = primary
        && let Ok(main) = fit(model, &of(follow), false)
    {
        let null = EmpiricalNull::fit(&usable)?;
        let before = LogEstimate {
            value: main.log_ratio.get(),
            std_err: main.std_err.get(),
        };
        let after = null.calibrate(before, spec.confidence)?;
        calibration.push(Calibration {
            outcome: label.clone(),
            before: main.ratio,
            p_before: main.p_value,
            after: Interval::new(
                after.estimate.value.exp(),
                after.estimate.lower.exp(),
                after.estimate.upper.exp(),
            ),
            p_after: Num(after.p_value),
            mean: Num(null.mean),
            sd: Num(null.sd),
        });
    }
    Ok(Controls {
        model: model_words(model, spec, &terms),
        controls: results,
        calibration,
    })
}

fn result(
    label: String,
    events: Vec<u64>,
    fitted: Result<CoxModel>,
    crude: Interval,
) -> ControlResult {
    match fitted {
        Ok(one) => ControlResult {
            label,
            events,
            ratio: one.ratio,
            crude,
            log_ratio: one.log_ratio,
            std_err: one.std_err,
            note: one
                .ratio
                .value
                .finite()
                .is_none()
                .then(|| "no finite estimate".to_owned()),
        },
        Err(error) => ControlResult {
            label,
            events,
            ratio: Interval::unknown(),
            crude,
            log_ratio: Num(f64::NAN),
            std_err: Num(f64::NAN),
            note: Some(error.to_string()),
        },
    }
}
