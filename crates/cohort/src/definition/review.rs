//! What is suspicious in a definition that can run.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Notes;
use super::model::{
    Criteria, Definition, EndStrategy, Endpoint, Group, GroupKind, OccurrenceKind, Test,
};
use crate::domain::Domain;

/// Warns of what is rarely meant.
pub(crate) fn review(definition: &Definition, notes: &mut Notes) {
    let mut used: BTreeMap<i32, String> = BTreeMap::new();
    let mut visit = |codeset: i32, path: String| {
        used.entry(codeset).or_insert(path);
    };
    for criteria in &definition.primary.criteria {
        of_criteria(criteria, &mut visit, notes);
    }
    if let Some(group) = &definition.additional {
        of_group(group, "$.AdditionalCriteria", &mut visit, notes);
    }
    for (at, rule) in definition.rules.iter().enumerate() {
        let path = format!("$.InclusionRules[{at}].expression");
        if rule.group.is_empty() {
            notes.warn(&path, "the rule asks nothing: every event meets it");
        }
        of_group(&rule.group, &path, &mut visit, notes);
    }
    for criteria in &definition.censoring {
        of_criteria(criteria, &mut visit, notes);
    }
    if let EndStrategy::CustomEra { codeset, .. } = definition.end {
        visit(codeset, "$.EndStrategy.CustomEra.DrugCodesetId".to_owned());
    }
    let mut known = BTreeSet::new();
    for (at, set) in definition.concept_sets.iter().enumerate() {
        let path = format!("$.ConceptSets[{at}]");
        if !known.insert(set.id) {
            notes.unsupported(
                &path,
                format!(
                    "a second concept set has the id {}: Circe would count events of both twice; give it another id",
                    set.id
                ),
            );
        }
        if set.items.iter().all(|item| item.excluded) {
            notes.warn(&path, format!("concept set {} includes no concept", set.id));
        }
        if !used.contains_key(&set.id) {
            notes.warn(&path, format!("concept set {} is not used", set.id));
        }
    }
    for (codeset, path) in used {
        if !known.contains(&codeset) {
            notes.warn(
                &path,
                format!("there is no concept set {codeset}: no event is of it"),
            );
        }
    }
    let window = definition.censor_window;
    if let (Some(start), Some(end)) = (window.start, window.end)
        && end < start
    {
        notes.warn(
            "$.CensorWindow",
            "the window ends before it starts: nobody is a member",
        );
    }
    if definition.era_pad < 0 {
        notes.warn(
            "$.CollapseSettings.EraPad",
            "a negative gap joins no periods",
        );
    }
}

fn of_criteria(criteria: &Criteria, visit: &mut dyn FnMut(i32, String), notes: &mut Notes) {
    let path = &criteria.path;
    if let Some(codeset) = criteria.codeset {
        visit(codeset, format!("{path}.CodesetId"));
    }
    if let Some(codeset) = criteria.source_codeset {
        visit(codeset, path.clone());
    }
    for filter in &criteria.filters {
        if let Test::ConceptSet { codeset, .. } = filter.test {
            visit(codeset, format!("{path}.{}", filter.attribute));
        }
        match (criteria.domain, filter.attribute) {
            (Domain::DrugExposure, "OccurrenceEndDate") => notes.warn(
                &format!("{path}.OccurrenceEndDate"),
                "compared with the start date, as Circe's SQL does",
            ),
            (Domain::VisitDetail, "Age") => notes.warn(
                &format!("{path}.Age"),
                "taken at the visit detail's end, as Circe's SQL does",
            ),
            _ => {}
        }
    }
    if let Some(group) = &criteria.correlated {
        of_group(group, &format!("{path}.CorrelatedCriteria"), visit, notes);
    }
}

fn of_group(group: &Group, path: &str, visit: &mut dyn FnMut(i32, String), notes: &mut Notes) {
    let size = i64::try_from(group.len()).unwrap_or(i64::MAX);
    match group.kind {
        GroupKind::AtLeast(count) if i64::from(count) > size => {
            notes.warn(path, format!("at least {count} of {size} can never hold"))
        }
        GroupKind::AtMost(count) if i64::from(count) >= size && !group.is_empty() => {
            notes.warn(path, format!("at most {count} of {size} always holds"))
        }
        _ => {}
    }
    for (at, correlated) in group.criteria.iter().enumerate() {
        let at = format!("{path}.CriteriaList[{at}]");
        let occurrence = correlated.occurrence;
        if occurrence.kind == OccurrenceKind::AtLeast && occurrence.count <= 0 {
            notes.warn(
                &format!("{at}.Occurrence"),
                "at least 0 occurrences always holds",
            );
        }
        let window = correlated.start_window;
        let unbounded = matches!(
            (window.from, window.to),
            (Endpoint::AllBefore, Endpoint::AllAfter)
        );
        if correlated.criteria.domain == Domain::ObservationPeriod
            && !correlated.criteria.user_period.is_open()
            && correlated.ignore_observation_period
            && !unbounded
        {
            notes.warn(
                &at,
                "other observation periods than the index event's own are looked at as well",
            );
        }
        of_criteria(&correlated.criteria, visit, notes);
    }
    for demographic in &group.demographics {
        if demographic.filters.is_empty() {
            notes.warn(
                &demographic.path,
                "asks nothing but that the person is known",
            );
        }
        for filter in &demographic.filters {
            if let Test::ConceptSet { codeset, .. } = filter.test {
                visit(
                    codeset,
                    format!("{}.{}", demographic.path, filter.attribute),
                );
            }
        }
    }
    for (at, inner) in group.groups.iter().enumerate() {
        of_group(inner, &format!("{path}.Groups[{at}]"), visit, notes);
    }
}
