//! Time at risk and event of every person of the population, for one outcome.

use std::path::Path;

use arrow::record_batch::RecordBatch;

use super::cohort::{Entry, of_person};
use super::population::Person;
use crate::error::Result;
use crate::frame::{self, Columns};
use crate::spec::{Competing, Outcome, RiskEnd, TimeAtRisk};

/// Why a person is not at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// At risk, for at least a day.
    AtRisk,
    /// Had the outcome before.
    Prior,
    /// The time at risk ends before it begins.
    NoTime,
}

/// A person's time at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FollowUp {
    pub(crate) status: Status,
    /// Days at risk, the last included.
    pub(crate) days: i32,
    /// 0 censored, 1 the outcome, 2 the competing event.
    pub(crate) event: u32,
}

/// The cohorts that end a time at risk.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    pub(crate) outcome: &'a [Entry],
    pub(crate) censor: Vec<&'a [Entry]>,
    pub(crate) competing: Option<&'a [Entry]>,
}

/// Follows one person.
pub(crate) fn follow(
    person: &Person,
    outcome: &Outcome,
    risk: &TimeAtRisk,
    ends: &Ends<'_>,
) -> FollowUp {
    let nobody = |status| FollowUp {
        status,
        days: 0,
        event: 0,
    };
    let add = |day: i32, days: i64| i32::try_from(i64::from(day) + days).unwrap_or(i32::MAX);
    let begin = add(person.index, risk.start);
    let events = of_person(ends.outcome, person.person);
    if outcome.exclude_prior
        && events.iter().any(|(_, day, _)| {
            *day < begin
                && outcome
                    .prior_days
                    .is_none_or(|days| i64::from(begin) - i64::from(*day) <= days)
        })
    {
        return nobody(Status::Prior);
    }
    let last = match risk.end {
        RiskEnd::Observation => person.end,
        RiskEnd::Days(days) => add(person.index, days).min(person.end),
        RiskEnd::Cohort => add(person.cohort_end, risk.grace).min(person.end),
    };
    let first_of = |entries: &[Entry]| {
        of_person(entries, person.person)
            .iter()
            .map(|entry| entry.1)
            .find(|day| *day >= begin)
    };
    let censored = ends
        .censor
        .iter()
        .filter_map(|entries| first_of(entries))
        .min();
    let competing = match (&risk.competing, ends.competing) {
        (Some(Competing::Death), _) => person.death.filter(|day| *day >= begin),
        (Some(Competing::Cohort(_)), Some(entries)) => first_of(entries),
        _ => None,
    };
    let event = events.iter().map(|entry| entry.1).find(|day| *day >= begin);
    // On one day the outcome comes first, then the competing event, then the end of observation.
    let exit = [event, competing, censored, Some(last)]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(last);
    if exit < begin || last < begin {
        return nobody(Status::NoTime);
    }
    let event = if event == Some(exit) {
        1
    } else if competing == Some(exit) {
        2
    } else {
        0
    };
    FollowUp {
        status: Status::AtRisk,
        days: exit - begin + 1,
        event,
    }
}

/// The table, in the order of the population.
pub(crate) fn table(people: &[Person], rows: &[FollowUp]) -> Result<RecordBatch> {
    let status = |row: &FollowUp| match row.status {
        Status::AtRisk => "at risk",
        Status::Prior => "prior outcome",
        Status::NoTime => "no time at risk",
    };
    Columns::default()
        .integers(
            "person_id",
            people.iter().map(|person| person.person).collect(),
        )
        .texts(
            "status",
            rows.iter().map(|row| status(row).to_owned()).collect(),
        )
        .integers("time", rows.iter().map(|row| i64::from(row.days)).collect())
        .integers(
            "event",
            rows.iter().map(|row| i64::from(row.event)).collect(),
        )
        .batch()
}

/// Follow-up from its file.
pub(crate) fn read(path: &Path) -> Result<Vec<FollowUp>> {
    let batch = frame::read(path)?;
    let (status, time, event) = (
        frame::texts(&batch, "status")?,
        frame::integers(&batch, "time")?,
        frame::integers(&batch, "event")?,
    );
    Ok((0..batch.num_rows())
        .map(|row| FollowUp {
            status: match status[row].as_deref() {
                Some("at risk") => Status::AtRisk,
                Some("prior outcome") => Status::Prior,
                _ => Status::NoTime,
            },
            days: time[row]
                .and_then(|days| i32::try_from(days).ok())
                .unwrap_or(0),
            event: event[row]
                .and_then(|event| u32::try_from(event).ok())
                .unwrap_or(0),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Located;

    fn person() -> Person {
        Person {
            person: 7,
            target: true,
            index: 1000,
            cohort_end: 1100,
            start: 0,
            end: 2000,
            death: None,
            age: Some(60),
            male: Some(true),
        }
    }

    fn outcome() -> Outcome {
        Outcome {
            name: "x".into(),
            label: "x".into(),
            cohort: Located {
                value: "x".into(),
                at: crate::Spot::default(),
                path: String::new(),
            },
            exclude_prior: true,
            prior_days: None,
        }
    }

    fn risk(end: RiskEnd) -> TimeAtRisk {
        TimeAtRisk {
            start: 1,
            end,
            grace: 30,
            censor_at: Vec::new(),
            competing: Some(Competing::Death),
        }
    }

    fn at(events: &[i32], end: RiskEnd, person: Person) -> FollowUp {
        let entries: Vec<Entry> = events.iter().map(|day| (7, *day, *day)).collect();
        let ends = Ends {
            outcome: &entries,
            censor: Vec::new(),
            competing: None,
        };
        follow(&person, &outcome(), &risk(end), &ends)
    }

    #[test]
    fn days_count_from_the_index_date() {
        let found = |days, event| FollowUp {
            status: Status::AtRisk,
            days,
            event,
        };
        assert_eq!(at(&[], RiskEnd::Observation, person()), found(1000, 0));
        assert_eq!(at(&[1010], RiskEnd::Observation, person()), found(10, 1));
        assert_eq!(at(&[1400], RiskEnd::Days(365), person()), found(365, 0));
        assert_eq!(at(&[1365], RiskEnd::Days(365), person()), found(365, 1));
        assert_eq!(at(&[1131], RiskEnd::Cohort, person()), found(130, 0));
        let dead = Person {
            death: Some(1500),
            end: 1500,
            ..person()
        };
        assert_eq!(at(&[1500], RiskEnd::Observation, dead), found(500, 1));
        assert_eq!(at(&[1501], RiskEnd::Observation, dead), found(500, 2));
    }

    #[test]
    fn who_is_not_at_risk_is_said() {
        assert_eq!(
            at(&[1000, 1200], RiskEnd::Observation, person()).status,
            Status::Prior
        );
        let last_day = Person {
            end: 1000,
            ..person()
        };
        assert_eq!(
            at(&[], RiskEnd::Observation, last_day).status,
            Status::NoTime
        );
    }
}
