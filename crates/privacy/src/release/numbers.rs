//! From the persons behind each group to the numbers that are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};

use super::aggregate::Controlled;
use super::spec::{Basis, Spec};
use super::value::{Desk, hidden, value};
use super::words::{hashed, written};
use crate::compact::compact;
use crate::disclosure::cube::Dims;
use crate::disclosure::persons::Persons;
use crate::disclosure::releases::{Cell, Outcome, Table};
use crate::disclosure::rest::Common;
use crate::disclosure::sketch::Sketch;
use crate::disclosure::spread::{counted, one_row_each, shown, within_fences};
use crate::disclosure::{DEVIATION, IN_SHARE, MEAN, PERSONS, Profile, ROWS};

/// Makes the result of a grouping safe.
pub(super) fn released(
    input: &RecordBatch,
    spec: &Spec,
    schema: &SchemaRef,
    control: &Controlled,
) -> Result<(RecordBatch, Withheld)> {
    let profile = &control.profile;
    let first = spec.keys.len() + usize::from(spec.levels);
    // What is asked first decides what is shown of what is asked then.
    let input = &sorted(input, first)?;
    let places = places(input, spec)?;
    let mut tables = Vec::new();
    for (at, basis) in spec.bases.iter().enumerate() {
        tables.push(table(
            input.column(first + at),
            basis,
            &places,
            spec,
            control,
        )?);
    }
    let persons: Vec<u64> = tables[0]
        .cells
        .iter_mut()
        .map(|cell| cell.persons.contributions().len() as u64)
        .collect();
    let outcomes = control.release(&mut tables)?;
    let enough = |row: usize| persons[row] >= u64::from(profile.k);
    // A group of few persons is not listed: its key would show that somebody has it. A result without groups has one row.
    let listed: Vec<usize> = (0..places.len())
        .filter(|row| spec.keys.is_empty() || enough(*row))
        .collect();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let indices = arrow::array::UInt64Array::from_iter_values(listed.iter().map(|row| *row as u64));
    for key in 0..first {
        // The texts of groups that are not listed would stay behind views of the others.
        columns.push(compact(&take(input.column(key), &indices, None)?)?);
    }
    let mut withheld = 0;
    let mut desk = Desk {
        bases: &spec.bases,
        tables: &mut tables,
        control,
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
    Ok((
        RecordBatch::try_new(Arc::clone(schema), columns)?,
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
    if keys == 0 {
        return Ok(batch.clone());
    }
    let keys = &batch.columns()[..keys];
    let fields = keys
        .iter()
        .map(|key| SortField::new(key.data_type().clone()));
    let groups = RowConverter::new(fields.collect())?.convert_columns(keys)?;
    let mut order: Vec<(usize, u32)> = (0..batch.num_rows()).zip(0..).collect();
    order.sort_by(|(a, _), (b, _)| groups.row(*a).cmp(&groups.row(*b)));
    let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
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
                dims.insert(format!("{at}:{name}"), written(&value));
            }
            Ok(dims)
        })
        .collect()
}

fn table(
    column: &ArrayRef,
    basis: &Basis,
    places: &[Dims],
    spec: &Spec,
    control: &Controlled,
) -> Result<Table> {
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
            cell(
                Persons::from_bytes(bytes),
                dims.clone(),
                basis,
                &control.profile,
            )
        })
        .collect();
    let columns = basis.measure.iter().flat_map(|(of, _)| &of.columns);
    Ok(Table {
        measure: basis.columns(),
        atom: basis.atom().to_owned(),
        words: hashed(&[&spec.rows, &basis.words]),
        grouped: hashed(&[&spec.grouped]),
        treated: control.lens.of_columns(columns.map(String::as_str)),
        asked: basis.asked,
        ..Table::of(cells)
    })
}

fn cell(mut persons: Persons, dims: Dims, basis: &Basis, profile: &Profile) -> Cell {
    let contributions = persons.contributions();
    let count = contributions.len() as u64;
    let by_rows = counted(contributions, profile);
    let rows: u64 = by_rows.iter().map(|entry| entry.rows).sum();
    let enough = count >= u64::from(profile.k);
    let mut values = BTreeMap::new();
    let mut safe = enough;
    let (mut sketch, mut held, mut common) = (None, None, None);
    if let Some((of, _)) = &basis.measure {
        let own = one_row_each(contributions, &by_rows);
        sketch = enough.then(|| Sketch::with_squares(&own, of.shifted()));
        let counts = one_row_each(&by_rows, &by_rows);
        let fenced = within_fences(&counts, profile);
        let numbers = enough.then(|| shown(&counts, &fenced, profile)).flatten();
        safe = numbers.is_some();
        if let Some((mean, deviation)) = numbers {
            common = Common::of(&own, u64::from(profile.k));
            held = Some(Sketch::with_squares(&fenced, of.shifted()));
            values.insert(keyed(MEAN, basis), Some(mean));
            values.insert(keyed(DEVIATION, basis), deviation);
        }
    } else if enough {
        // As they are counted: that one has very many rows, and the others one each, would show in that there is no number.
        let weights: Vec<f64> = by_rows.iter().map(|entry| entry.rows as f64).collect();
        let dominated = profile.is_dominated(&weights);
        values.insert(PERSONS.to_owned(), profile.count(count).map(|n| n as f64));
        let shown = profile.rows(rows, count).filter(|_| !dominated);
        // Of the count as it is shown: two ways of rounding one count would tell more of it than either.
        let in_share = shown.map(|rows| profile.in_share(rows) as f64);
        values.insert(ROWS.to_owned(), shown.map(|rows| rows as f64));
        values.insert(IN_SHARE.to_owned(), in_share);
    }
    Cell {
        dims,
        persons,
        sketch,
        held,
        common,
        safe,
        values,
    }
}

/// The name of a measure's number in the record.
pub(super) fn keyed(function: &str, basis: &Basis) -> String {
    format!("{function} {}", basis.atom())
}

pub(super) fn number_of(outcome: &Outcome, name: &str) -> Option<f64> {
    match outcome {
        Outcome::Shown(values) => values.get(name).copied().flatten(),
        Outcome::Withheld => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use datafusion::logical_expr::lit;

    use super::*;
    use crate::disclosure::profile;
    use crate::release::measure::Measure;

    /// Whether one person of a small group has many rows does not show in whether there is a number.
    #[test]
    fn many_rows_of_one_person_empty_nothing() {
        let profile = profile("sacro").unwrap();
        let age = || Measure::atom("age".to_owned(), BTreeSet::new());
        for measure in [None, Some((age(), lit(0.0_f64)))] {
            let basis = Basis {
                filter: None,
                measure,
                times: None,
                asked: true,
                words: String::new(),
            };
            let of = |many: i64| {
                let mut persons = Persons::default();
                for person in 0..27 {
                    let rows = if person == 5 { many } else { 1 };
                    let value = if basis.measure.is_some() {
                        40 + person
                    } else {
                        0
                    };
                    for _ in 0..rows {
                        persons.push(person, value as f64);
                    }
                }
                cell(persons, Dims::new(), &basis, &profile).values
            };
            let (one, many) = (of(1), of(393));
            assert!(one.values().all(Option::is_some), "{one:?}");
            assert_eq!(one, many);
        }
    }
}
