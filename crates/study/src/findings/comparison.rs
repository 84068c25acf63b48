//! Comparisons of the two groups.

use serde::{Deserialize, Serialize};

use super::{Interval, Num};
use crate::spec::Model;

/// A term of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// The term.
    pub label: String,
    /// The hazard or odds ratio.
    pub ratio: Interval,
    /// Its p-value.
    pub p_value: Num,
}

/// A Cox model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoxModel {
    /// How it is adjusted.
    pub model: Model,
    /// The same in words.
    pub label: String,
    /// Rows.
    pub persons: u64,
    /// Events.
    pub events: u64,
    /// The hazard ratio of the target group.
    pub ratio: Interval,
    /// The log hazard ratio.
    pub log_ratio: Num,
    /// Its standard error.
    pub std_err: Num,
    /// Its p-value.
    pub p_value: Num,
    /// Whether the variance is robust.
    pub robust: bool,
    /// The test of proportional hazards for the target group: p.
    pub ph_p_value: Num,
    /// All terms together: p.
    pub ph_global: Num,
    /// All terms.
    pub terms: Vec<Coefficient>,
    /// Terms dropped as combinations of others.
    pub dropped: Vec<String>,
    /// Terms without a finite estimate.
    pub infinite: Vec<String>,
    /// Why it could not be fitted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// The main model within a period of the follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// The first day.
    pub from: i32,
    /// The last day.
    pub to: i32,
    /// Persons under observation in it.
    pub persons: u64,
    /// Events in it.
    pub events: u64,
    /// The hazard ratio of the target group.
    pub ratio: Interval,
}

/// Hazard ratios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cox {
    /// The outcome.
    pub outcome: String,
    /// The groups, target first.
    pub groups: Vec<String>,
    /// Persons, events and person-days by group.
    pub counts: Vec<(u64, u64, u64)>,
    /// Models in the order asked for.
    pub models: Vec<CoxModel>,
    /// Which of them is the result.
    pub main: Model,
    /// The same model within periods of the follow-up; none where events are few.
    #[serde(default)]
    pub periods: Vec<Period>,
    /// E-values of the main result and of the bound of its interval nearer to 1.
    pub e_value: (Num, Num),
}

/// An odds ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticModel {
    /// How it is adjusted.
    pub model: Model,
    /// The same in words.
    pub label: String,
    /// Rows.
    pub persons: u64,
    /// Events.
    pub events: u64,
    /// All terms, the target group first if there are two groups.
    pub terms: Vec<Coefficient>,
    /// The c-statistic.
    pub c_statistic: Num,
    /// Notes on the fit.
    pub notes: Vec<String>,
}

/// Logistic regressions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// The outcome.
    pub outcome: String,
    /// Within how many days.
    pub within: i64,
    /// Persons left out because their follow-up ended before without the outcome.
    pub unknown: u64,
    /// Whether the first term is the target group.
    pub compares: bool,
    /// Models.
    pub models: Vec<LogisticModel>,
}

/// One negative control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlResult {
    /// The outcome.
    pub label: String,
    /// Persons, events by group.
    pub events: Vec<u64>,
    /// Hazard ratio; the crude one beside it.
    pub ratio: Interval,
    /// Without adjustment.
    pub crude: Interval,
    /// Log hazard ratio.
    pub log_ratio: Num,
    /// Its standard error.
    pub std_err: Num,
    /// Why there is none.
    pub note: Option<String>,
}

/// The main result, calibrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The outcome.
    pub outcome: String,
    /// Before calibration.
    pub before: Interval,
    /// p before.
    pub p_before: Num,
    /// After it.
    pub after: Interval,
    /// p after.
    pub p_after: Num,
    /// Mean systematic error, on the log scale.
    pub mean: Num,
    /// Its standard deviation.
    pub sd: Num,
}

/// Negative controls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// The model in words.
    pub model: String,
    /// Controls.
    pub controls: Vec<ControlResult>,
    /// Calibration, with at least three controls.
    pub calibration: Vec<Calibration>,
}

/// One subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subgroup {
    /// The variable.
    pub variable: String,
    /// The subgroup.
    pub label: String,
    /// Persons, by group.
    pub persons: Vec<u64>,
    /// Events, by group.
    pub events: Vec<u64>,
    /// Hazard ratio.
    pub ratio: Interval,
    /// Why there is none.
    pub note: Option<String>,
}

/// Subgroups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subgroups {
    /// The outcome.
    pub outcome: String,
    /// The model in words.
    pub model: String,
    /// Everybody.
    pub overall: Interval,
    /// By variable.
    pub rows: Vec<Subgroup>,
    /// Test of heterogeneity by variable: p.
    pub heterogeneity: Vec<(String, Num)>,
}

/// One alternative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridRow {
    /// What is different.
    pub label: String,
    /// Persons.
    pub persons: u64,
    /// Events.
    pub events: u64,
    /// Hazard ratio.
    pub ratio: Interval,
    /// p.
    pub p_value: Num,
    /// Largest absolute standardised difference after adjustment.
    pub balance: Num,
    /// Why there is none.
    pub note: Option<String>,
}

/// Sensitivity analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// The outcome.
    pub outcome: String,
    /// The model in words.
    pub model: String,
    /// Alternatives.
    pub rows: Vec<GridRow>,
}
