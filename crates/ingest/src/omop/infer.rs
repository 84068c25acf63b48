//! Types of columns that the model does not have, from every one of their cells.

use arrow::datatypes::{DataType, TimeUnit};

use crate::csv::{Cell, Tokenizer};
use crate::parse;

/// What all cells of a column seen so far are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Guess {
    /// No cell had a value.
    #[default]
    Nothing,
    Integer,
    Float,
    Date,
    DateTime,
    Text,
}

impl Guess {
    /// What both are; text, where nothing else is.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, guess) | (guess, Self::Nothing) => guess,
            (a, b) if a == b => a,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (Self::Date, Self::DateTime) | (Self::DateTime, Self::Date) => Self::DateTime,
            _ => Self::Text,
        }
    }

    /// The Arrow type; text for a column without a value.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Nothing | Self::Text => DataType::Utf8,
        }
    }

    /// The guess from a type that is known already.
    pub(super) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Self::Integer,
            DataType::Float64 => Self::Float,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(..) => Self::DateTime,
            DataType::Null => Self::Nothing,
            _ => Self::Text,
        }
    }

    /// What one cell is. Only what is written the one usual way counts as other than text: a code such as
    /// `02155` or `1E5` must stay what it is.
    pub(super) fn of_cell(cell: &[u8]) -> Self {
        let Some(first) = cell.first() else {
            return Self::Nothing;
        };
        if !(first.is_ascii_digit() || *first == b'-') {
            return Self::Text;
        }
        let digits = cell.strip_prefix(b"-").unwrap_or(cell);
        let padded = digits.len() > 1 && digits[0] == b'0' && digits[1] != b'.';
        let plain = digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
        if plain && !padded {
            if !digits.contains(&b'.') {
                return if parse::integer(cell).is_ok() {
                    Self::Integer
                } else {
                    Self::Text
                };
            }
            let one_point = digits.iter().filter(|byte| **byte == b'.').count() == 1;
            if one_point
                && digits[0] != b'.'
                && digits.last() != Some(&b'.')
                && parse::float(cell).is_ok()
            {
                return Self::Float;
            }
        }
        if cell.len() >= 10 && cell[4] == b'-' && cell[7] == b'-' {
            if cell.len() == 10 && parse::date(cell).is_ok() {
                return Self::Date;
            }
            if cell.len() > 10 && parse::datetime(cell).is_ok() {
                return Self::DateTime;
            }
        }
        Self::Text
    }
}

/// What the cells of some columns of a block are.
pub(super) fn guess_block(
    block: &[u8],
    delimiter: u8,
    width: usize,
    columns: &[usize],
) -> Vec<Guess> {
    let mut guesses = vec![Guess::Nothing; columns.len()];
    let mut tokenizer = Tokenizer::new(block, delimiter);
    let mut cells: Vec<Cell> = Vec::with_capacity(width);
    while let Some(record) = tokenizer.next(&mut cells) {
        // A record of another shape will be rejected, and must not decide.
        if record.fault.is_none() && record.cells >= width {
            for (guess, column) in guesses.iter_mut().zip(columns) {
                if *guess != Guess::Text {
                    *guess = guess.and(Guess::of_cell(parse::trim(cells[*column].bytes(block))));
                }
            }
        }
        cells.clear();
    }
    guesses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        for (cell, guess) in [
            ("", Guess::Nothing),
            ("0", Guess::Integer),
            ("-12", Guess::Integer),
            ("02155", Guess::Text),
            ("1e5", Guess::Text),
            ("0.5", Guess::Float),
            ("-71.2", Guess::Float),
            (".5", Guess::Text),
            ("1.2.3", Guess::Text),
            ("-", Guess::Text),
            ("2024-02-29", Guess::Date),
            ("2024-02-30", Guess::Text),
            ("2024-02-29T10:00:00Z", Guess::DateTime),
            ("20240229", Guess::Integer),
            ("99999999999999999999", Guess::Text),
            ("true", Guess::Text),
            ("NA", Guess::Text),
        ] {
            assert_eq!(Guess::of_cell(cell.as_bytes()), guess, "{cell}");
        }
    }

    #[test]
    fn columns() {
        let guesses = guess_block(
            b"1,2024-01-01,a,\n2.5,2024-01-01 10:00,b,\nx\n",
            b',',
            4,
            &[0, 1, 2, 3],
        );
        assert_eq!(
            guesses,
            [Guess::Float, Guess::DateTime, Guess::Text, Guess::Nothing]
        );
    }
}
