//! What stands first: the question, who was studied, what was found, how far to trust it.

use super::Found;
use super::html::escape;
use super::number::{days, fixed, p_words, percent_interval, ratio_interval, whole, years};
use super::sections::lower;
use crate::findings::{
    Attrition, Controls, Cox, Finding, Incidence, KaplanMeier, NotEstimable, Propensity,
};
use crate::spec::{Kind, Model, Spec};

fn attrition<'a>(found: &'a [Found<'_>]) -> Option<&'a Attrition> {
    found.iter().find_map(|one| match &one.finding {
        Finding::Attrition(one) => Some(one),
        _ => None,
    })
}

/// The first of the Cox models, whatever came of it.
fn main_cox<'a>(found: &'a [Found<'_>]) -> Option<&'a Finding> {
    found
        .iter()
        .find(|one| matches!(one.analysis.kind, Kind::Cox { .. }))
        .map(|one| &one.finding)
}

/// The summary as HTML.
pub(super) fn summary(spec: &Spec, found: &[Found<'_>]) -> String {
    let mut html = format!("<p class=\"question\">{}</p>", escape(&spec.question));
    if let Some(population) = &spec.population {
        html.push_str(&format!(
            "<p><strong>Population.</strong> {}.{}</p>",
            escape(population.trim_end_matches('.')),
            persons(found)
        ));
    } else if let Some(persons) = Some(persons(found)).filter(|text| !text.is_empty()) {
        html.push_str(&format!("<p><strong>Population.</strong>{persons}</p>"));
    }
    if let Some(Finding::Cox(cox)) = main_cox(found) {
        html.push_str(&result(spec, cox, absolute(found, &cox.outcome)));
    } else if let Some(Finding::NotEstimable(one)) = main_cox(found) {
        html.push_str(&unknown(one));
    } else if let Some(rates) = found.iter().find_map(|one| match &one.finding {
        Finding::Incidence(one) => Some(one),
        _ => None,
    }) {
        html.push_str(&rate(rates));
    }
    let trust = trust(found);
    if !trust.is_empty() {
        html.push_str(&format!(
            "<p><strong>How far to trust it.</strong> {}</p>",
            escape(&trust.join(" "))
        ));
    }
    let limits: Vec<&str> = spec.limitations.iter().map(String::as_str).collect();
    if !limits.is_empty() {
        let list: String = limits
            .iter()
            .map(|one| format!("<li>{}</li>", escape(one)))
            .collect();
        html.push_str(&format!(
            "<p><strong>Limitations.</strong></p><ul>{list}</ul>"
        ));
    }
    html
}

fn persons(found: &[Found<'_>]) -> String {
    let Some(attrition) = attrition(found) else {
        return String::new();
    };
    let Some(last) = attrition.steps.last() else {
        return String::new();
    };
    let groups: Vec<String> = attrition
        .groups
        .iter()
        .zip(&last.left)
        .map(|(group, left)| format!("{} {}", escape(group), whole(*left)))
        .collect();
    format!(" Persons analysed: {}.", groups.join(", "))
}

/// The main result on the scale that patients ask about: how many have the outcome by the last day that was asked for.
fn absolute(found: &[Found<'_>], outcome: &str) -> Option<String> {
    let one: &KaplanMeier = found.iter().find_map(|one| match &one.finding {
        Finding::KaplanMeier(one) if one.outcome == outcome => Some(one),
        _ => None,
    })?;
    let (curves, differences, how) = if one.adjusted.is_empty() {
        (&one.curves, &one.differences, "unadjusted")
    } else {
        (&one.adjusted, &one.adjusted_differences, "adjusted")
    };
    let apart = differences.last()?;
    let risks: Vec<String> = curves
        .iter()
        .filter_map(|curve| {
            let mark = curve.landmarks.iter().find(|mark| mark.day == apart.day)?;
            let risk = 1.0 - mark.estimate.value.get();
            Some(format!("{}% with {}", fixed(risk * 100.0, 1), curve.group))
        })
        .collect();
    Some(format!(
        "Risk within {} (Kaplan-Meier, {how}): {}; difference {}.",
        days(apart.day),
        risks.join(", "),
        percent_interval(apart.estimate.negated())
    ))
}

fn result(spec: &Spec, cox: &Cox, absolute: Option<String>) -> String {
    let Some(main) = cox.models.iter().find(|model| model.model == cox.main) else {
        return String::new();
    };
    let (target, comparator) = (
        cox.groups.first().map_or("target", String::as_str),
        cox.groups.get(1).map_or("comparator", String::as_str),
    );
    let outcome = lower(&cox.outcome);
    let (low, high) = (main.ratio.lower.get(), main.ratio.upper.get());
    let words = if main.ratio.value.finite().is_none() {
        format!("There is no finite estimate of the hazard ratio of {outcome}.")
    } else if high < 1.0 {
        format!("{target} was associated with a lower hazard of {outcome} than {comparator}.")
    } else if low > 1.0 {
        format!("{target} was associated with a higher hazard of {outcome} than {comparator}.")
    } else {
        format!(
            "The data do not show a difference in the hazard of {outcome} between {target} and {comparator}; the interval says which differences they leave possible."
        )
    };
    let mut html = format!(
        "<div class=\"key\"><p class=\"big\">Hazard ratio {} <span class=\"soft\">({}% interval)</span></p><p>{} {}</p><p>Adjustment: {}.</p>",
        escape(
            &ratio_interval(main.ratio)
                .replace(" (", ", ")
                .replace(')', "")
        ),
        fixed(spec.confidence * 100.0, 0),
        escape(&words),
        escape(&format!("({})", p_words(main.p_value))),
        escape(&main.label)
    );
    if let Some(crude) = cox
        .models
        .iter()
        .find(|model| model.model == Model::Crude && cox.main != Model::Crude)
    {
        html.push_str(&format!(
            "<p class=\"soft\">Without adjustment the hazard ratio is {}.</p>",
            escape(&ratio_interval(crude.ratio))
        ));
    }
    if let Some(absolute) = absolute {
        html.push_str(&format!("<p>{}</p>", escape(&absolute)));
    }
    let counts: Vec<String> = cox
        .groups
        .iter()
        .zip(&cox.counts)
        .map(|(group, (persons, events, days))| {
            let years = years(*days);
            format!(
                "{}: {} events in {} persons, {years} person-years",
                escape(group),
                whole(*events),
                whole(*persons)
            )
        })
        .collect();
    html.push_str(&format!(
        "<p class=\"soft\">{}.</p></div>",
        counts.join(". ")
    ));
    html
}

fn unknown(one: &NotEstimable) -> String {
    let counts: Vec<String> = one
        .counts
        .iter()
        .map(|(group, persons, events)| {
            format!(
                "{}: {} events in {} persons",
                escape(group),
                whole(*events),
                whole(*persons)
            )
        })
        .collect();
    format!(
        "<div class=\"key\"><p class=\"big\">No hazard ratio of {}</p><p>These data do not allow one: {}.</p><p class=\"soft\">{}.</p></div>",
        escape(&lower(one.outcome.as_deref().unwrap_or("the outcome"))),
        escape(&one.reason),
        counts.join(". ")
    )
}

fn rate(one: &Incidence) -> String {
    let arms: Vec<String> = one
        .arms
        .iter()
        .map(|arm| {
            format!(
                "{}: {} per 1,000 person-years",
                escape(&arm.group),
                escape(&super::number::interval(arm.rate, 2))
            )
        })
        .collect();
    format!(
        "<div class=\"key\"><p class=\"big\">Incidence of {}</p><p>{}.</p></div>",
        escape(&lower(&one.outcome)),
        arms.join("; ")
    )
}

fn trust(found: &[Found<'_>]) -> Vec<String> {
    let mut words = Vec::new();
    for one in found {
        match &one.finding {
            Finding::Propensity(Propensity { balance, unbalanced, largest, .. }) => words.push(format!(
                "After adjustment {} of {} covariates differ by more than 0.1 standard deviations (before: {}); the largest difference is {}.",
                unbalanced.1,
                whole(crate::steps::count(balance.len())),
                unbalanced.0,
                fixed(largest.1.get(), 2)
            )),
            Finding::Controls(Controls { controls, .. }) => {
                let covered = controls.iter().filter(|one| one.ratio.covers(1.0)).count();
                words.push(format!("The intervals of {covered} of {} negative controls cover 1.", controls.len()));
            }
            Finding::Cox(cox) => {
                if let Some(main) = cox.models.iter().find(|model| model.model == cox.main) {
                    let fits = if main.ph_p_value.get() < 0.05 { "speaks against" } else { "does not speak against" };
                    if main.ph_p_value.finite().is_some() {
                        words.push(format!("The test of proportional hazards {fits} the model ({}).", p_words(main.ph_p_value)));
                    }
                }
            }
            _ => {}
        }
    }
    words
}
