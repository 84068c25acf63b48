//! Functions of one row: clinical time and vocabulary.

mod age;
mod age_at;
mod age_band;
mod bounded;
mod bounded_lists;
mod coalesce;
mod concept_set;
mod date_part;
mod date_trunc;
mod dates;
mod days_and_numbers;
mod days_between;
mod e_value;
mod field_of;
mod intervals;
mod is_descendant;
mod joined;
mod length;
mod moved_time;
mod of_any_range;
mod out_of_order;
mod person_time;
mod regexp_extract;
mod repeated_values;
mod round;
mod rounded;
mod slices;
mod time_bucket;
mod written_days;

pub(crate) use bounded::bounded;
pub(crate) use bounded_lists::BoundedLists;
pub(crate) use coalesce::coalesce;
pub(crate) use concept_set::look_up as concepts_of;
pub(crate) use date_part::{QuickDateParts, date_part, day_of_time};
pub(crate) use date_trunc::date_trunc;
pub(crate) use days_and_numbers::DaysAndNumbers;
pub(crate) use field_of::{FieldsOfStructs, field_of};
pub(crate) use intervals::{
    ComparedIntervals, MultipliedIntervals, PartsOfDifferences, interval_length, interval_times,
};
pub(crate) use joined::BoundedJoins;
pub(crate) use length::LengthOfLists;
pub(crate) use moved_time::{moved, moved_by, moved_time};
pub(crate) use of_any_range::of_any_range;
pub(crate) use out_of_order::{CastsOutOfOrder, out_of_order};
pub(crate) use regexp_extract::regexp_extract;
pub(crate) use repeated_values::{different_texts, of_repeated_values};
pub(crate) use round::round;
pub(crate) use rounded::{RoundedCasts, round_to_even};
pub(crate) use slices::SlicesOfTexts;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use crate::vocabulary::Vocabulary;

/// The scalar functions; those of the vocabulary look concepts up in the one given.
#[must_use]
pub fn functions(vocabulary: &Vocabulary) -> Vec<Arc<ScalarUDF>> {
    [
        ScalarUDF::new_from_impl(age::Calendar::age()),
        ScalarUDF::new_from_impl(age::Calendar::date_sub()),
        ScalarUDF::new_from_impl(age_at::AgeAt::new()),
        ScalarUDF::new_from_impl(age_band::AgeBand::new()),
        ScalarUDF::new_from_impl(days_between::DaysBetween::new()),
        ScalarUDF::new_from_impl(person_time::PersonTime::new()),
        ScalarUDF::new_from_impl(time_bucket::TimeBucket::new()),
        ScalarUDF::new_from_impl(e_value::EValue::new()),
        ScalarUDF::new_from_impl(is_descendant::IsDescendant::new(vocabulary)),
        ScalarUDF::new_from_impl(is_descendant::IsDescendant::prepared(vocabulary)),
        ScalarUDF::new_from_impl(concept_set::ConceptSet::new(vocabulary)),
    ]
    .map(Arc::new)
    .into()
}
