//! The values of each group, as a list or a text.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringBuilder, ListArray, UInt32Array,
    make_comparator, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortColumn, SortOptions, cast, concat, take, take_arrays};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{How, counted, value_and_keys};
use crate::functions::aggregate::percentile::Fold;
use crate::functions::aggregate::values_of_groups::{Numbering, pair};
use crate::plan::order_within;

/// Rows that may come before equal values are looked for.
const LOOK: usize = 256 * 1024;

/// With so many rows for each group, most are likely to have a value that is kept already.
const MANY: usize = 8;

pub(super) struct Collect {
    how: How,
    /// What parts the values of a text; none for a list.
    delimiter: Option<String>,
    output: DataType,
    types: Vec<DataType>,
    /// The values and keys, column by column.
    kept: Vec<Vec<ArrayRef>>,
    /// Each row's group.
    groups: Vec<u32>,
    total: usize,
    bytes: usize,
    /// Rows from which on equal values are looked for.
    look_at: usize,
    /// Values that are kept, of groups with many rows, where each counts once.
    seen: Option<Seen>,
}

struct Seen {
    numbering: Numbering,
    /// Groups and their values' numbers.
    pairs: HashSet<u64, BuildHasherDefault<Fold>>,
}

impl Seen {
    fn of(kind: &DataType) -> Result<Self> {
        Ok(Self {
            numbering: Numbering::of(kind)?,
            pairs: HashSet::default(),
        })
    }

    /// Of these rows those with a value that their group has not had.
    fn new_rows(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        rows: impl Iterator<Item = u32>,
    ) -> Result<Vec<u32>> {
        let number = self.numbering.numbers(values)?;
        let mut new = Vec::new();
        for row in rows {
            let at = row as usize;
            if self.pairs.insert(pair(groups[at], number(at))?) {
                new.push(row);
            }
        }
        Ok(new)
    }

    fn size(&self) -> usize {
        // A place has a control byte beside it, and one in eight is empty.
        self.numbering.size() + self.pairs.capacity() * (size_of::<u64>() + 2)
    }
}

/// Rows in order of their groups, and in each group in their order.
struct Sorted {
    columns: Vec<ArrayRef>,
    /// Each group's rows.
    ranges: Vec<Range<usize>>,
}

impl Collect {
    pub(super) fn new(
        value: DataType,
        keys: Vec<DataType>,
        how: How,
        delimiter: Option<String>,
        output: DataType,
    ) -> Self {
        let types: Vec<DataType> = std::iter::once(value).chain(keys).collect();
        Self {
            how,
            delimiter,
            output,
            kept: vec![Vec::new(); types.len()],
            types,
            groups: Vec::new(),
            total: 0,
            bytes: 0,
            look_at: LOOK,
            seen: None,
        }
    }

    fn pass_nulls(&self) -> bool {
        self.how.pass_nulls || self.delimiter.is_some()
    }

    fn keep(&mut self, columns: Vec<ArrayRef>, groups: impl Iterator<Item = u32>) {
        for (kept, column) in self.kept.iter_mut().zip(columns) {
            self.bytes += column.to_data().get_slice_memory_size().unwrap_or(0);
            kept.push(column);
        }
        self.groups.extend(groups);
    }

    fn add(
        &mut self,
        columns: Vec<ArrayRef>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.total = self.total.max(total);
        if u32::try_from(self.groups.len() + groups.len()).is_err() {
            return exec_err!("lists of more than four billion values");
        }
        // There are no more groups than rows.
        let number = |group: &usize| u32::try_from(*group).unwrap_or(u32::MAX);
        let counts = counted(&columns[0], filter, self.pass_nulls());
        let repeats =
            self.how.distinct && self.types[0].is_string() && groups.len() / MANY >= self.total;
        match counts {
            None if !repeats => self.keep(columns, groups.iter().map(number)),
            counts => {
                let rows = (0u32..).take(groups.len());
                let rows = rows.filter(|row| counts.as_ref().is_none_or(|it| it(*row as usize)));
                let rows = match repeats {
                    true => {
                        let seen = match &mut self.seen {
                            Some(seen) => seen,
                            none => none.insert(Seen::of(&self.types[0])?),
                        };
                        seen.new_rows(&columns[0], groups, rows)?
                    }
                    false => rows.collect(),
                };
                let rows = UInt32Array::from(rows);
                let columns = take_arrays(&columns, &rows, None)?;
                let groups = rows
                    .values()
                    .iter()
                    .map(|row| number(&groups[*row as usize]));
                self.keep(columns, groups);
            }
        }
        if self.how.distinct && self.groups.len() >= self.look_at {
            let sorted = self.sorted()?;
            let groups = (0u32..).zip(&sorted.ranges);
            let groups: Vec<u32> = groups
                .flat_map(|(group, range)| std::iter::repeat_n(group, range.len()))
                .collect();
            self.keep(sorted.columns, groups.into_iter());
            self.look_at = LOOK + 2 * self.groups.len();
        }
        Ok(())
    }

    /// All rows, which are then kept no more.
    fn sorted(&mut self) -> Result<Sorted> {
        let kept = self.kept.iter_mut().zip(&self.types);
        let columns = kept.map(|(kept, kind)| {
            let kept = std::mem::take(kept);
            let parts: Vec<&dyn Array> = kept.iter().map(AsRef::as_ref).collect();
            Ok(match parts.as_slice() {
                [] => new_empty_array(kind),
                parts => concat(parts)?,
            })
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        let groups = std::mem::take(&mut self.groups);
        self.bytes = 0;
        let mut ranges = ranges(&groups, self.total);
        if !groups.is_sorted() {
            let mut next: Vec<usize> = ranges.iter().map(|range| range.start).collect();
            let mut order = vec![0u32; groups.len()];
            for (row, group) in (0u32..).zip(&groups) {
                let place = &mut next[*group as usize];
                order[*place] = row;
                *place += 1;
            }
            columns = take_arrays(&columns, &UInt32Array::from(order), None)?;
        }
        let keys = columns[1..].iter().zip(&self.how.order);
        let keys: Vec<SortColumn> = keys
            .map(|(key, options)| SortColumn {
                values: Arc::clone(key),
                options: Some(*options),
            })
            .collect();
        if let Some(order) = order_within(&ranges, &keys, groups.len())? {
            columns = take_arrays(&columns, &order, None)?;
        }
        if self.how.distinct {
            ranges = once(&mut columns, &ranges)?;
        }
        Ok(Sorted { columns, ranges })
    }

    /// The rows of the first groups, or of all.
    fn emit(&mut self, emit_to: EmitTo) -> Result<Sorted> {
        // Groups get other numbers.
        self.seen = None;
        let mut sorted = self.sorted()?;
        let EmitTo::First(first) = emit_to else {
            self.total = 0;
            return Ok(sorted);
        };
        let rest = sorted.ranges.split_off(first.min(sorted.ranges.len()));
        let cut = sorted.ranges.last().map_or(0, |range| range.end);
        let columns = sorted.columns.iter();
        let left = columns.map(|column| column.slice(cut, column.len() - cut));
        let groups = (0u32..).zip(&rest);
        let groups: Vec<u32> = groups
            .flat_map(|(group, range)| std::iter::repeat_n(group, range.len()))
            .collect();
        let left = left.collect();
        self.keep(left, groups.into_iter());
        self.total = rest.len();
        for column in &mut sorted.columns {
            *column = column.slice(0, cut);
        }
        Ok(sorted)
    }

    fn text(&self, delimiter: &str, sorted: &Sorted) -> Result<ArrayRef> {
        let values = cast(&sorted.columns[0], &DataType::LargeUtf8)?;
        let values = values.as_string::<i64>();
        let mut texts = LargeStringBuilder::new();
        let mut text = String::new();
        for range in &sorted.ranges {
            if range.is_empty() {
                texts.append_null();
                continue;
            }
            text.clear();
            for row in range.clone() {
                if row > range.start {
                    text.push_str(delimiter);
                }
                text.push_str(values.value(row));
            }
            texts.append_value(&text);
        }
        Ok(cast(&texts.finish(), &self.output)?)
    }
}

/// Where each group's rows are once they are in order of groups.
fn ranges(groups: &[u32], total: usize) -> Vec<Range<usize>> {
    let mut counts = vec![0usize; total];
    for group in groups {
        counts[*group as usize] += 1;
    }
    let mut start = 0;
    let ranges = counts.into_iter().map(|count| {
        let range = start..start + count;
        start = range.end;
        range
    });
    ranges.collect()
}

/// Takes out of each group the values that are equal to the one before them.
fn once(columns: &mut Vec<ArrayRef>, ranges: &[Range<usize>]) -> Result<Vec<Range<usize>>> {
    let compare = make_comparator(&columns[0], &columns[0], SortOptions::default())?;
    let mut rows: Vec<u32> = Vec::new();
    let mut kept = Vec::with_capacity(ranges.len());
    for range in ranges {
        let start = rows.len();
        for row in range.clone() {
            if row == range.start || compare(row - 1, row).is_ne() {
                // Fewer than four billion, as is seen to when they come.
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        kept.push(start..rows.len());
    }
    if rows.len() < columns[0].len() {
        *columns = take_arrays(columns, &UInt32Array::from(rows), None)?;
    }
    Ok(kept)
}

/// A list for each group, NULL for one without rows.
fn lists(values: &ArrayRef, ranges: &[Range<usize>], item: Arc<Field>) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::from_lengths(ranges.iter().map(Range::len));
    let nulls: NullBuffer = ranges.iter().map(|range| !range.is_empty()).collect();
    let values = Arc::clone(values);
    Ok(Arc::new(ListArray::try_new(
        item,
        offsets,
        values,
        Some(nulls),
    )?))
}

fn item(kind: &DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(kind.clone(), true))
}

impl GroupsAccumulator for Collect {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let columns = value_and_keys(values, self.types.len() - 1)?;
        self.add(columns, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let lists: Vec<&ListArray> = values.iter().map(|list| list.as_list()).collect();
        let Some(first) = lists.first() else {
            return internal_err!("an ordered list has a state");
        };
        let mut groups = Vec::new();
        let mut rows: Vec<u32> = Vec::new();
        for (list, group) in group_indices.iter().enumerate() {
            if first.is_valid(list) {
                let range = first.offsets()[list]..first.offsets()[list + 1];
                groups.extend(std::iter::repeat_n(*group, range.len()));
                rows.extend(range.map(i32::cast_unsigned));
            }
        }
        let rows = UInt32Array::from(rows);
        let columns = lists.iter().map(|list| take(list.values(), &rows, None));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        self.add(columns, &groups, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sorted = self.emit(emit_to)?;
        match (&self.delimiter, &self.output) {
            (Some(delimiter), _) => self.text(delimiter, &sorted),
            (None, DataType::List(item)) => {
                lists(&sorted.columns[0], &sorted.ranges, Arc::clone(item))
            }
            (None, other) => internal_err!("a list is no {other}"),
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sorted = self.emit(emit_to)?;
        let columns = sorted.columns.iter().zip(&self.types);
        columns
            .map(|(column, kind)| lists(column, &sorted.ranges, item(kind)))
            .collect()
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let columns = value_and_keys(values, self.types.len() - 1)?;
        let counts = counted(&columns[0], opt_filter, self.pass_nulls());
        let rows = columns[0].len();
        let counts = |row: usize| counts.as_ref().is_none_or(|counts| counts(row));
        let lengths = (0..rows).map(|row| usize::from(counts(row)));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls: NullBuffer = (0..rows).map(counts).collect();
        let kept = (0u32..).take(rows).filter(|row| counts(*row as usize));
        let kept = UInt32Array::from_iter_values(kept);
        let columns = columns.iter().zip(&self.types);
        columns
            .map(|(column, kind)| {
                let values = take(column, &kept, None)?;
                let (offsets, nulls) = (offsets.clone(), Some(nulls.clone()));
                Ok(Arc::new(ListArray::try_new(item(kind), offsets, values, nulls)?) as ArrayRef)
            })
            .collect()
    }

    fn size(&self) -> usize {
        let seen = self.seen.as_ref().map_or(0, Seen::size);
        size_of::<Self>() + self.bytes + self.groups.capacity() * size_of::<u32>() + seen
    }
}
