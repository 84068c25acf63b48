//! Hazard ratios.

use columna_stats::survival::cox::{self, Row, Rows, TimeTransform};
use columna_stats::tables::e_value;

use super::adjust::{Adjustment, method_words};
use super::data::{Data, Terms, at_risk, groups, terms};
use super::follow_up::FollowUp;
use super::{count, periods};
use crate::error::{Error, Result};
use crate::findings::{Coefficient, Cox, CoxModel, Interval, Num};
use crate::spec::{Located, Model, Spec};

/// A model to fit: who, and adjusted by what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) data: &'a Data,
    pub(crate) follow: &'a [FollowUp],
    pub(crate) adjustment: Option<&'a Adjustment>,
    pub(crate) terms: &'a Terms,
    /// Persons of the population to take.
    pub(crate) keep: Option<&'a [bool]>,
    /// Only the follow-up after one day and up to another.
    pub(crate) period: Option<(i32, i32)>,
}

/// The model in words.
pub(crate) fn model_words(model: Model, spec: &Spec, terms: &Terms) -> String {
    let covariates = || format!("adjusted for {}", list(&terms.covariates));
    match model {
        Model::Crude => "unadjusted".to_owned(),
        Model::Covariates => covariates(),
        Model::Propensity => method_words(&spec.propensity),
        Model::DoublyRobust => format!("{}, and {}", method_words(&spec.propensity), covariates()),
    }
}

/// Some names as a sentence has them.
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [all @ .., last] if names.len() <= 8 => format!("{} and {last}", all.join(", ")),
        _ => format!("{} covariates", names.len()),
    }
}

/// The rows of a model with their weight, stratum and cluster.
pub(crate) fn rows_of(model: Model, fit: &Fit<'_>) -> Vec<(usize, f64, u64, Option<u64>)> {
    let by_score = matches!(model, Model::Propensity | Model::DoublyRobust);
    let by_terms = matches!(model, Model::Covariates | Model::DoublyRobust);
    at_risk(fit.follow)
        .filter(|row| fit.keep.is_none_or(|keep| keep[*row]))
        .filter(|row| !by_terms || !fit.terms.incomplete.get(*row).copied().unwrap_or(false))
        .filter_map(|row| match fit.adjustment.filter(|_| by_score) {
            None => Some((row, 1.0, 0, None)),
            Some(adjustment) if adjustment.weights[row] > 0.0 => {
                if let Some(strata) = &adjustment.strata {
                    Some((row, 1.0, strata[row], None))
                } else {
                    let set = adjustment.sets.as_ref().map(|sets| sets[row]);
                    Some((row, adjustment.weights[row], 0, set))
                }
            }
            Some(_) => None,
        })
        .collect()
}

/// Fits one.
pub(crate) fn fit(model: Model, of: &Fit<'_>, every_term: bool) -> Result<CoxModel> {
    let by_terms = matches!(model, Model::Covariates | Model::DoublyRobust);
    let label = model_words(model, of.spec, of.terms);
    let chosen = rows_of(model, of);
    let mut rows = Rows::new();
    let mut labels = vec!["target".to_owned()];
    if by_terms {
        labels.extend(of.terms.labels.iter().cloned());
    }
    let mut x = vec![0.0; labels.len()];
    let (mut persons, mut events) = (0, 0);
    for (row, weight, stratum, cluster) in &chosen {
        x[0] = f64::from(u8::from(of.data.people[*row].target));
        if by_terms {
            for (into, column) in x[1..].iter_mut().zip(&of.terms.columns) {
                *into = column[*row];
            }
        }
        let follow = of.follow[*row];
        let (from, to) = of.period.unwrap_or((0, follow.days));
        if of.period.is_some() && follow.days <= from {
            continue;
        }
        let event = follow.event == 1 && follow.days <= to;
        persons += 1;
        events += u64::from(event);
        rows.push(&Row {
            start: of.period.map(|_| f64::from(from)),
            stratum: *stratum,
            weight: *weight,
            cluster: *cluster,
            ..Row::new(f64::from(follow.days.min(to)), event, &x)
        })?;
    }
    let fitted = cox::Cox::fit(&rows, &cox::Options::default())?;
    let result = fitted.result();
    let ratios = result.hazard_ratios(of.spec.confidence)?;
    let names: Vec<usize> = (0..labels.len()).collect();
    let zph = if every_term {
        fitted.zph(TimeTransform::KaplanMeier, &names).ok()
    } else {
        None
    };
    let std_err = result.std_err();
    let interval = |at: usize| {
        ratios.get(at).map_or_else(Interval::unknown, |ratio| {
            Interval::new(ratio.estimate, ratio.lower, ratio.upper)
        })
    };
    let flagged = |flags: &[bool]| {
        labels
            .iter()
            .zip(flags)
            .filter(|(_, flag)| **flag)
            .map(|(label, _)| label.clone())
            .collect::<Vec<_>>()
    };
    let infinite = flagged(&result.infinite);
    Ok(CoxModel {
        model,
        label,
        persons,
        events,
        ratio: if result.infinite.first() == Some(&true) {
            Interval::unknown()
        } else {
            interval(0)
        },
        log_ratio: Num(result.coefficients[0]),
        std_err: Num(std_err.first().copied().unwrap_or(f64::NAN)),
        p_value: Num(ratios.first().map_or(f64::NAN, |ratio| ratio.p_value)),
        robust: result.robust,
        ph_p_value: Num(zph
            .as_ref()
            .and_then(|zph| zph.terms.first())
            .map_or(f64::NAN, |test| test.p_value)),
        ph_global: Num(zph.as_ref().map_or(f64::NAN, |zph| zph.global.p_value)),
        terms: (1..labels.len())
            .map(|at| Coefficient {
                label: labels[at].clone(),
                ratio: interval(at),
                p_value: Num(ratios[at].p_value),
            })
            .collect(),
        dropped: flagged(&result.dropped),
        infinite,
        note: None,
    })
}

/// A model that these data do not allow.
fn without_fit(model: Model, of: &Fit<'_>, why: &columna_stats::Error) -> CoxModel {
    let rows = rows_of(model, of);
    let events = rows.iter().filter(|row| of.follow[row.0].event == 1);
    CoxModel {
        model,
        label: model_words(model, of.spec, of.terms),
        persons: count(rows.len()),
        events: count(events.count()),
        ratio: Interval::unknown(),
        log_ratio: Num(f64::NAN),
        std_err: Num(f64::NAN),
        p_value: Num(f64::NAN),
        robust: false,
        ph_p_value: Num(f64::NAN),
        ph_global: Num(f64::NAN),
        terms: Vec::new(),
        dropped: Vec::new(),
        infinite: Vec::new(),
        note: Some(why.to_string()),
    }
}

/// Persons, events and person-days by group.
pub(crate) fn counts(
    data: &Data,
    follow: &[FollowUp],
    groups: usize,
    keep: Option<&[bool]>,
) -> Vec<(u64, u64, u64)> {
    let mut counts = vec![(0, 0, 0); groups];
    for row in at_risk(follow).filter(|row| keep.is_none_or(|keep| keep[*row])) {
        let group = &mut counts[usize::from(!data.people[row].target).min(groups - 1)];
        group.0 += 1;
        group.1 += u64::from(follow[row].event == 1);
        group.2 += u64::try_from(follow[row].days).unwrap_or(0);
    }
    counts
}

/// All models of an analysis; those that the data do not allow say why.
///
/// # Errors
///
/// When the data allow none of them.
pub(crate) fn build(
    spec: &Spec,
    data: &Data,
    follow: &[FollowUp],
    outcome: &str,
    models: &[Model],
    main: Model,
    covariates: Option<&[Located<String>]>,
) -> Result<Cox> {
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
    let mut fitted = Vec::new();
    let mut refusal = None;
    for model in models {
        fitted.push(match fit(*model, &of, true) {
            Err(Error::Statistic(why)) => {
                let without = without_fit(*model, &of, &why);
                refusal = Some(why);
                without
            }
            other => other?,
        });
    }
    if let Some(why) = refusal.filter(|_| fitted.iter().all(|one| one.note.is_some())) {
        return Err(why.into());
    }
    let models = fitted;
    let ratio = models
        .iter()
        .find(|one| one.model == main)
        .map_or_else(Interval::unknown, |one| one.ratio);
    let periods = periods::build(main, &of)?;
    let (value, bound) = e_value(ratio.into());
    Ok(Cox {
        outcome: outcome.to_owned(),
        groups: groups(spec),
        counts: counts(data, follow, 2, None),
        models,
        main,
        periods,
        e_value: (Num(value), Num(bound)),
    })
}

/// A rate per 1,000 person-years from its value per day.
pub(crate) fn per_thousand_years(rate: f64) -> f64 {
    rate * 365.25 * 1000.0
}
