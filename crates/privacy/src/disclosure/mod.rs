//! Disclosure control: which numbers of a result may be shown, and how exactly.
//!
//! Persons are counted, never rows. A number is shown when enough persons stand behind it, none of whom dominates it,
//! when nothing shown with it or before gives a withheld number away, and then only as exactly as its profile says.

pub(crate) mod at_risk;
mod beside;
pub mod bounds;
mod by_steps;
mod components;
pub mod cube;
mod decisions;
pub(crate) mod digits;
mod error;
mod everybody;
mod follows;
mod known;
mod margins;
mod matching;
pub(crate) mod models;
pub(crate) mod parts;
pub mod persons;
pub mod profile;
pub mod releases;
pub mod rest;
mod several;
pub mod sketch;
pub mod span;
pub(crate) mod spread;
#[cfg(test)]
mod tests;
mod together;
pub(crate) mod unsaid;

pub use error::Error;
pub use profile::{PROFILES, Profile, profile};

/// The margin of a number is the sum of its cells: rows always add up, persons where the cells share none.
pub(crate) fn is_additive(function: &str, apart: bool) -> bool {
    match function {
        ROWS | SUM => true,
        PERSONS => apart,
        _ => false,
    }
}

/// What the measure of a regression begins with, before its columns.
pub(crate) const MODEL_OF: &str = "model of ";
/// The same of a curve, before its definition.
pub(crate) const CURVE_OF: &str = "curve of ";
/// The measure of what a mean says as a number of rows.
pub(crate) const COUNT_OF_STEPS: &str = "count of steps";
/// The measure of those of a regression's persons whose values few have.
pub(crate) const FEW_OF_MODEL: &str = "few of a model";

/// The functions whose numbers are kept, by the names that the record has for them.
pub(crate) const ROWS: &str = "rows";
pub(crate) const PERSONS: &str = "persons";
pub(crate) const SUM: &str = "sum";
pub(crate) const MEAN: &str = "mean";
/// Rows as they stand in a share.
pub(crate) const IN_SHARE: &str = "in share";
pub(crate) const DEVIATION: &str = "deviation";
