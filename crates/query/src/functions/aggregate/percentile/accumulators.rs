//! Quantiles of one group, and of many.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, LargeListArray, ListArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::numbers::{Asked, Numbers};
use super::values::{as_numbers, as_values};

/// What is asked of each group.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asked: Vec<Asked>,
    pub(super) distinct: bool,
    /// What the values are, and what is answered with.
    pub(super) value: DataType,
    pub(super) answer: DataType,
}

impl Question {
    /// The values as numbers.
    fn column(&self, values: &[ArrayRef]) -> Result<Float64Array> {
        match values.first() {
            Some(values) => as_numbers(values),
            None => internal_err!("a percentile of nothing"),
        }
    }

    fn answer<'a>(&self, groups: impl Iterator<Item = &'a mut Numbers>) -> Result<ArrayRef> {
        let found: Vec<Option<Vec<f64>>> = groups
            .map(|numbers| numbers.quantiles(&self.asked, self.distinct))
            .collect();
        let DataType::List(item) = &self.answer else {
            let first = found.iter().map(|q| q.as_ref()?.first().copied());
            return as_values(first.collect(), &self.value, &self.answer);
        };
        let lengths = found.iter().map(|q| q.as_ref().map_or(0, Vec::len));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls: NullBuffer = found.iter().map(Option::is_some).collect();
        let values: Float64Array = found.into_iter().flatten().flatten().map(Some).collect();
        let values = as_values(values, &self.value, item.data_type())?;
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            offsets,
            values,
            Some(nulls),
        )?))
    }
}

/// The states of groups as two columns.
fn states<'a>(groups: impl Iterator<Item = &'a mut Numbers>) -> Result<Vec<ArrayRef>> {
    let (mut values, mut counts) = (Vec::new(), Vec::new());
    let (mut of_values, mut of_counts) = (Vec::new(), Vec::new());
    for group in groups {
        let before = (values.len(), counts.len());
        group.write(&mut values, &mut counts);
        of_values.push(values.len() - before.0);
        of_counts.push(counts.len() - before.1);
    }
    let values = Arc::new(Float64Array::from(values));
    let counts = Arc::new(UInt64Array::from(counts));
    Ok(vec![list(of_values, values)?, list(of_counts, counts)?])
}

fn list(lengths: Vec<usize>, values: ArrayRef) -> Result<ArrayRef> {
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), false));
    let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
    Ok(Arc::new(LargeListArray::try_new(
        item, offsets, values, None,
    )?))
}

/// Gives each state to `each`, with its row.
fn read(states: &[ArrayRef], mut each: impl FnMut(usize, &[f64], &[u64])) -> Result<()> {
    let lists = |at: usize| states.get(at).and_then(|list| list.as_list_opt::<i64>());
    let (Some(values), Some(counts)) = (lists(0), lists(1)) else {
        return internal_err!("the partial state of a percentile is missing");
    };
    let numbers = values.values().as_primitive::<Float64Type>().values();
    let often = counts.values().as_primitive::<UInt64Type>().values();
    let ends = values.value_offsets().windows(2);
    for (row, (of, among)) in ends.zip(counts.value_offsets().windows(2)).enumerate() {
        let range = |ends: &[i64]| {
            let start = usize::try_from(ends[0]).unwrap_or(0);
            start..usize::try_from(ends[1]).unwrap_or(start)
        };
        each(row, &numbers[range(of)], &often[range(among)]);
    }
    Ok(())
}

/// The quantiles of all rows, or of a window.
#[derive(Debug)]
pub(super) struct OneGroup {
    question: Question,
    numbers: Numbers,
}

impl OneGroup {
    pub(super) fn new(question: Question) -> Self {
        Self {
            question,
            numbers: Numbers::default(),
        }
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.question.column(values)?;
        values.iter().flatten().for_each(|v| self.numbers.add(v));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.question.column(values)?;
        values.iter().flatten().for_each(|v| self.numbers.remove(v));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = self.question.answer(std::iter::once(&mut self.numbers))?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.numbers.heap_bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = states(std::iter::once(&mut self.numbers))?;
        self.numbers = Numbers::default();
        states
            .iter()
            .map(|state| ScalarValue::try_from_array(state, 0))
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        read(states, |_, values, counts| {
            self.numbers.merge(values, counts)
        })
    }
}

/// The quantiles of each group.
#[derive(Debug)]
pub(super) struct Groups {
    question: Question,
    groups: Vec<Numbers>,
    /// What all groups take beside their own sizes.
    heap_bytes: usize,
}

impl Groups {
    pub(super) fn new(question: Question) -> Self {
        Self {
            question,
            groups: Vec::new(),
            heap_bytes: 0,
        }
    }

    fn reach(&mut self, groups: usize) {
        self.groups.resize_with(groups, Numbers::default);
    }

    #[inline]
    fn add(&mut self, group: usize, value: f64) {
        match &mut self.groups[group] {
            numbers if numbers.has_room() => numbers.add(value),
            _ => self.change(group, |numbers| numbers.add(value)),
        }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Numbers)) {
        let numbers = &mut self.groups[group];
        let before = numbers.heap_bytes();
        change(numbers);
        self.heap_bytes = self.heap_bytes + numbers.heap_bytes() - before;
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Numbers> {
        let taken = emit_to.take_needed(&mut self.groups);
        let bytes: usize = taken.iter().map(Numbers::heap_bytes).sum();
        self.heap_bytes -= bytes;
        taken
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
        self.reach(total_num_groups);
        let values = self.question.column(values)?;
        if values.null_count() == 0 && opt_filter.is_none() {
            for (group, value) in group_indices.iter().zip(values.values()) {
                self.add(*group, *value);
            }
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if passes && values.is_valid(row) {
                self.add(*group, values.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.take(emit_to);
        self.question.answer(groups.iter_mut())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut groups = self.take(emit_to);
        states(groups.iter_mut())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.reach(total_num_groups);
        read(values, |row, values, counts| {
            self.change(group_indices[row], |numbers| numbers.merge(values, counts));
        })
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = self.question.column(values)?;
        let (mut kept, mut lengths) = (Vec::new(), Vec::with_capacity(values.len()));
        for row in 0..values.len() {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            let counts = passes && values.is_valid(row);
            if counts {
                kept.push(values.value(row));
            }
            lengths.push(usize::from(counts));
        }
        let counts = Arc::new(UInt64Array::from(Vec::<u64>::new()));
        let none = vec![0; lengths.len()];
        let kept = Arc::new(Float64Array::from(kept));
        Ok(vec![list(lengths, kept)?, list(none, counts)?])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Numbers>() + self.heap_bytes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn question() -> Question {
        Question {
            asked: vec![Asked::Between(0.5)],
            distinct: false,
            value: DataType::Float64,
            answer: DataType::Float64,
        }
    }

    fn groups() -> Groups {
        Groups::new(question())
    }

    fn column(values: &[Option<f64>]) -> Vec<ArrayRef> {
        vec![Arc::new(Float64Array::from(values.to_vec()))]
    }

    fn answer(groups: &mut Groups) -> Vec<Option<f64>> {
        let answer = groups.evaluate(EmitTo::All).unwrap();
        answer.as_primitive::<Float64Type>().iter().collect()
    }

    /// Partial states, states of single rows and states of states add up.
    #[test]
    fn states_add_up() {
        let mut part = groups();
        let values = column(&[Some(1.0), Some(5.0), None, Some(3.0)]);
        part.update_batch(&values, &[0, 1, 2, 0], None, 3).unwrap();
        let first = part.state(EmitTo::First(1)).unwrap();
        let rest = part.state(EmitTo::All).unwrap();
        assert_eq!(part.size(), part.groups.capacity() * size_of::<Numbers>());
        let filter = BooleanArray::from(vec![true, true, false]);
        let rows = column(&[Some(8.0), None, Some(9.0)]);
        let rows = part.convert_to_state(&rows, Some(&filter)).unwrap();
        let mut last = groups();
        last.merge_batch(&first, &[0], 3).unwrap();
        last.merge_batch(&rest, &[1, 2], 3).unwrap();
        last.merge_batch(&rows, &[1, 1, 1], 3).unwrap();
        let states = last.state(EmitTo::All).unwrap();
        let mut end = groups();
        end.merge_batch(&states, &[0, 1, 2], 3).unwrap();
        assert_eq!(answer(&mut end), [Some(2.0), Some(6.5), None]);
    }

    #[test]
    fn a_window_moves() {
        let mut window = OneGroup::new(question());
        window
            .update_batch(&column(&[Some(1.0), None, Some(3.0)]))
            .unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::from(2.0));
        window.retract_batch(&column(&[Some(1.0)])).unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::from(3.0));
        window.retract_batch(&column(&[None, Some(3.0)])).unwrap();
        assert_eq!(window.evaluate().unwrap(), ScalarValue::Float64(None));
    }
}
