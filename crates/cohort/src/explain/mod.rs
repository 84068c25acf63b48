//! A definition in plain words that a clinician can check.

mod words;

use std::collections::HashMap;
use std::fmt::Write as _;

use words::Words;

use crate::definition::{ConceptSet, Criteria, DateField, Definition, EndStrategy, Group, Limit};

/// Says what a definition means.
#[must_use]
pub fn explain(definition: &Definition) -> String {
    let words = Words {
        sets: definition
            .concept_sets
            .iter()
            .map(|set| (set.id, set.name.as_str()))
            .collect::<HashMap<_, _>>(),
    };
    let mut text = Text::default();
    text.line(
        0,
        &format!("{} (cohort {})", definition.name, definition.id),
    );
    text.gap();
    entry(definition, &words, &mut text);
    for (at, rule) in definition.rules.iter().enumerate() {
        if at == 0 {
            text.gap();
            text.line(0, "Inclusion rules: an entry event must meet all of them");
        }
        let name = if rule.name.is_empty() {
            "no name"
        } else {
            &rule.name
        };
        text.line(1, &format!("{}. {name}", at + 1));
        group(&rule.group, 2, &words, &mut text);
    }
    if definition.expression_limit != Limit::All {
        let which = which(definition.expression_limit);
        text.line(
            0,
            &format!("Of the events that remain, a person's {which} is kept."),
        );
    }
    text.gap();
    exit(definition, &words, &mut text);
    sets(&definition.concept_sets, &mut text);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:width$}{line}", "", width = depth * 2);
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}

fn which(limit: Limit) -> &'static str {
    match limit {
        Limit::All => "every event",
        Limit::First => "earliest event",
        Limit::Last => "latest event",
    }
}

fn entry(definition: &Definition, words: &Words<'_>, text: &mut Text) {
    let primary = &definition.primary;
    text.line(0, "Persons enter the cohort with any of these events:");
    for criteria in &primary.criteria {
        event(criteria, 1, words, text);
    }
    let observed = match (primary.prior_days, primary.post_days) {
        (0, 0) => "The event must lie in an observation period.".to_owned(),
        (prior, post) => format!(
            "The person must be observed for at least {prior} days before the event and {post} days after it."
        ),
    };
    text.line(0, &observed);
    if primary.limit != Limit::All {
        text.line(
            0,
            &format!("Of these, a person's {} is kept.", which(primary.limit)),
        );
    }
    let additional = definition.additional.as_ref();
    if let Some(additional) = additional.filter(|group| !group.is_empty()) {
        text.gap();
        text.line(0, "Each entry event must also have:");
        group(additional, 1, words, text);
    }
    if additional.is_some() && definition.qualified_limit != Limit::All {
        let which = which(definition.qualified_limit);
        text.line(
            0,
            &format!("Of the events that qualify, a person's {which} is kept."),
        );
    }
}

/// An event of some criteria, with all that is asked of it.
fn event(criteria: &Criteria, depth: usize, words: &Words<'_>, text: &mut Text) {
    text.line(depth, &format!("- {}", words.event(criteria)));
    details(criteria, depth + 1, words, text);
}

fn details(criteria: &Criteria, depth: usize, words: &Words<'_>, text: &mut Text) {
    for line in words.details(criteria) {
        text.line(depth, &line);
    }
    if let Some(inner) = &criteria.correlated {
        text.line(depth, "around which there must be:");
        group(inner, depth + 1, words, text);
    }
}

fn group(group: &Group, depth: usize, words: &Words<'_>, text: &mut Text) {
    if group.is_empty() {
        text.line(depth, "nothing: every event meets this");
        return;
    }
    text.line(depth, words.kind(group));
    if let Some(line) = words.number(group) {
        text.line(depth, &line);
    }
    for correlated in &group.criteria {
        for (at, line) in words.correlated(correlated).into_iter().enumerate() {
            let mark = if at == 0 { "- " } else { "  " };
            text.line(depth + 1, &format!("{mark}{line}"));
        }
        details(&correlated.criteria, depth + 2, words, text);
    }
    for demographic in &group.demographics {
        text.line(depth + 1, "- the person, at the index event:");
        for filter in &demographic.filters {
            text.line(depth + 2, &words.filter(filter));
        }
    }
    for inner in &group.groups {
        text.line(depth + 1, "- a group:");
        self::group(inner, depth + 2, words, text);
    }
}

fn exit(definition: &Definition, words: &Words<'_>, text: &mut Text) {
    match definition.end {
        EndStrategy::ObservationEnd => {
            text.line(0, "Membership ends with the observation period.");
        }
        EndStrategy::DateOffset { field, offset } => {
            let from = match field {
                DateField::Start => "starts",
                DateField::End => "ends",
            };
            text.line(
                0,
                &format!(
                    "Membership ends {offset} days after the entry event {from}, or with the observation period."
                ),
            );
        }
        EndStrategy::CustomEra {
            codeset,
            gap_days,
            offset,
            days_supply,
        } => {
            let lasts = days_supply.map_or(String::new(), |days| {
                format!(", each taken to last {days} days whatever its record says")
            });
            text.line(
                0,
                &format!(
                    "Membership ends with continuous exposure to {}{lasts}: exposures at most {gap_days} days apart \
                     are one, and {offset} days are added to its end. Without one on the entry date it ends with \
                     the observation period.",
                    words.set(codeset)
                ),
            );
        }
    }
    if !definition.censoring.is_empty() {
        text.line(0, "It ends early with any of these events:");
        for criteria in &definition.censoring {
            event(criteria, 1, words, text);
        }
    }
    text.line(
        0,
        &format!(
            "A person's periods of membership at most {} days apart become one.",
            definition.era_pad
        ),
    );
    let window = definition.censor_window;
    if let Some(start) = window.start {
        text.line(
            0,
            &format!("Nobody is a member before {}.", words::iso(start)),
        );
    }
    if let Some(end) = window.end {
        text.line(0, &format!("Nobody is a member after {}.", words::iso(end)));
    }
}

fn sets(sets: &[ConceptSet], text: &mut Text) {
    if sets.is_empty() {
        return;
    }
    text.gap();
    text.line(0, "Concept sets");
    for set in sets {
        text.line(1, &format!("{} \u{201c}{}\u{201d}", set.id, set.name));
        for item in &set.items {
            let mut line = if item.excluded { "without " } else { "" }.to_owned();
            let _ = write!(line, "{}", item.concept.id);
            if !item.concept.name.is_empty() {
                let _ = write!(line, " {}", item.concept.name);
            }
            if item.descendants {
                line.push_str(", and its descendants");
            }
            if item.mapped {
                line.push_str(", and what maps to it");
            }
            text.line(2, &line);
        }
    }
}
