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
