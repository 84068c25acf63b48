//! The greatest and the least number of each group, where NaN is greater than infinity.
//!
//! The engine (DataFusion 55) takes the number after a NaN for both, so that the answer hangs on the order of rows, and begins with the
//! greatest finite number: of infinities alone it is neither. Whole numbers in the order of the numbers have neither.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, EmitTo, GroupsAccumulator};

/// The engine's `max` or `min` of numbers of floating point; nothing for other kinds.
pub(super) fn of_groups(
    stock: &AggregateUDF,
    args: &AccumulatorArgs,
) -> Result<Option<Box<dyn GroupsAccumulator>>> {
    let kind = args.return_field.data_type().clone();
    if !matches!(kind, DataType::Float32 | DataType::Float64) {
        return Ok(None);
    }
    let args = AccumulatorArgs {
        return_field: Arc::new(Field::new(args.name, DataType::Int64, true)),
        ..args.clone()
    };
    let places = stock.inner().create_groups_accumulator(args)?;
    Ok(Some(Box::new(Extremes { kind, places })))
}

/// The engine's groups of whole numbers.
struct Extremes {
    kind: DataType,
    places: Box<dyn GroupsAccumulator>,
}

impl Extremes {
    fn number(&self, places: &ArrayRef) -> Result<ArrayRef> {
        let numbers: Float64Array = places.as_primitive::<Int64Type>().unary(number);
        Ok(cast(&numbers, &self.kind)?)
    }
}

impl GroupsAccumulator for Extremes {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let places = values.iter().map(places).collect::<Result<Vec<_>>>()?;
        self.places.update_batch(&places, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let places = values.iter().map(places).collect::<Result<Vec<_>>>()?;
        self.places.merge_batch(&places, groups, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let places = self.places.evaluate(emit)?;
        self.number(&places)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let places = self.places.state(emit)?;
        places.iter().map(|places| self.number(places)).collect()
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let places = values.iter().map(places).collect::<Result<Vec<_>>>()?;
        let places = self.places.convert_to_state(&places, filter)?;
        places.iter().map(|places| self.number(places)).collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.places.size()
    }
}

/// The places of numbers in their order.
fn places(numbers: &ArrayRef) -> Result<ArrayRef> {
    let numbers = cast(numbers, &DataType::Float64)?;
    let places: Int64Array = numbers.as_primitive::<Float64Type>().unary(place);
    Ok(Arc::new(places))
}

/// That of [`f64::total_cmp`], with one NaN.
fn place(number: f64) -> i64 {
    let number = if number.is_nan() { f64::NAN } else { number };
    turned(number.to_bits().cast_signed())
}

fn number(place: i64) -> f64 {
    f64::from_bits(turned(place).cast_unsigned())
}

/// Negative numbers are greater the less of them there is.
fn turned(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_numbers() {
        let numbers = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -f64::MIN_POSITIVE,
            -0.0,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
        ];
        assert!(numbers.windows(2).all(|two| place(two[0]) < place(two[1])));
        assert!(place(f64::INFINITY) < place(-f64::NAN));
        assert!(number(place(-f64::NAN)).is_nan());
        let back = numbers.map(|one| number(place(one)).to_bits());
        assert_eq!(back, numbers.map(f64::to_bits));
    }
}
