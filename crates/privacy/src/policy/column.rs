//! What a role sees of one column.

use std::fmt;

/// What a role sees of one column, from most to least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRule {
    /// The values as they are stored.
    Raw,
    /// A keyed pseudonym, the same within a project and different in every other.
    Pseudonym,
    /// A day or a time, moved by a number of days that is the same for all of a person's dates.
    ShiftDate,
    /// A day or a time, cut to its day or to the first day of its month, quarter, year or decade.
    GeneralizeDate(DateUnit),
    /// A number, cut to a multiple of this width: 47 becomes 45 with a width of 5.
    Bin(u32),
    /// A number, with everything above this shown as this.
    Top(i64),
    /// A year of birth; those of persons above the policy's age limit are shown as one.
    BirthYear,
    /// The first characters of a text and `***` for the rest.
    Mask(u8),
    /// The first three digits of a US ZIP code, or `000` where fewer than 20,000 people live.
    Zip3,
    /// The role does not see that the column exists.
    Absent,
}

/// What a date is cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DateUnit {
    /// The day itself, without its time.
    Day,
    /// The first day of the month.
    Month,
    /// The first day of the quarter.
    Quarter,
    /// The first day of the year.
    Year,
    /// The first day of the decade: 1987 becomes 1980.
    Decade,
}

impl DateUnit {
    /// The units by the names that policies and `generalize_date` use.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
        ("decade", Self::Decade),
    ];

    /// A unit by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, unit)| *unit)
    }

    /// The unit's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, unit)| *unit == self);
        found.map_or("", |(name, _)| name)
    }
}

impl fmt::Display for ColumnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Pseudonym => f.write_str("pseudonym"),
            Self::ShiftDate => f.write_str("shift_date"),
            Self::GeneralizeDate(unit) => write!(f, "generalize_date {}", unit.name()),
            Self::Bin(width) => write!(f, "bin {width}"),
            Self::Top(limit) => write!(f, "top {limit}"),
            Self::BirthYear => f.write_str("birth_year"),
            Self::Mask(0) => f.write_str("mask"),
            Self::Mask(keep) => write!(f, "mask {keep}"),
            Self::Zip3 => f.write_str("zip3"),
            Self::Absent => f.write_str("absent"),
        }
    }
}

impl ColumnRule {
    /// What two rules allow together: the stricter of both, or nothing where neither is stricter.
    ///
    /// Absent is stricter than all, and all are stricter than raw; a coarser cut is stricter than a finer one of the
    /// same kind. Anything else, such as a pseudonym and a mask, has no answer that both rules would allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let strict = match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::Absent, _) | (_, Self::Absent) => Self::Absent,
            (Self::Raw, rule) | (rule, Self::Raw) => rule.clone(),
            (Self::GeneralizeDate(a), Self::GeneralizeDate(b)) => Self::GeneralizeDate(*a.max(b)),
            (Self::Bin(a), Self::Bin(b)) if a % b == 0 => Self::Bin(*a),
            (Self::Bin(a), Self::Bin(b)) if b % a == 0 => Self::Bin(*b),
            (Self::Top(a), Self::Top(b)) => Self::Top(*a.min(b)),
            (Self::Mask(a), Self::Mask(b)) => Self::Mask(*a.min(b)),
            _ => return None,
        };
        Some(strict)
    }

    /// The column's own values are shown.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        matches!(self, Self::Raw)
    }

    /// It takes a project's key.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        matches!(self, Self::Pseudonym | Self::ShiftDate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn together_the_stricter_counts() {
        use ColumnRule::{Absent, Bin, GeneralizeDate, Mask, Pseudonym, Raw, Top};
        let month = GeneralizeDate(DateUnit::Month);
        let year = GeneralizeDate(DateUnit::Year);
        for (a, b, both) in [
            (Raw, Raw, Some(Raw)),
            (Raw, Absent, Some(Absent)),
            (Raw, Pseudonym, Some(Pseudonym)),
            (Pseudonym, Absent, Some(Absent)),
            (
                GeneralizeDate(DateUnit::Day),
                month.clone(),
                Some(month.clone()),
            ),
            (month, year.clone(), Some(year)),
            (Bin(5), Bin(10), Some(Bin(10))),
            (Bin(4), Bin(10), None),
            (Top(80), Top(90), Some(Top(80))),
            (Mask(3), Mask(0), Some(Mask(0))),
            (Pseudonym, Mask(1), None),
        ] {
            assert_eq!(a.and(&b), both, "{a} and {b}");
            assert_eq!(b.and(&a), both, "{b} and {a}");
        }
    }
}
