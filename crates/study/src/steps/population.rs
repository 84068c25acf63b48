//! The persons of a study: their index date, their group, and who was left out by which rule.

use std::collections::HashMap;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use columna_model::Day;
use datafusion::prelude::SessionContext;

use super::cohort::{Entry, of_person};
use super::count;
use super::statements::{ask, births, has_table, need_table};
use crate::error::Result;
use crate::findings::{Attrition, AttritionStep};
use crate::frame::{self, Columns};
use crate::spec::{Both, Design, IndexRule, Observation, Sex, Spec};

/// One person of the population.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Person {
    pub(crate) person: i64,
    pub(crate) target: bool,
    pub(crate) index: i32,
    pub(crate) cohort_end: i32,
    pub(crate) start: i32,
    pub(crate) end: i32,
    pub(crate) death: Option<i32>,
    /// Completed years, where the year of birth is known.
    pub(crate) age: Option<i32>,
    /// Where it is known.
    pub(crate) male: Option<bool>,
}

impl Person {
    pub(crate) fn index_year(&self) -> i32 {
        Day(self.index).civil().year
    }
}

/// The cohorts that decide about the population, by name.
pub(crate) type Cohorts = HashMap<String, Vec<Entry>>;

#[derive(Debug, Clone, Copy)]
struct Birth {
    year: i32,
    month: i32,
    day: i32,
    sex: i64,
}

/// Chooses the population.
pub(crate) async fn build(
    ctx: &SessionContext,
    step: &str,
    spec: &Spec,
    design: &Design,
    cohorts: &Cohorts,
) -> Result<(RecordBatch, Attrition)> {
    need_table(ctx, step, "person").await?;
    need_table(ctx, step, "observation_period").await?;
    let names: Vec<&str> = std::iter::once(&design.target)
        .chain(&design.comparator)
        .map(|name| name.value.as_str())
        .collect();
    // Which persons are asked for: those of the cohorts, so that the rest of the store is not brought here.
    let persons = names
        .iter()
        .map(|name| format!("SELECT person_id FROM cohort_{name}"))
        .collect::<Vec<_>>()
        .join(" UNION ");
    let births = births(ctx, &format!("person_id IN ({persons})")).await?;
    let periods = ask(
        ctx,
        &format!(
            "SELECT person_id, observation_period_start_date AS start_date, \
             observation_period_end_date AS end_date FROM observation_period WHERE person_id IN ({persons})"
        ),
    )
    .await?;
    let mut deaths: HashMap<i64, i32> = HashMap::new();
    if has_table(ctx, "death").await {
        let answer = ask(
            ctx,
            &format!("SELECT person_id, death_date FROM death WHERE person_id IN ({persons})"),
        )
        .await?;
        for (person, day) in frame::integers(&answer, "person_id")?
            .into_iter()
            .zip(frame::days(&answer, "death_date")?)
        {
            if let (Some(person), Some(day)) = (person, day) {
                deaths
                    .entry(person)
                    .and_modify(|known| *known = day.min(*known))
                    .or_insert(day);
            }
        }
    }
    let births = births_of(&births)?;
    let periods = periods_of(&periods)?;
    let candidates = entries(design, cohorts);
    let groups: Vec<String> = names.iter().map(|name| spec.cohort_label(name)).collect();
    let mut selection = Selection {
        groups: groups.len(),
        steps: Vec::new(),
        left: candidates,
    };
    selection.start(&format!(
        "{} entry",
        if design.index == IndexRule::First {
            "First"
        } else {
            "Last"
        }
    ));
    selection.both(design);
    let births = &births;
    let periods = &periods;
    selection.keep("Index date under observation", |person| {
        let all = of_person(periods, person.person);
        let held = match design.observation {
            Observation::Any => all
                .iter()
                .find(|(_, start, end)| (*start..=*end).contains(&person.index)),
            Observation::First => all
                .first()
                .filter(|(_, start, end)| (*start..=*end).contains(&person.index)),
        };
        if let Some((_, start, end)) = held {
            (person.start, person.end) = (*start, *end);
        }
        held.is_some()
    });
    if design.washout > 0 {
        selection.keep(
            &format!(
                "At least {} days under observation before the index date",
                design.washout
            ),
            |person| i64::from(person.index) - i64::from(person.start) >= design.washout,
        );
    }
    selection.keep("Year of birth and sex known", |person| {
        let birth = births.get(&person.person);
        person.age = birth.map(|birth| age(birth, person.index));
        person.male = birth.and_then(|birth| match birth.sex {
            8507 => Some(true),
            8532 => Some(false),
            _ => None,
        });
        person.death = deaths.get(&person.person).copied();
        person.age.is_some() && person.male.is_some()
    });
    if let Some((youngest, oldest)) = design.age {
        selection.keep(&format!("Aged {youngest} to {oldest} years"), |person| {
            person
                .age
                .is_some_and(|age| (youngest..=oldest).contains(&i64::from(age)))
        });
    }
    if let Some(sex) = design.sex {
        let male = sex == Sex::Male;
        selection.keep(if male { "Male" } else { "Female" }, |person| {
            person.male == Some(male)
        });
    }
    if let Some((first, last)) = design.calendar {
        selection.keep(
            &format!("Index date from {} to {}", Day(first), Day(last)),
            |person| (first..=last).contains(&person.index),
        );
    }
    for (criteria, wanted) in [(&design.require, true), (&design.exclude, false)] {
        for criterion in criteria {
            let entries = cohorts
                .get(&criterion.cohort.value)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let rule = criterion.label.clone().unwrap_or_else(|| {
                format!(
                    "{} {}, {}",
                    if wanted { "With" } else { "Without" },
                    spec.cohort_label(&criterion.cohort.value),
                    criterion.window.words()
                )
            });
            selection.keep(&rule, |person| {
                let found = of_person(entries, person.person)
                    .iter()
                    .any(|(_, start, _)| {
                        let day = i64::from(*start) - i64::from(person.index);
                        day <= criterion.window.to
                            && criterion.window.from.is_none_or(|from| day >= from)
                    });
                found == wanted
            });
        }
    }
    let mut people = selection.left;
    people.sort_by_key(|person| person.person);
    Ok((
        table(&people)?,
        Attrition {
            groups,
            steps: selection.steps,
        },
    ))
}

struct Selection {
    groups: usize,
    steps: Vec<AttritionStep>,
    left: Vec<Person>,
}

impl Selection {
    fn counts(&self) -> Vec<u64> {
        (0..self.groups)
            .map(|group| {
                count(
                    self.left
                        .iter()
                        .filter(|person| person.target == (group == 0))
                        .count(),
                )
            })
            .collect()
    }

    fn start(&mut self, rule: &str) {
        let left = self.counts();
        self.steps.push(AttritionStep {
            rule: rule.to_owned(),
            out: vec![0; left.len()],
            left,
        });
    }

    fn keep(&mut self, rule: &str, mut keep: impl FnMut(&mut Person) -> bool) {
        let before = self.counts();
        self.left.retain_mut(|person| keep(person));
        self.note(rule, &before);
    }

    fn note(&mut self, rule: &str, before: &[u64]) {
        let left = self.counts();
        let out = before
            .iter()
            .zip(&left)
            .map(|(before, left)| before - left)
            .collect();
        self.steps.push(AttritionStep {
            rule: rule.to_owned(),
            left,
            out,
        });
    }

    /// Persons in both cohorts, whose rows stand side by side.
    fn both(&mut self, design: &Design) {
        if design.comparator.is_none() {
            return;
        }
        let before = self.counts();
        let all = std::mem::take(&mut self.left);
        for rows in all.chunk_by(|a, b| a.person == b.person) {
            match (rows, design.both) {
                ([one], _) => self.left.push(*one),
                ([one, other], Both::First) if one.index != other.index => {
                    self.left.push(if one.index < other.index {
                        *one
                    } else {
                        *other
                    });
                }
                _ => {}
            }
        }
        let rule = match design.both {
            Both::First => "In one group only, the one entered first",
            Both::Exclude => "In one group only, never in the other",
        };
        self.note(rule, &before);
    }
}

/// The entry of each person in each cohort that is the index date, by person.
fn entries(design: &Design, cohorts: &Cohorts) -> Vec<Person> {
    let mut people = Vec::new();
    let names = std::iter::once((&design.target, true))
        .chain(design.comparator.iter().map(|name| (name, false)));
    for (name, target) in names {
        let entries = cohorts
            .get(&name.value)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for rows in entries.chunk_by(|a, b| a.0 == b.0) {
            let chosen = match design.index {
                IndexRule::First => rows.first(),
                IndexRule::Last => rows.last(),
            };
            let Some(&(person, index, _)) = chosen else {
                continue;
            };
            // Of entries on the same day the longest.
            let end = rows
                .iter()
                .filter(|row| row.1 == index)
                .map(|row| row.2)
                .max()
                .unwrap_or(index);
            people.push(Person {
                person,
                target,
                index,
                cohort_end: end,
                start: index,
                end: index,
                death: None,
                age: None,
                male: None,
            });
        }
    }
    people.sort_by_key(|person| (person.person, !person.target));
    people
}

/// Completed years; where only the year of birth is known, the birthday is taken to be the first of July.
fn age(birth: &Birth, day: i32) -> i32 {
    let today = Day(day).civil();
    let birthday = (birth.month, birth.day);
    today.year - birth.year - i32::from((i32::from(today.month), i32::from(today.day)) < birthday)
}

fn births_of(answer: &RecordBatch) -> Result<HashMap<i64, Birth>> {
    let persons = frame::integers(answer, "person_id")?;
    let parts = [
        "year_of_birth",
        "month_of_birth",
        "day_of_birth",
        "gender_concept_id",
    ]
    .map(|name| frame::integers(answer, name));
    let [years, months, days, sexes] = parts;
    let (years, months, days, sexes) = (years?, months?, days?, sexes?);
    let small = |value: i64| i32::try_from(value).unwrap_or(0);
    let mut births = HashMap::new();
    for (row, person) in persons.into_iter().enumerate() {
        if let (Some(person), Some(year)) = (person, years[row]) {
            let birth = Birth {
                year: small(year),
                month: small(months[row].unwrap_or(7)),
                day: small(days[row].unwrap_or(1)),
                sex: sexes[row].unwrap_or(0),
            };
            births.insert(person, birth);
        }
    }
    Ok(births)
}

fn periods_of(answer: &RecordBatch) -> Result<Vec<Entry>> {
    let persons = frame::integers(answer, "person_id")?;
    let (starts, ends) = (
        frame::days(answer, "start_date")?,
        frame::days(answer, "end_date")?,
    );
    let mut periods: Vec<Entry> = persons
        .into_iter()
        .zip(starts)
        .zip(ends)
        .filter_map(|((person, start), end)| Some((person?, start?, end?)))
        .collect();
    periods.sort_unstable();
    Ok(periods)
}

/// The table of a population, in order of person.
pub(crate) fn table(people: &[Person]) -> Result<RecordBatch> {
    Columns::default()
        .integers(
            "person_id",
            people.iter().map(|person| person.person).collect(),
        )
        .integers(
            "target",
            people
                .iter()
                .map(|person| i64::from(person.target))
                .collect(),
        )
        .days(
            "index_date",
            people.iter().map(|person| person.index).collect(),
        )
        .days(
            "cohort_end_date",
            people.iter().map(|person| person.cohort_end).collect(),
        )
        .days(
            "observation_start_date",
            people.iter().map(|person| person.start).collect(),
        )
        .days(
            "observation_end_date",
            people.iter().map(|person| person.end).collect(),
        )
        .optional_days(
            "death_date",
            people.iter().map(|person| person.death).collect(),
        )
        .optional_integers(
            "age",
            people
                .iter()
                .map(|person| person.age.map(i64::from))
                .collect(),
        )
        .optional_integers(
            "male",
            people
                .iter()
                .map(|person| person.male.map(i64::from))
                .collect(),
        )
        .integers(
            "index_year",
            people
                .iter()
                .map(|person| i64::from(person.index_year()))
                .collect(),
        )
        .batch()
}

/// A population from its file.
pub(crate) fn read(path: &Path) -> Result<Vec<Person>> {
    let batch = frame::read(path)?;
    let persons = frame::integers(&batch, "person_id")?;
    let targets = frame::integers(&batch, "target")?;
    let days = [
        "index_date",
        "cohort_end_date",
        "observation_start_date",
        "observation_end_date",
        "death_date",
    ]
    .map(|name| frame::days(&batch, name));
    let [index, cohort_end, start, end, death] = days;
    let (index, cohort_end, start, end, death) = (index?, cohort_end?, start?, end?, death?);
    let (ages, males) = (
        frame::integers(&batch, "age")?,
        frame::integers(&batch, "male")?,
    );
    Ok((0..batch.num_rows())
        .map(|row| Person {
            person: persons[row].unwrap_or_default(),
            target: targets[row] == Some(1),
            index: index[row].unwrap_or_default(),
            cohort_end: cohort_end[row].unwrap_or_default(),
            start: start[row].unwrap_or_default(),
            end: end[row].unwrap_or_default(),
            death: death[row],
            age: ages[row].and_then(|age| i32::try_from(age).ok()),
            male: males[row].map(|male| male == 1),
        })
        .collect())
}
