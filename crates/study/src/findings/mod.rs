//! What analyses find: the numbers behind every table, figure and sentence of a report.

mod comparison;
mod counts;
mod curves;
mod number;
mod population;

pub use comparison::{
    Calibration, Coefficient, ControlResult, Controls, Cox, CoxModel, Grid, GridRow, Logistic,
    LogisticModel, Period, Subgroup, Subgroups,
};
pub use counts::{
    Arm, Incidence, NotEstimable, Rate, RateCell, Rates, Readmission, ReadmissionGroup, Sql,
};
pub use curves::{
    CauseCurve, Competing, Curve, Difference, FineGray, KaplanMeier, Landmark, Point, Rmst,
};
pub use number::{Interval, Num};
pub use population::{
    Attrition, AttritionStep, BalanceRow, Distribution, Propensity, ScoreTerm, TableOne,
    TableOneRow,
};

use serde::{Deserialize, Serialize};

/// What one analysis found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "found")]
pub enum Finding {
    /// Who was left out.
    Attrition(Attrition),
    /// The groups at their index date.
    TableOne(TableOne),
    /// The propensity score.
    Propensity(Propensity),
    /// Survival curves.
    KaplanMeier(KaplanMeier),
    /// Hazard ratios.
    Cox(Cox),
    /// Cumulative incidence.
    Competing(Competing),
    /// Rates by group.
    Incidence(Incidence),
    /// Rates in a population.
    Rates(Rates),
    /// Odds ratios.
    Logistic(Logistic),
    /// Readmissions.
    Readmission(Readmission),
    /// Negative controls.
    Controls(Controls),
    /// Subgroups.
    Subgroups(Subgroups),
    /// Sensitivity analyses.
    Grid(Grid),
    /// A query's answer.
    Sql(Sql),
    /// The data do not allow the analysis.
    NotEstimable(NotEstimable),
}
