//! Regressions of persons: what counts of each, and whether enough stands behind them.

use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;

use super::alike::{as_counted, few_of};
use super::spec::Model;
use super::value::Desk;
use super::{apart, model};
use crate::disclosure::at_risk::AtRisk;
use crate::disclosure::cube::Dims;
use crate::disclosure::models::{Column, named, sketch};
use crate::disclosure::parts::{Words, parts, tables_of};
use crate::disclosure::persons::{Contribution, Persons};
use crate::disclosure::releases::{Cell, Outcome, Table};
use crate::disclosure::spread::{spreads, within_fences};
use crate::disclosure::{Error, MODEL_OF, Profile};

/// Whether persons have one row each, but for fewer than k, who are left out: a condition can give a second one to whom it is
/// made for, and that there is nothing would say that it is somebody.
pub(super) fn mostly_once(contributions: &[Contribution], profile: &Profile) -> bool {
    let several = contributions.iter().filter(|entry| entry.rows != 1).count();
    several < profile.k as usize
}

/// So often a model is computed anew where others are released meanwhile.
const TRIES: usize = 8;

/// What is decided about a model's persons: there is none, or it is shown.
const EMPTY: i64 = 0;
const SHOWN: i64 = 1;

/// A regression: shown where enough stands behind each of its terms, once for nearly the same persons. Whether it is shown is
/// decided once for them, too: one person more may be the one of whom there are enough, or be in a part that was known.
pub(super) fn model_of(
    desk: &mut Desk<'_>,
    model: &Model,
    row: usize,
) -> Result<Option<ScalarValue>> {
    let control = desk.control;
    let of = (&control.reader, u64::from(control.profile.k));
    let (name, covariates) = (model.function.name(), model.covariates.len());
    let about = format!("{name} of {covariates}: {}", model.columns);
    let cell = &mut desk.tables[model.event].cells[row];
    let contributions = cell.persons.contributions();
    let with = |event: bool| -> Vec<i64> {
        let of = contributions
            .iter()
            .filter(|entry| (entry.sum > 0.0) == event);
        of.map(|entry| entry.person).collect()
    };
    let groups = [with(true), with(false)];
    let once = mostly_once(contributions, &control.profile);
    let groups = [&groups[0][..], &groups[1][..]];
    let before = control
        .releases
        .decide(of, |decisions| decisions.before(&about, groups))
        .map_err(unread)?;
    if before == Some(EMPTY) {
        return Ok(None);
    }
    let own = match once {
        true => computed(desk, model, row)?,
        false => None,
    };
    let decision = if own.is_some() { SHOWN } else { EMPTY };
    let decided = control
        .releases
        .decide(of, |decisions| decisions.once(&about, groups, decision))
        .map_err(unread)?;
    match own {
        _ if decided == EMPTY => Ok(None),
        Some(own) => Ok(Some(own)),
        None => again(desk, model, row),
    }
}

fn unread(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn computed(desk: &mut Desk<'_>, model: &Model, row: usize) -> Result<Option<ScalarValue>> {
    for _ in 0..TRIES {
        if let Some(shown) = try_model(desk, model, row)? {
            return Ok(shown);
        }
    }
    Ok(None)
}

/// The model of nearly the same persons that was shown before, whatever would be of these.
fn again(desk: &mut Desk<'_>, model: &Model, row: usize) -> Result<Option<ScalarValue>> {
    let Some(form) = form(model)? else {
        return Ok(None);
    };
    let place = desk.place(model.event, row);
    let words = desk.tables[model.event].words.clone();
    let bytes = desk.tables[model.event].cells[row].persons.bytes();
    let nothing = vec![None; model::flat(&form)?.len()];
    let cell = model_cell(model, place, &bytes, &nothing);
    let mut tables = [model_table(desk, model, words, cell)];
    let outcomes = desk.control.release(&mut tables)?;
    with_outcome(model, &form, &outcomes[0][0])
}

/// A model's table, of whatever numbers: one of made-up persons.
fn form(model: &Model) -> Result<Option<ScalarValue>> {
    let covariates = model.covariates.len();
    let persons = 40 * (covariates + 2);
    let mut state = 1_u64;
    let mut column = |_| -> Vec<f64> {
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from((state >> 40) as u32) / f64::from(1 << 24)
        };
        (0..persons).map(next).collect()
    };
    let times: Vec<Vec<f64>> = model.time.iter().map(|_| column(0)).collect();
    let event: Vec<f64> = column(0).into_iter().map(f64::round).collect();
    let covariates: Vec<Vec<f64>> = (0..covariates).map(&mut column).collect();
    let times = times.into_iter().map(|times| {
        times
            .iter()
            .map(|time| 1.0 + (100.0 * time).floor())
            .collect()
    });
    let all: Vec<Vec<f64>> = times.chain([event]).chain(covariates).collect();
    match model::fitted(model, &all)? {
        Some(value) => model::shown(&value),
        None => Ok(None),
    }
}

fn key(model: &Model, at: usize) -> String {
    format!("{} {at}", model.text)
}

/// A model's persons and numbers, as the record has them.
fn model_cell(model: &Model, dims: Dims, persons: &[u8], numbers: &[Option<f64>]) -> Cell {
    Cell {
        dims,
        persons: Persons::from_bytes(persons),
        sketch: None,
        held: None,
        common: None,
        safe: true,
        values: numbers
            .iter()
            .enumerate()
            .map(|(at, number)| (key(model, at), *number))
            .collect(),
    }
}

fn model_table(desk: &Desk<'_>, model: &Model, words: String, cell: Cell) -> Table {
    Table {
        measure: format!("{MODEL_OF}{}", model.columns),
        atom: model.text.clone(),
        words,
        treated: desk.control.lens.of_columns(model.columns.split(", ")),
        ..Table::of(vec![cell])
    }
}

/// The model with the numbers that are shown of it.
fn with_outcome(
    model: &Model,
    shown: &ScalarValue,
    outcome: &Outcome,
) -> Result<Option<ScalarValue>> {
    match outcome {
        Outcome::Shown(values) if values.values().any(Option::is_some) => {
            let numbers: Vec<Option<f64>> = (0..values.len())
                .map(|at| values.get(&key(model, at)).copied().flatten())
                .collect();
            model::with_numbers(shown, &numbers)
        }
        _ => Ok(None),
    }
}

/// The columns of a model: the event, the covariates and the time; nothing where a covariate is of too few.
fn columns_of(desk: &mut Desk<'_>, model: &Model, row: usize) -> Option<Vec<Column>> {
    let mut columns = Vec::new();
    let all = [model.event]
        .into_iter()
        .chain(model.covariates.iter().copied())
        .chain(model.time);
    for at in all {
        let contributions = desk.tables[at].cells[row].persons.contributions();
        let once: Vec<Contribution> = contributions
            .iter()
            .filter(|entry| entry.rows == 1)
            .copied()
            .collect();
        let measured = model.covariates.contains(&at);
        let counted = match measured {
            true => within_fences(&once, &desk.control.profile),
            false => once.clone(),
        };
        if measured && !spreads(&once, &counted, &desk.control.profile) {
            return None;
        }
        let measure = desk.bases[at].measure.as_ref();
        columns.push(Column {
            name: desk.bases[at].atom().to_owned(),
            shifted: measure.map_or(0.0, |(of, _)| of.shifted()),
            own: once,
            counted,
            is_time: model.time == Some(at),
        });
    }
    let persons = columns[0].own.len();
    columns
        .iter()
        .all(|column| column.own.len() == persons)
        .then_some(columns)
}

/// A model that is shown or not; nothing at all where others were released while it was computed.
#[expect(clippy::option_option, reason = "whether it is known, and what it is")]
fn try_model(
    desk: &mut Desk<'_>,
    model: &Model,
    row: usize,
) -> Result<Option<Option<ScalarValue>>> {
    let k = u64::from(desk.control.profile.k);
    let empty = Ok(Some(None));
    let Some(mut columns) = columns_of(desk, model, row) else {
        return empty;
    };
    let terms = model.covariates.len();
    let place = desk.place(model.event, row);
    let rows = desk.tables[model.event].words.clone();
    let words = Words {
        rows: &rows,
        group: &place,
    };
    let mut parts = parts(k, &columns[0], &columns[1..=terms], columns.get(terms + 1));
    let few = few_of(&desk.control.profile, &columns, &parts);
    parts.extend(few);
    let persons = desk.tables[model.event].cells[row].persons.contributions();
    let beside = desk
        .control
        .beside_models(words, (persons, &parts), &mut columns)?;
    let Some(seen) = beside else {
        return empty;
    };
    let values =
        |column: &Column| -> Vec<f64> { column.counted.iter().map(|entry| entry.sum).collect() };
    let events: Vec<bool> = columns[0].own.iter().map(|event| event.sum > 0.0).collect();
    let mut covariates: Vec<Vec<f64>> = columns[1..=terms].iter().map(values).collect();
    let time = columns.get(terms + 1).map(values);
    let persons = events.len() as u64;
    let with = events.iter().filter(|event| **event).count() as u64;
    let fewest = if model.both {
        with.min(persons - with)
    } else {
        with
    };
    let wanted = (u64::from(desk.control.profile.events_per_coefficient) * terms as u64).max(k);
    if persons < k || fewest < wanted {
        return empty;
    }
    apart::within_outcomes(k, &mut covariates, &events);
    if !apart::each_stands_on(k, &covariates) {
        return empty;
    }
    // A standard error is that of the cells of outcome and covariate, and so each of them must be of k persons.
    let outcomes: &[bool] = if model.both { &[true, false] } else { &[true] };
    for outcome in outcomes {
        let theirs: Vec<Vec<f64>> = covariates
            .iter()
            .map(|column| {
                let of = column.iter().zip(&events);
                of.filter(|(_, event)| *event == outcome)
                    .map(|(value, _)| *value)
                    .collect()
            })
            .collect();
        let vary = theirs.iter().all(|column| apart::varies(k, column));
        if !vary || !apart::each_stands_on(k, &theirs) {
            return empty;
        }
    }
    let event: Vec<f64> = columns[0].own.iter().map(|event| event.sum).collect();
    let arguments: Vec<Vec<f64>> = time
        .iter()
        .chain([&event])
        .chain(&covariates)
        .cloned()
        .collect();
    let theirs: Vec<i64> = columns[0].own.iter().map(|event| event.person).collect();
    let Some(counted) = as_counted(desk.control, &theirs, time.iter().count(), &arguments)? else {
        return empty;
    };
    let of_rows = |column: &Vec<f64>| counted.iter().map(|row| column[*row]).collect();
    let arguments: Vec<Vec<f64>> = arguments.iter().map(of_rows).collect();
    let Some(value) = model::fitted(model, &arguments)? else {
        return empty;
    };
    let Some(coefficients) = model::coefficients(&value, covariates.len())? else {
        return empty;
    };
    if !apart::overlaps(k, &coefficients, &covariates, &events, time.as_deref()) {
        return empty;
    }
    let Some(shown) = model::shown(&value)? else {
        return empty;
    };
    let numbers = model::flat(&shown)?;
    let bytes = desk.tables[model.event].cells[row].persons.bytes();
    let measure = format!("{MODEL_OF}{}", model.columns);
    let cell = Cell {
        // The same persons may have other values: those of all terms together.
        sketch: Some(sketch(&columns, |column| &column.own)),
        held: Some(sketch(&columns, |column| &column.counted)),
        ..model_cell(model, place.clone(), &bytes, &numbers)
    };
    let mut tables = [Table {
        parts: tables_of(&measure, words, (k, &parts), &columns),
        at_risk: AtRisk::of(k, &columns),
        atom: named(&model.text, &columns),
        seen: Some(seen),
        ..model_table(desk, model, rows.clone(), cell)
    }];
    let outcomes = desk.control.release(&mut tables)?;
    if tables[0].seen.is_none() {
        return Ok(None);
    }
    with_outcome(model, &shown, &outcomes[0][0]).map(Some)
}
