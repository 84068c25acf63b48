//! Ranges of numbers and dates, and text filters, with the operators that Circe knows.

use columna_model::Day;

use super::cursor::{Node, Notes};

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Below the value.
    Less,
    /// Below or equal.
    LessOrEqual,
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Above.
    Greater,
    /// Above or equal.
    GreaterOrEqual,
    /// From the value to the extent, both included.
    Between,
    /// Outside of that.
    NotBetween,
}

impl Operator {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "lt" => Self::Less,
            "lte" => Self::LessOrEqual,
            "eq" => Self::Equal,
            "!eq" => Self::NotEqual,
            "gt" => Self::Greater,
            "gte" => Self::GreaterOrEqual,
            "bt" => Self::Between,
            "!bt" => Self::NotBetween,
            _ => return None,
        })
    }

    /// Whether the operator takes an extent.
    #[must_use]
    pub fn has_extent(self) -> bool {
        matches!(self, Self::Between | Self::NotBetween)
    }

    /// Compares; both sides are known values.
    #[must_use]
    pub fn holds<T: PartialOrd>(self, value: &T, bound: &T, extent: &T) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
            Self::Between => value >= bound && value <= extent,
            Self::NotBetween => value < bound || value > extent,
        }
    }
}

/// A range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberRange {
    /// How the value is compared.
    pub operator: Operator,
    /// With what.
    pub value: f64,
    /// Up to what; equal to the value where the operator takes none.
    pub extent: f64,
}

/// A range of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateRange {
    /// How the day is compared.
    pub operator: Operator,
    /// With what.
    pub value: Day,
    /// Up to what; equal to the value where the operator takes none.
    pub extent: Day,
}

/// What a text is like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextFilter {
    /// An SQL pattern, in which `%` is any text and `_` any character.
    pub pattern: String,
    /// Texts that are not like it, instead.
    pub negated: bool,
}

/// How Circe writes a number into its SQL, which decides what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Cut off to a whole number.
    Whole,
    /// Rounded to four decimals.
    FourDecimals,
}

pub(crate) fn number_range(
    node: &Node<'_>,
    precision: Precision,
    notes: &mut Notes,
) -> Option<NumberRange> {
    let mut object = node.object(notes)?;
    let operator = operator(&mut object, notes);
    let value = object.need("Value", notes).and_then(|n| n.number(notes));
    let extent = object.get("Extent");
    let extent = match operator {
        Some(op) if op.has_extent() => match extent {
            Some(node) => node.number(notes),
            None => {
                notes.invalid(&object.path, "`Extent` is missing, which a range needs");
                None
            }
        },
        _ => value,
    };
    object.refuse_unknown("a range of numbers", notes);
    let (operator, value, extent) = (operator?, value?, extent?);
    if operator.has_extent() && extent < value {
        notes.warn(
            &node.path,
            "the range is empty: its extent is below its value",
        );
    }
    let written = |number: f64| match precision {
        Precision::Whole => number.trunc(),
        Precision::FourDecimals => four_decimals(number),
    };
    if precision == Precision::Whole && (value.fract() != 0.0 || extent.fract() != 0.0) {
        notes.warn(
            &node.path,
            "fractions are cut off: Circe compares whole numbers here",
        );
    }
    Some(NumberRange {
        operator,
        value: written(value),
        extent: written(extent),
    })
}

pub(crate) fn date_range(node: &Node<'_>, notes: &mut Notes) -> Option<DateRange> {
    let mut object = node.object(notes)?;
    let operator = operator(&mut object, notes);
    let value = object.need("Value", notes).and_then(|n| date(&n, notes));
    let extent = object.get("Extent");
    let extent = match operator {
        Some(op) if op.has_extent() => match extent {
            Some(node) => date(&node, notes),
            None => {
                notes.invalid(&object.path, "`Extent` is missing, which a range needs");
                None
            }
        },
        _ => value,
    };
    object.refuse_unknown("a range of dates", notes);
    let (operator, value, extent) = (operator?, value?, extent?);
    if operator.has_extent() && extent < value {
        notes.warn(
            &node.path,
            "the range is empty: its extent is before its value",
        );
    }
    Some(DateRange {
        operator,
        value,
        extent,
    })
}

fn operator(object: &mut super::cursor::Object<'_>, notes: &mut Notes) -> Option<Operator> {
    let node = object.need("Op", notes)?;
    let name = node.text(notes)?;
    let operator = Operator::read(name);
    if operator.is_none() {
        notes.unsupported(
            &node.path,
            format!("`{name}` is no operator; known are lt, lte, eq, !eq, gt, gte, bt and !bt"),
        );
    }
    operator
}

/// A day, written as year, month and day with hyphens between.
pub(crate) fn date(node: &Node<'_>, notes: &mut Notes) -> Option<Day> {
    let text = node.text(notes)?;
    let parsed = || {
        // Circe splits at every run of hyphens, and ignores what comes after the third part.
        let mut parts = text.split('-').filter(|part| !part.is_empty());
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Day::from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    };
    let day = parsed();
    if day.is_none() {
        notes.invalid(
            &node.path,
            format!("`{text}` is no day of the calendar; write it as 2020-01-31"),
        );
    }
    day
}

pub(crate) fn text_filter(node: &Node<'_>, notes: &mut Notes) -> Option<TextFilter> {
    let mut object = node.object(notes)?;
    let text = object.need("Text", notes).and_then(|n| n.text(notes));
    let op = object.need("Op", notes);
    let op = op.and_then(|node| Some((node.text(notes)?, node.path)));
    object.refuse_unknown("a text filter", notes);
    let (text, (op, path)) = (text?, op?);
    let (negated, name) = match op.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, op),
    };
    let (before, after) = match name {
        "startsWith" => ("", "%"),
        "endsWith" => ("%", ""),
        "contains" => ("%", "%"),
        "eq" => ("", ""),
        _ => {
            notes.unsupported(
                &path,
                format!(
                    "`{op}` is no text operator; known are eq, startsWith, contains, endsWith, \
                     and the same after `!`"
                ),
            );
            return None;
        }
    };
    if text.contains(['%', '_']) {
        notes.warn(
            &node.path,
            "`%` and `_` in the text stand for any text and any character, as in Circe's SQL",
        );
    }
    Some(TextFilter {
        pattern: format!("{before}{}{after}", unescaped(text)),
        negated,
    })
}

/// Circe drops backslashes that stand before a quote.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut backslashes = 0;
    for c in text.chars() {
        match c {
            '\\' => backslashes += 1,
            other => {
                if other != '\'' {
                    out.extend(std::iter::repeat_n('\\', backslashes));
                }
                backslashes = 0;
                out.push(other);
            }
        }
    }
    out.extend(std::iter::repeat_n('\\', backslashes));
    out
}

/// Rounds half up in decimal, as Java's `%.4f` does with the digits that it prints a number with.
fn four_decimals(number: f64) -> f64 {
    let text = format!("{number}");
    let Some((whole, fraction)) = text.split_once('.') else {
        return number;
    };
    if fraction.len() <= 4 {
        return number;
    }
    let (kept, rest) = fraction.split_at(4);
    let up = rest.as_bytes().first().is_some_and(|d| *d >= b'5');
    let negative = whole.starts_with('-');
    let digits: i128 = format!("{}{kept}", whole.trim_start_matches('-'))
        .parse()
        .unwrap_or(0);
    let digits = digits + i128::from(up);
    let text = format!(
        "{}{}.{:04}",
        if negative { "-" } else { "" },
        digits / 10_000,
        digits % 10_000
    );
    text.parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_as_java_prints_them() {
        // 0.00005 is below itself in binary; Java rounds its decimal digits, half up.
        for (number, rounded) in [
            (0.000_05, 0.0001),
            (0.000_04, 0.0),
            (1.234_56, 1.2346),
            (-1.234_55, -1.2346),
            (2.5, 2.5),
            (0.123_449_999, 0.1234),
            (9.999_95, 10.0),
        ] {
            assert_eq!(
                four_decimals(number).to_bits(),
                f64::to_bits(rounded),
                "{number}"
            );
        }
    }

    #[test]
    fn backslashes_before_quotes_are_dropped() {
        assert_eq!(unescaped(r"a\'b"), "a'b");
        assert_eq!(unescaped(r"a\\b\"), r"a\\b\");
    }
}
