//! Regressions of persons: what counts of each, and whether enough stands behind them.

use std::collections::BTreeMap;

use datafusion::common::{Result, ScalarValue};

use super::aggregate::Controlled;
use super::numbers::number_of;
use super::spec::Model;
use super::value::{Desk, counts, group_cell};
use super::{apart, model};
use crate::disclosure::cube::Dims;
use crate::disclosure::models::{Column, named, sketch};
use crate::disclosure::persons::{Contribution, Persons};
use crate::disclosure::releases::{Cell, Outcome, Table};
use crate::disclosure::spread::{spreads, within_fences};
use crate::disclosure::{MODEL_OF, PERSONS, Profile};

/// Whether persons have one row each, but for fewer than k, who are left out: a condition can give a second one to whom it is
/// made for, and that there is nothing would say that it is somebody.
pub(super) fn mostly_once(contributions: &[Contribution], profile: &Profile) -> bool {
    let several = contributions.iter().filter(|entry| entry.rows != 1).count();
    several < profile.k as usize
}

/// So often a model is computed anew where others are released meanwhile.
const TRIES: usize = 8;

/// A regression: shown where enough stands behind each of its terms, once for nearly the same persons.
pub(super) fn model_of(
    desk: &mut Desk<'_>,
    model: &Model,
    row: usize,
) -> Result<Option<ScalarValue>> {
    if !mostly_once(
        desk.tables[model.event].cells[row].persons.contributions(),
        &desk.control.profile,
    ) {
        return Ok(None);
    }
    for _ in 0..TRIES {
        if let Some(shown) = try_model(desk, model, row)? {
            return Ok(shown);
        }
    }
    Ok(None)
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
        });
    }
    let persons = columns[0].own.len();
    columns
        .iter()
        .all(|column| column.own.len() == persons)
        .then_some(columns)
}

/// So many groups of persons who have the same values are counted: of more, none is much of a model.
const COUNTED: usize = 256;

/// Which persons a model is of, some of them perhaps twice or not at all: as many of those who have the same values as their number
/// says, as it is shown. Who knows the number of each such group computes the model, and would see by it whether there is one person
/// more. Rounded numbers are known to nobody. Nothing where a number is withheld.
fn as_counted(
    control: &Controlled,
    persons: &[i64],
    columns: &[Vec<f64>],
) -> Result<Option<Vec<usize>>> {
    let mut alike: BTreeMap<Vec<u64>, Vec<usize>> = BTreeMap::new();
    for row in 0..persons.len() {
        let values = columns.iter().map(|column| (column[row] + 0.0).to_bits());
        alike.entry(values.collect()).or_default().push(row);
    }
    let k = control.profile.k as usize;
    let large = alike.values().filter(|rows| rows.len() >= k);
    let large: Vec<&Vec<usize>> = large.collect();
    let rounded = control.profile.round_to.is_some_and(|step| step > 1);
    if rounded || large.is_empty() || large.len() > COUNTED {
        return Ok(Some((0..persons.len()).collect()));
    }
    let cell = |(at, rows): (usize, &&Vec<usize>)| {
        let members: Vec<i64> = rows.iter().map(|row| persons[*row]).collect();
        group_cell(&members, &format!("alike:{at}"), &control.profile)
    };
    let cells = large.iter().enumerate().map(cell).collect();
    let outcomes = control.release(&mut [counts(cells)])?;
    let mut all: Vec<usize> = Vec::new();
    for (rows, outcome) in large.into_iter().zip(&outcomes[0]) {
        let Some(number) = number_of(outcome, PERSONS) else {
            return Ok(None);
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of persons, from 0"
        )]
        let number = number.max(0.0) as usize;
        all.extend(rows.iter().cycle().take(number));
    }
    let few = alike.values().filter(|rows| rows.len() < k);
    all.extend(few.flatten());
    all.sort_unstable();
    Ok(Some(all))
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
    let words = desk.in_words(model.event, row);
    let persons = desk.tables[model.event].cells[row].persons.contributions();
    let Some(seen) = desk.control.beside_models(&words, persons, &mut columns)? else {
        return empty;
    };
    let values =
        |column: &Column| -> Vec<f64> { column.counted.iter().map(|entry| entry.sum).collect() };
    let terms = model.covariates.len();
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
    let Some(rows) = as_counted(desk.control, &theirs, &arguments)? else {
        return empty;
    };
    let of_rows = |column: &Vec<f64>| rows.iter().map(|row| column[*row]).collect();
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
    let key = |at: usize| format!("{} {at}", model.text);
    let bytes = desk.tables[model.event].cells[row].persons.bytes();
    let mut tables = [Table {
        measure: format!("{MODEL_OF}{}", model.columns),
        atom: named(&model.text, &columns),
        words,
        grouped: String::new(),
        treated: desk.control.lens.of_columns(model.columns.split(", ")),
        gave_up: false,
        asked: true,
        seen: Some(seen),
        cells: vec![Cell {
            dims: Dims::new(),
            persons: Persons::from_bytes(&bytes),
            // The same persons may have other values: those of all terms together.
            sketch: Some(sketch(&columns, |column| &column.own)),
            held: Some(sketch(&columns, |column| &column.counted)),
            common: None,
            safe: true,
            values: numbers
                .iter()
                .enumerate()
                .map(|(at, number)| (key(at), *number))
                .collect(),
        }],
    }];
    let outcomes = desk.control.release(&mut tables)?;
    if tables[0].seen.is_none() {
        return Ok(None);
    }
    match &outcomes[0][0] {
        Outcome::Shown(values) if values.values().any(Option::is_some) => {
            let numbers: Vec<Option<f64>> = (0..numbers.len())
                .map(|at| values.get(&key(at)).copied().flatten())
                .collect();
            Ok(Some(model::with_numbers(&shown, &numbers)?))
        }
        _ => empty,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::disclosure::profile;
    use crate::disclosure::releases::{Reader, Releases};
    use crate::release::{Lens, Notes};

    /// Who knows how many persons there are of each outcome and covariate computes the model, and would see one person more.
    #[test]
    fn a_model_of_counted_persons_is_that_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let desk = |rules: &str, name: &str| Controlled {
            profile: profile(rules).unwrap(),
            reader: Reader {
                snapshot: "s".into(),
                principal: "ana".into(),
            },
            lens: Lens::default(),
            releases: Arc::new(Releases::open(&folder.path().join(name)).unwrap()),
            declared: BTreeMap::new(),
            notes: Arc::new(Notes::default()),
            on_release: None,
        };
        // Sixty and forty persons of two values, and three of others.
        let of = |persons: i64| {
            if persons < 60 {
                1.0
            } else if persons < 100 {
                0.0
            } else {
                persons as f64
            }
        };
        let model = |control: &Controlled, persons: &[i64]| {
            let values: Vec<f64> = persons.iter().map(|person| of(*person)).collect();
            let rows = as_counted(control, persons, std::slice::from_ref(&values)).unwrap()?;
            let number = |wanted: f64| rows.iter().filter(|row| values[**row] == wanted).count();
            Some([number(1.0), number(0.0), rows.len()])
        };
        let without = |left_out: &[i64]| -> Vec<i64> {
            (0..103)
                .filter(|person| !left_out.contains(person))
                .collect()
        };
        for rules in ["cms", "ohdsi", "sacro"] {
            let control = desk(rules, rules);
            assert_eq!(model(&control, &without(&[7])), Some([59, 40, 102]));
            // With that one, it is the number of before; so it is without another.
            assert_eq!(model(&control, &without(&[])), Some([59, 40, 102]));
            assert_eq!(model(&control, &without(&[7, 8])), Some([59, 40, 102]));
            // Fewer than k who tell them apart: there is none. Others have their own.
            assert_eq!(model(&control, &without(&[7, 8, 9, 10])), None);
            let others: Vec<i64> = (0..40).chain(60..100).collect();
            assert_eq!(model(&control, &others), Some([40, 40, 80]));
        }
        // Rounded numbers are no numbers of persons.
        let control = desk("opensafely", "rounded");
        assert_eq!(model(&control, &without(&[7])), Some([59, 40, 102]));
        assert_eq!(model(&control, &without(&[])), Some([60, 40, 103]));
    }
}
