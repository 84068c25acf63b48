//! The aggregate that stands below every released number: who is in a group, and what each person contributes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, LargeBinaryArray, LargeBinaryBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::cast::{as_float64_array, as_int64_array, as_large_binary_array};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::sample::Samples;
use crate::disclosure::persons::Persons;

/// What is kept of the persons of a group.
pub(super) trait Collected: Default + std::fmt::Debug + Send + Sync + 'static {
    /// One row of a person; `keep` is the call's parameter.
    fn push(&mut self, person: i64, value: f64, keep: usize);
    fn extend(&mut self, bytes: &[u8], keep: usize);
    fn bytes(&mut self) -> Vec<u8>;
    fn size(&self) -> usize;
}

impl Collected for Persons {
    fn push(&mut self, person: i64, value: f64, _keep: usize) {
        Self::push(self, person, value);
    }

    fn extend(&mut self, bytes: &[u8], _keep: usize) {
        Self::extend(self, bytes);
    }

    fn bytes(&mut self) -> Vec<u8> {
        Self::bytes(self)
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

/// Persons of whom each row stands for so many as its value says; none for those with less than one.
#[derive(Debug, Default)]
struct Counted(Persons);

impl Collected for Counted {
    fn push(&mut self, person: i64, value: f64, _keep: usize) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of rows, from 1 and below 2^32"
        )]
        if value >= 1.0 {
            let rows = value.min(f64::from(u32::MAX)) as u64;
            self.0.push_rows(person, rows);
        }
    }

    fn extend(&mut self, bytes: &[u8], _keep: usize) {
        self.0.extend(bytes);
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.0.bytes()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// What is kept of each person's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    /// What all of them add up to.
    Sums,
    /// As many rows as their values say.
    Counts,
    /// At most so many of them, drawn at random.
    Samples(usize),
}

/// Persons with what they contribute.
pub(super) fn persons() -> Arc<AggregateUDF> {
    collecting(Kept::Sums)
}

/// Persons with as many rows as the values of theirs say.
pub(super) fn counted_rows() -> Arc<AggregateUDF> {
    collecting(Kept::Counts)
}

pub(super) fn collecting(kept: Kept) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Collect::new(kept)))
}

/// Persons with at most `keep` of their rows each, drawn at random.
pub(super) fn samples(keep: usize) -> Arc<AggregateUDF> {
    collecting(Kept::Samples(keep))
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Collect {
    name: String,
    signature: Signature,
    pub(super) kept: Kept,
}

impl Collect {
    fn new(kept: Kept) -> Self {
        Self {
            // It is in the text by which a paid question is known again.
            name: match kept {
                Kept::Sums => "columna_persons_0".to_owned(),
                Kept::Counts => "columna_counted_rows".to_owned(),
                Kept::Samples(keep) => format!("columna_persons_{keep}"),
            },
            signature: Signature::exact(
                vec![DataType::Int64, DataType::Float64],
                Volatility::Volatile,
            ),
            kept,
        }
    }
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format!("{}[persons]", args.name),
            DataType::LargeBinary,
            true,
        ))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(match self.kept {
            Kept::Sums => Box::new(Single(Groups::<Persons>::new(0))),
            Kept::Counts => Box::new(Single(Groups::<Counted>::new(0))),
            Kept::Samples(keep) => Box::new(Single(Groups::<Samples>::new(keep))),
        })
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.kept {
            Kept::Sums => Box::new(Groups::<Persons>::new(0)),
            Kept::Counts => Box::new(Groups::<Counted>::new(0)),
            Kept::Samples(keep) => Box::new(Groups::<Samples>::new(keep)),
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Groups<C> {
    keep: usize,
    groups: Vec<C>,
}

impl<C: Collected> Groups<C> {
    fn new(keep: usize) -> Self {
        Self {
            keep,
            groups: Vec::new(),
        }
    }

    fn grow(&mut self, groups: usize) {
        if self.groups.len() < groups {
            self.groups.resize_with(groups, C::default);
        }
    }

    fn emit(&mut self, emit_to: EmitTo) -> ArrayRef {
        let mut groups = emit_to.take_needed(&mut self.groups);
        let mut builder = LargeBinaryBuilder::with_capacity(groups.len(), 0);
        for group in &mut groups {
            builder.append_value(group.bytes());
        }
        Arc::new(builder.finish())
    }
}

/// The rows that count: of a known person, with a number.
fn counted<'a>(
    values: &'a [ArrayRef],
    filter: Option<&'a BooleanArray>,
) -> Result<impl Iterator<Item = (usize, i64, f64)> + 'a> {
    let persons: &Int64Array = as_int64_array(&values[0])?;
    let numbers: &Float64Array = as_float64_array(&values[1])?;
    Ok((0..persons.len()).filter_map(move |row| {
        let chosen = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let known = persons.is_valid(row) && numbers.is_valid(row);
        // Neither is a number; both would spread over everything that they are added to.
        (chosen && known && numbers.value(row).is_finite())
            // −0.0 is 0.
            .then(|| (row, persons.value(row), numbers.value(row) + 0.0))
    }))
}

impl<C: Collected> GroupsAccumulator for Groups<C> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let keep = self.keep;
        for (row, person, number) in counted(values, opt_filter)? {
            self.groups[group_indices[row]].push(person, number, keep);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let states: &LargeBinaryArray = as_large_binary_array(&values[0])?;
        let keep = self.keep;
        for (row, group) in group_indices.iter().enumerate() {
            if states.is_valid(row) {
                self.groups[*group].extend(states.value(row), keep);
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut builder = LargeBinaryBuilder::new();
        let mut next = 0;
        for (row, person, number) in counted(values, opt_filter)? {
            for _ in next..row {
                builder.append_null();
            }
            let mut one = C::default();
            one.push(person, number, self.keep);
            builder.append_value(one.bytes());
            next = row + 1;
        }
        for _ in next..values[0].len() {
            builder.append_null();
        }
        Ok(vec![Arc::new(builder.finish())])
    }

    fn size(&self) -> usize {
        self.groups.iter().map(C::size).sum::<usize>() + self.groups.capacity() * size_of::<C>()
    }
}

/// One group.
#[derive(Debug)]
struct Single<C>(Groups<C>);

impl<C: Collected> Accumulator for Single<C> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |array| array.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.grow(1);
        Ok(ScalarValue::LargeBinary(Some(self.0.groups[0].bytes())))
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |array| array.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}
