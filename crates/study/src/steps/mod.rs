//! What the steps of a run do.

pub(crate) mod adjust;
pub(crate) mod cohort;
pub(crate) mod comorbidity;
pub(crate) mod competing;
pub(crate) mod controls;
pub(crate) mod covariates;
pub(crate) mod cox;
pub(crate) mod data;
pub(crate) mod follow_up;
pub(crate) mod grid;
pub(crate) mod incidence;
pub(crate) mod kaplan_meier;
pub(crate) mod logistic;
pub(crate) mod periods;
pub(crate) mod population;
pub(crate) mod propensity;
pub(crate) mod rates;
pub(crate) mod readmission;
pub(crate) mod sparse;
pub(crate) mod sql;
pub(crate) mod standard_population;
pub(crate) mod statements;
pub(crate) mod subgroups;
pub(crate) mod table_one;

/// A count as a number.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of persons and days are far below 2^53"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A length as a count.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A length as a number.
pub(crate) fn length(length: usize) -> f64 {
    float(count(length))
}
