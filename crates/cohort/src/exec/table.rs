//! A bucket's records of one table, column by column, in the order of persons.

use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};

use super::{MISSING, MISSING_DAY, add_days};
use crate::domain::{DomainDef, End};
use crate::error::Result;
use crate::plan::{ColumnKind, TablePlan};
use crate::read::{push_days, push_integers, push_numbers, same};

/// Records of one table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) persons: Vec<i64>,
    pub(crate) starts: Vec<i32>,
    pub(crate) ends: Vec<i32>,
    pub(crate) ids: Vec<i64>,
    /// Empty where the domain has no visits.
    pub(crate) visits: Vec<i64>,
    /// Empty where no leaf asks for concepts.
    pub(crate) concepts: Vec<i64>,
    /// Empty where no leaf asks for source concepts.
    pub(crate) sources: Vec<i64>,
    /// The attributes that the plan asks for, in its order.
    pub(crate) columns: Vec<Column>,
}

/// An attribute of all records.
#[derive(Debug)]
pub(crate) enum Column {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<Option<Box<str>>>),
}

impl Table {
    /// The records of a batch.
    pub(crate) fn of(def: &DomainDef, plan: &TablePlan, batch: &RecordBatch) -> Result<Self> {
        let mut table = Self::default();
        integers(def.table, batch, person_column(), &mut table.persons)?;
        days(def.table, batch, def.start, &mut table.starts)?;
        integers(def.table, batch, def.id, &mut table.ids)?;
        table.ends = ends(def, batch, &table.starts)?;
        if def.visit {
            integers(def.table, batch, "visit_occurrence_id", &mut table.visits)?;
        }
        if let Some(column) = def.concept.filter(|_| !plan.by_concept.is_empty()) {
            integers(def.table, batch, column, &mut table.concepts)?;
        }
        if let Some(column) = def.source.filter(|_| plan.needs_sources()) {
            integers(def.table, batch, column, &mut table.sources)?;
        }
        for &(name, kind) in &plan.columns {
            table
                .columns
                .push(Column::of(def.table, batch, name, kind)?);
        }
        Ok(table)
    }

    /// Adds records that come after these.
    pub(crate) fn append(&mut self, mut more: Self) {
        if self.persons.is_empty() {
            *self = more;
            return;
        }
        self.persons.append(&mut more.persons);
        self.starts.append(&mut more.starts);
        self.ends.append(&mut more.ends);
        self.ids.append(&mut more.ids);
        self.visits.append(&mut more.visits);
        self.concepts.append(&mut more.concepts);
        self.sources.append(&mut more.sources);
        for (column, more) in self.columns.iter_mut().zip(more.columns) {
            column.append(more);
        }
    }

    pub(crate) fn visit(&self, row: usize) -> i64 {
        self.visits.get(row).copied().unwrap_or(MISSING)
    }

    pub(crate) fn integer(&self, column: usize, row: usize) -> i64 {
        match self.columns.get(column) {
            Some(Column::Integers(values)) => values[row],
            _ => MISSING,
        }
    }

    pub(crate) fn number(&self, column: usize, row: usize) -> f64 {
        match self.columns.get(column) {
            Some(Column::Numbers(values)) => values[row],
            _ => f64::NAN,
        }
    }

    pub(crate) fn text(&self, column: usize, row: usize) -> Option<&str> {
        match self.columns.get(column) {
            Some(Column::Texts(values)) => values[row].as_deref(),
            _ => None,
        }
    }
}

/// The columns that a domain's table is read with; those that it does not have are left out by the reader.
pub(crate) fn columns_of(def: &DomainDef, plan: &TablePlan) -> Vec<&'static str> {
    let mut columns = vec![person_column(), def.start, def.id];
    columns.extend(def.end.columns());
    if def.visit {
        columns.push("visit_occurrence_id");
    }
    columns.extend(def.concept.filter(|_| !plan.by_concept.is_empty()));
    columns.extend(def.source.filter(|_| plan.needs_sources()));
    columns.extend(plan.columns.iter().map(|(name, _)| *name));
    columns.sort_unstable();
    columns.dedup();
    columns
}

pub(crate) const fn person_column() -> &'static str {
    "person_id"
}

impl Column {
    fn of(table: &str, batch: &RecordBatch, name: &str, kind: ColumnKind) -> Result<Self> {
        let rows = batch.num_rows();
        let is_there = batch.column_by_name(name).is_some();
        Ok(match kind {
            ColumnKind::Integers => {
                let mut values = Vec::with_capacity(rows);
                integers(table, batch, name, &mut values)?;
                Self::Integers(values)
            }
            ColumnKind::Numbers => {
                let mut values = Vec::with_capacity(rows);
                if is_there {
                    push_numbers(table, batch, name, &mut values)?;
                } else {
                    values.resize(rows, f64::NAN);
                }
                Self::Numbers(values)
            }
            ColumnKind::Texts if is_there => {
                let texts = same(table, batch, name)?;
                let texts = texts.as_string::<i32>();
                let value = |row| (!texts.is_null(row)).then(|| texts.value(row).into());
                Self::Texts((0..rows).map(value).collect())
            }
            ColumnKind::Texts => Self::Texts(vec![None; rows]),
        })
    }

    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Integers(values), Self::Integers(mut more)) => values.append(&mut more),
            (Self::Numbers(values), Self::Numbers(mut more)) => values.append(&mut more),
            (Self::Texts(values), Self::Texts(mut more)) => values.append(&mut more),
            // The same plan made both, so that kinds are equal.
            _ => {}
        }
    }
}

/// A column of keys, all missing where the table does not have it.
pub(crate) fn integers(
    table: &str,
    batch: &RecordBatch,
    column: &str,
    into: &mut Vec<i64>,
) -> Result<()> {
    if batch.column_by_name(column).is_none() {
        into.resize(into.len() + batch.num_rows(), MISSING);
        return Ok(());
    }
    push_integers(table, batch, column, MISSING, into)
}

/// A column of days, all missing where the table does not have it.
pub(crate) fn days(
    table: &str,
    batch: &RecordBatch,
    column: &str,
    into: &mut Vec<i32>,
) -> Result<()> {
    if batch.column_by_name(column).is_none() {
        into.resize(into.len() + batch.num_rows(), MISSING_DAY);
        return Ok(());
    }
    push_days(table, batch, column, MISSING_DAY, into)
}

/// The days on which records end, by the rule of their domain.
fn ends(def: &DomainDef, batch: &RecordBatch, starts: &[i32]) -> Result<Vec<i32>> {
    let mut ends = Vec::with_capacity(starts.len());
    let or_next_day = |ends: &mut Vec<i32>| {
        for (end, &start) in ends.iter_mut().zip(starts) {
            if *end == MISSING_DAY {
                *end = add_days(start, 1);
            }
        }
    };
    match def.end {
        End::NextDay => ends.extend(starts.iter().map(|&start| add_days(start, 1))),
        End::Column(column) => days(def.table, batch, column, &mut ends)?,
        End::ColumnOrNextDay(column) => {
            days(def.table, batch, column, &mut ends)?;
            or_next_day(&mut ends);
        }
        End::Supply { end, days: supply } => {
            days(def.table, batch, end, &mut ends)?;
            let mut supplies = Vec::with_capacity(starts.len());
            integers(def.table, batch, supply, &mut supplies)?;
            for ((end, &start), supply) in ends.iter_mut().zip(starts).zip(supplies) {
                if *end == MISSING_DAY && supply != MISSING {
                    let supply = i32::try_from(supply).unwrap_or(i32::MAX);
                    *end = add_days(start, supply);
                }
            }
            or_next_day(&mut ends);
        }
    }
    Ok(ends)
}

/// The rows of a person, given where the search may begin.
pub(crate) fn rows_of(persons: &[i64], person: i64, from: usize) -> Range<usize> {
    let mut start = from;
    while start < persons.len() && persons[start] < person {
        start += 1;
    }
    let mut end = start;
    while end < persons.len() && persons[end] == person {
        end += 1;
    }
    start..end
}
