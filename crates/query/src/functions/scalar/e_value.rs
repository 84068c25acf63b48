//! `e_value(ratio)`: how strong an unmeasured confounder would have to be.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use columna_stats::Estimate;
use columna_stats::tables::e_value;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "The E-value of a risk ratio, or of the limit of its interval that is nearer to 1: the least risk ratio that an \
         unmeasured confounder must have with both exposure and outcome to explain it away. VanderWeele and Ding (2017). \
         A limit beyond 1 has an E-value of 1, which is for the caller to see. NULL for a negative number.",
        "e_value(ratio)",
    )
    .with_argument("ratio", "A risk ratio, or a hazard or odds ratio of a rare outcome")
    .with_sql_example(
        "> SELECT round(e_value(2.0), 4) AS e_value;
+---------+
| e_value |
+---------+
| 3.4142  |
+---------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct EValue {
    signature: Signature,
}

impl EValue {
    pub(crate) fn new() -> Self {
        let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
        Self { signature }
    }
}

impl ScalarUDFImpl for EValue {
    fn name(&self) -> &'static str {
        "e_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let of = |ratio: f64| {
            let exact = Estimate {
                value: ratio,
                lower: ratio,
                upper: ratio,
            };
            e_value(exact).0
        };
        let ratios = arrays
            .iter()
            .flat_map(|ratios| ratios.as_primitive::<Float64Type>());
        let found: Float64Array = ratios
            .map(|ratio| ratio.map(of).filter(|e_value| !e_value.is_nan()))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(found) as ArrayRef))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
