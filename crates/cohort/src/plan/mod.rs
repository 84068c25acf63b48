//! What to compute for a set of definitions, with everything that they share standing once.

mod compile;
mod concepts;
mod intern;
mod lookups;
mod tables;

use std::collections::HashMap;

use columna_model::Day;
use roaring::RoaringTreemap;

pub use compile::compile;
pub(crate) use concepts::key;
pub(crate) use tables::{ColumnKind, TablePlan, has};

use crate::definition::{
    DateAdjustment, DateField, DateRange, Endpoint, GroupKind, Limit, OccurrenceKind, Operator,
    Period, TextFilter,
};
use crate::domain::Domain;

/// A place in one of the plan's lists.
pub(crate) type At = usize;

/// What a set of definitions asks of a store.
#[derive(Debug)]
pub struct Plan {
    /// Concept sets, each content once.
    pub(crate) sets: Vec<RoaringTreemap>,
    /// For every domain, what is read of its table; none where nothing is.
    pub(crate) tables: Vec<Option<TablePlan>>,
    /// Records of one table by concept: what a criteria's records are chosen from.
    pub(crate) leaves: Vec<Leaf>,
    /// Criteria, each once however many definitions have it.
    pub(crate) queries: Vec<Query>,
    /// Groups of criteria, each once.
    pub(crate) groups: Vec<GroupPlan>,
    /// The definitions, in the order they were given.
    pub(crate) cohorts: Vec<CohortPlan>,
    /// For every leaf, the definitions that persons may enter through it.
    pub(crate) entered_by: Vec<Vec<u32>>,
    /// Whether the kinds of all visits are looked up.
    pub(crate) visits: bool,
    /// The specialty of every provider, where one is asked for.
    pub(crate) specialties: HashMap<i64, i64>,
    /// The place of service of every care site, where one is asked for.
    pub(crate) places: HashMap<i64, i64>,
    /// What the user should know: tables that the store does not have, and the like.
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    /// What the user should know before the run: tables that the store does not have, and the like.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How many definitions there are.
    #[must_use]
    pub fn definitions(&self) -> usize {
        self.cohorts.len()
    }
}

/// Records of one table, by their concepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Leaf {
    pub(crate) domain: Domain,
    /// The set of the standard concept.
    pub(crate) concept: Option<At>,
    /// The set of the source concept.
    pub(crate) source: Option<At>,
}

/// Criteria: records, filtered, with dates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Query {
    pub(crate) leaf: At,
    pub(crate) first: bool,
    pub(crate) tests: Vec<PlanTest>,
    pub(crate) adjust: Option<DateAdjustment>,
    pub(crate) period: Period,
    pub(crate) group: Option<At>,
}

/// A test with its columns and sets resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PlanTest {
    Concept {
        field: PlanField,
        set: At,
        exclude: bool,
    },
    Number {
        operand: PlanOperand,
        operator: Operator,
        value: Bits,
        extent: Bits,
    },
    Start(DateRange),
    End(DateRange),
    Text {
        column: At,
        filter: TextFilter,
    },
    Abnormal {
        value: At,
        low: At,
        high: At,
        concept: At,
    },
}

/// A number by its bits, so that equal plans are found equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bits(u64);

impl Bits {
    pub(crate) fn of(number: f64) -> Self {
        Self(number.to_bits())
    }

    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PlanField {
    Column(At),
    Gender,
    Race,
    Ethnicity,
    /// Of the provider in this column.
    Specialty(At),
    Visit,
    /// Of the care site in this column.
    Place(At),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PlanOperand {
    Column(At),
    Length,
    AgeAtStart,
    AgeAtEnd,
    Ratio { value: At, bound: At },
}

/// A group with its criteria resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupPlan {
    pub(crate) kind: GroupKind,
    pub(crate) criteria: Vec<CorrelatedPlan>,
    pub(crate) demographics: Vec<Vec<PlanTest>>,
    pub(crate) groups: Vec<At>,
}

impl GroupPlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.criteria.is_empty() && self.demographics.is_empty() && self.groups.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.criteria.len() + self.demographics.len() + self.groups.len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CorrelatedPlan {
    pub(crate) query: At,
    pub(crate) windows: Vec<WindowPlan>,
    pub(crate) restrict_visit: bool,
    pub(crate) within_period: bool,
    pub(crate) kind: OccurrenceKind,
    pub(crate) count: i64,
    pub(crate) distinct: Option<CountPlan>,
}

/// A window of which at least one side is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WindowPlan {
    pub(crate) from: Option<Endpoint>,
    pub(crate) to: Option<Endpoint>,
    pub(crate) index: DateField,
    pub(crate) event: DateField,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CountPlan {
    Start,
    End,
    Visit,
    Duration,
    One,
    Column { domain: Domain, column: At },
    ConceptOrZero { domain: Domain, column: At },
}

/// A definition with its criteria resolved.
#[derive(Debug, Clone)]
pub(crate) struct CohortPlan {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) primary: Vec<At>,
    pub(crate) prior_days: i32,
    pub(crate) post_days: i32,
    pub(crate) primary_limit: Limit,
    pub(crate) additional: Option<At>,
    /// `All` also where the definition has no additional criteria: Circe takes no limit then.
    pub(crate) qualified_limit: Limit,
    /// The order of qualified events, whether they are limited or not.
    pub(crate) rules: Vec<At>,
    pub(crate) rule_names: Vec<String>,
    pub(crate) expression_limit: Limit,
    pub(crate) end: EndPlan,
    pub(crate) censoring: Vec<At>,
    pub(crate) era_pad: i32,
    pub(crate) window_start: Option<Day>,
    pub(crate) window_end: Option<Day>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndPlan {
    ObservationEnd,
    DateOffset {
        field: DateField,
        offset: i32,
    },
    CustomEra {
        by_concept: At,
        by_source: At,
        gap_days: i32,
        offset: i32,
        days_supply: Option<i32>,
    },
}
