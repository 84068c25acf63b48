//! The values that each group has, and how often: each value is one number, and groups keep numbers.
//!
//! Source values, units and directions are few and come again and again, so that a batch's texts are looked up once each.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array, UInt64Array,
    make_comparator, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::percentile::Fold;
use crate::functions::scalar::different_texts;

/// What is asked of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// How many different ones there are.
    HowMany,
    /// The one that most rows have, the least of several.
    MostOften,
}

/// The numbers of the values that each group has.
pub(super) struct Groups {
    asked: Asked,
    kind: DataType,
    known: Numbering,
    /// How many rows have a value: by the group in the upper half, and the value's number in the lower.
    rows: HashMap<u64, i64, BuildHasherDefault<Fold>>,
    /// How many values each group has.
    lengths: Vec<i64>,
}

/// A number for each value that there was.
pub(super) struct Numbering {
    /// Of one column.
    known: Box<dyn GroupValues>,
    /// The numbers of the values looked up last.
    numbers: Vec<usize>,
}

impl Numbering {
    pub(super) fn of(kind: &DataType) -> Result<Self> {
        let value = Field::new("value", kind.clone(), true);
        let schema = Arc::new(Schema::new(vec![value]));
        Ok(Self {
            known: new_group_values(schema, &GroupOrdering::None)?,
            numbers: Vec::new(),
        })
    }

    /// The number of each row's value.
    pub(super) fn numbers(&mut self, values: &ArrayRef) -> Result<impl Fn(usize) -> usize> {
        let (looked_up, places) = match different_texts(values)? {
            Some((texts, places)) => (texts, Some(places)),
            None => (Arc::clone(values), None),
        };
        self.known.intern(&[looked_up], &mut self.numbers)?;
        let places = places.map(|places| places.as_primitive::<UInt32Type>().clone());
        let numbers = &self.numbers;
        Ok(move |row| {
            let place = places.as_ref();
            numbers[place.map_or(row, |places| places.value(row) as usize)]
        })
    }

    pub(super) fn size(&self) -> usize {
        self.known.size() + self.numbers.capacity() * size_of::<usize>()
    }
}

/// The values of groups one after another, and how many rows have each.
struct Taken {
    offsets: OffsetBuffer<i32>,
    values: ArrayRef,
    rows: Vec<i64>,
}

impl Groups {
    pub(super) fn new(args: &AccumulatorArgs, asked: Asked) -> Result<Self> {
        Self::of(args.expr_fields[0].data_type().clone(), asked)
    }

    fn of(kind: DataType, asked: Asked) -> Result<Self> {
        Ok(Self {
            asked,
            known: Numbering::of(&kind)?,
            kind,
            rows: HashMap::default(),
            lengths: Vec::new(),
        })
    }

    /// Adds rows with their groups; each stands for so many.
    fn add(
        &mut self,
        values: &ArrayRef,
        rows: impl Iterator<Item = (usize, usize)>,
        each: impl Fn(usize) -> i64,
    ) -> Result<()> {
        let number = self.known.numbers(values)?;
        let nulls = values.logical_nulls();
        let mut last = None;
        for (row, group) in rows {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let pair = pair(group, number(row))?;
            if self.asked == Asked::HowMany {
                if last != Some(pair) && self.rows.insert(pair, 1).is_none() {
                    self.lengths[group] += 1;
                }
                last = Some(pair);
                continue;
            }
            let known = self.rows.entry(pair).or_default();
            self.lengths[group] += i64::from(*known == 0);
            *known += each(row);
        }
        Ok(())
    }

    /// What groups have that are given away; the others' values are numbered anew.
    fn take(&mut self, emit_to: EmitTo) -> Result<Taken> {
        let lengths = emit_to.take_needed(&mut self.lengths);
        let known = &mut self.known.known;
        let values = match known.is_empty() {
            true => new_empty_array(&self.kind),
            false => match known.emit(EmitTo::All)?.pop() {
                Some(values) => values,
                None => return internal_err!("the values are missing"),
            },
        };
        let given = lengths.len();
        let lengths = lengths
            .into_iter()
            .map(|length| usize::try_from(length).unwrap_or(0));
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let mut ends: Vec<i32> = offsets[..given].to_vec();
        let all = usize::try_from(offsets[given]).unwrap_or(0);
        let (mut numbers, mut rows) = (vec![0_u32; all], vec![0_i64; all]);
        let (mut kept, mut rest) = (Vec::new(), Vec::new());
        for (pair, times) in std::mem::take(&mut self.rows) {
            let (group, number) = parts(pair);
            if let Some(end) = ends.get_mut(group) {
                let place = usize::try_from(*end).unwrap_or(0);
                (numbers[place], rows[place]) = (number, times);
                *end += 1;
            } else {
                kept.push((group - given, times));
                rest.push(number);
            }
        }
        if !kept.is_empty() {
            let rest = take(&values, &UInt32Array::from(rest), None)?;
            let number = self.known.numbers(&rest)?;
            for (row, (group, times)) in kept.into_iter().enumerate() {
                self.rows.insert(pair(group, number(row))?, times);
            }
        }
        Ok(Taken {
            offsets,
            values: take(&values, &UInt32Array::from(numbers), None)?,
            rows,
        })
    }

    fn list(&self, offsets: OffsetBuffer<i32>, values: ArrayRef) -> Result<ArrayRef> {
        let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
    }

    fn lists(&self, taken: Taken) -> Result<Vec<ArrayRef>> {
        let mut lists = vec![self.list(taken.offsets.clone(), taken.values)?];
        if self.asked == Asked::MostOften {
            lists.push(self.list(taken.offsets, Arc::new(Int64Array::from(taken.rows)))?);
        }
        Ok(lists)
    }
}

impl Taken {
    /// Of each group the value that most rows have, the least of several.
    fn most_often(&self) -> Result<ArrayRef> {
        let compare = make_comparator(&self.values, &self.values, SortOptions::default())?;
        let better = |one: &usize, other: &usize| {
            let rows = self.rows[*one].cmp(&self.rows[*other]);
            rows.then_with(|| compare(*other, *one))
        };
        let ends = self.offsets.windows(2);
        let best = ends.map(|ends| {
            let end = |at: usize| usize::try_from(ends[at]).unwrap_or(0);
            let best = (end(0)..end(1)).max_by(better)?;
            u64::try_from(best).ok()
        });
        Ok(take(&self.values, &best.collect::<UInt64Array>(), None)?)
    }
}

/// A group and a value's number.
pub(super) fn pair(group: usize, number: usize) -> Result<u64> {
    let half = |number| u32::try_from(number).map_err(|error| exec_datafusion_err!("{error}"));
    Ok(u64::from(half(group)?) << 32 | u64::from(half(number)?))
}

#[expect(clippy::cast_possible_truncation, reason = "halves of a number")]
fn parts(pair: u64) -> (usize, u32) {
    ((pair >> 32) as usize, pair as u32)
}

fn argument(values: &[ArrayRef]) -> Result<&ArrayRef> {
    match values {
        [values, ..] => Ok(values),
        _ => internal_err!("a value is missing"),
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.lengths.resize(total_num_groups, 0);
        let rows = group_indices.iter().copied().enumerate();
        let Some(filter) = opt_filter else {
            return self.add(argument(values)?, rows, |_| 1);
        };
        let rows = rows.filter(|(row, _)| filter.is_valid(*row) && filter.value(*row));
        self.add(argument(values)?, rows, |_| 1)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        if self.asked == Asked::MostOften {
            return self.take(emit_to)?.most_often();
        }
        if emit_to == EmitTo::All {
            let lengths = std::mem::take(&mut self.lengths);
            *self = Self::of(self.kind.clone(), self.asked)?;
            return Ok(Arc::new(Int64Array::from(lengths)));
        }
        let ends = self.take(emit_to)?.offsets;
        let lengths = ends.windows(2).map(|ends| i64::from(ends[1] - ends[0]));
        Ok(Arc::new(lengths.collect::<Int64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let taken = self.take(emit_to)?;
        self.lists(taken)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.lengths.resize(total_num_groups, 0);
        let lists = argument(values)?.as_list::<i32>();
        let ends = lists.offsets().windows(2).zip(group_indices).enumerate();
        let ends = ends.filter(|(list, _)| lists.is_valid(*list));
        let rows = ends.flat_map(|(_, (ends, group))| {
            let end = |at: usize| usize::try_from(ends[at]).unwrap_or(0);
            (end(0)..end(1)).map(|row| (row, *group))
        });
        match values.get(1).map(|times| times.as_list::<i32>()) {
            // Both lists were made with the same ends.
            Some(times) => {
                let times = times.values().as_primitive::<Int64Type>();
                self.add(lists.values(), rows, |row| times.value(row))
            }
            None => self.add(lists.values(), rows, |_| 1),
        }
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = argument(values)?;
        let nulls = values.logical_nulls();
        let counted = |row: &usize| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))
                && opt_filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row))
        };
        let lengths = (0..values.len()).map(|row| usize::from(counted(&row)));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let rows = (0..values.len()).filter(counted).map(|row| row as u64);
        let rows = rows.collect::<Vec<u64>>();
        let taken = Taken {
            offsets,
            rows: vec![1; rows.len()],
            values: take(values, &UInt64Array::from(rows), None)?,
        };
        self.lists(taken)
    }

    fn size(&self) -> usize {
        // A place has a control byte beside it, and one in eight is empty.
        self.known.size()
            + self.rows.capacity() * (size_of::<(u64, i64)>() + 2)
            + self.lengths.capacity() * size_of::<i64>()
    }
}

/// All rows, as one group. What numbers the values may be used by one thread at a time.
pub(super) struct OneGroup(Mutex<Groups>);

impl OneGroup {
    pub(super) fn new(groups: Groups) -> Self {
        Self(Mutex::new(groups))
    }

    fn groups(&mut self) -> &mut Groups {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for OneGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneGroup")
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; argument(values)?.len()];
        self.groups().update_batch(values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; argument(states)?.len()];
        self.groups().merge_batch(states, &groups, 1)
    }

    /// Leaves the values as they are: a running window evaluates them again and again.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let groups = self.groups();
        groups.lengths.resize(1, 0);
        if groups.asked == Asked::HowMany {
            return Ok(ScalarValue::from(groups.lengths[0]));
        }
        let taken = groups.take(EmitTo::All)?;
        let answer = taken.most_often()?;
        let lists = groups.lists(taken)?;
        groups.merge_batch(&lists, &[0], 1)?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.groups().lengths.resize(1, 0);
        let lists = self.groups().state(EmitTo::All)?.into_iter();
        Ok(lists
            .map(|list| ScalarValue::List(Arc::new(list.as_list::<i32>().clone())))
            .collect())
    }

    fn size(&self) -> usize {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.size()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use arrow::array::{BinaryArray, StringViewArray};

    use super::*;

    /// Texts as a file's dictionary gives them: the same text is the same place.
    fn texts(seed: usize, rows: usize, different: usize) -> Vec<Option<String>> {
        let word = |row: usize| (row * row * 37 + seed * 11) % different;
        let present = |row: usize| !(row + seed).is_multiple_of(5);
        (0..rows)
            .map(|row| present(row).then(|| format!("{} tablets of something", word(row))))
            .collect()
    }

    fn column(kind: &DataType, words: Vec<Option<String>>) -> ArrayRef {
        if *kind == DataType::Utf8View {
            return Arc::new(words.into_iter().collect::<StringViewArray>());
        }
        let bytes = words.iter().map(|word| word.as_ref().map(String::as_bytes));
        Arc::new(bytes.collect::<BinaryArray>())
    }

    /// What ten groups have, some of which are given away before the end, and some rows as a state of one row each.
    fn answers(
        kind: &DataType,
        different: usize,
        asked: Asked,
    ) -> ([ArrayRef; 2], Vec<BTreeMap<String, i64>>) {
        let groups = || Groups::of(kind.clone(), asked).unwrap();
        let (mut first, mut last) = (groups(), groups());
        let mut sets = vec![BTreeMap::new(); 10];
        let mut gone = 0;
        for seed in 0..12 {
            let rows = if seed % 3 == 0 { 100 } else { 3000 };
            let words = texts(seed, rows, different);
            let of: Vec<usize> = (0..rows).map(|row| gone + row % (9 - gone)).collect();
            let filter: BooleanArray = (0..rows).map(|row| Some(row % 7 != 0)).collect();
            for ((word, group), passes) in words.iter().zip(&of).zip(&filter) {
                if let (Some(word), Some(true)) = (word, passes) {
                    *sets[*group].entry(word.clone()).or_default() += 1;
                }
            }
            let values = [column(kind, words)];
            if seed == 4 {
                let states = first.convert_to_state(&values, Some(&filter)).unwrap();
                last.merge_batch(&states, &of, 10).unwrap();
                continue;
            }
            let local: Vec<usize> = of.iter().map(|group| group - gone).collect();
            first
                .update_batch(&values, &local, Some(&filter), 10 - gone)
                .unwrap();
            if seed == 6 {
                let states = first.state(EmitTo::First(4)).unwrap();
                last.merge_batch(&states, &[0, 1, 2, 3], 10).unwrap();
                gone = 4;
            }
        }
        let states = first.state(EmitTo::All).unwrap();
        last.merge_batch(&states, &[4, 5, 6, 7, 8, 9], 10).unwrap();
        let two = last.evaluate(EmitTo::First(2)).unwrap();
        let others = last.evaluate(EmitTo::All).unwrap();
        assert_eq!(last.evaluate(EmitTo::All).unwrap().len(), 0);
        ([two, others], sets)
    }

    #[test]
    fn counts_are_those_of_sets_however_early_groups_are_given_away() {
        for (different, kind) in [
            (3, DataType::Utf8View),
            (900, DataType::Utf8View),
            (900, DataType::Binary),
        ] {
            let (found, sets) = answers(&kind, different, Asked::HowMany);
            let found = found.map(|found| found.as_primitive::<Int64Type>().values().to_vec());
            let expected = sets.iter().map(|set| i64::try_from(set.len()).unwrap());
            assert_eq!(found.concat(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_value_of_most_rows_is_the_least_of_several() {
        for different in [3, 400] {
            let (found, sets) = answers(&DataType::Utf8View, different, Asked::MostOften);
            let found = found.iter().flat_map(|found| found.as_string_view().iter());
            let expected = sets.iter().map(|set| {
                let most = set.values().max()?;
                let word = set.iter().find(|(_, times)| *times == most);
                word.map(|(word, _)| word.as_str())
            });
            assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
