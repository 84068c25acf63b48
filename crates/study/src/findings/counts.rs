//! Counts, rates and shares.

use serde::{Deserialize, Serialize};

use super::{Interval, Num};

/// Events and person-time of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The group.
    pub group: String,
    /// Persons.
    pub persons: u64,
    /// Persons left out because they had the outcome before.
    pub prior: u64,
    /// Persons without time at risk.
    pub no_time: u64,
    /// Events.
    pub events: u64,
    /// Competing events.
    pub competing: u64,
    /// Days at risk.
    pub person_days: u64,
    /// Per 1,000 person-years.
    pub rate: Interval,
}

/// Rates by group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incidence {
    /// The outcome.
    pub outcome: String,
    /// By group.
    pub arms: Vec<Arm>,
    /// Target over comparator, without adjustment.
    pub ratio: Option<Interval>,
    /// Its exact p-value.
    pub ratio_p: Option<Num>,
    /// Target less comparator, per 1,000 person-years.
    pub difference: Option<Interval>,
}

/// A cell of a table of rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateCell {
    /// Sex, if split by it.
    pub sex: Option<String>,
    /// Age band, if split by it.
    pub age: Option<String>,
    /// Calendar year, if split by it.
    pub year: Option<i64>,
    /// Events.
    pub events: u64,
    /// Days at risk.
    pub person_days: u64,
    /// The rate.
    pub rate: Interval,
}

/// A standardised rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// What it is of.
    pub label: String,
    /// The year, if it is of one.
    pub year: Option<i64>,
    /// Sex, if it is of one.
    pub sex: Option<String>,
    /// Events.
    pub events: u64,
    /// Days at risk.
    pub person_days: u64,
    /// Crude.
    pub crude: Interval,
    /// Standardised for age.
    pub standardized: Interval,
}

/// Rates in a population.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// The event.
    pub event: String,
    /// Who is at risk, in words.
    pub among: String,
    /// The person-years that rates are per.
    pub per: Num,
    /// Persons at risk.
    pub persons: u64,
    /// Persons left out because they had the event before.
    pub prior: u64,
    /// The standard population, in words.
    pub standard: String,
    /// Cells by sex and age, over all years.
    pub by_sex_age: Vec<RateCell>,
    /// Cells by all that is split by.
    pub cells: Vec<RateCell>,
    /// Crude and standardised: all, by sex, by year, by year and sex.
    pub rates: Vec<Rate>,
}

/// Stays of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadmissionGroup {
    /// The kind.
    pub label: String,
    /// Discharges that were followed long enough.
    pub discharges: u64,
    /// Persons behind them.
    pub persons: u64,
    /// Readmissions.
    pub readmissions: u64,
    /// Their share, its interval by persons.
    pub share: Interval,
}

/// Readmissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readmission {
    /// Within how many days.
    pub days: i64,
    /// Discharges left out because they were not followed long enough.
    pub not_followed: u64,
    /// By kind of stay.
    pub groups: Vec<ReadmissionGroup>,
}

/// An analysis that these data do not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotEstimable {
    /// The outcome, if it is about one.
    pub outcome: Option<String>,
    /// Why.
    pub reason: String,
    /// Persons and events by group.
    pub counts: Vec<(String, u64, u64)>,
}

/// A query's answer, as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sql {
    /// The query.
    pub query: String,
    /// Columns.
    pub columns: Vec<String>,
    /// Whether a column holds numbers.
    pub numeric: Vec<bool>,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
    /// How many there are.
    pub total: u64,
}
