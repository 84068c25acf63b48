//! From the persons behind each group to the numbers that are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{SortColumn, lexsort_to_indices, take};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};

use super::curve::{Follow, Step, causes, decimals, digits, exponent, groups, result, steps};
use super::model;
use super::recomputed::{Entry, MadeOf, Recomputed, Repeated, of_means, of_steps};
use super::spec::{Basis, Function, Model, Number, Spec};
use crate::disclosure::cube::Dims;
use crate::disclosure::persons::{Contribution, Persons};
use crate::disclosure::releases::{Cell, Outcome, Reader, Releases, Table};
use crate::disclosure::{DEVIATION, IN_SHARE, MEAN, PERSONS, Profile, ROWS};

/// Makes the result of a grouping safe.
pub(super) fn released(
    input: &RecordBatch,
    spec: &Spec,
    schema: &SchemaRef,
    profile: &Profile,
    reader: &Reader,
    releases: &Releases,
) -> Result<(RecordBatch, Withheld)> {
    let first = spec.keys.len() + usize::from(spec.levels);
    let places = places(input, spec)?;
    let mut tables = Vec::new();
    for (at, basis) in spec.bases.iter().enumerate() {
        tables.push(table(input.column(first + at), basis, &places, profile)?);
    }
    let persons: Vec<u64> = tables[0]
        .cells
        .iter_mut()
        .map(|cell| cell.persons.contributions().len() as u64)
        .collect();
    let outcomes = releases
        .release(reader, profile, &mut tables)
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    let enough = |row: usize| persons[row] >= u64::from(profile.k);
    // A group of few persons is not listed: its key would show that somebody has it. A result without groups has one row.
    let listed: Vec<usize> = (0..places.len())
        .filter(|row| spec.keys.is_empty() || enough(*row))
        .collect();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let indices = arrow::array::UInt64Array::from_iter_values(listed.iter().map(|row| *row as u64));
    for key in 0..first {
        columns.push(take(input.column(key), &indices, None)?);
    }
    let mut withheld = 0;
    let mut desk = Desk {
        input,
        statistics: first + spec.bases.len(),
        bases: &spec.bases,
        tables: &mut tables,
        profile,
        reader,
        releases,
    };
    for (number, field) in spec.numbers.iter().zip(schema.fields().iter().skip(first)) {
        let values = listed
            .iter()
            .map(|row| {
                let group_shown = enough(*row) && outcomes[0][*row] != Outcome::Withheld;
                let shown = if group_shown {
                    value(number, *row, &outcomes, &mut desk)?
                } else {
                    None
                };
                if shown.is_none() {
                    withheld += 1;
                }
                match shown {
                    Some(value) => value.cast_to(field.data_type()),
                    None => hidden(&number.function, profile, field.data_type()),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        columns.push(if values.is_empty() {
            arrow::array::new_empty_array(field.data_type())
        } else {
            ScalarValue::iter_to_array(values)?
        });
    }
    let columns = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(column, field)| Ok(arrow::compute::cast(&column, field.data_type())?))
        .collect::<Result<Vec<_>>>()?;
    let unlisted = places.len() - listed.len();
    let batch = sorted(&RecordBatch::try_new(Arc::clone(schema), columns)?, first)?;
    Ok((
        batch,
        Withheld {
            groups: unlisted,
            numbers: withheld,
        },
    ))
}

/// How much was withheld: for the audit log, not for the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    /// Groups that are not listed.
    pub groups: usize,
    /// Numbers of listed groups.
    pub numbers: usize,
}

/// In the order of the groups: that of the computation would tell of their sizes.
pub(super) fn sorted(batch: &RecordBatch, keys: usize) -> Result<RecordBatch> {
    let columns: Vec<SortColumn> = batch
        .columns()
        .iter()
        .take(keys)
        .filter(|column| !column.data_type().is_nested())
        .map(|column| SortColumn {
            values: Arc::clone(column),
            options: None,
        })
        .collect();
    if columns.is_empty() {
        return Ok(batch.clone());
    }
    let order = lexsort_to_indices(&columns, None)?;
    let columns = batch
        .columns()
        .iter()
        .map(|column| Ok(take(column, &order, None)?))
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// Which group each row is about.
fn places(input: &RecordBatch, spec: &Spec) -> Result<Vec<Dims>> {
    let count = spec.keys.len();
    let levels = spec
        .levels
        .then(|| arrow::compute::cast(input.column(count), &DataType::UInt64))
        .transpose()?;
    (0..input.num_rows())
        .map(|row| {
            let level = levels.as_ref().map(|levels| {
                levels
                    .as_primitive::<arrow::datatypes::UInt64Type>()
                    .value(row)
            });
            let mut dims = Dims::new();
            for (at, name) in spec.keys.iter().enumerate() {
                // A bit is set where the row is not grouped by the key; the first key has the highest bit.
                if level.is_some_and(|level| level >> (count - 1 - at) & 1 == 1) {
                    continue;
                }
                let value = ScalarValue::try_from_array(input.column(at), row)?;
                dims.insert(format!("{at}:{name}"), format!("{value:?}"));
            }
            Ok(dims)
        })
        .collect()
}

fn table(column: &ArrayRef, basis: &Basis, places: &[Dims], profile: &Profile) -> Result<Table> {
    let persons = column.as_binary::<i64>();
    let cells = places
        .iter()
        .enumerate()
        .map(|(row, dims)| {
            let bytes: &[u8] = if persons.is_valid(row) {
                persons.value(row)
            } else {
                &[]
            };
            cell(Persons::from_bytes(bytes), dims.clone(), basis, profile)
        })
        .collect();
    Ok(Table {
        measure: basis.columns(),
        asked: basis.asked,
        cells,
    })
}

fn cell(mut persons: Persons, dims: Dims, basis: &Basis, profile: &Profile) -> Cell {
    let contributions = persons.contributions();
    let count = contributions.len() as u64;
    let rows: u64 = contributions.iter().map(|entry| entry.rows).sum();
    let enough = count >= u64::from(profile.k);
    let mut values = BTreeMap::new();
    let mut safe = enough;
    if basis.measure.is_some() {
        let measured = enough && spreads(contributions, profile);
        safe = measured;
        if measured {
            let (mean, deviation) = moments(contributions);
            let error = deviation / (rows as f64).sqrt();
            // A mean is shown as exactly as it is known: to the first digit of its standard error.
            let shown = decimals(mean, -exponent(error));
            values.insert(keyed(MEAN, basis), Some(shown));
            values.insert(keyed(DEVIATION, basis), Some(digits(deviation, 3)));
        }
    } else if enough {
        let weights: Vec<f64> = contributions
            .iter()
            .map(|entry| entry.rows as f64)
            .collect();
        let dominated = profile.is_dominated(&weights);
        values.insert(PERSONS.to_owned(), profile.count(count).map(|n| n as f64));
        // Rows are rounded to the step of persons: as many times it as a person has rows.
        let shown = profile.count(rows).filter(|_| !dominated).map(|shown| {
            let step = u64::from(profile.round_to.unwrap_or(1)) * rows.div_ceil(count);
            if profile.round_to.is_some() && rows > count {
                ((rows + step / 2) / step * step) as f64
            } else {
                shown as f64
            }
        });
        let in_share = shown.map(|_| profile.in_share(rows) as f64);
        values.insert(ROWS.to_owned(), shown);
        values.insert(IN_SHARE.to_owned(), in_share);
    }
    Cell {
        dims,
        persons,
        safe,
        values,
    }
}

/// A measure stands on enough persons: none dominates it, whether from zero or from the middle, and at least k differ
/// from what most have.
fn spreads(contributions: &[Contribution], profile: &Profile) -> bool {
    let sums: Vec<f64> = contributions.iter().map(|entry| entry.sum).collect();
    if profile.is_dominated(&sums) {
        return false;
    }
    let mut means: Vec<f64> = contributions
        .iter()
        .map(|entry| entry.sum / entry.rows as f64)
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let most = means
        .chunk_by(|a, b| a == b)
        .map(<[f64]>::len)
        .max()
        .unwrap_or(0);
    if means.len() - most < profile.k as usize {
        return false;
    }
    let median = means[means.len() / 2];
    let from_median: Vec<f64> = contributions
        .iter()
        .map(|entry| entry.sum - entry.rows as f64 * median)
        .collect();
    !profile.is_dominated(&from_median)
}

/// Mean and standard deviation over rows.
fn moments(contributions: &[Contribution]) -> (f64, f64) {
    let rows: f64 = contributions.iter().map(|entry| entry.rows as f64).sum();
    let sum: f64 = contributions.iter().map(|entry| entry.sum).sum();
    let squares: f64 = contributions.iter().map(|entry| entry.squares).sum();
    let mean = sum / rows;
    let variance = ((squares - sum * mean) / (rows - 1.0).max(1.0)).max(0.0);
    // Below the precision of the sums nothing is known of the spread.
    let floor = mean.abs() * 1e-7;
    (mean, variance.sqrt().max(floor).max(f64::MIN_POSITIVE))
}

/// The name of a measure's number in the record.
fn keyed(function: &str, basis: &Basis) -> String {
    format!("{function} {}", basis.atom())
}

fn number_of(outcome: &Outcome, name: &str) -> Option<f64> {
    match outcome {
        Outcome::Shown(values) => values.get(name).copied().flatten(),
        Outcome::Withheld => None,
    }
}

/// What numbers are made of.
struct Desk<'a> {
    input: &'a RecordBatch,
    /// Where statistics begin among the input's columns.
    statistics: usize,
    bases: &'a [Basis],
    tables: &'a mut [Table],
    profile: &'a Profile,
    reader: &'a Reader,
    releases: &'a Releases,
}

/// What is shown of persons over time.
struct Course {
    causes: Vec<i64>,
    /// The groups that are compared, by their values.
    arms: Vec<f64>,
    steps: Vec<Step>,
    /// Counts as they are shown, by the names of [`groups`].
    counts: BTreeMap<String, f64>,
}

/// Persons over time: each step is a group of persons, and is released like one.
fn course_of(
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
    // The same persons, by the same filter, once each.
    let all = times.iter().chain(&events).chain(in_arms.iter().flatten());
    let once = all.into_iter().all(|entry| entry.rows == 1);
    let same =
        times.len() == events.len() && in_arms.as_ref().is_none_or(|a| a.len() == times.len());
    if !once || !same {
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
        .filter(|(_, (time, event))| time.sum >= 0.0 && (0.0..=9.0).contains(&event.sum))
        .map(|(at, (time, event))| Follow {
            person: time.person,
            time: time.sum,
            #[expect(clippy::cast_possible_truncation, reason = "from 0 to 9")]
            cause: event.sum.round() as i64,
            arm: usize::from(in_arms.as_ref().is_some_and(|arms| arms[at].sum > 0.5)),
        })
        .collect();
    let causes = causes(&follows);
    let k = u64::from(desk.profile.k);
    // Where a step is too near to something that is known, longer steps may do.
    for least in [k, 2 * k, 4 * k] {
        let steps = steps(&follows, &causes, arms.len(), k, least);
        let groups = groups(&steps, &follows, arms.len());
        if steps.is_empty() {
            return Ok(None);
        }
        let mut cells: Vec<Cell> = groups
            .iter()
            .map(|(name, members)| group_cell(members, name, desk.profile))
            .collect();
        for arm in 0..arms.len() {
            let theirs = follows.iter().filter(|follow| follow.arm == arm);
            let all: Vec<i64> = theirs.map(|follow| follow.person).collect();
            cells.push(group_cell(&all, &format!("all:{arm}"), desk.profile));
        }
        let mut tables = [Table {
            measure: String::new(),
            asked: true,
            cells,
        }];
        let outcomes = desk
            .releases
            .release(desk.reader, desk.profile, &mut tables)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        // Counts as they are shown, be it as those of nearly the same persons.
        let shown: Option<Vec<f64>> = outcomes[0]
            .iter()
            .map(|outcome| number_of(outcome, PERSONS))
            .collect();
        if let Some(shown) = shown {
            let names = groups.into_iter().map(|(name, _)| name);
            let names = names.chain((0..arms.len()).map(|arm| format!("all:{arm}")));
            let counts = names.zip(shown).collect();
            return Ok(Some(Course {
                causes,
                arms,
                steps,
                counts,
            }));
        }
    }
    Ok(None)
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

/// A regression: shown where enough stands behind each of its terms, once for nearly the same persons.
fn model_of(desk: &mut Desk<'_>, model: &Model, row: usize) -> Result<Option<ScalarValue>> {
    let k = u64::from(desk.profile.k);
    let events = desk.tables[model.event].cells[row].persons.contributions();
    let persons = events.len() as u64;
    if persons < k || events.iter().any(|entry| entry.rows != 1) {
        return Ok(None);
    }
    let with = events.iter().filter(|entry| entry.sum > 0.0).count() as u64;
    let fewest = if model.both {
        with.min(persons - with)
    } else {
        with
    };
    let terms = model.covariates.len() as u64;
    let wanted = (u64::from(desk.profile.events_per_coefficient) * terms).max(k);
    if fewest < wanted {
        return Ok(None);
    }
    for at in &model.covariates {
        let contributions = desk.tables[*at].cells[row].persons.contributions();
        if contributions.len() as u64 != persons || !spreads(contributions, desk.profile) {
            return Ok(None);
        }
    }
    let value = ScalarValue::try_from_array(desk.input.column(desk.statistics + model.place), row)?;
    let Some(shown) = model::shown(&value)? else {
        return Ok(None);
    };
    let numbers = model::flat(&shown)?;
    let key = |at: usize| format!("{} {at}", model.text);
    let bytes = desk.tables[model.event].cells[row].persons.bytes();
    let mut tables = [Table {
        measure: format!("model of {}", model.columns),
        asked: true,
        cells: vec![Cell {
            dims: Dims::new(),
            persons: Persons::from_bytes(&bytes),
            safe: true,
            values: numbers
                .iter()
                .enumerate()
                .map(|(at, number)| (key(at), *number))
                .collect(),
        }],
    }];
    let outcomes = desk
        .releases
        .release(desk.reader, desk.profile, &mut tables)
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    match &outcomes[0][0] {
        Outcome::Shown(values) if values.values().any(Option::is_some) => {
            let numbers: Vec<Option<f64>> = (0..numbers.len())
                .map(|at| values.get(&key(at)).copied().flatten())
                .collect();
            model::with_numbers(&shown, &numbers)
        }
        _ => Ok(None),
    }
}

fn group_cell(members: &[i64], name: &str, profile: &Profile) -> Cell {
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
        values: BTreeMap::from([(PERSONS.to_owned(), shown), (ROWS.to_owned(), shown)]),
    }
}

/// A number of a listed group.
fn value(
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
            .map(|(mean, rows)| scaled(mean) * rows),
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
            let all = counts.get("all:0").copied().unwrap_or(0.0);
            let shown = result(causes, steps, all, counts, declared, &number.kind)?;
            return Ok(Some(shown).filter(|shown| !shown.is_null()));
        }
    };
    Ok(shown.map(|number| ScalarValue::Float64(Some(number))))
}

/// What stands for a number that is not shown.
fn hidden(function: &Function, profile: &Profile, kind: &DataType) -> Result<ScalarValue> {
    match (function, profile.withheld_count()) {
        (Function::Rows | Function::Persons, Some(count)) => {
            ScalarValue::Int64(Some(count)).cast_to(kind)
        }
        _ => ScalarValue::try_from(kind),
    }
}
