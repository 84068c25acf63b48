//! Columns of numbers: a registration or telephone number without its hyphens is read as a whole number.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::registration::{bare_registration, is_part_number};
use super::{BARE_REGISTRATION, BARE_TELEPHONE, CHECKS, COUNTS, PART_OF_REGISTRATION};

/// Types that such numbers are stored in; tables with gaps often come with fractions.
pub(super) fn is_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::Float64)
}

/// What a column of numbers may hold beside whole registration numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    /// Telephone numbers: it is not known to hold numbers of records.
    pub(super) telephones: bool,
    /// Parts of registration numbers: its name says so.
    pub(super) parts: bool,
}

/// Looks at the numbers of a column.
pub(super) fn look(values: &dyn Array, looked: Looked, seen: &mut [u64; COUNTS]) {
    match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>().iter();
            values
                .flatten()
                .for_each(|value| look_at(value, looked, seen));
        }
        DataType::Float64 => {
            let whole = |value: &f64| value.fract() == 0.0 && (0.0..1e13).contains(value);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole numbers of at most thirteen digits"
            )]
            values
                .as_primitive::<Float64Type>()
                .iter()
                .flatten()
                .filter(whole)
                .for_each(|value| look_at(value as i64, looked, seen));
        }
        _ => {}
    }
}

fn look_at(value: i64, looked: Looked, seen: &mut [u64; COUNTS]) {
    // Births of 2000 to 2009 lost one to three zeros in front.
    if (1_000_000_000..10_000_000_000_000).contains(&value) {
        let mut digits = [0_u32; 13];
        let mut rest = value.unsigned_abs();
        for digit in digits.iter_mut().rev() {
            *digit = u32::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        if let Some(checks) = bare_registration(&digits) {
            seen[BARE_REGISTRATION] += 1;
            seen[CHECKS] += u64::from(checks);
        }
    }
    // 010 and eight digits, of which the first is never 0 or 1, without the zero in front.
    if looked.telephones && (1_020_000_000..1_100_000_000).contains(&value) {
        seen[BARE_TELEPHONE] += 1;
    }
    if looked.parts && is_part_number(value) {
        seen[PART_OF_REGISTRATION] += 1;
    }
}
