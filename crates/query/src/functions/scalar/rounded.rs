//! Casts of numbers with a fraction to whole ones round.
//!
//! The engine cuts what comes after the point off: `CAST(days / 365.25 AS INT)` was another age than PostgreSQL's and DuckDB's, which
//! round to the nearest whole number: of two, floating-point numbers to the even one, and decimals away from zero.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility, cast as cast_to,
};

/// Rounds before such casts.
#[derive(Debug)]
pub(crate) struct RoundedCasts;

impl FunctionRewrite for RoundedCasts {
    fn name(&self) -> &'static str {
        "rounded_casts"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let (Expr::Cast(Cast { expr: of, field }) | Expr::TryCast(TryCast { expr: of, field })) =
            &expr
        else {
            return Ok(Transformed::no(expr));
        };
        if matches!(field.data_type(), DataType::Timestamp(..)) && of.get_type(schema)?.is_integer()
        {
            return plan_err!(
                "a whole number is no moment: write to_timestamp(x) of seconds, to_timestamp_millis(x) or to_timestamp_micros(x)"
            );
        }
        let rounded = matches!(of.as_ref(), Expr::ScalarFunction(call) if call.name() == NAME);
        if rounded || !field.data_type().is_integer() {
            return Ok(Transformed::no(expr));
        }
        // To fewer places, decimals are rounded by the engine.
        let whole = match of.get_type(schema)? {
            kind if kind.is_floating() => None,
            DataType::Decimal256(_, 1..) => Some(DataType::Decimal256(76, 0)),
            DataType::Decimal32(_, 1..)
            | DataType::Decimal64(_, 1..)
            | DataType::Decimal128(_, 1..) => Some(DataType::Decimal128(38, 0)),
            _ => return Ok(Transformed::no(expr)),
        };
        let rounded = |of: Box<Expr>| {
            Box::new(match &whole {
                Some(whole) => cast_to(*of, whole.clone()),
                None => ROUND.call(vec![*of]),
            })
        };
        Ok(Transformed::yes(match expr {
            Expr::Cast(cast) => Expr::Cast(Cast {
                expr: rounded(cast.expr),
                ..cast
            }),
            Expr::TryCast(cast) => Expr::TryCast(TryCast {
                expr: rounded(cast.expr),
                ..cast
            }),
            other => other,
        }))
    }
}

const NAME: &str = "round_to_even";

static ROUND: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Round {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The nearest whole number; the even one of two.
pub(crate) fn round_to_even() -> ScalarUDF {
    ROUND.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [numbers] = arrays.as_slice() else {
            return exec_err!("{NAME} takes one argument");
        };
        let numbers = cast(numbers, &DataType::Float64)?;
        let rounded: Float64Array = numbers
            .as_primitive::<Float64Type>()
            .unary(f64::round_ties_even);
        Ok(ColumnarValue::Array(Arc::new(rounded)))
    }
}
