//! Reads groups of criteria with their windows and counts.

use super::criteria::{criteria, demographic};
use super::cursor::{Node, Notes, Object};
use super::model::{
    Correlated, CountColumn, Criteria, Endpoint, Group, GroupKind, Occurrence, OccurrenceKind,
    Window,
};

pub(crate) fn group(node: &Node<'_>, notes: &mut Notes) -> Option<Group> {
    let mut object = node.object(notes)?;
    let kind_node = object.get("Type");
    let count = object.integer("Count", notes);
    let list = object.list("CriteriaList", notes);
    let criteria: Vec<Option<Correlated>> = list.iter().map(|n| correlated(n, notes)).collect();
    let list = object.list("DemographicCriteriaList", notes);
    let demographics: Vec<_> = list.iter().map(|n| demographic(n, notes)).collect();
    let list = object.list("Groups", notes);
    let groups: Vec<_> = list.iter().map(|n| group(n, notes)).collect();
    object.refuse_unknown("a group", notes);
    let group = Group {
        kind: GroupKind::All,
        criteria: criteria.into_iter().flatten().collect(),
        demographics: demographics.into_iter().flatten().collect(),
        groups: groups.into_iter().flatten().collect(),
    };
    // An empty group holds whatever its type is, as in Circe.
    let kind = match kind_node {
        None if group.is_empty() => Some(GroupKind::All),
        None => {
            notes.invalid(&object.path, "`Type` is missing");
            None
        }
        Some(node) => kind(&node, count, &object, notes),
    };
    Some(Group {
        kind: kind.unwrap_or(GroupKind::All),
        ..group
    })
}

fn kind(
    node: &Node<'_>,
    count: Option<i32>,
    object: &Object<'_>,
    notes: &mut Notes,
) -> Option<GroupKind> {
    let name = node.text(notes)?.to_ascii_uppercase();
    match name.as_str() {
        "ALL" => return Some(GroupKind::All),
        "ANY" => return Some(GroupKind::Any),
        "AT_LEAST" | "AT_MOST" => {}
        _ => {
            notes.unsupported(
                &node.path,
                format!("`{name}` is no type of group; known are ALL, ANY, AT_LEAST and AT_MOST"),
            );
            return None;
        }
    }
    let Some(count) = count else {
        notes.invalid(
            &object.path,
            format!("`Count` is missing, which {name} needs"),
        );
        return None;
    };
    Some(if name == "AT_LEAST" {
        GroupKind::AtLeast(count)
    } else {
        GroupKind::AtMost(count)
    })
}

fn correlated(node: &Node<'_>, notes: &mut Notes) -> Option<Correlated> {
    let mut object = node.object(notes)?;
    let inner = object.need("Criteria", notes);
    let inner = inner.and_then(|n| criteria(&n, notes));
    let start = object.need("StartWindow", notes);
    let start = start.and_then(|n| window(&n, false, notes));
    let end = object.get("EndWindow").map(|n| window(&n, true, notes));
    let restrict_visit = object.flag("RestrictVisit", notes);
    let ignore_observation_period = object.flag("IgnoreObservationPeriod", notes);
    let counted = object.need("Occurrence", notes);
    object.refuse_unknown("correlated criteria", notes);
    let criteria = inner?;
    let occurrence = counted.and_then(|n| occurrence(&n, &criteria, notes));
    let end_window = match end {
        Some(end) => Some(end?),
        None => None,
    };
    Some(Correlated {
        criteria,
        start_window: start?,
        end_window,
        restrict_visit,
        ignore_observation_period,
        occurrence: occurrence?,
    })
}

/// A window; `UseEventEnd` has another default in the second window of criteria than in the first.
fn window(node: &Node<'_>, event_end: bool, notes: &mut Notes) -> Option<Window> {
    let mut object = node.object(notes)?;
    let start = object.need("Start", notes);
    let start = start.and_then(|n| endpoint(&n, notes));
    let end = object.need("End", notes);
    let end = end.and_then(|n| endpoint(&n, notes));
    let use_index_end = object.flag("UseIndexEnd", notes);
    let use_event_end = match object.get("UseEventEnd") {
        Some(node) => node.boolean(notes)?,
        None => event_end,
    };
    object.refuse_unknown("a window", notes);
    let (from, to) = (start?, end?);
    if let (Endpoint::Days(from), Endpoint::Days(to)) = (from, to)
        && from > to
    {
        notes.warn(&node.path, "the window is empty: it ends before it starts");
    }
    if from == Endpoint::AllAfter || to == Endpoint::AllBefore {
        notes.warn(
            &node.path,
            "the window starts at the observation period's end, or ends at its start",
        );
    }
    Some(Window {
        from,
        to,
        use_index_end,
        use_event_end,
    })
}

fn endpoint(node: &Node<'_>, notes: &mut Notes) -> Option<Endpoint> {
    let mut object = node.object(notes)?;
    let days = object.get("Days");
    // Zero where it is missing, as a Java int is.
    let coefficient = object.integer("Coeff", notes).unwrap_or(0);
    object.refuse_unknown("a window's endpoint", notes);
    match days {
        Some(node) => {
            let days = i64::from(node.small(notes)?) * i64::from(coefficient);
            match i32::try_from(days) {
                Ok(days) => Some(Endpoint::Days(days)),
                Err(_) => {
                    notes.invalid(&node.path, "so many days are beyond every calendar");
                    None
                }
            }
        }
        None if coefficient == -1 => Some(Endpoint::AllBefore),
        None => Some(Endpoint::AllAfter),
    }
}

fn occurrence(node: &Node<'_>, criteria: &Criteria, notes: &mut Notes) -> Option<Occurrence> {
    let mut object = node.object(notes)?;
    let kind = match object.integer("Type", notes).unwrap_or(0) {
        0 => Some(OccurrenceKind::Exactly),
        1 => Some(OccurrenceKind::AtMost),
        2 => Some(OccurrenceKind::AtLeast),
        other => {
            notes.unsupported(
                &object.path_of("Type"),
                format!(
                    "{other} is no type of count; known are 0 (exactly), 1 (at most), 2 (at least)"
                ),
            );
            None
        }
    };
    let count = object.integer("Count", notes).unwrap_or(0);
    let distinct = object.flag("IsDistinct", notes);
    let column = object.get("CountColumn");
    object.refuse_unknown("a count", notes);
    if count < 0 {
        notes.warn(&object.path, "no count is below zero");
    }
    let distinct = match (distinct, column) {
        (false, Some(node)) => {
            // Circe counts events then, whatever the column.
            node.text(notes)?;
            None
        }
        (false, None) => None,
        (true, None) => Some(count_column(
            "DOMAIN_CONCEPT",
            criteria,
            &object.path,
            notes,
        )?),
        (true, Some(node)) => {
            let name = node.text(notes)?;
            Some(count_column(name, criteria, &node.path, notes)?)
        }
    };
    Some(Occurrence {
        kind: kind?,
        count: i64::from(count),
        distinct,
    })
}

fn count_column(
    name: &str,
    criteria: &Criteria,
    path: &str,
    notes: &mut Notes,
) -> Option<CountColumn> {
    let def = criteria.domain.def();
    let column = match name {
        "START_DATE" => Some(CountColumn::Start),
        "END_DATE" => Some(CountColumn::End),
        _ => {
            let known = def.counts.iter().find(|(known, _)| *known == name);
            known.map(|(_, column)| *column)
        }
    };
    if column.is_none() {
        notes.unsupported(
            path,
            format!(
                "distinct values of `{name}` cannot be counted in {}",
                def.name
            ),
        );
    }
    column
}
