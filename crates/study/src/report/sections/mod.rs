//! One part of the page for each analysis, and what stands at its end.

mod closing;
mod comparison;
mod population;
mod rates;
mod survival;

pub(super) use closing::{limitations, provenance};

use comparison::{controls, cox, grid, logistic, subgroups};
use population::{attrition, propensity, table_one};
use rates::{incidence, rates, readmission};
use survival::{competing, kaplan_meier};

use super::html::{Table, escape};
use super::number::{days, whole};
use super::{Found, Section};
use crate::findings::{Finding, NotEstimable, Sql};
use crate::spec::{Spec, plain};

/// The heading of an analysis.
pub(super) fn heading(found: &Found<'_>) -> String {
    if let Some(title) = &found.analysis.title {
        return title.clone();
    }
    match &found.finding {
        Finding::NotEstimable(one) => {
            let kind = plain(found.analysis.kind.name());
            match &one.outcome {
                Some(outcome) => format!("{kind}: {}", lower(outcome)),
                None => kind,
            }
        }
        Finding::Attrition(_) => "Who is in the study".to_owned(),
        Finding::TableOne(_) => "Characteristics at the index date".to_owned(),
        Finding::Propensity(_) => "Propensity score and balance".to_owned(),
        Finding::KaplanMeier(one) => format!("Time to {}", lower(&one.outcome)),
        Finding::Cox(one) => format!("Hazard ratios: {}", lower(&one.outcome)),
        Finding::Competing(one) => format!("Cumulative incidence: {}", lower(&one.outcome)),
        Finding::Incidence(one) => format!("Incidence: {}", lower(&one.outcome)),
        Finding::Rates(one) => format!("Rates in the population: {}", lower(&one.event)),
        Finding::Logistic(one) => format!(
            "Odds of {} within {}",
            lower(&one.outcome),
            days(one.within)
        ),
        Finding::Readmission(one) => format!("Readmission within {}", days(one.days)),
        Finding::Controls(_) => "Negative controls".to_owned(),
        Finding::Subgroups(_) => "Subgroups".to_owned(),
        Finding::Grid(_) => "Sensitivity analyses".to_owned(),
        Finding::Sql(_) => "Query".to_owned(),
    }
}

/// A label inside a sentence; abbreviations keep their capitals.
pub(crate) fn lower(label: &str) -> String {
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!(
                "{}{}",
                first.to_lowercase(),
                label.chars().skip(1).collect::<String>()
            )
        }
        _ => label.to_owned(),
    }
}

/// The part of one analysis.
pub(super) fn section(spec: &Spec, found: &Found<'_>) -> Section {
    let id = &found.analysis.id;
    let mut part = Section::new(id, &heading(found));
    match &found.finding {
        Finding::Attrition(one) => attrition(&mut part, id, one),
        Finding::TableOne(one) => table_one(&mut part, one),
        Finding::Propensity(one) => propensity(&mut part, id, one),
        Finding::KaplanMeier(one) => kaplan_meier(&mut part, id, spec, one),
        Finding::Cox(one) => cox(&mut part, id, one),
        Finding::Competing(one) => competing(&mut part, id, one),
        Finding::Incidence(one) => incidence(&mut part, one),
        Finding::Rates(one) => rates(&mut part, id, one),
        Finding::Logistic(one) => logistic(&mut part, one),
        Finding::Readmission(one) => readmission(&mut part, one),
        Finding::Controls(one) => controls(&mut part, id, one),
        Finding::Subgroups(one) => subgroups(&mut part, id, one),
        Finding::Grid(one) => grid(&mut part, id, one),
        Finding::Sql(one) => sql(&mut part, one),
        Finding::NotEstimable(one) => not_estimable(&mut part, one),
    }
    part
}

fn not_estimable(part: &mut Section, one: &NotEstimable) {
    part.note(&format!(
        "These data do not allow this analysis: {}.",
        one.reason
    ));
    let mut table = Table::new(
        "Events",
        &[("Group", false), ("Persons", true), ("Events", true)],
    );
    for (group, persons, events) in &one.counts {
        table.row(vec![group.clone(), whole(*persons), whole(*events)]);
    }
    part.table(&table);
}

fn sql(part: &mut Section, one: &Sql) {
    let heads: Vec<(&str, bool)> = one
        .columns
        .iter()
        .map(String::as_str)
        .zip(one.numeric.iter().copied())
        .collect();
    let mut table = Table::new("Answer", &heads);
    one.rows.iter().for_each(|row| table.row(row.clone()));
    part.table(&table);
    if one.total > crate::steps::count(one.rows.len()) {
        part.p(&format!(
            "The first {} of {} rows; the table's file has all.",
            one.rows.len(),
            whole(one.total)
        ));
    }
    part.html.push_str(&format!(
        "<details><summary>The query</summary><pre>{}</pre></details>",
        escape(&one.query)
    ));
}
