//! `abs`, `ln`, `sqrt` and the like of values of which no range is known.
//!
//! The engine (DataFusion 55) asks such functions whether they keep the order of what they are given, which depends on its range.
//! Where that is not known, or has values that the function has none for, they answer with an error, and an order by the function
//! is taken for none that any rows have: `OVER (PARTITION BY p ORDER BY abs(days_between(a, b)))` could not be planned.
//!
//! `ceil` and `trunc` of -0.3 are -0.0 in the engine, which it takes for another number than 0 where it orders, and in long lists of
//! `IN`. Here they are 0.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::math;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// The engine's functions under their own names.
pub(crate) fn of_any_range() -> impl Iterator<Item = ScalarUDF> {
    let stock = [
        math::abs(),
        math::acos(),
        math::acosh(),
        math::asin(),
        math::atanh(),
        math::cosh(),
        math::ln(),
        math::log(),
        math::log2(),
        math::log10(),
        math::sqrt(),
    ];
    let functions = stock.map(|stock| (stock, false)).into_iter();
    functions
        .chain([(math::ceil(), true), (math::trunc(), true)])
        .map(|(stock, has_one_zero)| {
            ScalarUDF::new_from_impl(OfAnyRange {
                stock,
                has_one_zero,
            })
        })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfAnyRange {
    stock: Arc<ScalarUDF>,
    has_one_zero: bool,
}

impl ScalarUDFImpl for OfAnyRange {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(given)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.stock.is_strict()
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.stock.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let found = self.stock.invoke_with_args(args)?;
        match self.has_one_zero {
            true => one_zero(found),
            false => Ok(found),
        }
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.stock.evaluate_bounds(input).or_else(|_| {
            let arguments = input.iter().map(|range| range.data_type());
            Interval::make_unbounded(&self.return_type(&arguments.collect::<Vec<_>>())?)
        })
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        Ok(self
            .stock
            .output_ordering(input)
            .unwrap_or(SortProperties::Unordered))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// The numbers with 0 for -0.0.
pub(super) fn one_zero(numbers: ColumnarValue) -> Result<ColumnarValue> {
    Ok(match numbers {
        ColumnarValue::Array(array) if *array.data_type() == DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            ColumnarValue::Array(Arc::new(
                numbers.unary::<_, Float64Type>(|number| number + 0.0),
            ))
        }
        ColumnarValue::Scalar(ScalarValue::Float64(Some(number))) => {
            ColumnarValue::Scalar(ScalarValue::Float64(Some(number + 0.0)))
        }
        other => other,
    })
}
