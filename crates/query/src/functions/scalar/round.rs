//! `round(x, places)` by the number itself.
//!
//! The engine multiplies by a power of ten and rounds the product, which may be a half where the number is not: 10.35 is
//! 10.3499…, and 103.5 after the multiplication. DuckDB 2.0 and R round the number: to 10.3. Means of values with
//! one digit end in such halves all the time.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::math::round::RoundFunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// From here on, doubles have no fraction.
const WHOLE: f64 = 4_503_599_627_370_496.0;
use super::of_any_range::one_zero;

/// The engine's `round`, right where a product is not.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    stock: RoundFunc,
}

/// The function under the engine's name for it.
pub(crate) fn round() -> ScalarUDF {
    ScalarUDF::new_from_impl(Round {
        stock: RoundFunc::new(),
    })
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn is_strict(&self) -> bool {
        self.stock.is_strict()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let places = match args.args.get(1) {
            Some(ColumnarValue::Scalar(ScalarValue::Int32(Some(places)))) => *places,
            _ => 0,
        };
        // Of more digits a double has not that many.
        if !(1..=15).contains(&places) {
            return one_zero(self.stock.invoke_with_args(args)?);
        }
        let power = 10_f64.powi(places);
        match &args.args[0] {
            ColumnarValue::Scalar(ScalarValue::Float64(Some(value))) => Ok(ColumnarValue::Scalar(
                ScalarValue::Float64(Some(rounded(*value, power))),
            )),
            ColumnarValue::Array(values) if values.data_type() == &DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                let values: Float64Array = values.unary(|value| rounded(value, power));
                Ok(ColumnarValue::Array(Arc::new(values)))
            }
            _ => one_zero(self.stock.invoke_with_args(args)?),
        }
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.stock.output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// To so many places, the larger of two that are as near.
fn rounded(value: f64, power: f64) -> f64 {
    let scaled = value * power;
    if !scaled.is_finite() || scaled.abs() >= WHOLE {
        return value;
    }
    let whole = scaled.trunc();
    // What a product of doubles was rounded by is a double.
    let up = match (scaled - whole).abs().total_cmp(&0.5) {
        std::cmp::Ordering::Equal => value.mul_add(power, -scaled) * value.signum() >= 0.0,
        other => other.is_gt(),
    };
    let whole = if up { whole + value.signum() } else { whole };
    // And not -0.0.
    whole / power + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DuckDB 2.0.1's answers, for doubles.
    #[test]
    fn numbers_are_rounded_and_not_products() {
        for (value, places, expected) in [
            (10.35, 1, 10.3),
            (10.25, 1, 10.3),
            (-10.35, 1, -10.3),
            (-10.25, 1, -10.3),
            (0.125, 2, 0.13),
            (1.005, 2, 1.0),
            (1.345, 2, 1.34),
            (0.285, 2, 0.28),
            (5.015, 2, 5.01),
            (2.675, 2, 2.67),
            (1e300, 2, 1e300),
            (0.0, 3, 0.0),
        ] {
            let found = rounded(value, 10_f64.powi(places));
            assert!(
                found == expected,
                "{value} to {places}: {found} is not {expected}"
            );
        }
        assert!(rounded(f64::NAN, 10.0).is_nan());
        assert_eq!(rounded(f64::INFINITY, 10.0), f64::INFINITY);
    }
}
