//! `person_time(start, end)`: days at risk, both ends included.

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
        "The days at risk from `start` to `end`, both included: a period of one day is one person-day. \
         OMOP reads its end dates so (an observation period ends on its last observed day). 0 where \
         `end` is before `start`. Divide by 365.25 for person-years.",
        "person_time(start, end)",
    )
    .with_argument("start", "The first day at risk, DATE or TIMESTAMP")
    .with_argument("end", "The last day at risk, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT person_time(DATE '2024-01-01', DATE '2024-12-31') AS leap_year,
         person_time(DATE '2024-01-01', DATE '2024-01-01') AS one_day;
+-----------+---------+
| leap_year | one_day |
+-----------+---------+
| 366       | 1       |
+-----------+---------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct PersonTime {
    signature: Signature,
}

impl PersonTime {
    pub(crate) fn new() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { signature }
    }
}

impl ScalarUDFImpl for PersonTime {
    fn name(&self) -> &'static str {
        "person_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        dates::coerce(self.name(), arguments, ["start", "end"])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        dates::apply(&args, |start, end| {
            let days: Int64Array = binary::<_, _, _, Int64Type>(start, end, |start, end| {
                time::person_time(Day(start), Day(end))
            })?;
            Ok(Arc::new(days))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
