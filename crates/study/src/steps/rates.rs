//! Incidence in a population by sex, age and calendar year, crude and standardised for age.

use std::collections::{BTreeMap, HashMap};

use columna_model::Day;
use columna_model::time::birth_day;
use columna_stats::rates::{PersonTime, RateInterval, Stratum, standardized_rate};
use datafusion::prelude::SessionContext;

use super::cohort::Entry;
use super::float;
use super::population::Cohorts;
use super::standard_population::{shares, words};
use super::statements::{ask, births, need_table};
use crate::error::Result;
use crate::findings::{Interval, Rate, RateCell, Rates};
use crate::frame;
use crate::spec::{self, Spec};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    male: bool,
    band: usize,
    year: i32,
}

/// Sex, band and year, as far as they are split by.
type Key = (Option<bool>, Option<usize>, Option<i32>);

type Cells = BTreeMap<Cell, (u64, u64)>;

/// Counts and standardises.
pub(crate) async fn build(
    ctx: &SessionContext,
    step: &str,
    spec: &Spec,
    wanted: &spec::Rates,
    cohorts: &Cohorts,
) -> Result<Rates> {
    need_table(ctx, step, "person").await?;
    need_table(ctx, step, "observation_period").await?;
    let births = births(ctx, "true").await?;
    let periods = ask(
        ctx,
        "SELECT person_id, observation_period_start_date AS first, observation_period_end_date AS last FROM observation_period",
    )
    .await?;
    let mut first: HashMap<i64, (i32, i32)> = HashMap::new();
    for ((person, start), end) in frame::integers(&periods, "person_id")?
        .into_iter()
        .zip(frame::days(&periods, "first")?)
        .zip(frame::days(&periods, "last")?)
    {
        if let (Some(person), Some(start), Some(end)) = (person, start, end) {
            first
                .entry(person)
                .and_modify(|known| *known = (*known).min((start, end)))
                .or_insert((start, end));
        }
    }
    let events = cohorts
        .get(&wanted.event.value)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let earliest = firsts(events);
    let among = wanted.among.as_ref().map(|name| {
        firsts(
            cohorts
                .get(&name.value)
                .map(Vec::as_slice)
                .unwrap_or_default(),
        )
    });
    let [persons, years, months, days, sexes] = [
        "person_id",
        "year_of_birth",
        "month_of_birth",
        "day_of_birth",
        "gender_concept_id",
    ]
    .map(|name| frame::integers(&births, name));
    let (persons, years, months, days, sexes) = (persons?, years?, months?, days?, sexes?);
    let small = |value: Option<i64>| value.and_then(|value| u8::try_from(value).ok());
    let mut cells = Cells::new();
    let (mut at_risk, mut prior) = (0, 0);
    for (row, person) in persons.into_iter().enumerate() {
        let birth = years[row]
            .and_then(|year| i32::try_from(year).ok())
            .and_then(|year| birth_day(year, small(months[row]), small(days[row])));
        let male = match sexes[row] {
            Some(8507) => true,
            Some(8532) => false,
            _ => continue,
        };
        let (Some(person), Some(birth)) = (person, birth) else {
            continue;
        };
        let Some(&(mut start, mut end)) = first.get(&person) else {
            continue;
        };
        if let Some(among) = &among {
            match among.get(&person) {
                Some(day) if (start..=end).contains(day) => start = *day,
                _ => continue,
            }
        }
        if let Some((from, to)) = wanted.calendar {
            (start, end) = (start.max(from), end.min(to.saturating_add(1)));
        }
        if start >= end {
            continue;
        }
        let event = earliest.get(&person).copied();
        if event.is_some_and(|day| day <= start) {
            prior += 1;
            if wanted.exclude_prior {
                continue;
            }
        }
        let event = event.filter(|day| *day > start && *day <= end);
        at_risk += 1;
        split(
            &mut cells,
            birth,
            male,
            (start, event.unwrap_or(end)),
            event,
            &wanted.ages,
        );
    }
    finish(spec, wanted, &cells, at_risk, prior)
}

fn firsts(entries: &[Entry]) -> HashMap<i64, i32> {
    let mut firsts = HashMap::new();
    for (person, day, _) in entries {
        firsts
            .entry(*person)
            .and_modify(|known: &mut i32| *known = (*known).min(*day))
            .or_insert(*day);
    }
    firsts
}

/// The day on which somebody is `age` years old.
fn birthday(birth: Day, age: i64) -> i32 {
    let born = birth.civil();
    let year = born.year + i32::try_from(age).unwrap_or(i32::MAX / 2);
    Day::from_civil(year, born.month, born.day)
        // Who was born on 29 February has the birthday on 1 March in common years.
        .or_else(|| Day::from_civil(year, 3, 1))
        .map_or(i32::MAX, |day| day.0)
}

/// Splits a person's time on birthdays and at the turn of the year; the event is in the cell of its day.
fn split(
    cells: &mut Cells,
    birth: Day,
    male: bool,
    (start, end): (i32, i32),
    event: Option<i32>,
    ages: &[i64],
) {
    let first_year = Day(start).civil().year;
    let last_year = Day(end).civil().year;
    for (band, age) in ages.iter().enumerate() {
        let from = birthday(birth, *age).max(start);
        let to = ages
            .get(band + 1)
            .map_or(i32::MAX, |age| birthday(birth, *age));
        if from > end {
            break;
        }
        if to <= start {
            continue;
        }
        for year in first_year..=last_year {
            let january = Day::from_civil(year, 1, 1).map_or(i32::MIN, |day| day.0);
            let next = Day::from_civil(year + 1, 1, 1).map_or(i32::MAX, |day| day.0);
            let (begin, until) = (from.max(january), to.min(next));
            let days = u64::try_from(i64::from(until.min(end)) - i64::from(begin)).unwrap_or(0);
            let here = event.is_some_and(|day| day >= begin && day < until);
            if days > 0 || here {
                let cell = cells.entry(Cell { male, band, year }).or_default();
                cell.0 += u64::from(here);
                cell.1 += days;
            }
        }
    }
}

fn band_label(ages: &[i64], band: usize) -> String {
    match ages.get(band + 1) {
        Some(next) => format!("{}–{}", ages[band], next - 1),
        None => format!("{}+", ages[band]),
    }
}

fn sex_label(male: bool) -> String {
    if male {
        "men".to_owned()
    } else {
        "women".to_owned()
    }
}

fn finish(
    spec: &Spec,
    wanted: &spec::Rates,
    cells: &Cells,
    persons: u64,
    prior: u64,
) -> Result<Rates> {
    let per = wanted.per;
    let scale = |interval: Interval| {
        let times = |number: f64| number * 365.25 * per;
        Interval::new(
            times(interval.value.get()),
            times(interval.lower.get()),
            times(interval.upper.get()),
        )
    };
    let rate = |events: u64, days: u64| -> Result<Interval> {
        let time = PersonTime {
            events,
            time: float(days),
        };
        Ok(if days == 0 {
            Interval::unknown()
        } else {
            scale(time.rate(RateInterval::Exact, spec.confidence)?.into())
        })
    };
    let collapsed = |by: (bool, bool, bool)| -> Result<Vec<RateCell>> {
        let mut sums: BTreeMap<Key, (u64, u64)> = BTreeMap::new();
        for (cell, (events, days)) in cells {
            let key = (
                by.0.then_some(cell.male),
                by.1.then_some(cell.band),
                by.2.then_some(cell.year),
            );
            let sum = sums.entry(key).or_default();
            sum.0 += events;
            sum.1 += days;
        }
        sums.into_iter()
            .map(|((male, band, year), (events, person_days))| {
                Ok(RateCell {
                    sex: male.map(sex_label),
                    age: band.map(|band| band_label(&wanted.ages, band)),
                    year: year.map(i64::from),
                    events,
                    person_days,
                    rate: rate(events, person_days)?,
                })
            })
            .collect()
    };
    let bands = wanted.ages.len();
    let internal: Vec<f64> = (0..bands)
        .map(|band| {
            cells
                .iter()
                .filter(|(cell, _)| cell.band == band)
                .map(|(_, (_, days))| float(*days))
                .sum()
        })
        .collect();
    let standard = shares(wanted.standard, &wanted.ages).unwrap_or(internal);
    let standardized = |label: String, year: Option<i32>, male: Option<bool>| -> Result<Rate> {
        let mut strata: Vec<(u64, u64)> = vec![(0, 0); bands];
        for (cell, (events, days)) in cells {
            if year.is_none_or(|year| cell.year == year)
                && male.is_none_or(|male| cell.male == male)
            {
                strata[cell.band].0 += events;
                strata[cell.band].1 += days;
            }
        }
        let (events, days) = strata
            .iter()
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        // A band that nobody is in has no rate; the others stand for the whole.
        let used: Vec<Stratum> = strata
            .iter()
            .zip(&standard)
            .filter(|((_, days), _)| *days > 0)
            .map(|((events, days), standard)| Stratum {
                events: *events,
                time: float(*days),
                standard: *standard,
            })
            .collect();
        Ok(Rate {
            label,
            year: year.map(i64::from),
            sex: male.map(sex_label),
            events,
            person_days: days,
            crude: rate(events, days)?,
            standardized: if used.is_empty() {
                Interval::unknown()
            } else {
                scale(standardized_rate(&used, spec.confidence)?.into())
            },
        })
    };
    let mut rates = vec![standardized("All".to_owned(), None, None)?];
    if wanted.by.0 {
        rates.push(standardized("Men".to_owned(), None, Some(true))?);
        rates.push(standardized("Women".to_owned(), None, Some(false))?);
    }
    if wanted.by.2 {
        let mut years: Vec<i32> = cells.keys().map(|cell| cell.year).collect();
        years.sort_unstable();
        years.dedup();
        for year in years {
            rates.push(standardized(year.to_string(), Some(year), None)?);
            if wanted.by.0 {
                rates.push(standardized(
                    format!("{year}, men"),
                    Some(year),
                    Some(true),
                )?);
                rates.push(standardized(
                    format!("{year}, women"),
                    Some(year),
                    Some(false),
                )?);
            }
        }
    }
    Ok(Rates {
        event: spec.cohort_label(&wanted.event.value),
        among: wanted.among.as_ref().map_or_else(
            || "everybody under observation".to_owned(),
            |name| {
                format!(
                    "members of \"{}\" from their first entry",
                    spec.cohort_label(&name.value)
                )
            },
        ),
        per: per.into(),
        persons,
        prior: if wanted.exclude_prior { prior } else { 0 },
        standard: words(wanted.standard).to_owned(),
        by_sex_age: collapsed((wanted.by.0, wanted.by.1, false))?,
        cells: collapsed(wanted.by)?,
        rates,
    })
}

/// How many cells there may be: used by tests only.
#[cfg(test)]
fn days_of(cells: &Cells) -> u64 {
    cells.values().map(|(_, days)| days).sum()
}

#[cfg(test)]
mod tests {
    use super::super::count;
    use super::*;

    #[test]
    fn time_is_split_on_birthdays_and_new_year() {
        let day = |year, month, day| Day::from_civil(year, month, day).map_or(0, |day| day.0);
        let mut cells = Cells::new();
        let birth = Day(day(1980, 2, 29));
        let (start, end) = (day(2019, 7, 1), day(2021, 3, 1));
        split(
            &mut cells,
            birth,
            true,
            (start, end),
            Some(end),
            &[0, 40, 41],
        );
        assert_eq!(days_of(&cells), u64::from((end - start).unsigned_abs()));
        // 29 February 2020 is the fortieth birthday; 1 March 2021 the next, and the event falls on it.
        assert_eq!(
            cells[&Cell {
                male: true,
                band: 0,
                year: 2020
            }],
            (0, 31 + 28)
        );
        assert_eq!(
            cells[&Cell {
                male: true,
                band: 1,
                year: 2021
            }],
            (0, 31 + 28)
        );
        assert_eq!(
            cells[&Cell {
                male: true,
                band: 2,
                year: 2021
            }],
            (1, 0)
        );
        assert_eq!(count(cells.len()), 5);
    }
}
