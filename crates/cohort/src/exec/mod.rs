//! Evaluates a plan: bucket by bucket, each person's records read once, all definitions together.

mod cohort;
mod correlated;
mod counts;
mod events;
mod load;
mod person;
mod run;
mod table;
mod tests_of_records;

pub(crate) mod table_parts {
    //! What other readers of tables share.

    pub(crate) use super::table::{days, integers};
}

pub use counts::{Attrition, MaskCount, RuleCount};
pub use run::{Member, Outcome, run};

/// A day, or the mark of one that is missing.
pub(crate) const MISSING_DAY: i32 = i32::MIN;

/// A key or concept, or the mark of one that is missing.
pub(crate) const MISSING: i64 = i64::MIN;

/// Days after a day; a missing day stays missing.
pub(crate) fn add_days(day: i32, days: i32) -> i32 {
    if day == MISSING_DAY {
        MISSING_DAY
    } else {
        // The mark itself is never reached from a day.
        day.saturating_add(days).max(MISSING_DAY + 1)
    }
}
