//! Reads a whole definition.

use serde_json::Value;

use super::concept_set::concept_set;
use super::criteria::{criteria, period};
use super::cursor::{Node, Notes, Object, kind};
use super::group::group;
use super::locate::{Place, locate};
use super::model::{DateField, Definition, EndStrategy, Limit, Period, Primary, Rule};
use super::problem::Problem;
use super::review::review;

/// More rules than this do not fit the mask that attrition is counted by, in Circe as here.
const MOST_RULES: usize = 62;

/// A definition with what is wrong or noteworthy in it.
#[derive(Debug, Clone)]
pub struct ParsedDefinition {
    /// What it says; none where it must not run.
    pub definition: Option<Definition>,
    /// What is wrong or noteworthy, in the order of the definition.
    pub problems: Vec<Problem>,
}

impl ParsedDefinition {
    /// Whether the definition must not run.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.definition.is_none()
    }
}

/// Reads a definition. `id` and `name` are taken where the text itself has none.
///
/// A cohort definition as ATLAS shows it is read, and one that its web interface wraps in `expression`.
#[must_use]
pub fn parse(text: &str, id: i64, name: &str) -> ParsedDefinition {
    let mut notes = Notes::default();
    let mut broken_at = None;
    let definition = match serde_json::from_str::<Value>(text) {
        Ok(value) => read(&value, id, name, &mut notes),
        Err(error) => {
            let what = error.to_string();
            // serde_json ends its message with the place, which the problem has of its own.
            let what = what.split(" at line ").next().unwrap_or(&what);
            notes.invalid("$", format!("not JSON: {what}"));
            broken_at = Some(Place {
                line: error.line(),
                column: error.column(),
            });
            None
        }
    };
    let is_refused = |notes: &Notes| notes.problems.iter().any(|p| p.severity.refuses());
    if let Some(definition) = definition.as_ref().filter(|_| !is_refused(&notes)) {
        review(definition, &mut notes);
    }
    let definition = definition.filter(|_| !is_refused(&notes));
    for problem in &mut notes.problems {
        problem.place = broken_at.unwrap_or_else(|| locate(text, &problem.path));
    }
    ParsedDefinition {
        definition,
        problems: notes.problems,
    }
}

fn read(value: &Value, id: i64, name: &str, notes: &mut Notes) -> Option<Definition> {
    let wrapped = value
        .get("expression")
        .filter(|_| value.get("PrimaryCriteria").is_none());
    let Some(inner) = wrapped else {
        return expression(&Node::root(value), id, name, notes);
    };
    let name = value.get("name").and_then(Value::as_str).unwrap_or(name);
    let id = value.get("id").and_then(Value::as_i64).unwrap_or(id);
    let path = "$.expression".to_owned();
    match inner {
        // The web interface has the expression as text within its JSON.
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(parsed) => {
                let node = Node {
                    value: &parsed,
                    path,
                };
                expression(&node, id, name, notes)
            }
            Err(error) => {
                notes.invalid(&path, format!("not JSON: column {}", error.column()));
                None
            }
        },
        value => expression(&Node { value, path }, id, name, notes),
    }
}

fn expression(node: &Node<'_>, id: i64, name: &str, notes: &mut Notes) -> Option<Definition> {
    let mut object = node.object(notes)?;
    let title = object.get("Title").and_then(|n| n.text(notes));
    object.get("cdmVersionRange");
    let list = object.list("ConceptSets", notes);
    let concept_sets = list.iter().map(|n| concept_set(n, notes)).collect();
    let primary = object.need("PrimaryCriteria", notes);
    let primary = primary.and_then(|n| primary_criteria(&n, notes));
    let additional = object.get("AdditionalCriteria").map(|n| group(&n, notes));
    let qualified_limit = limit(&mut object, "QualifiedLimit", true, notes);
    let list = object.list("InclusionRules", notes);
    let rules: Vec<Option<Rule>> = list.iter().map(|n| rule(n, notes)).collect();
    if rules.len() > MOST_RULES {
        let message = format!(
            "{} inclusion rules, and {MOST_RULES} is the most",
            rules.len()
        );
        notes.unsupported(&object.path_of("InclusionRules"), message);
    }
    let expression_limit = limit(&mut object, "ExpressionLimit", true, notes);
    let end = object.get("EndStrategy").map(|n| end_strategy(&n, notes));
    let list = object.list("CensoringCriteria", notes);
    let censoring: Vec<_> = list.iter().map(|n| criteria(n, notes)).collect();
    let era_pad = object.get("CollapseSettings").map(|n| collapse(&n, notes));
    let censor_window = object.get("CensorWindow").map(|n| period(&n, notes));
    unknown_keys(&object, notes);
    Some(Definition {
        id,
        name: title.filter(|t| !t.is_empty()).unwrap_or(name).to_owned(),
        concept_sets: all(concept_sets)?,
        primary: primary?,
        additional: match additional {
            Some(group) => Some(group?),
            None => None,
        },
        qualified_limit,
        rules: all(rules)?,
        expression_limit,
        end: match end {
            Some(end) => end?,
            None => EndStrategy::ObservationEnd,
        },
        censoring: all(censoring)?,
        era_pad: era_pad.flatten().unwrap_or(0),
        censor_window: censor_window.unwrap_or_else(Period::default),
    })
}

/// Warns of keys that are not Circe's, and refuses those that may have been meant as one of Circe's.
fn unknown_keys(object: &Object<'_>, notes: &mut Notes) {
    for (key, _) in object.unknown() {
        let path = object.path_of(key);
        // Circe's keys begin with a capital; what tools add around a definition (names, dates, authors) does not.
        let meant = object.asked().any(|known| known.eq_ignore_ascii_case(key));
        if meant || key.starts_with(|c: char| c.is_uppercase()) {
            notes.unsupported(
                &path,
                format!("`{key}` is no part of a definition that this engine knows"),
            );
        } else {
            notes.warn(&path, format!("`{key}` is unknown, and ignored"));
        }
    }
}

fn all<T>(list: Vec<Option<T>>) -> Option<Vec<T>> {
    list.into_iter().collect()
}

fn primary_criteria(node: &Node<'_>, notes: &mut Notes) -> Option<Primary> {
    let mut object = node.object(notes)?;
    let list = object.list("CriteriaList", notes);
    if list.is_empty() {
        notes.invalid(
            &object.path,
            "`CriteriaList` has no criteria: nobody could enter the cohort",
        );
    }
    let criteria: Vec<_> = list.iter().map(|n| criteria(n, notes)).collect();
    let window = object.need("ObservationWindow", notes);
    let window = window.and_then(|node| {
        let mut window = node.object(notes)?;
        let days = (
            window.integer("PriorDays", notes).unwrap_or(0),
            window.integer("PostDays", notes).unwrap_or(0),
        );
        window.refuse_unknown("an observation window", notes);
        Some(days)
    });
    let limit = limit(&mut object, "PrimaryCriteriaLimit", false, notes);
    object.refuse_unknown("primary criteria", notes);
    let (prior_days, post_days) = window?;
    Some(Primary {
        criteria: all(criteria)?,
        prior_days,
        post_days,
        limit,
    })
}

/// A limit; the first event where it is missing. An explicit null type keeps all events, where Circe allows it.
fn limit(object: &mut Object<'_>, key: &'static str, null: bool, notes: &mut Notes) -> Limit {
    let Some(node) = object.get(key) else {
        if object.is_null(key) {
            notes.invalid(
                &object.path_of(key),
                "an object with a `Type` is expected, not null",
            );
        }
        return Limit::First;
    };
    let Some(mut inner) = node.object(notes) else {
        return Limit::First;
    };
    let kind = inner.get("Type");
    let is_null = inner.is_null("Type");
    inner.refuse_unknown("a limit", notes);
    match kind {
        None if is_null && null => Limit::All,
        None if is_null => {
            notes.invalid(&inner.path, "`Type` is null; write All, First or Last");
            Limit::First
        }
        None => Limit::First,
        Some(node) => {
            let name = node.text(notes).unwrap_or("First");
            match name.to_ascii_lowercase().as_str() {
                "all" => Limit::All,
                "first" => Limit::First,
                "last" => Limit::Last,
                _ => {
                    notes.unsupported(
                        &node.path,
                        format!("`{name}` is no limit; known are All, First and Last"),
                    );
                    Limit::First
                }
            }
        }
    }
}

fn rule(node: &Node<'_>, notes: &mut Notes) -> Option<Rule> {
    let mut object = node.object(notes)?;
    let name = object.get("name").and_then(|n| n.text(notes)).unwrap_or("");
    object.get("description");
    let group = object
        .need("expression", notes)
        .and_then(|n| group(&n, notes));
    object.refuse_unknown("an inclusion rule", notes);
    Some(Rule {
        name: name.to_owned(),
        group: group?,
    })
}

fn end_strategy(node: &Node<'_>, notes: &mut Notes) -> Option<EndStrategy> {
    let outer = node.object(notes)?;
    let Some((name, value)) = outer.single() else {
        notes.invalid(
            &node.path,
            "an end strategy is wrapped in its name: {\"DateOffset\": {…}} or {\"CustomEra\": {…}}",
        );
        return None;
    };
    let inner = Node {
        value,
        path: format!("{}.{name}", node.path),
    };
    match name {
        "DateOffset" => {
            let mut object = inner.object(notes)?;
            let field = match object.get("DateField") {
                None => DateField::Start,
                Some(node) => match node.value.as_str() {
                    Some("StartDate") => DateField::Start,
                    Some("EndDate") => DateField::End,
                    _ => {
                        let what = kind(node.value);
                        notes.invalid(
                            &node.path,
                            format!("StartDate or EndDate is expected, not {what}"),
                        );
                        return None;
                    }
                },
            };
            let offset = object.integer("Offset", notes).unwrap_or(0);
            object.refuse_unknown("a date offset", notes);
            Some(EndStrategy::DateOffset { field, offset })
        }
        "CustomEra" => {
            let mut object = inner.object(notes)?;
            let codeset = object.need("DrugCodesetId", notes);
            let codeset = codeset.and_then(|n| n.small(notes));
            let strategy = EndStrategy::CustomEra {
                codeset: codeset?,
                gap_days: object.integer("GapDays", notes).unwrap_or(0),
                offset: object.integer("Offset", notes).unwrap_or(0),
                days_supply: object.integer("DaysSupplyOverride", notes),
            };
            object.refuse_unknown("a drug era strategy", notes);
            Some(strategy)
        }
        _ => {
            notes.unsupported(
                &inner.path,
                format!("`{name}` is no end strategy; known are DateOffset and CustomEra"),
            );
            None
        }
    }
}

fn collapse(node: &Node<'_>, notes: &mut Notes) -> Option<i32> {
    let mut object = node.object(notes)?;
    if let Some(node) = object.get("CollapseType")
        && node.value.as_str() != Some("ERA")
    {
        notes.unsupported(&node.path, "the only way to collapse periods is ERA");
    }
    let pad = object.integer("EraPad", notes).unwrap_or(0);
    object.refuse_unknown("collapse settings", notes);
    Some(pad)
}
