//! Typed values straight from the bytes of a cell.

mod date;
mod float;
mod integer;

pub(crate) use date::{MICROS_PER_DAY, date, datetime, days_from_civil, is_midnight_seconds};
pub(crate) use float::float;
pub(crate) use integer::{integer, small_integer};

/// Why a cell is not a value of its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not an integer.
    Integer,
    /// An integer that the column's type cannot hold.
    IntegerRange,
    /// Not a finite number.
    Float,
    /// Not a date in a form that has one meaning.
    Date,
    /// Not a date and time in a form that has one meaning.
    DateTime,
    /// Not text in UTF-8.
    Utf8,
    /// Empty where a key is needed.
    MissingKey,
}

impl Fault {
    /// The reason, as it is written to the table of rejects.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Integer => "not an integer",
            Self::IntegerRange => "integer out of range",
            Self::Float => "not a number",
            Self::Date => "not a date",
            Self::DateTime => "not a date and time",
            Self::Utf8 => "not UTF-8",
            Self::MissingKey => "required key is empty",
        }
    }
}

/// The cell without spaces around it.
#[inline]
pub(crate) fn trim(cell: &[u8]) -> &[u8] {
    match (cell.first(), cell.last()) {
        (Some(first), Some(last)) if *first > b' ' && *last > b' ' => cell,
        _ => cell.trim_ascii(),
    }
}

/// Whether a cell of a column that is not text spells "no value".
///
/// Exports of databases and data frames write the word where the value is missing; no number or date is
/// spelled so, and thus nothing is lost by reading NULL.
pub(crate) fn is_null_word(cell: &[u8]) -> bool {
    cell == b"\\N"
        || [&b"null"[..], b"na", b"nan", b"none", b"n/a"]
            .iter()
            .any(|word| cell.eq_ignore_ascii_case(word))
}

/// The value of two ASCII digits.
#[inline]
fn two_digits(high: u8, low: u8) -> Option<u32> {
    let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
    (high < 10 && low < 10).then(|| u32::from(high) * 10 + u32::from(low))
}
