//! The numbers of a listed group, from what was released for them.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use serde::{Deserialize, Serialize};

use super::aggregate::Controlled;
use super::curve::{self, Follow, Step, UpTo, causes, digits, result, up_to};
use super::numbers::{keyed, number_of};
use super::recomputed::{Entry, MadeOf, Recomputed, Repeated, of_means, of_steps};
use super::regression::{model_of, mostly_once};
use super::spec::{Basis, Function, Number};
use crate::disclosure::cube::Dims;
use crate::disclosure::persons::{Contribution, Persons};
use crate::disclosure::releases::{Cell, Outcome, Table};
use crate::disclosure::sketch::Sketch;
use crate::disclosure::{CURVE_OF, DEVIATION, IN_SHARE, MEAN, PERSONS, Profile, ROWS};
use crate::dp::random::Random;

/// The name under which a curve is kept in the record.
const TICKET: &str = "ticket";

/// Decisions about how persons' time is parted.
const HALVES: &str = "halves";

/// What numbers are made of.
pub(super) struct Desk<'a> {
    pub(super) bases: &'a [Basis],
    pub(super) tables: &'a mut [Table],
    pub(super) control: &'a Controlled,
}

impl Desk<'_> {
    /// What the persons of a group contribute to several measures.
    fn sketch(&mut self, bases: impl Iterator<Item = usize>, row: usize) -> Sketch {
        let mut sketch = Sketch::default();
        for at in bases {
            let measure = self.bases[at].measure.as_ref();
            let shifted = measure.map_or(0.0, |(of, _)| of.shifted());
            sketch.add(self.tables[at].cells[row].persons.contributions(), shifted);
        }
        sketch
    }

    /// A group's place among those of a basis, for a table of its own: the same for the same group, and no part of any other.
    pub(super) fn place(&self, basis: usize, row: usize) -> Dims {
        Dims::from([("place".to_owned(), self.tables[basis].place(row))])
    }
}

/// What is shown of persons over time.
#[derive(Debug, Serialize, Deserialize)]
struct Course {
    causes: Vec<i64>,
    /// The groups that are compared, by their values.
    arms: Vec<f64>,
    steps: Vec<Step>,
    /// Counts as they are shown, by the names of [`curve::counted`].
    counts: BTreeMap<String, f64>,
}

/// Persons over time, once for nearly the same persons.
fn course_of(
    desk: &mut Desk<'_>,
    times: usize,
    events: usize,
    arms: Option<usize>,
    row: usize,
) -> Result<Option<Course>> {
    let bases = || [times, events].into_iter().chain(arms);
    let sketch = desk.sketch(bases(), row);
    let mut text = format!(
        "{:?}; {}",
        desk.control.profile,
        desk.control.lens.treatments()
    );
    for at in bases() {
        text.push_str(&format!("; {}", desk.bases[at].atom()));
    }
    let bytes = desk.tables[times].cells[row].persons.bytes();
    let persons = Persons::from_bytes(&bytes);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of 40 bits is exact, also after it was written as text and read again"
    )]
    let ticket = Random::default()
        .below(1 << 40)
        .map_err(|error| DataFusionError::External(Box::new(error)))? as f64;
    let mut tables = [Table {
        measure: format!("{CURVE_OF}{text}"),
        atom: text,
        words: desk.tables[times].words.clone(),
        ..Table::of(vec![Cell {
            dims: desk.place(times, row),
            sketch: Some(sketch),
            held: None,
            common: None,
            safe: desk.tables[times].cells[row].persons.contributions().len()
                >= desk.control.profile.k as usize,
            persons,
            values: BTreeMap::from([(TICKET.to_owned(), Some(ticket))]),
        }])
    }];
    let outcomes = desk.control.release(&mut tables)?;
    let Some(found) = number_of(&outcomes[0][0], TICKET) else {
        return Ok(None);
    };
    let failed = |error: crate::disclosure::Error| DataFusionError::External(Box::new(error));
    let damaged = |_| failed(crate::disclosure::Error::Damaged);
    let releases = &desk.control.releases;
    if found == ticket {
        let course = new_course(desk, times, events, arms, row)?;
        let course = serde_json::to_string(&course).map_err(damaged)?;
        releases.keep_curve(ticket, &course).map_err(failed)?;
    }
    match releases.curve(found).map_err(failed)? {
        Some(course) => serde_json::from_str(&course).map_err(damaged),
        None => Ok(None),
    }
}

/// Those with each cause, and those censored, up to the ends of intervals of time are groups of persons, and are released like any.
/// Everything else of a curve follows from their numbers.
fn new_course(
    desk: &mut Desk<'_>,
    times: usize,
    events: usize,
    arms: Option<usize>,
    row: usize,
) -> Result<Option<Course>> {
    let mut by_person = |basis: usize| -> Vec<Contribution> {
        let persons = &mut desk.tables[basis].cells[row].persons;
        persons.contributions().to_vec()
    };
    let (times, events) = (by_person(times), by_person(events));
    let in_arms = arms.map(&mut by_person);
    // The same persons, by the same filter.
    let same =
        times.len() == events.len() && in_arms.as_ref().is_none_or(|a| a.len() == times.len());
    if !same || !mostly_once(&times, &desk.control.profile) {
        return Ok(None);
    }
    let arms = match &in_arms {
        None => vec![0.0],
        // Whether a group has nobody or few persons must not show.
        Some(_) => vec![0.0, 1.0],
    };
    let follows: Vec<Follow> = times
        .iter()
        .zip(&events)
        .enumerate()
        .filter(|(_, (time, _))| time.rows == 1)
        .map(|(at, (time, event))| Follow {
            person: time.person,
            time: time.sum,
            #[expect(clippy::cast_possible_truncation, reason = "from 0 to 9")]
            cause: event.sum.round() as i64,
            arm: usize::from(in_arms.as_ref().is_some_and(|arms| arms[at].sum > 0.5)),
        })
        .collect();
    let control = desk.control;
    let (profile, k) = (&control.profile, u64::from(control.profile.k));
    let causes = causes(&follows, k);
    // All causes of the first group first, and then those censored.
    let each_arm = || 0..arms.len();
    let with_cause = each_arm().flat_map(|arm| causes.iter().map(move |cause| (arm, *cause)));
    let kinds: Vec<(usize, i64)> = with_cause.chain(each_arm().map(|arm| (arm, 0))).collect();
    let until = control.releases.decide((&control.reader, k), |decisions| {
        let each = kinds.iter().map(|(arm, cause)| {
            let theirs = |follow: &&Follow| {
                // Who had another cause, which too few have, is no longer at risk, and was not censored.
                (follow.arm, follow.cause) == (*arm, *cause)
            };
            let persons = follows.iter().filter(theirs);
            let persons = persons.map(|follow| (follow.person, follow.time)).collect();
            up_to(persons, k, &mut |halves, own| {
                decisions.once(HALVES, halves, own)
            })
        });
        each.collect::<std::result::Result<Vec<UpTo>, _>>()
    });
    let until = until.map_err(|error| DataFusionError::External(Box::new(error)))?;
    let mut cells: Vec<Cell> = Vec::new();
    for arm in each_arm() {
        let theirs = follows.iter().filter(|follow| follow.arm == arm);
        let all: Vec<i64> = theirs.map(|follow| follow.person).collect();
        cells.push(group_cell(&all, &format!("all:{arm}"), profile));
    }
    for (of, (arm, cause)) in until.iter().zip(&kinds) {
        for (end, members) in &of.until {
            let name = format!("{cause}:{arm} up to {end}");
            cells.push(group_cell(members, &name, profile));
        }
    }
    let outcomes = control.release(&mut [Table::of(cells)])?;
    // Numbers as they are shown, be it as those of nearly the same persons.
    let mut shown = outcomes[0]
        .iter()
        .map(|outcome| number_of(outcome, PERSONS));
    let all: Vec<Option<f64>> = shown.by_ref().take(arms.len()).collect();
    let Some(all) = all.into_iter().collect::<Option<Vec<f64>>>() else {
        return Ok(None);
    };
    let courses: Vec<curve::Course> = until
        .iter()
        .map(|of| curve::Course::of(of.until.iter().map(|(end, _)| *end).zip(shown.by_ref())))
        .collect();
    let (events, censored) = courses.split_at(causes.len() * arms.len());
    let (steps, counts) = curve::counted(&all, events, censored, k);
    if steps.is_empty() {
        return Ok(None);
    }
    Ok(Some(Course {
        causes,
        arms,
        steps,
        counts,
    }))
}

/// A statistic of released numbers.
fn recomputed_of(
    desk: &mut Desk<'_>,
    of: &Recomputed,
    row: usize,
    outcomes: &[Vec<Outcome>],
) -> Result<Option<ScalarValue>> {
    let mut released = |number: &Number| -> Result<Option<f64>> {
        match value(number, row, outcomes, desk)? {
            Some(ScalarValue::Float64(number)) => Ok(number),
            _ => Ok(None),
        }
    };
    let rows: Option<Vec<Repeated>> = match &of.made_of {
        MadeOf::Counts(kinds) => kinds
            .iter()
            .map(|(values, number)| Ok(released(number)?.map(|count| (values.clone(), count))))
            .collect::<Result<_>>()?,
        MadeOf::Sums(rows) => rows
            .iter()
            .map(|row| {
                let mut values = row.iter().map(|entry| match entry {
                    Entry::Released(number) => released(number),
                    Entry::Group(value) => Ok(Some(*value)),
                });
                let values: Option<Vec<f64>> = values.by_ref().collect::<Result<_>>()?;
                Ok(values.map(|mut values| {
                    // Events are counted, and follow from a mean here.
                    values[0] = values[0].round().max(0.0);
                    (values, 1.0)
                }))
            })
            .collect::<Result<_>>()?,
        MadeOf::Means(groups) => {
            let mut found = Vec::new();
            for (group, numbers) in groups {
                let mut all = [0.0; 3];
                for (to, number) in all.iter_mut().zip(numbers) {
                    let Some(number) = released(number)? else {
                        return Ok(None);
                    };
                    *to = number;
                }
                found.push((*group, all));
            }
            Some(of_means(&found))
        }
        MadeOf::Steps {
            times,
            events,
            groups,
        } => course_of(desk, *times, *events, *groups, row)?.map(|course| {
            let Course {
                causes,
                arms,
                steps,
                counts,
            } = &course;
            of_steps(causes, arms, groups.is_some(), steps, counts)
        }),
    };
    match rows {
        Some(rows) => of.of(&rows),
        None => Ok(None),
    }
}

/// A group of persons that is counted.
pub(super) fn group_cell(members: &[i64], name: &str, profile: &Profile) -> Cell {
    let mut members = members.to_vec();
    members.sort_unstable();
    let mut persons = Persons::default();
    for person in members {
        persons.push(person, 0.0);
    }
    let count = persons.contributions().len() as u64;
    let shown = profile.count(count).map(|n| n as f64);
    Cell {
        // All on one level: none is the sum of others.
        dims: Dims::from([("curve".to_owned(), name.to_owned())]),
        safe: shown.is_some(),
        persons,
        sketch: None,
        held: None,
        common: None,
        values: BTreeMap::from([(PERSONS.to_owned(), shown), (ROWS.to_owned(), shown)]),
    }
}

/// A number of a listed group.
pub(super) fn value(
    number: &Number,
    row: usize,
    outcomes: &[Vec<Outcome>],
    desk: &mut Desk<'_>,
) -> Result<Option<ScalarValue>> {
    let of = |basis: usize, name: &str| number_of(&outcomes[basis][row], name);
    let own = number.basis;
    let (scale, offset) = number.scale;
    // Twelve digits: what a scale does to the last ones is no news.
    let scaled = |mean: f64| digits(scale * mean + offset, 12);
    let mean = keyed(MEAN, &desk.bases[own]);
    let deviation = keyed(DEVIATION, &desk.bases[own]);
    let shown = match &number.function {
        Function::Rows => of(own, ROWS),
        Function::Persons => of(own, PERSONS),
        Function::Mean => of(own, &mean).map(scaled),
        Function::Sum(rows) => of(own, &mean)
            .zip(of(*rows, ROWS))
            .map(|(mean, rows)| scaled(mean) * rows)
            // A whole number is the nearest one, and not the one below.
            .map(|sum| {
                if number.kind.is_integer() {
                    sum.round()
                } else {
                    sum
                }
            }),
        Function::Deviation => {
            of(own, &deviation).map(|deviation| digits(deviation * scale.abs(), 3))
        }
        Function::Variance => {
            of(own, &deviation).map(|deviation| digits((deviation * scale).powi(2), 3))
        }
        // Of counts as they are shown: a part that lacks a person is its whole.
        Function::Share(whole) => of(own, IN_SHARE)
            .zip(of(*whole, IN_SHARE))
            .filter(|(_, whole)| *whole > 0.0)
            .map(|(part, whole)| digits((part / whole).min(1.0), 3)),
        Function::RowsPer(whole) => of(own, IN_SHARE)
            .zip(of(*whole, IN_SHARE))
            .filter(|(_, whole)| *whole > 0.0)
            .map(|(rows, whole)| digits(rows / whole, 3)),
        Function::Model(model) => return model_of(desk, model, row),
        Function::Recomputed(of) => return recomputed_of(desk, of, row, outcomes),
        Function::Curve(declared, events) => {
            let Some(course) = course_of(desk, own, *events, None, row)? else {
                return Ok(None);
            };
            let Course {
                causes,
                steps,
                counts,
                ..
            } = &course;
            let shown = result(causes, steps, counts, declared, &number.kind)?;
            return Ok(Some(shown).filter(|shown| !shown.is_null()));
        }
    };
    Ok(shown.map(|number| ScalarValue::Float64(Some(number))))
}

/// What stands for a number that is not shown.
pub(super) fn hidden(
    function: &Function,
    profile: &Profile,
    kind: &DataType,
) -> Result<ScalarValue> {
    match (function, profile.withheld_count()) {
        (Function::Rows | Function::Persons, Some(count)) => {
            ScalarValue::Int64(Some(count)).cast_to(kind)
        }
        _ => ScalarValue::try_from(kind),
    }
}
