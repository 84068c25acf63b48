//! The times of a cron pattern in a time zone, right across daylight-saving changes.
//!
//! Patterns have five fields (minute, hour, day of the month, month, day of the week; `L`, `W` and `#` as croner reads
//! them) or are `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. What happens when clocks change depends on what
//! the pattern says, as in Vixie's cron:
//!
//! - a **time of day** (neither minute nor hour has a `*`, such as `30 2 * * *` or `0 2,14 * * *`) happens once on each
//!   day: at the first moment after the gap when the clock skips it, and only the first time when the clock shows it twice;
//! - an **interval** (a `*` in minute or hour, such as `*/15 * * * *` or `@hourly`) keeps its rhythm: what is skipped is
//!   skipped, and an hour that comes twice counts twice.

use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::error::{Error, Result};

/// Occurrences looked at before a pattern is taken to have no further one that is later.
const MAX_STEPS: usize = 10_000;

/// The times of a cron pattern in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
    /// A time of day, not an interval.
    time_of_day: bool,
}

impl Calendar {
    /// Reads a pattern and a time zone.
    ///
    /// # Errors
    /// When the pattern cannot be read or never comes, or the time zone is unknown.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self> {
        let zone = time_zone(zone)?;
        let wrong = |reason: &str| {
            Error::refused(
                format!("`{pattern}` is not a cron pattern: {reason}"),
                "write minute, hour, day, month and weekday, such as \"0 2 * * *\" for 02:00 on every day",
            )
        };
        let fields = expanded(pattern);
        if fields.split_whitespace().count() != 5 {
            return Err(wrong("it needs five fields"));
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&fields)
            .map_err(|error| wrong(reason(&error.to_string())))?;
        let time_of_day = !fields
            .split_whitespace()
            .take(2)
            .any(|field| field.contains('*'));
        let calendar = Self {
            cron,
            zone,
            time_of_day,
        };
        // 2000-01-01, so that the answer does not depend on the day: every leap day comes within eight years.
        let start = DateTime::from_timestamp(946_684_800, 0).unwrap_or_default();
        if calendar.next_after(start).is_none() {
            return Err(wrong("no day has such a date"));
        }
        Ok(calendar)
    }

    /// The zone that the pattern is read in.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first time later than `after`.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Occurrences are whole minutes: a fraction of a second makes no difference, and croner need not see it.
        let after = DateTime::from_timestamp(after.timestamp(), 0)?;
        let local = after.with_timezone(&self.zone);
        if !self.time_of_day {
            let next = self.cron.find_next_occurrence(&local, false).ok()?;
            return Some(next.with_timezone(&Utc));
        }
        let mut clock = local.naive_local();
        for _ in 0..MAX_STEPS {
            clock = self.cron.find_next_occurrence(&clock, false).ok()?;
            let moment = self.moment(clock)?;
            if moment > after {
                return Some(moment);
            }
        }
        None
    }

    /// The times later than `after` and not later than `until`, at most `limit` of them, and whether there are more.
    #[must_use]
    pub fn between(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> (Vec<DateTime<Utc>>, bool) {
        let mut times = Vec::new();
        let mut last = after;
        while let Some(next) = self.next_after(last).filter(|next| *next <= until) {
            if times.len() == limit {
                return (times, true);
            }
            times.push(next);
            last = next;
        }
        (times, false)
    }

    /// When a clock in the zone shows this: for the first time, or as soon as it shows something later.
    fn moment(&self, clock: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&clock) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => {
                Some(moment.with_timezone(&Utc))
            }
            LocalResult::None => {
                // Gaps begin and end at whole minutes since 1970s' rules; Samoa once left out a whole day.
                (1..=26 * 60).find_map(|minutes| {
                    self.zone
                        .from_local_datetime(&(clock + TimeDelta::minutes(minutes)))
                        .earliest()
                        .map(|moment| moment.with_timezone(&Utc))
                })
            }
        }
    }
}

/// The five fields of a pattern, `@daily` and the like written out.
fn expanded(pattern: &str) -> String {
    let pattern = pattern.trim();
    match pattern.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => pattern,
    }
    .to_owned()
}

/// croner's own words without their introduction.
fn reason(message: &str) -> &str {
    message
        .split_once(": ")
        .map_or(message, |(_, reason)| reason)
        .trim_end_matches('.')
}

/// A zone of the IANA database by its name.
fn time_zone(name: &str) -> Result<Tz> {
    Tz::from_str(name).map_err(|_| {
        let wanted = name.to_ascii_lowercase();
        let near = chrono_tz::TZ_VARIANTS
            .iter()
            .map(|zone| zone.name())
            .find(|zone| {
                let zone = zone.to_ascii_lowercase();
                zone == wanted
                    || (!wanted.is_empty() && zone.rsplit('/').next() == Some(wanted.as_str()))
            });
        Error::refused(
            format!("`{name}` is not a time zone"),
            near.map_or_else(
                || {
                    "write a name of the IANA database, such as Asia/Seoul, Europe/Berlin or UTC"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            ),
        )
    })
}

#[cfg(test)]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may end at the first surprise"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    /// The next times after a moment, in the zone.
    fn times(pattern: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::parse(pattern, zone).expect("a pattern");
        let mut last = utc(after);
        (0..count)
            .map(|_| {
                last = calendar.next_after(last).expect("there is a next one");
                last.with_timezone(&calendar.zone())
                    .format("%m-%dT%H:%M%:z")
                    .to_string()
            })
            .collect()
    }

    // Berlin 2026: 02:00 becomes 03:00 on 29 March, 03:00 becomes 02:00 on 25 October (IANA database).

    #[test]
    fn a_time_of_day_that_the_clock_skips_comes_right_after_the_gap() {
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            [
                "03-28T02:30+01:00",
                "03-29T03:00+02:00",
                "03-30T02:30+02:00"
            ]
        );
        // Two times in one gap are two moments at first, and one after it: the day has one run for both.
        assert_eq!(
            times("0,30 2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", 2),
            ["03-29T03:00+02:00", "03-30T02:00+02:00"]
        );
        // Lord Howe: half an hour.
        assert_eq!(
            times(
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                2
            ),
            ["10-04T02:30+11:00", "10-05T02:15+11:00"]
        );
        // Samoa had no 30 December 2011.
        assert_eq!(
            times("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
            [
                "12-29T12:00-10:00",
                "12-31T00:00+14:00",
                "12-31T12:00+14:00"
            ]
        );
    }

    #[test]
    fn a_time_of_day_that_the_clock_shows_twice_comes_once() {
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
            [
                "10-24T02:30+02:00",
                "10-25T02:30+02:00",
                "10-26T02:30+01:00"
            ]
        );
        // Asked between the two, too.
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1),
            ["10-26T02:30+01:00"]
        );
        assert_eq!(
            times("30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", 2),
            ["11-01T01:30-04:00", "11-02T01:30-05:00"]
        );
    }

    #[test]
    fn an_interval_keeps_its_rhythm() {
        assert_eq!(
            times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4),
            [
                "10-25T02:30+02:00",
                "10-25T02:00+01:00",
                "10-25T02:30+01:00",
                "10-25T03:00+01:00"
            ]
        );
        assert_eq!(
            times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            [
                "03-29T01:30+01:00",
                "03-29T03:00+02:00",
                "03-29T03:30+02:00"
            ]
        );
        for (day, zone) in [
            ("2026-03-28T12:00:00Z", "Europe/Berlin"),
            ("2026-10-24T12:00:00Z", "Europe/Berlin"),
            ("2026-03-08T00:00:00Z", "America/New_York"),
            ("2026-11-01T00:00:00Z", "America/New_York"),
        ] {
            let calendar = Calendar::parse("@hourly", zone).expect("a pattern");
            let start = utc(day);
            let (found, more) = calendar.between(start, start + TimeDelta::hours(24), 100);
            assert_eq!((found.len(), more), (24, false), "{day} {zone}");
        }
    }

    #[test]
    fn zones_days_and_names() {
        assert_eq!(
            times("0 2 * * *", "Asia/Seoul", "2026-01-01T00:00:00Z", 1),
            ["01-02T02:00+09:00"]
        );
        assert_eq!(
            times("0 6 * * MON-FRI", "UTC", "2026-11-27T07:00:00Z", 1),
            ["11-30T06:00+00:00"]
        );
        assert_eq!(
            times("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", 1),
            ["02-29T00:00+00:00"]
        );
        assert_eq!(
            times("0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", 1),
            ["02-29T00:00+00:00"]
        );
        assert_eq!(
            times("@weekly", "UTC", "2026-11-26T00:00:00Z", 1),
            ["11-29T00:00+00:00"]
        );
    }

    #[test]
    fn mistakes_say_what_to_do() {
        for (pattern, zone, says) in [
            ("0 2 * *", "UTC", "five fields"),
            ("0 0 2 * * *", "UTC", "five fields"),
            ("61 2 * * *", "UTC", "not a cron pattern"),
            ("0 0 30 2 *", "UTC", "no day has such a date"),
            ("@nightly", "UTC", "five fields"),
            ("0 2 * * *", "Asia/Soul", "not a time zone"),
        ] {
            let Err(error) = Calendar::parse(pattern, zone) else {
                panic!("`{pattern}` in {zone} must not be read");
            };
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.is_usage() && error.hint().is_some());
        }
    }

    proptest! {
        /// Whatever the pattern and the moment: the next time is later, and there is none between.
        #[test]
        fn the_next_time_is_the_first_later_one(
            minute in 0u32..60, hour in 0u32..24, star in any::<bool>(),
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Seoul"]),
            start in 1_767_225_600i64..1_798_761_600,
        ) {
            let pattern = if star { format!("{minute} * * * *") } else { format!("{minute} {hour} * * *") };
            let calendar = Calendar::parse(&pattern, zone).expect("a pattern");
            let start = DateTime::from_timestamp(start, 0).expect("a time");
            let first = calendar.next_after(start).expect("a next time");
            prop_assert!(first > start);
            prop_assert!(first - start <= TimeDelta::hours(26));
            // From any moment before it, it is the next as well.
            let middle = start + (first - start) / 2;
            prop_assert_eq!(calendar.next_after(middle), Some(first));
            prop_assert!(calendar.next_after(first).expect("another") > first);
        }
    }
}
