//! Clinical time: days, ages and person-time, by the calendar and without time zones.

use std::fmt;

/// A calendar day, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Civil {
    /// The year; 0 is 1 BC.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

// Days are counted in 400-year eras that begin on 1 March, so that the leap day is the last of its year:
// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil, civil_from_days).
const DAYS_PER_ERA: i64 = 146_097;
const DAYS_FROM_ERA_START_TO_1970: i64 = 719_468;

impl Day {
    /// The day of a year, month and day of the month; `None` where the calendar has no such day.
    #[must_use]
    pub fn from_civil(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let (month, day) = (i64::from(month), i64::from(day));
        let year = i64::from(year) - i64::from(month <= 2);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = year.div_euclid(400) * DAYS_PER_ERA + day_of_era - DAYS_FROM_ERA_START_TO_1970;
        i32::try_from(days).ok().map(Self)
    }

    /// The year, month and day of the month.
    #[must_use]
    pub fn civil(self) -> Civil {
        let days = i64::from(self.0) + DAYS_FROM_ERA_START_TO_1970;
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = (shifted_month + 2) % 12 + 1;
        let year = days.div_euclid(DAYS_PER_ERA) * 400 + year_of_era + i64::from(month <= 2);
        Civil {
            year: narrow(year),
            month: narrow(month),
            day: narrow(day),
        }
    }
}

/// A number that its own derivation bounds: an `i32` of days spans under six million years.
fn narrow<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Whether a year has a 29 February.
#[must_use]
pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days of a month, 1 to 12; 0 for any other month.
#[must_use]
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// The day of birth from what is known of it: an unknown month or day of the month is taken as the first.
///
/// `None` where the parts given are no day of the calendar.
#[must_use]
pub fn birth_day(year: i32, month: Option<u8>, day: Option<u8>) -> Option<Day> {
    match month {
        Some(month) => Day::from_civil(year, month, day.unwrap_or(1)),
        None => Day::from_civil(year, 1, 1),
    }
}

/// The age in completed years; `None` before birth.
///
/// Who was born on 29 February completes a year on 1 March where there is no 29 February, as in PostgreSQL's `age`.
#[must_use]
pub fn age_at(birth: Day, on: Day) -> Option<i32> {
    if on < birth {
        return None;
    }
    let (birth, on) = (birth.civil(), on.civil());
    let had_birthday = (on.month, on.day) >= (birth.month, birth.day);
    Some(on.year - birth.year - i32::from(!had_birthday))
}

/// Consecutive age bands of equal width, the last one open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgeBands {
    width: i32,
    open_from: i32,
}

impl AgeBands {
    /// Bands of `width` years from age 0; ages from `open_from` on are one band.
    ///
    /// `None` unless both are positive. The band before the open one is cut short where `open_from` is no
    /// multiple of the width.
    #[must_use]
    pub fn new(width: i32, open_from: i32) -> Option<Self> {
        (width > 0 && open_from > 0).then_some(Self { width, open_from })
    }

    /// The band of an age; `None` for a negative one.
    #[must_use]
    pub fn band(self, age: i32) -> Option<AgeBand> {
        if age < 0 {
            return None;
        }
        if age >= self.open_from {
            return Some(AgeBand {
                from: self.open_from,
                to: None,
            });
        }
        let from = age - age % self.width;
        let to = from.saturating_add(self.width - 1).min(self.open_from - 1);
        Some(AgeBand { from, to: Some(to) })
    }
}

impl Default for AgeBands {
    /// Ten years, open from 90: ages over 89 identify people (HIPAA, 45 CFR 164.514(b)(2)(i)(C)).
    fn default() -> Self {
        Self {
            width: 10,
            open_from: 90,
        }
    }
}

/// A range of ages in completed years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeBand {
    /// The youngest age.
    pub from: i32,
    /// The oldest age; `None` for the open band.
    pub to: Option<i32>,
}

impl fmt::Display for AgeBand {
    /// `40-49`, `90+`, and `7` for a band of one year.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) if to == self.from => write!(f, "{to}"),
            Some(to) => write!(f, "{}-{to}", self.from),
            None => write!(f, "{}+", self.from),
        }
    }
}

/// The days from one day to another: 0 on the same day, negative when `to` is earlier.
///
/// This is the time to an event: who has it on the index date has it at time 0.
#[must_use]
pub fn days_between(from: Day, to: Day) -> i64 {
    i64::from(to.0) - i64::from(from.0)
}

/// The days at risk from `start` to `end`, **both included**: a period of one day is one person-day.
///
/// This is how OMOP reads its end dates (an observation period ends on its last observed day). It is one more
/// than [`days_between`], and 0 where `end` is before `start`.
#[must_use]
pub fn person_time(start: Day, end: Day) -> i64 {
    (days_between(start, end) + 1).max(0)
}

/// The days that two periods have in common, all four ends included.
#[must_use]
pub fn overlap(first: (Day, Day), second: (Day, Day)) -> i64 {
    // A period that ends before it starts holds no day, whatever the other one is.
    if first.1 < first.0 || second.1 < second.0 {
        return 0;
    }
    person_time(first.0.max(second.0), first.1.min(second.1))
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        reason = "a test that cannot build its days has failed"
    )]

    use super::*;

    fn day(year: i32, month: u8, day: u8) -> Day {
        Day::from_civil(year, month, day).unwrap()
    }

    #[test]
    fn known_days() {
        assert_eq!(day(1970, 1, 1), Day(0));
        assert_eq!(day(1969, 12, 31), Day(-1));
        assert_eq!(day(2000, 2, 29), Day(11_016));
        assert_eq!(day(2000, 3, 1), Day(11_017));
        assert_eq!(day(1900, 3, 1), Day(-25_508));
        assert_eq!(day(2026, 11, 23), Day(20_780));
        assert_eq!(day(0, 1, 1), Day(-719_528));
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = Civil {
            year: 1599,
            month: 12,
            day: 31,
        };
        let first = day(1600, 1, 1).0;
        let last = day(2400, 12, 31).0;
        for number in first..=last {
            expected.day += 1;
            if expected.day > days_in_month(expected.year, expected.month) {
                expected.day = 1;
                expected.month += 1;
            }
            if expected.month > 12 {
                expected.month = 1;
                expected.year += 1;
            }
            assert_eq!(Day(number).civil(), expected);
            assert_eq!(
                day(expected.year, expected.month, expected.day),
                Day(number)
            );
        }
    }

    #[test]
    fn the_ends_of_the_range_are_days_too() {
        for end in [Day(i32::MIN), Day(i32::MAX)] {
            let Civil { year, month, day } = end.civil();
            assert_eq!(Day::from_civil(year, month, day), Some(end));
        }
        assert_eq!(Day::from_civil(i32::MAX, 1, 1), None);
    }

    #[test]
    fn days_that_the_calendar_lacks() {
        for (year, month, day) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 4, 31),
            (2024, 0, 1),
            (2024, 13, 1),
            (2024, 1, 0),
        ] {
            assert_eq!(Day::from_civil(year, month, day), None);
        }
    }

    #[test]
    fn days_are_written_as_iso_8601() {
        assert_eq!(day(2024, 2, 9).to_string(), "2024-02-09");
        assert_eq!(day(987, 12, 31).to_string(), "0987-12-31");
    }

    #[test]
    fn age_changes_on_the_birthday() {
        let birth = day(1980, 6, 15);
        assert_eq!(age_at(birth, day(1980, 6, 14)), None);
        assert_eq!(age_at(birth, birth), Some(0));
        assert_eq!(age_at(birth, day(2020, 6, 14)), Some(39));
        assert_eq!(age_at(birth, day(2020, 6, 15)), Some(40));
        assert_eq!(age_at(birth, day(2020, 12, 31)), Some(40));
    }

    #[test]
    fn born_on_the_leap_day() {
        let birth = day(2000, 2, 29);
        assert_eq!(age_at(birth, day(2001, 2, 28)), Some(0));
        assert_eq!(age_at(birth, day(2001, 3, 1)), Some(1));
        assert_eq!(age_at(birth, day(2004, 2, 29)), Some(4));
    }

    #[test]
    fn birth_days_known_in_part() {
        assert_eq!(birth_day(1950, None, None), Some(day(1950, 1, 1)));
        assert_eq!(birth_day(1950, None, Some(17)), Some(day(1950, 1, 1)));
        assert_eq!(birth_day(1950, Some(5), None), Some(day(1950, 5, 1)));
        assert_eq!(birth_day(1950, Some(5), Some(17)), Some(day(1950, 5, 17)));
        assert_eq!(birth_day(1950, Some(2), Some(30)), None);
    }

    #[test]
    fn bands_cover_every_age_once() {
        let label = |bands: AgeBands, age| bands.band(age).map(|band| band.to_string());
        let tens = AgeBands::default();
        assert_eq!(label(tens, -1), None);
        assert_eq!(label(tens, 0).unwrap(), "0-9");
        assert_eq!(label(tens, 49).unwrap(), "40-49");
        assert_eq!(label(tens, 89).unwrap(), "80-89");
        assert_eq!(label(tens, 90).unwrap(), "90+");
        assert_eq!(label(tens, i32::MAX).unwrap(), "90+");
        let sevens = AgeBands::new(7, 18).unwrap();
        assert_eq!(label(sevens, 17).unwrap(), "14-17");
        assert_eq!(label(sevens, 18).unwrap(), "18+");
        assert_eq!(label(AgeBands::new(1, 90).unwrap(), 7).unwrap(), "7");
        assert_eq!(AgeBands::new(0, 90), None);
        for age in 0..130 {
            let band = sevens.band(age).unwrap();
            assert!(band.from <= age && band.to.is_none_or(|to| age <= to));
        }
    }

    #[test]
    fn the_first_and_the_last_day_both_count() {
        let (first, second) = (day(2024, 2, 28), day(2024, 3, 1));
        assert_eq!(days_between(first, second), 2);
        assert_eq!(person_time(first, second), 3);
        assert_eq!(person_time(first, first), 1);
        assert_eq!(person_time(second, first), 0);
        assert_eq!(days_between(second, first), -2);
        assert_eq!(
            days_between(Day(i32::MIN), Day(i32::MAX)),
            i64::from(u32::MAX)
        );
    }

    #[test]
    fn overlap_of_periods() {
        let period = |from, to| (Day(from), Day(to));
        assert_eq!(overlap(period(0, 10), period(5, 20)), 6);
        assert_eq!(overlap(period(0, 10), period(10, 20)), 1);
        assert_eq!(overlap(period(0, 10), period(11, 20)), 0);
        assert_eq!(overlap(period(0, 10), period(2, 3)), 2);
        assert_eq!(overlap(period(5, 4), period(0, 10)), 0);
        assert_eq!(overlap(period(0, 10), period(5, 3)), 0);
    }
}
