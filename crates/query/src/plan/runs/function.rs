//! The number of different values among values that come sorted.
//!
//! In sorted rows, equal values of one group follow each other, so that the last value seen tells a new one: nothing has to
//! be remembered of the others. A state is a run of values, from where to where and how many different ones: runs of
//! one group touch at most at their ends, so that they add up, less one where two have an end in common.
//!
//! So it is with values that are not sorted but lie together, all equal ones in a row: pseudonyms in the order of what they
//! stand for.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CountRuns {
    signature: Signature,
    /// Whether the values are sorted; otherwise they only lie together.
    sorted: bool,
}

impl CountRuns {
    pub(super) fn new(sorted: bool) -> Self {
        Self {
            sorted,
            signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for CountRuns {
    fn name(&self) -> &'static str {
        "count_runs"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "runs");
        Ok(vec![Arc::new(Field::new(name, list(), false))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(self.sorted)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.sorted)))
    }
}

fn list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, false)))
}

/// Sorted values, as far as they were seen one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    first: i64,
    last: i64,
    /// How many different ones; none where there is no run.
    values: i64,
}

/// The values of one group: those that come, and runs from elsewhere.
#[derive(Debug, Clone, Default)]
struct Runs {
    open: Run,
    others: Vec<Run>,
}

impl Runs {
    #[inline]
    fn add(&mut self, value: i64, sorted: bool) -> Result<()> {
        let open = &mut self.open;
        if open.values == 0 {
            *open = Run {
                first: value,
                last: value,
                values: 1,
            };
        } else if value != open.last {
            if sorted && value < open.last {
                return unsorted();
            }
            open.last = value;
            open.values += 1;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Run> {
        let open = (self.open.values > 0).then_some(&self.open);
        self.others.iter().chain(open)
    }

    fn count(&self, sorted: bool) -> Result<i64> {
        if self.others.is_empty() {
            return Ok(self.open.values);
        }
        if !sorted {
            return Ok(self.count_together());
        }
        let mut all: Vec<Run> = self.all().copied().collect();
        all.sort_unstable();
        let (mut count, mut reached) = (0, None);
        for run in all {
            count += run.values;
            match reached {
                Some(reached) if run.first == reached => count -= 1,
                Some(reached) if run.first < reached => return unsorted(),
                _ => {}
            }
            reached = Some(run.last);
        }
        Ok(count)
    }

    /// The same where only equal values are known to lie together: a value that several runs hold is an end of each.
    fn count_together(&self) -> i64 {
        let mut count = 0;
        let mut ends = Vec::with_capacity(2 * self.others.len() + 2);
        for run in self.all() {
            count += run.values;
            ends.push(run.first);
            if run.last != run.first {
                ends.push(run.last);
            }
        }
        ends.sort_unstable();
        let again = ends.array_windows().filter(|[one, next]| one == next);
        count - i64::try_from(again.count()).unwrap_or(i64::MAX)
    }

    fn merge(&mut self, state: &Int64Array) {
        let (runs, _) = state.values().as_chunks::<3>();
        let runs = runs.iter().map(|[first, last, values]| Run {
            first: *first,
            last: *last,
            values: *values,
        });
        self.others.extend(runs);
    }
}

fn unsorted<T>() -> Result<T> {
    internal_err!("rows are not sorted as their plan says")
}

/// The states of groups as one column.
fn states(groups: impl Iterator<Item = impl IntoIterator<Item = Run>>) -> Result<ListArray> {
    let (mut values, mut lengths) = (Vec::new(), Vec::new());
    for group in groups {
        let before = values.len();
        for run in group {
            values.extend([run.first, run.last, run.values]);
        }
        lengths.push(values.len() - before);
    }
    let item = Arc::new(Field::new_list_field(DataType::Int64, false));
    let values = Arc::new(Int64Array::from(values));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(ListArray::try_new(item, offsets, values, None)?)
}

fn argument(values: &[ArrayRef]) -> Result<&Int64Array> {
    match values {
        [values] => Ok(values.as_primitive::<Int64Type>()),
        _ => internal_err!("runs of {} columns", values.len()),
    }
}

/// The count over all rows.
#[derive(Debug)]
struct OneGroup {
    runs: Runs,
    sorted: bool,
}

impl OneGroup {
    fn new(sorted: bool) -> Self {
        Self {
            runs: Runs::default(),
            sorted,
        }
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = argument(values)?;
        let sorted = self.sorted;
        let mut values = values.iter().flatten();
        values.try_for_each(|value| self.runs.add(value, sorted))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.runs.count(self.sorted)?)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.runs.others.capacity() * size_of::<Run>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = states(std::iter::once(self.runs.all().copied()))?;
        Ok(vec![ScalarValue::List(Arc::new(state))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().map(|lists| lists.as_list::<i32>());
        for state in lists.into_iter().flat_map(ListArray::iter).flatten() {
            self.runs.merge(state.as_primitive::<Int64Type>());
        }
        Ok(())
    }
}

/// The count of each group.
#[derive(Debug)]
struct Groups {
    groups: Vec<Runs>,
    sorted: bool,
    /// Runs from elsewhere, of all groups.
    others: usize,
}

impl Groups {
    fn new(sorted: bool) -> Self {
        Self {
            groups: Vec::new(),
            sorted,
            others: 0,
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Runs> {
        let taken = emit_to.take_needed(&mut self.groups);
        let others: usize = taken.iter().map(|runs| runs.others.len()).sum();
        self.others = self.others.saturating_sub(others);
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
        self.groups.resize_with(total_num_groups, Runs::default);
        let values = argument(values)?;
        if values.null_count() == 0 && opt_filter.is_none() {
            let pairs = group_indices.iter().zip(values.values());
            for (group, value) in pairs {
                self.groups[*group].add(*value, self.sorted)?;
            }
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if passes && values.is_valid(row) {
                self.groups[*group].add(values.value(row), self.sorted)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit_to);
        let counts = groups.iter().map(|runs| runs.count(self.sorted));
        let counts = counts.collect::<Result<Vec<i64>>>()?;
        Ok(Arc::new(Int64Array::from(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit_to);
        let states = states(groups.iter().map(|runs| runs.all().copied()))?;
        Ok(vec![Arc::new(states)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, Runs::default);
        let Some(lists) = values.first().map(|lists| lists.as_list::<i32>()) else {
            return internal_err!("the partial state of a count is missing");
        };
        for (state, group) in lists.iter().zip(group_indices) {
            if let Some(state) = state {
                self.groups[*group].merge(state.as_primitive::<Int64Type>());
                self.others += state.len() / 3;
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = argument(values)?;
        let states = states((0..values.len()).map(|row| {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            (passes && values.is_valid(row)).then(|| Run {
                first: values.value(row),
                last: values.value(row),
                values: 1,
            })
        }))?;
        Ok(vec![Arc::new(states)])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Runs>() + self.others * size_of::<Run>()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn counted(groups: &mut Groups) -> Vec<i64> {
        let counts = groups.evaluate(EmitTo::All).unwrap();
        counts.as_primitive::<Int64Type>().values().to_vec()
    }

    fn column(values: &[Option<i64>]) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(values.to_vec()))]
    }

    #[test]
    fn equal_values_of_a_group_count_once_and_nulls_never() {
        let mut groups = Groups::new(true);
        let values = column(&[Some(1), Some(1), Some(2), None, Some(2), Some(5)]);
        groups
            .update_batch(&values, &[0, 1, 0, 2, 0, 1], None, 3)
            .unwrap();
        assert_eq!(counted(&mut groups), [2, 2, 0]);
    }

    /// However early a group is given away, and even row by row, the parts add up.
    #[test]
    fn parts_that_share_a_value_add_up() {
        let mut last = Groups::new(true);
        let mut part = Groups::new(true);
        for values in [[1, 1, 2], [2, 2, 3], [3, 3, 3]] {
            let values = column(&values.map(Some));
            part.update_batch(&values, &[0, 0, 0], None, 1).unwrap();
            let state = part.state(EmitTo::All).unwrap();
            last.merge_batch(&state, &[0], 1).unwrap();
        }
        let rows = part
            .convert_to_state(&column(&[Some(3), None, Some(3), Some(9)]), None)
            .unwrap();
        last.merge_batch(&rows, &[0, 0, 0, 0], 1).unwrap();
        // A state of states travels on.
        let state = last.state(EmitTo::All).unwrap();
        let mut end = Groups::new(true);
        end.merge_batch(&state, &[0], 1).unwrap();
        assert_eq!(counted(&mut end), [4]);
    }

    #[test]
    fn what_is_not_sorted_is_refused() {
        let mut groups = Groups::new(true);
        let values = column(&[Some(2), Some(1)]);
        assert!(groups.update_batch(&values, &[0, 0], None, 1).is_err());
        let mut one = OneGroup::new(true);
        one.update_batch(&column(&[Some(1), Some(7)])).unwrap();
        let state = one.state().unwrap()[0].to_array().unwrap();
        let mut other = OneGroup::new(true);
        other.update_batch(&column(&[Some(3)])).unwrap();
        other.merge_batch(&[state]).unwrap();
        assert!(other.evaluate().is_err());
    }

    /// However values that lie together are cut into parts, in whatever order the parts come.
    #[test]
    fn values_that_lie_together_are_counted_in_any_order() {
        let mut random = 7u64;
        let mut next = move |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        for _ in 0..500 {
            let different = next(6) + 1;
            let mut values = Vec::new();
            for value in 0..different {
                // No order: 40, 3, 80, 43, ...
                let value = i64::try_from((value * 37 + 40) % 97).unwrap();
                values.extend(std::iter::repeat_n(
                    Some(value),
                    usize::try_from(next(4) + 1).unwrap(),
                ));
            }
            let mut states = Vec::new();
            while !values.is_empty() {
                let rest =
                    values.split_off(usize::try_from(next(4) + 1).unwrap().min(values.len()));
                let mut part = Groups::new(false);
                part.update_batch(&column(&values), &vec![0; values.len()], None, 1)
                    .unwrap();
                states.push(part.state(EmitTo::All).unwrap());
                values = rest;
            }
            let mut last = Groups::new(false);
            while !states.is_empty() {
                let at = usize::try_from(next(states.len() as u64)).unwrap();
                last.merge_batch(&states.swap_remove(at), &[0], 1).unwrap();
            }
            assert_eq!(counted(&mut last), [i64::try_from(different).unwrap()]);
        }
    }
}
