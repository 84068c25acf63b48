//! What a cohort definition says, once it is read.

use std::sync::Arc;

use columna_model::Day;

use super::range::{DateRange, NumberRange, TextFilter};
use crate::domain::{Domain, Field, Operand};

/// A cohort definition.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The `cohort_definition_id` of its rows.
    pub id: i64,
    /// What it is called: its title, or the name of its file.
    pub name: String,
    /// Its concept sets.
    pub concept_sets: Vec<ConceptSet>,
    /// The events that persons may enter the cohort with.
    pub primary: Primary,
    /// What entry events must have beside; present and empty is not the same as absent for `qualified_limit`.
    pub additional: Option<Group>,
    /// Which of the events that qualify are kept.
    pub qualified_limit: Limit,
    /// Inclusion rules, in order.
    pub rules: Vec<Rule>,
    /// Which of the events that meet all rules are kept.
    pub expression_limit: Limit,
    /// How membership ends.
    pub end: EndStrategy,
    /// Events that end membership.
    pub censoring: Vec<Criteria>,
    /// Days between two periods of membership that become one.
    pub era_pad: i32,
    /// Days outside of which nobody is a member.
    pub censor_window: Period,
}

/// A concept set as written.
#[derive(Debug, Clone)]
pub struct ConceptSet {
    /// Its number within the definition.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// What it includes and excludes.
    pub items: Vec<ConceptItem>,
}

/// One line of a concept set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConceptItem {
    /// The concept.
    pub concept: NamedConcept,
    /// Taken away instead of added.
    pub excluded: bool,
    /// With all descendants.
    pub descendants: bool,
    /// With what maps to it.
    pub mapped: bool,
}

/// A concept with the name that the definition gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedConcept {
    /// The concept.
    pub id: i64,
    /// Its name; empty where the definition has none.
    pub name: Arc<str>,
}

/// The entry events.
#[derive(Debug, Clone)]
pub struct Primary {
    /// Any of these.
    pub criteria: Vec<Criteria>,
    /// Days of observation that must lie before the event.
    pub prior_days: i32,
    /// Days of observation that must lie after it.
    pub post_days: i32,
    /// Which of them are kept.
    pub limit: Limit,
}

/// Which of a person's events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// All of them.
    All,
    /// The earliest.
    First,
    /// The latest.
    Last,
}

/// An inclusion rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is called.
    pub name: String,
    /// What it asks for.
    pub group: Group,
}

/// Events of one domain with what is asked of them.
#[derive(Debug, Clone)]
pub struct Criteria {
    /// The domain.
    pub domain: Domain,
    /// The concept set of the standard concept; none means any concept.
    pub codeset: Option<i32>,
    /// The concept set of the source concept.
    pub source_codeset: Option<i32>,
    /// Only a person's first event of these concepts.
    pub first: bool,
    /// What else is asked, all of it.
    pub filters: Vec<Filter>,
    /// Other dates than the event's own.
    pub adjust: Option<DateAdjustment>,
    /// Dates that stand in for a period's own.
    pub user_period: Period,
    /// What must be around the event; never empty.
    pub correlated: Option<Group>,
    /// Where it stands.
    pub path: String,
}

/// One thing that is asked of an event.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The attribute's name, as the definition has it.
    pub attribute: &'static str,
    /// What is asked.
    pub test: Test,
}

/// What is asked of an event's attribute.
#[derive(Debug, Clone)]
pub enum Test {
    /// One of these concepts, or none of them.
    Concepts {
        /// Where the concept is.
        field: Field,
        /// The concepts.
        concepts: Vec<NamedConcept>,
        /// None of them instead.
        exclude: bool,
    },
    /// A concept of this set, or none of it.
    ConceptSet {
        /// Where the concept is.
        field: Field,
        /// The set.
        codeset: i32,
        /// None of it instead.
        exclude: bool,
    },
    /// A number in a range.
    Number {
        /// The number.
        operand: Operand,
        /// The range.
        range: NumberRange,
    },
    /// The start date in a range.
    Start(DateRange),
    /// The end date in a range.
    End(DateRange),
    /// A text.
    Text {
        /// The column.
        column: &'static str,
        /// What the text is like.
        filter: TextFilter,
    },
    /// A value outside of its own range, or called abnormal.
    Abnormal,
}

/// Dates that an event gets instead of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateAdjustment {
    /// Which date the new start is counted from.
    pub start_with: DateField,
    /// Days added to it.
    pub start_offset: i32,
    /// Which date the new end is counted from.
    pub end_with: DateField,
    /// Days added to it.
    pub end_offset: i32,
}

/// One of an event's two dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateField {
    /// Its start.
    Start,
    /// Its end.
    End,
}

/// Two days, either of which may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Period {
    /// The first day.
    pub start: Option<Day>,
    /// The last day.
    pub end: Option<Day>,
}

impl Period {
    /// Whether neither day is given.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.start.is_none() && self.end.is_none()
    }
}

/// Criteria that are counted together.
#[derive(Debug, Clone)]
pub struct Group {
    /// How many of them must hold.
    pub kind: GroupKind,
    /// Events around the index event.
    pub criteria: Vec<Correlated>,
    /// What is asked of the person.
    pub demographics: Vec<Demographic>,
    /// Groups within.
    pub groups: Vec<Group>,
}

impl Group {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.criteria.is_empty() && self.demographics.is_empty() && self.groups.is_empty()
    }

    /// How many things are counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.criteria.len() + self.demographics.len() + self.groups.len()
    }
}

/// How many criteria of a group must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// All of them.
    All,
    /// At least one.
    Any,
    /// At least so many.
    AtLeast(i32),
    /// At most so many.
    AtMost(i32),
}

/// Events around an index event, counted.
#[derive(Debug, Clone)]
pub struct Correlated {
    /// Which events.
    pub criteria: Criteria,
    /// When they must be.
    pub start_window: Window,
    /// When they must be, also.
    pub end_window: Option<Window>,
    /// Only events of the index event's visit.
    pub restrict_visit: bool,
    /// Also events outside of the index event's observation period.
    pub ignore_observation_period: bool,
    /// How many.
    pub occurrence: Occurrence,
}

/// A window around an index event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its first day.
    pub from: Endpoint,
    /// Its last day.
    pub to: Endpoint,
    /// Counted from the index event's end instead of its start.
    pub use_index_end: bool,
    /// The event's end must be in it instead of its start.
    pub use_event_end: bool,
}

/// One side of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// So many days after the index date; before it where negative.
    Days(i32),
    /// The start of the index event's observation period.
    AllBefore,
    /// The end of it.
    AllAfter,
}

/// How many events there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Occurrence {
    /// Exactly, at most or at least.
    pub kind: OccurrenceKind,
    /// So many.
    pub count: i64,
    /// What is counted: events, or distinct values of a column.
    pub distinct: Option<CountColumn>,
}

/// How a count is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OccurrenceKind {
    /// Exactly.
    Exactly,
    /// At most.
    AtMost,
    /// At least.
    AtLeast,
}

/// A column of which distinct values are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CountColumn {
    /// The start date.
    Start,
    /// The end date.
    End,
    /// The visit.
    Visit,
    /// Days from start to end.
    Duration,
    /// Always one value: domains whose events are points in time.
    One,
    /// A column of the domain's table.
    Column(&'static str),
    /// A concept that may be missing, which then counts as concept 0.
    ConceptOrZero(&'static str),
}

/// What is asked of the person at the index event.
#[derive(Debug, Clone)]
pub struct Demographic {
    /// All of these.
    pub filters: Vec<Filter>,
    /// Where it stands.
    pub path: String,
}

/// How membership ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndStrategy {
    /// With the observation period.
    ObservationEnd,
    /// Some days after the event's start or end.
    DateOffset {
        /// Which date is counted from.
        field: DateField,
        /// Days added to it.
        offset: i32,
    },
    /// With the exposure to drugs.
    CustomEra {
        /// The drugs.
        codeset: i32,
        /// Days between two exposures that become one.
        gap_days: i32,
        /// Days added to the last exposure's end.
        offset: i32,
        /// Days that every exposure lasts, whatever its record says.
        days_supply: Option<i32>,
    },
}
