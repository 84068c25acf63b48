//! Dates and datetimes from bytes, in the forms hospitals write.

use super::{Fault, two_digits};

/// Microseconds of a day.
pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01 of a day in the proleptic Gregorian calendar (Howard Hinnant, `days_from_civil`).
#[inline]
pub(crate) fn days_from_civil(year: i32, month: u32, day: u32) -> Option<i32> {
    if !(1..=12).contains(&month) || day == 0 || day > days_of_month(year, month) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month = i32::try_from(month).ok()?;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5
        + i32::try_from(day).ok()?
        - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_of_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A day, as days since 1970-01-01; of a datetime, its date.
#[inline]
pub(crate) fn date(cell: &[u8]) -> Result<i32, Fault> {
    if cell.len() == 10
        && let Some((day, 10)) = leading_date(cell)
    {
        return Ok(day);
    }
    match moment(cell) {
        Some((day, _)) => Ok(day),
        None => Err(Fault::Date),
    }
}

/// A moment, as microseconds since 1970-01-01T00:00:00; of a date, its midnight.
///
/// A zone or offset is read and left out: the model's datetimes are those of the clock on the wall, and so are the dates
/// beside them and the hours of a day that questions ask for.
#[inline]
pub(crate) fn datetime(cell: &[u8]) -> Result<i64, Fault> {
    match moment(cell) {
        Some((day, micros)) => Ok(i64::from(day) * MICROS_PER_DAY + micros),
        None => Err(Fault::DateTime),
    }
}

/// Whether the cell is a whole number of days in Unix seconds, as SQLite exports of R write dates.
///
/// Only for a cell that is no date in any other form: eight digits that can be `YYYYMMDD` are that.
pub(crate) fn is_midnight_seconds(cell: &[u8]) -> Option<i32> {
    let cell = cell.strip_suffix(b".0").unwrap_or(cell);
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    if !(5..=10).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = super::integer(cell).ok()?;
    (seconds % 86_400 == 0)
        .then_some(seconds / 86_400)
        .and_then(|days| i32::try_from(days).ok())
}

/// The date of the cell, and the microseconds of its time of day, both as the clock showed them.
fn moment(cell: &[u8]) -> Option<(i32, i64)> {
    let (day, used) = leading_date(cell)?;
    let rest = &cell[used..];
    if rest.is_empty() {
        return Some((day, 0));
    }
    let clock = match rest {
        [b'T' | b't' | b' ', clock @ ..] => clock.trim_ascii_start(),
        // `YYYYMMDDHHMM[SS]`, as HL7 writes it.
        _ if used == 8 => rest,
        _ => return None,
    };
    let (micros, used) = clock_time(clock)?;
    is_zone(clock[used..].trim_ascii_start()).then_some((day, micros))
}

/// `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYY.MM.DD`, `YYYYMMDD`, `DD.MM.YYYY`; one-digit months and days too.
///
/// `DD/MM/YYYY` and `MM/DD/YYYY` cannot be told apart and are read only where one of the two is impossible.
fn leading_date(cell: &[u8]) -> Option<(i32, usize)> {
    if let [
        a,
        b,
        c,
        d,
        first @ (b'-' | b'/' | b'.'),
        m1,
        m2,
        second,
        d1,
        d2,
        ..,
    ] = cell
        && first == second
        && let (Some(century), Some(year), Some(month), Some(day)) = (
            two_digits(*a, *b),
            two_digits(*c, *d),
            two_digits(*m1, *m2),
            two_digits(*d1, *d2),
        )
    {
        return Some((civil(century * 100 + year, month, day)?, 10));
    }
    let digits = cell.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        8 | 12 | 14 => {
            let pair = |at: usize| two_digits(cell[at], cell[at + 1]);
            Some((civil(pair(0)? * 100 + pair(2)?, pair(4)?, pair(6)?)?, 8))
        }
        4 => {
            let separator = *cell
                .get(4)
                .filter(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
            let (year, _) = number(cell, 0, 4)?;
            let (month, at) = number(cell, 5, 2)?;
            let at = (cell.get(at) == Some(&separator)).then_some(at + 1)?;
            let (day, at) = number(cell, at, 2)?;
            Some((civil(year, month, day)?, at))
        }
        1 | 2 => {
            let separator = *cell
                .get(digits)
                .filter(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
            let (first, _) = number(cell, 0, 2)?;
            let (second, at) = number(cell, digits + 1, 2)?;
            let at = (cell.get(at) == Some(&separator)).then_some(at + 1)?;
            let (year, end) = number(cell, at, 4)?;
            if end - at != 4 {
                return None;
            }
            // With points, day first is the only custom; otherwise only what has one meaning.
            let day_first = separator == b'.' || first > 12 || first == second;
            let month_first = separator != b'.' && second > 12;
            match (day_first, month_first) {
                (true, false) => Some((civil(year, second, first)?, end)),
                (false, true) => Some((civil(year, first, second)?, end)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn civil(year: u32, month: u32, day: u32) -> Option<i32> {
    days_from_civil(i32::try_from(year).ok()?, month, day)
}

/// Up to `most` digits from `at`, and where they end.
fn number(cell: &[u8], at: usize, most: usize) -> Option<(u32, usize)> {
    let digits = cell
        .get(at..)?
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (digits > 0).then(|| {
        let value = cell[at..at + digits]
            .iter()
            .fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        (value, at + digits)
    })
}

/// `HH:MM`, `HH:MM:SS` with a fraction, `HHMMSS`, with AM or PM; microseconds of the day and the bytes used.
fn clock_time(clock: &[u8]) -> Option<(i64, usize)> {
    let (mut hour, mut at) = number(clock, 0, 2)?;
    let colons = clock.get(at) == Some(&b':');
    if colons {
        at += 1;
    }
    let (minute, next) = number(clock, at, 2)?;
    at = next;
    let mut second = 0;
    let mut fraction = 0_i64;
    let has_seconds = if colons {
        clock.get(at) == Some(&b':')
    } else {
        clock.get(at).is_some_and(u8::is_ascii_digit)
    };
    if has_seconds {
        (second, at) = number(clock, if colons { at + 1 } else { at }, 2)?;
        if matches!(clock.get(at), Some(b'.' | b',')) {
            let digits = clock[at + 1..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return None;
            }
            for place in 0..6 {
                let digit = if place < digits {
                    clock[at + 1 + place] - b'0'
                } else {
                    0
                };
                fraction = fraction * 10 + i64::from(digit);
            }
            at += 1 + digits;
        }
    }
    let suffix = clock[at..].trim_ascii_start();
    if let [half @ (b'A' | b'P' | b'a' | b'p'), b'M' | b'm', ..] = suffix {
        if hour == 0 || hour > 12 {
            return None;
        }
        hour = hour % 12
            + if half.eq_ignore_ascii_case(&b'P') {
                12
            } else {
                0
            };
        at = clock.len() - suffix.len() + 2;
    }
    // 24:00:00 is midnight at the end of the day; a leap second is the second after.
    let valid = (hour < 24 && minute < 60 && second <= 60)
        || (hour == 24 && minute == 0 && second == 0 && fraction == 0);
    valid.then(|| {
        (
            (i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000
                + fraction,
            at,
        )
    })
}

/// Nothing, `Z`, `UTC`, `GMT`, or `±HH`, `±HHMM`, `±HH:MM`.
fn is_zone(zone: &[u8]) -> bool {
    let zone = zone.trim_ascii_end();
    match zone {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] => is_offset(offset).is_some(),
        _ => zone.eq_ignore_ascii_case(b"UTC") || zone.eq_ignore_ascii_case(b"GMT"),
    }
}

fn is_offset(offset: &[u8]) -> Option<()> {
    let (hours, at) = number(offset, 0, 2)?;
    let rest = offset[at..].strip_prefix(b":").unwrap_or(&offset[at..]);
    let (minutes, used) = if rest.is_empty() {
        (0, 0)
    } else {
        number(rest, 0, 2)?
    };
    (used == rest.len() && hours <= 18 && minutes <= 59).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i32 = 19_782; // 2024-02-29

    #[test]
    fn dates() {
        for form in [
            "2024-02-29",
            "20240229",
            "2024/02/29",
            "2024/2/29",
            "2024.02.29",
            "29.02.2024",
            "29/02/2024",
            "2/29/2024",
            "2024-02-29 00:00:00",
            "2024-02-29T13:14:15Z",
            "2024-02-29 13:14",
            "2024-02-29T01:00:00+09:00",
            "20240229 131415",
        ] {
            assert_eq!(date(form.as_bytes()), Ok(DAY), "{form}");
        }
        for bad in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "03/04/2024",
            "24-02-29",
            "",
            "2024",
            "2024-02",
            "2024-02-2x",
            "2024-02/29",
            "29.02.24",
            "202402291",
            "2024022913",
            "2024-02-29X",
        ] {
            assert_eq!(date(bad.as_bytes()), Err(Fault::Date), "{bad}");
        }
        assert_eq!(date(b"1969-12-31"), Ok(-1));
        assert_eq!(date(b"01/01/1970"), Ok(0));
    }

    #[test]
    fn datetimes() {
        let midnight = i64::from(DAY) * MICROS_PER_DAY;
        let second = 1_000_000;
        let clock = midnight + (13 * 3600 + 14 * 60 + 15) * second;
        for form in [
            "2024-02-29 13:14:15",
            "2024-02-29T13:14:15Z",
            "2024-02-29T13:14:15.000",
            "20240229131415",
            "2024-02-29 01:14:15 PM",
            "2024-02-29 13:14:15+09:00",
            "2024-02-29T13:14:15-0500",
            "2024-02-29T13:14:15.000000+05:30",
            "2024-02-29 13:14:15 UTC",
        ] {
            assert_eq!(datetime(form.as_bytes()), Ok(clock), "{form}");
        }
        assert_eq!(datetime(b"2024-02-29"), Ok(midnight));
        assert_eq!(
            datetime(b"2024-02-29 24:00:00"),
            Ok(midnight + MICROS_PER_DAY)
        );
        assert_eq!(
            datetime(b"2024-02-29 00:00:00.1234567"),
            Ok(midnight + 123_456)
        );
        for bad in [
            "2024-02-29 25:00",
            "2024-02-29 13:61",
            "2024-02-29 13:14:15 X",
            "13:14",
            "2024-02-29T",
            "2024-02-29 13:14:15+99",
        ] {
            assert_eq!(datetime(bad.as_bytes()), Err(Fault::DateTime), "{bad}");
        }
    }

    #[test]
    fn unix_seconds() {
        assert_eq!(is_midnight_seconds(b"620784000"), Some(7185));
        assert_eq!(is_midnight_seconds(b"-86400"), Some(-1));
        assert_eq!(is_midnight_seconds(b"31536000"), Some(365));
        assert_eq!(is_midnight_seconds(b"620784001"), None);
        assert_eq!(is_midnight_seconds(b"20240229"), None);
    }

    proptest! {
        #[test]
        fn every_day_round_trips(day in -700_000_i32..2_900_000) {
            let written = chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0).map(|time| time.format("%Y-%m-%d").to_string());
            let written = written.ok_or_else(|| TestCaseError::reject("out of chrono's range"))?;
            prop_assert_eq!(date(written.as_bytes()), Ok(day));
        }

        #[test]
        fn never_panics(cell in proptest::collection::vec(proptest::sample::select(b"0123456789-/.:TZ +APM".to_vec()), 0..30)) {
            let _ = (date(&cell), datetime(&cell), is_midnight_seconds(&cell));
        }
    }
}
