//! `days_between(from, to)`: the time to an event.

use std::sync::{Arc, LazyLock};

use arrow::array::Int64Array;
use arrow::compute::kernels::arity::binary;
use arrow::datatypes::{DataType, Int64Type};
use columna_model::{Day, time};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::dates;
use crate::functions::docs::CLINICAL_TIME;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "The days from one day to another: 0 on the same day, negative when `to` is earlier. This is \
         the time to an event; for time at risk with both ends included see `person_time`.",
        "days_between(from, to)",
    )
    .with_argument("from", "The first day, DATE or TIMESTAMP")
    .with_argument("to", "The second day, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT days_between(DATE '2024-02-28', DATE '2024-03-01') AS days;
+------+
| days |
+------+
| 2    |
+------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DaysBetween {
    signature: Signature,
}

impl DaysBetween {
    pub(crate) fn new() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { signature }
    }
}

impl ScalarUDFImpl for DaysBetween {
    fn name(&self) -> &'static str {
        "days_between"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        dates::coerce(self.name(), arguments, ["from", "to"])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        dates::apply(&args, |from, to| {
            let days: Int64Array = binary::<_, _, _, Int64Type>(from, to, |from, to| {
                time::days_between(Day(from), Day(to))
            })?;
            Ok(Arc::new(days))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
