//! The words for criteria, windows, counts and attributes.

use std::collections::HashMap;

use columna_model::Day;

use crate::definition::{
    Correlated, CountColumn, Criteria, DateField, DateRange, Endpoint, Filter, Group, GroupKind,
    NumberRange, OccurrenceKind, Operator, Test, Window,
};

/// Words, with the names of the definition's concept sets.
pub(super) struct Words<'a> {
    pub(super) sets: HashMap<i32, &'a str>,
}

/// How many concepts of a list are named.
const NAMED: usize = 12;

impl Words<'_> {
    pub(super) fn set(&self, codeset: i32) -> String {
        match self.sets.get(&codeset) {
            Some(name) => format!("\u{201c}{name}\u{201d}"),
            None => format!("concept set {codeset}, which the definition does not have"),
        }
    }

    /// An event, such as: a first drug exposure of “Aspirin”.
    pub(super) fn event(&self, criteria: &Criteria) -> String {
        let article = if criteria.first { "a first" } else { "a" };
        format!("{article} {}", self.noun(criteria))
    }

    fn noun(&self, criteria: &Criteria) -> String {
        let mut noun = criteria.domain.def().noun.to_owned();
        if let Some(codeset) = criteria.codeset {
            noun.push_str(" of ");
            noun.push_str(&self.set(codeset));
        }
        if let Some(codeset) = criteria.source_codeset {
            noun.push_str(" with a source concept of ");
            noun.push_str(&self.set(codeset));
        }
        noun
    }

    /// What is asked of an event, one thing a line.
    pub(super) fn details(&self, criteria: &Criteria) -> Vec<String> {
        let mut lines: Vec<String> = criteria.filters.iter().map(|f| self.filter(f)).collect();
        if let Some(adjust) = criteria.adjust {
            let side = |field, days| match field {
                DateField::Start => format!("its start plus {days} days"),
                DateField::End => format!("its end plus {days} days"),
            };
            lines.push(format!(
                "dated from {} to {}",
                side(adjust.start_with, adjust.start_offset),
                side(adjust.end_with, adjust.end_offset)
            ));
        }
        if let Some(start) = criteria.user_period.start {
            lines.push(format!("that holds {}, from which it is dated", iso(start)));
        }
        if let Some(end) = criteria.user_period.end {
            lines.push(format!("that holds {}, to which it is dated", iso(end)));
        }
        lines
    }

    pub(super) fn filter(&self, filter: &Filter) -> String {
        let name = spaced(filter.attribute);
        match &filter.test {
            Test::Concepts {
                concepts, exclude, ..
            } => {
                let mut names: Vec<String> = concepts
                    .iter()
                    .take(NAMED)
                    .map(|c| {
                        if c.name.is_empty() {
                            c.id.to_string()
                        } else {
                            c.name.to_string()
                        }
                    })
                    .collect();
                if concepts.len() > NAMED {
                    names.push(format!("{} more", concepts.len() - NAMED));
                }
                let not = if *exclude { "none of" } else { "any of" };
                format!("{name}: {not} {}", names.join(", "))
            }
            Test::ConceptSet {
                codeset, exclude, ..
            } => {
                let not = if *exclude { "not of " } else { "of " };
                format!("{name}: {not}{}", self.set(*codeset))
            }
            Test::Number { range, .. } => format!("{name}: {}", number(range)),
            Test::Start(range) | Test::End(range) => format!("{name}: {}", days(range)),
            Test::Text { filter, .. } => {
                let not = if filter.negated { "not like" } else { "like" };
                format!("{name}: {not} `{}`", filter.pattern)
            }
            Test::Abnormal => "abnormal: outside of its range, or called abnormal".to_owned(),
        }
    }

    pub(super) fn kind(&self, group: &Group) -> &'static str {
        match group.kind {
            GroupKind::All => "all of these:",
            GroupKind::Any => "any of these:",
            GroupKind::AtLeast(_) | GroupKind::AtMost(_) => "some of these:",
        }
    }

    /// How many of a group, where that is a number.
    pub(super) fn number(&self, group: &Group) -> Option<String> {
        match group.kind {
            GroupKind::AtLeast(count) => Some(format!("(at least {count} of {})", group.len())),
            GroupKind::AtMost(count) => Some(format!("(at most {count} of {})", group.len())),
            GroupKind::All | GroupKind::Any => None,
        }
    }

    /// Events around an index event, with their count and windows.
    pub(super) fn correlated(&self, correlated: &Correlated) -> Vec<String> {
        let occurrence = correlated.occurrence;
        let count = occurrence.count;
        let how_many = match occurrence.kind {
            OccurrenceKind::Exactly if count == 0 => "no".to_owned(),
            OccurrenceKind::Exactly => format!("exactly {count}"),
            OccurrenceKind::AtMost => format!("at most {count}"),
            OccurrenceKind::AtLeast => format!("at least {count}"),
        };
        let distinct = occurrence.distinct.map_or(String::new(), |column| {
            format!(" different {} of", counted(column))
        });
        let first = if correlated.criteria.first {
            " first"
        } else {
            ""
        };
        let mut lines = vec![format!(
            "{how_many}{distinct}{first} {}",
            self.noun(&correlated.criteria)
        )];
        lines.push(window(correlated.start_window));
        lines.extend(correlated.end_window.map(window));
        if correlated.restrict_visit {
            lines.push("in the same visit as the index event".to_owned());
        }
        if correlated.ignore_observation_period {
            lines.push("also outside of the index event's observation period".to_owned());
        }
        lines
    }
}

fn counted(column: CountColumn) -> &'static str {
    match column {
        CountColumn::Start => "start dates",
        CountColumn::End => "end dates",
        CountColumn::Visit => "visits",
        CountColumn::Duration | CountColumn::One => "durations",
        CountColumn::ConceptOrZero(_) => "concepts",
        CountColumn::Column(name) if name.ends_with("_concept_id") => "concepts",
        CountColumn::Column(_) => "values",
    }
}

fn window(window: Window) -> String {
    let event = if window.use_event_end {
        "ending"
    } else {
        "starting"
    };
    let index = if window.use_index_end { "end" } else { "start" };
    let (from, to) = (window.from, window.to);
    if from == Endpoint::AllBefore && to == Endpoint::AllAfter {
        return format!("{event} at any time");
    }
    let side = |endpoint| match endpoint {
        Endpoint::AllBefore => "any time before".to_owned(),
        Endpoint::AllAfter => "any time after".to_owned(),
        Endpoint::Days(0) => "the day of".to_owned(),
        Endpoint::Days(days) if days < 0 => format!("{} days before", days.unsigned_abs()),
        Endpoint::Days(days) => format!("{days} days after"),
    };
    if from == to {
        return format!("{event} on {} the index event's {index}", side(from));
    }
    format!(
        "{event} between {} and {} the index event's {index}",
        side(from),
        side(to)
    )
}

fn number(range: &NumberRange) -> String {
    let (value, extent) = (range.value, range.extent);
    match range.operator {
        Operator::Less => format!("below {value}"),
        Operator::LessOrEqual => format!("at most {value}"),
        Operator::Equal => format!("{value}"),
        Operator::NotEqual => format!("not {value}"),
        Operator::Greater => format!("above {value}"),
        Operator::GreaterOrEqual => format!("at least {value}"),
        Operator::Between => format!("{value} to {extent}"),
        Operator::NotBetween => format!("below {value} or above {extent}"),
    }
}

fn days(range: &DateRange) -> String {
    let (value, extent) = (iso(range.value), iso(range.extent));
    match range.operator {
        Operator::Less => format!("before {value}"),
        Operator::LessOrEqual => format!("{value} or before"),
        Operator::Equal => value,
        Operator::NotEqual => format!("not {value}"),
        Operator::Greater => format!("after {value}"),
        Operator::GreaterOrEqual => format!("{value} or after"),
        Operator::Between => format!("{value} to {extent}"),
        Operator::NotBetween => format!("before {value} or after {extent}"),
    }
}

/// A day as 2020-01-31.
pub(super) fn iso(day: Day) -> String {
    let civil = day.civil();
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// `AgeAtStart` as `age at start`.
fn spaced(attribute: &str) -> String {
    let mut words = String::new();
    for (at, letter) in attribute.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
