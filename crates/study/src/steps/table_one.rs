//! Table one: the groups at their index date, before and after adjustment.

use columna_stats::causal::weighting::Weights;
use columna_stats::description::quantile::{QuantileType, Values};

use super::adjust::method_words;
use super::count;
use super::data::{Data, groups};
use super::propensity::differences;
use crate::error::Result;
use crate::findings::{Distribution, Num, TableOne, TableOneRow};
use crate::spec::{Located, Spec};

/// Describes the groups.
pub(crate) fn build(spec: &Spec, data: &Data, variables: &[Located<String>]) -> Result<TableOne> {
    let groups = groups(spec);
    let ones = vec![1.0; data.people.len()];
    let weights = data
        .adjustment
        .as_ref()
        .map(|adjustment| adjustment.weights.as_slice());
    let mut rows = Vec::new();
    for (index, name) in data.dense.names.iter().enumerate() {
        if !variables.is_empty() && variables.iter().all(|one| one.value != *name) {
            continue;
        }
        let (column, binary) = (&data.dense.columns[index], data.dense.binary[index]);
        let each = |weights: &[f64], plain: bool| {
            (0..groups.len())
                .map(|group| distribution(data, column, binary, group, weights, plain))
                .collect::<Result<Vec<_>>>()
        };
        let (smd_before, smd_after) = if groups.len() == 2 {
            differences(&data.people, column, binary, weights.unwrap_or(&ones))?
        } else {
            (f64::NAN, f64::NAN)
        };
        let label = match &data.dense.units[index] {
            Some(unit) => format!("{}, {unit}", data.dense.labels[index]),
            None => data.dense.labels[index].clone(),
        };
        rows.push(TableOneRow {
            name: name.clone(),
            label,
            binary,
            before: each(&ones, true)?,
            after: weights.map_or_else(|| Ok(Vec::new()), |weights| each(weights, false))?,
            smd_before: Num(smd_before),
            smd_after: Num(if weights.is_some() {
                smd_after
            } else {
                f64::NAN
            }),
        });
    }
    let members = |group: usize| {
        (0..data.people.len()).filter(move |row| data.people[*row].target == (group == 0))
    };
    let mut effective = Vec::new();
    if let Some(weights) = weights {
        for group in 0..groups.len() {
            let mut size = Weights::default();
            for row in members(group) {
                size.add(weights[row])?;
            }
            effective.push(Num(size.effective()));
        }
    }
    Ok(TableOne {
        persons: (0..groups.len())
            .map(|group| count(members(group).count()))
            .collect(),
        adjusted: weights.map(|_| method_words(&spec.propensity)),
        effective,
        groups,
        rows,
    })
}

fn distribution(
    data: &Data,
    column: &[f64],
    binary: bool,
    group: usize,
    weights: &[f64],
    plain: bool,
) -> Result<Distribution> {
    let (mut known, mut missing, mut sum, mut squares, mut all, mut with) =
        (0_u64, 0_u64, 0.0, 0.0, 0.0, 0_u64);
    let mut values = Values::default();
    for (row, value) in column.iter().enumerate() {
        if data.people[row].target != (group == 0) || weights[row] <= 0.0 {
            continue;
        }
        if value.is_nan() {
            missing += 1;
            continue;
        }
        known += 1;
        with += u64::from(*value > 0.0);
        all += weights[row];
        sum += weights[row] * value;
        if plain && !binary {
            values.add(*value)?;
        }
    }
    let mean = sum / all;
    for (row, value) in column.iter().enumerate() {
        if data.people[row].target == (group == 0) && weights[row] > 0.0 && !value.is_nan() {
            squares += weights[row] * (value - mean) * (value - mean);
        }
    }
    let quartiles = if plain && !binary && known > 0 {
        let found = values.quantiles(&[0.25, 0.5, 0.75], QuantileType::default())?;
        <[f64; 3]>::try_from(found).ok().map(|three| three.map(Num))
    } else {
        None
    };
    let freedom = if plain { all - 1.0 } else { all };
    Ok(Distribution {
        count: if binary { with } else { known },
        missing,
        mean: Num(mean),
        sd: Num((squares / freedom).sqrt()),
        quartiles,
    })
}
