//! The first or last value of each group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array};
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{How, counted, value_and_keys};
use crate::plan::sort_numbers;

/// A group without a row.
const NONE: u32 = u32::MAX;
/// Rows that were the best once may be so many, before they are let go.
const LET_GO: usize = 32 * 1024;

/// The best row of each group: of those with the best key, the first that came, or the last.
#[derive(Debug)]
pub(super) struct Pick {
    how: How,
    last: bool,
    best: Best,
    /// The values and keys of rows that were the best when they came, column by column.
    kept: Vec<Vec<ArrayRef>>,
    types: Vec<DataType>,
    rows: usize,
    bytes: usize,
    /// Where among them each group's is.
    of_group: Vec<u32>,
}

/// The keys of each group's best row.
#[derive(Debug)]
enum Best {
    /// As numbers that compare as the keys do, so many for each group.
    Numbers(usize, Vec<u128>),
    /// As bytes that do.
    Bytes(RowConverter, Vec<Box<[u8]>>),
}

impl Pick {
    pub(super) fn new(value: DataType, keys: Vec<DataType>, how: How, last: bool) -> Result<Self> {
        let types: Vec<DataType> = std::iter::once(value).chain(keys).collect();
        let keys = || types[1..].iter().zip(&how.order);
        let mut numbers = true;
        for (key, options) in keys() {
            numbers &= sort_numbers(&new_empty_array(key), *options)?.is_some();
        }
        let best = if numbers {
            Best::Numbers(types.len() - 1, Vec::new())
        } else {
            let fields = keys();
            let fields =
                fields.map(|(key, options)| SortField::new_with_options(key.clone(), *options));
            Best::Bytes(RowConverter::new(fields.collect())?, Vec::new())
        };
        Ok(Self {
            how,
            last,
            best,
            kept: vec![Vec::new(); types.len()],
            types,
            rows: 0,
            bytes: 0,
            of_group: Vec::new(),
        })
    }

    fn keep(&mut self, columns: Vec<ArrayRef>) {
        self.rows += columns.first().map_or(0, |column| column.len());
        for (kept, column) in self.kept.iter_mut().zip(columns) {
            self.bytes += column.get_array_memory_size();
            kept.push(column);
        }
    }

    fn add(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.of_group.resize(total, NONE);
        let (value, keys) = match columns.split_first() {
            Some((value, keys)) => (value, keys),
            None => return internal_err!("a first value of nothing"),
        };
        let counts = counted(value, filter, self.how.pass_nulls);
        let before = self.rows;
        let mut chosen: Vec<(u32, usize)> = Vec::new();
        let mut choose = |row: usize, group: usize, place: &mut u32| -> Result<()> {
            *place = u32::try_from(before + chosen.len())
                .ok()
                .filter(|place| *place != NONE)
                .ok_or_else(|| exec_datafusion_err!("first values of four billion groups"))?;
            // A batch has fewer rows than there are places.
            chosen.push((u32::try_from(row).unwrap_or(NONE), group));
            Ok(())
        };
        let rows = groups.iter().copied().enumerate();
        let rows = rows.filter(|(row, _)| counts.as_ref().is_none_or(|counts| counts(*row)));
        match &mut self.best {
            Best::Numbers(0, _) => {
                for (row, group) in rows {
                    let place = &mut self.of_group[group];
                    if *place == NONE || self.last {
                        choose(row, group, place)?;
                    }
                }
            }
            Best::Numbers(width, best) => {
                best.resize(total * *width, 0);
                let numbers = |(key, options): (&ArrayRef, &SortOptions)| {
                    Ok(sort_numbers(key, *options)?.unwrap_or_default())
                };
                let keys = keys.iter().zip(&self.how.order).map(numbers);
                let keys = keys.collect::<Result<Vec<_>>>()?;
                for (row, group) in rows {
                    let place = &mut self.of_group[group];
                    let best = &mut best[group * *width..][..*width];
                    let here = || keys.iter().map(|key| key[row]);
                    let order = here().cmp(best.iter().copied());
                    let better = if self.last {
                        order.is_ge()
                    } else {
                        order.is_lt()
                    };
                    if *place == NONE || better {
                        for (best, key) in best.iter_mut().zip(here()) {
                            *best = key;
                        }
                        choose(row, group, place)?;
                    }
                }
            }
            Best::Bytes(converter, best) => {
                best.resize(total, Box::default());
                let keys = converter.convert_columns(keys)?;
                for (row, group) in rows {
                    let place = &mut self.of_group[group];
                    let best = &mut best[group];
                    let here = keys.row(row);
                    let order = here.data().cmp(best);
                    let better = if self.last {
                        order.is_ge()
                    } else {
                        order.is_lt()
                    };
                    if *place == NONE || better {
                        *best = here.data().into();
                        choose(row, group, place)?;
                    }
                }
            }
        }
        // Of a batch's rows, those that are still the best.
        let mut taken: Vec<u32> = Vec::with_capacity(chosen.len());
        for (at, (row, group)) in chosen.into_iter().enumerate() {
            let place = &mut self.of_group[group];
            if *place as usize == before + at {
                // Not more than before.
                *place -= u32::try_from(at - taken.len()).unwrap_or(0);
                taken.push(row);
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let taken = UInt32Array::from(taken);
        let columns = columns.iter().map(|column| take(column, &taken, None));
        let columns = columns.collect::<Result<_, _>>()?;
        self.keep(columns);
        if self.rows > LET_GO + 2 * self.of_group.len() {
            let all = self.together()?;
            self.keep_living(&all)?;
        }
        Ok(())
    }

    /// All rows that are kept, which are then kept no more.
    fn together(&mut self) -> Result<Vec<ArrayRef>> {
        (self.rows, self.bytes) = (0, 0);
        let columns = self.kept.iter_mut().zip(&self.types);
        columns
            .map(|(kept, kind)| {
                let kept = std::mem::take(kept);
                let parts: Vec<&dyn Array> = kept.iter().map(AsRef::as_ref).collect();
                Ok(match parts.as_slice() {
                    [] => new_empty_array(kind),
                    parts => concat(parts)?,
                })
            })
            .collect()
    }

    /// Keeps of all rows those that groups have.
    fn keep_living(&mut self, all: &[ArrayRef]) -> Result<()> {
        let living = self.of_group.iter().filter(|place| **place != NONE);
        let living = UInt32Array::from_iter_values(living.copied());
        let columns = all.iter().map(|column| take(column, &living, None));
        let columns = columns.collect::<Result<_, _>>()?;
        let places = self.of_group.iter_mut().filter(|place| **place != NONE);
        for (next, place) in (0u32..).zip(places) {
            *place = next;
        }
        self.keep(columns);
        Ok(())
    }

    /// The columns of the first groups, or of all, and which of them have a row.
    fn emit(&mut self, emit_to: EmitTo) -> Result<(Vec<ArrayRef>, BooleanArray)> {
        let groups = emit_to.take_needed(&mut self.of_group);
        match &mut self.best {
            Best::Numbers(width, best) => {
                drop(best.drain(..(groups.len() * *width).min(best.len())))
            }
            Best::Bytes(_, best) => drop(best.drain(..groups.len().min(best.len()))),
        }
        let all = self.together()?;
        if !self.of_group.is_empty() {
            self.keep_living(&all)?;
        }
        let places = groups
            .iter()
            .map(|place| (*place != NONE).then_some(*place));
        let places: UInt32Array = places.collect();
        let columns = all.iter().map(|column| take(column, &places, None));
        let set = groups.iter().map(|place| Some(*place != NONE)).collect();
        Ok((columns.collect::<Result<_, _>>()?, set))
    }
}

impl GroupsAccumulator for Pick {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let columns = value_and_keys(values, self.types.len() - 1)?;
        self.add(&columns, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let Some((set, columns)) = values.split_last() else {
            return internal_err!("a first value has a state");
        };
        let set = datafusion::common::cast::as_boolean_array(set)?;
        self.add(columns, group_indices, Some(set), total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (mut columns, _) = self.emit(emit_to)?;
        Ok(columns.swap_remove(0))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (mut columns, set) = self.emit(emit_to)?;
        columns.push(Arc::new(set));
        Ok(columns)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut columns = value_and_keys(values, self.types.len() - 1)?;
        let rows = columns[0].len();
        let counts = counted(&columns[0], opt_filter, self.how.pass_nulls);
        let set = (0..rows).map(|row| Some(counts.as_ref().is_none_or(|counts| counts(row))));
        let set: BooleanArray = set.collect();
        columns.push(Arc::new(set));
        Ok(columns)
    }

    fn size(&self) -> usize {
        let best = match &self.best {
            Best::Numbers(_, best) => best.capacity() * size_of::<u128>(),
            Best::Bytes(_, best) => {
                best.iter().map(|key| key.len()).sum::<usize>()
                    + best.capacity() * size_of::<Box<[u8]>>()
            }
        };
        size_of::<Self>() + self.bytes + best + self.of_group.capacity() * size_of::<u32>()
    }
}
