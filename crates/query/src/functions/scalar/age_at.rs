//! `age_at(birth, date)`: completed years.

use std::sync::{Arc, LazyLock};

use arrow::array::Int32Array;
use arrow::datatypes::DataType;
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
        "The age in completed years. Who was born on 29 February completes a year on 1 March where \
         there is no 29 February, as in PostgreSQL's `age`. NULL before birth.",
        "age_at(birth, date)",
    )
    .with_argument("birth", "The day of birth, DATE or TIMESTAMP")
    .with_argument("date", "The day of the age, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT age_at(DATE '1980-06-15', DATE '2020-06-14') AS before,
         age_at(DATE '1980-06-15', DATE '2020-06-15') AS on_birthday;
+--------+-------------+
| before | on_birthday |
+--------+-------------+
| 39     | 40          |
+--------+-------------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgeAt {
    signature: Signature,
}

impl AgeAt {
    pub(crate) fn new() -> Self {
        Self {
            signature: dates_signature(),
        }
    }
}

fn dates_signature() -> Signature {
    let signature = Signature::user_defined(Volatility::Immutable);
    signature
        .clone()
        .with_parameter_names(vec!["birth".to_owned(), "date".to_owned()])
        .unwrap_or(signature)
}

impl ScalarUDFImpl for AgeAt {
    fn name(&self) -> &'static str {
        "age_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        dates::coerce(self.name(), arguments, ["birth", "date"])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        dates::apply(&args, |birth, date| {
            let ages: Int32Array = birth
                .iter()
                .zip(date)
                .map(|(birth, date)| time::age_at(Day(birth?), Day(date?)))
                .collect();
            Ok(Arc::new(ages))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
