//! Who is in the study, and how alike the groups are.

use serde::{Deserialize, Serialize};

use super::{Interval, Num};

/// Who was left out, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attrition {
    /// The groups, target first.
    pub groups: Vec<String>,
    /// In order; the last is who is analysed.
    pub steps: Vec<AttritionStep>,
}

/// A rule of entry and who was left after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttritionStep {
    /// The rule.
    pub rule: String,
    /// Persons left, by group.
    pub left: Vec<u64>,
    /// Persons that this rule took out, by group.
    pub out: Vec<u64>,
}

/// The groups at their index date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableOne {
    /// The groups, target first.
    pub groups: Vec<String>,
    /// Persons, by group.
    pub persons: Vec<u64>,
    /// What the second half of the table is adjusted by; none if there is none.
    pub adjusted: Option<String>,
    /// Effective sample sizes after adjustment, by group.
    pub effective: Vec<Num>,
    /// Variables.
    pub rows: Vec<TableOneRow>,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableOneRow {
    /// Its name.
    pub name: String,
    /// Its name for readers.
    pub label: String,
    /// Yes or no, else a number.
    pub binary: bool,
    /// By group, before and after adjustment.
    pub before: Vec<Distribution>,
    /// After adjustment.
    pub after: Vec<Distribution>,
    /// Standardised mean difference before adjustment.
    pub smd_before: Num,
    /// And after.
    pub smd_after: Num,
}

/// How a variable is distributed in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Persons with a value; with the property, if it is one.
    pub count: u64,
    /// Persons without a value.
    pub missing: u64,
    /// The mean, or the share.
    pub mean: Num,
    /// The standard deviation.
    pub sd: Num,
    /// Median and quartiles; not for weighted or binary variables.
    pub quartiles: Option<[Num; 3]>,
}

/// The propensity score and what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Propensity {
    /// The groups, target first.
    pub groups: Vec<String>,
    /// Persons with a score, by group.
    pub persons: Vec<u64>,
    /// Persons left by trimming and matching, by group.
    pub kept: Vec<u64>,
    /// The model in words.
    pub model: String,
    /// The adjustment in words.
    pub method: String,
    /// Whose effect is estimated, in words.
    pub estimand: String,
    /// Covariates offered: dense, sparse.
    pub offered: (usize, usize),
    /// Sparse covariates that the model selected.
    pub selected: usize,
    /// The penalty chosen by cross-validation.
    pub lambda: Option<Num>,
    /// The c-statistic.
    pub c_statistic: Num,
    /// Whether the score comes from the penalised model because the other did not converge.
    pub penalised: bool,
    /// Coefficients, largest first.
    pub terms: Vec<ScoreTerm>,
    /// Shares of each group by score in equal bins from 0 to 1, before adjustment.
    pub histogram: Vec<Vec<Num>>,
    /// The same after it.
    pub histogram_after: Vec<Vec<Num>>,
    /// Weights by group: minimum, 1st, 25th, 50th, 75th, 99th percentile, maximum.
    pub weights: Vec<[Num; 7]>,
    /// Effective sample size, by group.
    pub effective: Vec<Num>,
    /// Persons by stratum and group, where there are strata.
    pub strata: Vec<Vec<u64>>,
    /// Standardised mean differences, the named ones first, then by size before adjustment.
    pub balance: Vec<BalanceRow>,
    /// Covariates with an absolute difference above 0.1 before and after.
    pub unbalanced: (usize, usize),
    /// The largest absolute difference before and after.
    pub largest: (Num, Num),
}

/// A term of the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreTerm {
    /// The covariate.
    pub label: String,
    /// Its odds ratio; the interval is unknown for a penalised model.
    pub odds_ratio: Interval,
}

/// A covariate's balance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalanceRow {
    /// The covariate.
    pub label: String,
    /// Whether it was named, not found.
    pub named: bool,
    /// Before adjustment.
    pub before: Num,
    /// After it.
    pub after: Num,
}
