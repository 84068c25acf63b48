//! Regressions of persons: what counts of each, and whether enough stands behind them.

use std::collections::BTreeMap;

use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;

use super::aggregate::Controlled;
use super::numbers::number_of;
use super::spec::Model;
use super::value::{Desk, group_cell};
use super::{apart, model};
use crate::disclosure::cube::Dims;
use crate::disclosure::models::{Column, named, sketch};
use crate::disclosure::parts::{Words, parts, tables_of};
use crate::disclosure::persons::{Contribution, Persons};
use crate::disclosure::releases::{Cell, Outcome, Table};
use crate::disclosure::spread::{spreads, within_fences};
use crate::disclosure::{Error, MODEL_OF, PERSONS, Profile};

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
        parts: Vec::new(),
        measure: format!("{MODEL_OF}{}", model.columns),
        atom: model.text.clone(),
        words,
        grouped: String::new(),
        treated: desk.control.lens.of_columns(model.columns.split(", ")),
        gave_up: false,
        computed_with: false,
        asked: true,
        seen: None,
        cells: vec![cell],
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
        });
    }
    let persons = columns[0].own.len();
    columns
        .iter()
        .all(|column| column.own.len() == persons)
        .then_some(columns)
}

/// So many groups of persons who have the same values are counted: of more there is no model.
const COUNTED: usize = 10_000;

/// Persons whose values at least k have, and others who count as if they had them.
struct Alike {
    rows: Vec<usize>,
    also: Vec<usize>,
}

impl Alike {
    fn all(&self) -> impl Iterator<Item = &usize> {
        self.rows.iter().chain(&self.also)
    }
}

/// Persons of one outcome and the same covariates, whenever it was.
#[derive(Default)]
struct Whenever {
    /// Groups of those who have the same time, too.
    groups: Vec<usize>,
    /// Those of no group.
    alone: Vec<usize>,
}

/// So many persons of rare values are compared with each other: of more, each is among many.
const RARE: usize = 4_096;

/// When values of a column are the same, by parts of its deviation: there is no such gap between them, and no more than that from the
/// first to the last. Persons who are too few that way are looked at in the next one: who puts a little of something else to each
/// value changes next to nothing about a model.
const NEARNESS: [(f64, f64); 3] = [(1e-9, 1e-9), (0.02, 0.05), (0.2, 0.25)];

/// For each of these persons which value of a column it has.
fn values_of(column: &[f64], rows: &[usize], (gap, width): (f64, f64)) -> Vec<usize> {
    let unit = deviation(column);
    let own = |at: usize| column[rows[at]];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| own(*a).total_cmp(&own(*b)));
    let mut values = vec![0; rows.len()];
    let mut value = 0;
    let first = order.first().map_or(0.0, |at| own(*at));
    let (mut first, mut before) = (first, first);
    for at in order {
        if own(at) - before > gap * unit || own(at) - first > width * unit {
            value += 1;
            first = own(at);
        }
        before = own(at);
        values[at] = value;
    }
    values
}

/// These persons by their values in all columns.
fn by_values(columns: &[Vec<f64>], rows: &[usize], nearness: (f64, f64)) -> Vec<Vec<usize>> {
    let values: Vec<Vec<usize>> = columns
        .iter()
        .map(|column| values_of(column, rows, nearness))
        .collect();
    let mut all: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let own = values.iter().map(|of| of[at]).collect();
        all.entry(own).or_default().push(*row);
    }
    all.into_values().collect()
}

/// Persons who have the same values in all columns, where they are at least `k`, and those of no such group. Who is nearer to a group
/// than to k others of none counts with it, with the same event: a value that nobody else has would show by the model that somebody
/// has it.
fn alike(k: usize, event: usize, columns: &[Vec<f64>]) -> (Vec<Alike>, Vec<usize>) {
    let mut few: Vec<usize> = (0..columns.first().map_or(0, Vec::len)).collect();
    let mut groups: Vec<Alike> = Vec::new();
    for (at, nearness) in NEARNESS.into_iter().enumerate() {
        let all = by_values(columns, &few, nearness);
        let (large, rest): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
            all.into_iter().partition(|rows| rows.len() >= k);
        // Of so many persons one changes nothing by a little of something else.
        if at > 0 && groups.len() + large.len() > COUNTED {
            few = large.into_iter().chain(rest).flatten().collect();
            break;
        }
        groups.extend(large.into_iter().map(|rows| Alike {
            rows,
            also: Vec::new(),
        }));
        few = rest.concat();
    }
    if few.len() > RARE || groups.is_empty() || groups.len() > COUNTED {
        return (groups, few);
    }
    let scales: Vec<f64> = columns.iter().map(|column| deviation(column)).collect();
    let apart = |a: usize, b: usize| -> f64 {
        let each = columns.iter().zip(&scales);
        let each = each.map(|(column, scale)| ((column[a] - column[b]) / scale).powi(2));
        each.sum()
    };
    let same = |a: usize, b: usize| columns[event][a].total_cmp(&columns[event][b]).is_eq();
    let mut left = Vec::new();
    for person in &few {
        let near = groups.iter().enumerate().filter_map(|(at, group)| {
            let first = *group.rows.first()?;
            same(*person, first).then(|| (at, apart(*person, first)))
        });
        let nearest = near.min_by(|a, b| a.1.total_cmp(&b.1));
        let among = |far: f64| {
            let others = few.iter().filter(|other| *other != person);
            let others = others.filter(|other| same(*person, **other));
            others.filter(|other| apart(*person, **other) < far).count()
        };
        match nearest {
            Some((at, far)) if among(far) < k => groups[at].also.push(*person),
            _ => left.push(*person),
        }
    }
    (groups, left)
}

fn deviation(column: &[f64]) -> f64 {
    let persons = column.len().max(1) as f64;
    let mean = column.iter().sum::<f64>() / persons;
    let squares: f64 = column.iter().map(|x| (x - mean).powi(2)).sum();
    (squares / persons).sqrt().max(f64::MIN_POSITIVE)
}

/// Groups that differ by their times alone, where there are times.
fn whenever(event: usize, columns: &[Vec<f64>], groups: &[Alike], few: &[usize]) -> Vec<Whenever> {
    if event == 0 {
        return Vec::new();
    }
    let values = |row: usize| -> Vec<u64> {
        let own = columns[event..].iter().map(|column| column[row]);
        own.map(f64::to_bits).collect()
    };
    let mut all: BTreeMap<Vec<u64>, Whenever> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let own = group.rows.first().map(|first| values(*first));
        all.entry(own.unwrap_or_default())
            .or_default()
            .groups
            .push(at);
    }
    for row in few {
        if let Some(own) = all.get_mut(&values(*row)) {
            own.alone.push(*row);
        }
    }
    let several = all.into_values().filter(|own| own.groups.len() > 1);
    several.collect()
}

/// Makes some of the numbers add up to so many, each in proportion to what it was.
fn share(all: usize, of: &[usize], numbers: &mut [usize]) {
    let sum: usize = of.iter().map(|at| numbers[*at]).sum();
    if sum == 0 || sum == all {
        return;
    }
    let mut rests: Vec<(usize, usize)> = of
        .iter()
        .map(|at| {
            let part = numbers[*at] * all;
            numbers[*at] = part / sum;
            (part % sum, *at)
        })
        .collect();
    let missing = all - of.iter().map(|at| numbers[*at]).sum::<usize>();
    rests.sort_unstable_by_key(|(rest, at)| (std::cmp::Reverse(*rest), *at));
    for (_, at) in rests.into_iter().take(missing) {
        numbers[at] += 1;
    }
}

/// Which persons a model is of, some of them perhaps twice or not at all: as many of those who have the same values as their number
/// says, as it is shown. Who knows the number of each such group computes the model, and would see by it whether there is one person
/// more; and who knows it rounded would see by the model what it was. Nothing where a number that is not rounded follows from others
/// in no simple way.
///
/// A group of one time has few persons, and is nearly one of an earlier model of another covariate, whose number it is given. So the
/// numbers of persons with each outcome and covariates, whenever it was, are asked for, too: hazards are of these, and groups share
/// them in proportion to their own.
fn as_counted(
    control: &Controlled,
    persons: &[i64],
    event: usize,
    columns: &[Vec<f64>],
) -> Result<Option<Vec<usize>>> {
    let (large, mut few) = alike(control.profile.k as usize, event, columns);
    if large.is_empty() {
        few.sort_unstable();
        return Ok(Some(few));
    }
    if large.len() > COUNTED {
        return Ok(None);
    }
    let cell = |name: String, rows: &mut dyn Iterator<Item = &usize>| {
        let members: Vec<i64> = rows.map(|row| persons[*row]).collect();
        group_cell(&members, &name, &control.profile)
    };
    let groups = large.iter().enumerate();
    let groups = groups.map(|(at, group)| cell(format!("alike:{at}"), &mut group.all()));
    let whenever = whenever(event, columns, &large, &few);
    let of_all = whenever.iter().enumerate().map(|(at, class)| {
        let groups = class.groups.iter().flat_map(|at| large[*at].all());
        cell(format!("whenever:{at}"), &mut groups.chain(&class.alone))
    });
    let table = |cells| Table {
        computed_with: true,
        ..Table::of(cells)
    };
    let mut tables = vec![table(groups.collect())];
    if !whenever.is_empty() {
        tables.push(table(of_all.collect()));
    }
    let outcomes = control.release(&mut tables)?;
    let rounds = control.profile.round_to.is_some_and(|step| step > 1);
    // A number that is rounded anyway may be withheld for others beside it that differ by few.
    let number = |outcome: &Outcome, own: usize| {
        let own = rounds.then(|| control.profile.rounded(own as u64) as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of persons, from 0"
        )]
        let whole = |number: f64| number.max(0.0) as usize;
        number_of(outcome, PERSONS).or(own).map(whole)
    };
    let of_groups = large.iter().zip(&outcomes[0]);
    let numbers = of_groups.map(|(group, outcome)| number(outcome, group.all().count()));
    let Some(mut numbers) = numbers.collect::<Option<Vec<usize>>>() else {
        return Ok(None);
    };
    for (class, outcome) in whenever.iter().zip(outcomes.iter().skip(1).flatten()) {
        let groups = class.groups.iter().map(|at| large[*at].all().count());
        let Some(all) = number(outcome, groups.sum::<usize>() + class.alone.len()) else {
            return Ok(None);
        };
        let in_groups = all.saturating_sub(class.alone.len());
        share(in_groups, &class.groups, &mut numbers);
    }
    let mut all = few;
    for (group, number) in large.iter().zip(numbers) {
        all.extend(group.rows.iter().cycle().take(number));
    }
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
    let terms = model.covariates.len();
    let place = desk.place(model.event, row);
    let rows = desk.tables[model.event].words.clone();
    let words = Words {
        rows: &rows,
        group: &place,
    };
    let parts = parts(k, &columns[0], &columns[1..=terms], columns.get(terms + 1));
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
        parts: tables_of(&measure, words, &parts, &columns),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::disclosure::profile;
    use crate::disclosure::releases::{Reader, Releases};
    use crate::release::{Lens, Notes};

    #[test]
    fn groups_share_a_number_in_proportion() {
        let of = |all: usize| {
            let mut numbers = [3, 9, 4, 0];
            share(all, &[0, 2, 3], &mut numbers);
            numbers
        };
        assert_eq!(of(7), [3, 9, 4, 0]);
        assert_eq!(of(10), [4, 9, 6, 0]);
        assert_eq!(of(1), [0, 9, 1, 0]);
        assert_eq!(of(0), [0, 9, 0, 0]);
    }

    /// Persons of one outcome and covariate at several times, and one of another covariate.
    #[test]
    fn groups_of_several_times_are_one_whenever_it_was() {
        let columns = [
            vec![1.0, 2.0, 3.0, 1.0, 4.0],
            vec![1.0; 5],
            vec![0.0, 0.0, 1.0, 0.0, 0.0],
        ];
        let group = |rows: &[usize]| Alike {
            rows: rows.to_vec(),
            also: Vec::new(),
        };
        let groups = [group(&[0, 3]), group(&[1]), group(&[2])];
        let found = whenever(1, &columns, &groups, &[4]);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].groups, &found[0].alone), (&vec![0, 1], &vec![4]));
        assert!(whenever(0, &columns, &groups, &[4]).is_empty());
    }

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
        // Sixty and forty persons of two values, and of others in the middle, one by one.
        let of = |persons: i64| {
            if persons < 60 {
                1.0
            } else if persons < 100 {
                0.0
            } else {
                0.5 + (persons - 100) as f64 / 1_000.0
            }
        };
        let model = |control: &Controlled, persons: &[i64]| {
            let values: Vec<f64> = persons.iter().map(|person| of(*person)).collect();
            let columns = [vec![1.0; values.len()], values.clone()];
            let rows = as_counted(control, persons, 0, &columns).unwrap()?;
            let number = |wanted: f64| rows.iter().filter(|row| values[**row] == wanted).count();
            Some([number(1.0), number(0.0), rows.len()])
        };
        let without = |left_out: &[i64]| -> Vec<i64> {
            (0..120)
                .filter(|person| !left_out.contains(person))
                .collect()
        };
        for rules in ["cms", "ohdsi", "sacro"] {
            let control = desk(rules, rules);
            assert_eq!(model(&control, &without(&[7])), Some([59, 40, 119]));
            // With that one, it is the number of before; so it is without another.
            assert_eq!(model(&control, &without(&[])), Some([59, 40, 119]));
            assert_eq!(model(&control, &without(&[7, 8])), Some([59, 40, 119]));
            // So it is with all who are fewer than k. Others have their own.
            assert_eq!(
                model(&control, &without(&[7, 8, 9, 10])),
                Some([59, 40, 119])
            );
            let others: Vec<i64> = (0..40).chain(60..100).collect();
            assert_eq!(model(&control, &others), Some([40, 40, 80]));
            // One who is alone in its value counts with those who are nearest, as many as there were.
            let alone: Vec<i64> = (0..40).chain(60..101).collect();
            assert_eq!(model(&control, &alone), Some([40, 40, 80]));
        }
        // A little of something else in each value, or two values instead of one, and many of them, are no way to be counted as one is.
        for (name, nearly, values) in [
            ("same", 0.0, 200),
            ("nearly", 1e-6, 200),
            ("two", 4.0, 200),
            ("few", 1e-7, 12),
        ] {
            let control = desk("sacro", name);
            let counted = |persons: &[i64]| {
                let value = |at: &i64| (at / 2 % values) as f64 + (at / 400 % 2) as f64 * nearly;
                let event: Vec<f64> = persons.iter().map(|at| (at % 2) as f64).collect();
                let values = persons.iter().map(value).collect();
                let rows = as_counted(&control, persons, 0, &[event, values]).unwrap();
                rows.unwrap().len()
            };
            let all: Vec<i64> = (0..4_400).collect();
            assert_eq!(counted(&all[1..]), 4_399);
            assert_eq!(counted(&all), 4_399, "{name}");
        }
        // Of persons whose number is rounded as many as that says, whoever else there is.
        let control = desk("opensafely", "rounded");
        let less: Vec<i64> = (0..57).chain(62..120).collect();
        assert_eq!(model(&control, &less), Some([55, 40, 115]));
        let more: Vec<i64> = (0..56).chain(62..120).collect();
        assert_eq!(model(&control, &more), Some([55, 40, 115]));
    }
}
