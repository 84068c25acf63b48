//! `age_band(age[, width])`: ages in groups, open from 90.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Int32Type};
use columna_model::time::AgeBands;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::functions::docs::CLINICAL_TIME;

/// The last band is open: ages over 89 identify people (HIPAA, 45 CFR 164.514(b)(2)(i)(C)).
const OPEN_FROM: i32 = 90;
const DEFAULT_WIDTH: i32 = 10;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "The age group, as text: `40-49`. Bands are ten years wide unless said otherwise, and all ages \
         from 90 on are one band, `90+`, since ages over 89 identify people. NULL for a negative age.",
        "age_band(age[, width])",
    )
    .with_argument("age", "The age in completed years, as `age_at` gives it")
    .with_argument("width", "The width of a band in years, 10 by default")
    .with_sql_example(
        "> SELECT age_band(47) AS ten, age_band(47, 5) AS five, age_band(103) AS oldest;
+-------+-------+--------+
| ten   | five  | oldest |
+-------+-------+--------+
| 40-49 | 45-49 | 90+    |
+-------+-------+--------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgeBand {
    signature: Signature,
}

impl AgeBand {
    pub(crate) fn new() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { signature }
    }
}

impl ScalarUDFImpl for AgeBand {
    fn name(&self) -> &'static str {
        "age_band"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if !(1..=2).contains(&arguments.len()) {
            return plan_err!(
                "`age_band` takes an age and, if it is not to be 10, a width, not {} arguments",
                arguments.len()
            );
        }
        for (argument, name) in arguments.iter().zip(["age", "width"]) {
            if !(argument.is_integer() || argument.is_null()) {
                return plan_err!(
                    "`{name}` of `age_band` is {argument}; give whole years, for example `floor(…)::int`"
                );
            }
        }
        Ok(vec![DataType::Int32; arguments.len()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let Some(ages) = arrays
            .first()
            .map(|array| array.as_primitive::<Int32Type>())
        else {
            return exec_err!("`age_band` takes an age");
        };
        let widths = arrays.get(1).map(|array| array.as_primitive::<Int32Type>());
        let mut bands = StringBuilder::with_capacity(rows, rows * 5);
        for (row, age) in ages.iter().enumerate() {
            let width = match widths {
                None => Some(DEFAULT_WIDTH),
                Some(widths) => widths.is_valid(row).then(|| widths.value(row)),
            };
            let (Some(age), Some(width)) = (age, width) else {
                bands.append_null();
                continue;
            };
            let Some(table) = AgeBands::new(width, OPEN_FROM) else {
                return exec_err!("the width of an age band must be at least one year");
            };
            match table.band(age) {
                Some(band) => {
                    write!(bands, "{band}")?;
                    bands.append_value("");
                }
                None => bands.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(bands.finish())))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
