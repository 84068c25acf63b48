//! The number of different values of each group, by the engine's sets, which are not asked for the value that a group had last.
//!
//! Rows of hospitals come person by person and day by day, and so a group has the same person, day or visit in many rows one after the
//! other.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, FieldRef, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature,
};

/// The function. It is called as a distinct one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CountSeen {
    count: Arc<AggregateUDF>,
}

impl CountSeen {
    pub(super) fn new() -> Self {
        Self {
            count: count_udaf(),
        }
    }

    pub(super) fn counts(kind: &DataType) -> bool {
        matches!(kind, DataType::Int32 | DataType::Int64)
    }
}

impl AggregateUDFImpl for CountSeen {
    fn name(&self) -> &'static str {
        "count_seen"
    }

    fn signature(&self) -> &Signature {
        self.count.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.count.default_value(kind)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.count.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.count.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.count.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let kind = args.expr_fields[0].data_type().clone();
        let sets = self.count.create_groups_accumulator(args)?;
        match kind {
            DataType::Int32 => Ok(Box::new(Groups::<Int32Type>::over(sets))),
            DataType::Int64 => Ok(Box::new(Groups::<Int64Type>::over(sets))),
            other => internal_err!("values of {other} are not counted so"),
        }
    }
}

struct Groups<T: ArrowPrimitiveType> {
    sets: Box<dyn GroupsAccumulator>,
    /// What each group had last; nothing after its values were given away.
    last: Vec<Option<T::Native>>,
}

impl<T: ArrowPrimitiveType> Groups<T> {
    fn over(sets: Box<dyn GroupsAccumulator>) -> Self {
        let last = Vec::new();
        Self { sets, last }
    }

    fn given_away(&mut self, emit_to: EmitTo) {
        emit_to.take_needed(&mut self.last);
    }
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for Groups<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.last.resize(total_num_groups, None);
        let [column] = values else {
            return internal_err!("one value is counted");
        };
        let column = column.as_primitive::<T>();
        let (mut new, mut groups) = (Vec::new(), Vec::new());
        for (row, (value, group)) in column.values().iter().zip(group_indices).enumerate() {
            let last = &mut self.last[*group];
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if *last != Some(*value) && passes && column.is_valid(row) {
                *last = Some(*value);
                new.push(*value);
                groups.push(*group);
            }
        }
        let new = PrimitiveArray::<T>::from_iter_values(new);
        self.sets
            .update_batch(&[Arc::new(new)], &groups, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.given_away(emit_to);
        self.sets.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.given_away(emit_to);
        self.sets.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.last.resize(total_num_groups, None);
        self.sets
            .merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.sets.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.sets.size() + self.last.capacity() * size_of::<Option<T::Native>>()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use arrow::array::Int64Array;
    use arrow::datatypes::{Field, Schema};
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::col;

    use super::*;

    fn groups() -> Box<dyn GroupsAccumulator> {
        let schema = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
        let function = Arc::new(AggregateUDF::new_from_impl(CountSeen::new()));
        let built = AggregateExprBuilder::new(function, vec![col("x", &schema).unwrap()])
            .schema(Arc::new(schema))
            .alias("n")
            .distinct()
            .build();
        built.unwrap().create_groups_accumulator().unwrap()
    }

    /// However early groups are given away, and others take their places.
    #[test]
    fn what_a_group_had_last_is_its_own() {
        let (mut first, mut last) = (groups(), groups());
        let mut sets = vec![BTreeSet::new(); 6];
        let mut gone = 0;
        for round in 0..20_i64 {
            let value = |row: i64| (row % 5 != 3).then_some(row / 3 % (4 + round));
            let of = |row: i64| usize::try_from(row * row % 6).unwrap().max(gone);
            let values: Int64Array = (0..200).map(value).collect();
            let filter: BooleanArray = (0..200).map(|row| Some(row % 7 != round % 7)).collect();
            for (row, passes) in (0..200).zip(&filter) {
                if let (Some(value), Some(true)) = (value(row), passes) {
                    sets[of(row)].insert(value);
                }
            }
            let own: Vec<usize> = (0..200).map(|row| of(row) - gone).collect();
            first
                .update_batch(&[Arc::new(values)], &own, Some(&filter), 6 - gone)
                .unwrap();
            if round == 7 {
                let state = first.state(EmitTo::First(2)).unwrap();
                last.merge_batch(&state, &[0, 1], 6).unwrap();
                gone = 2;
            }
        }
        let state = first.state(EmitTo::All).unwrap();
        last.merge_batch(&state, &[2, 3, 4, 5], 6).unwrap();
        let found = last.evaluate(EmitTo::All).unwrap();
        let expected = sets.iter().map(|set| i64::try_from(set.len()).unwrap());
        assert_eq!(
            found.as_primitive::<Int64Type>().values().to_vec(),
            expected.collect::<Vec<_>>()
        );
    }
}
