//! Date arguments: what is accepted, and how two of them meet.

use arrow::array::{ArrayRef, AsArray, Date32Array};
use arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Dates stay dates, timestamps become the day they fall on, NULL is a date.
pub(super) fn coerce(
    function: &str,
    arguments: &[DataType],
    names: [&str; 2],
) -> Result<Vec<DataType>> {
    if arguments.len() != 2 {
        let [first, second] = names;
        return plan_err!(
            "`{function}` takes two dates, `{first}` and `{second}`, not {} arguments",
            arguments.len()
        );
    }
    for (argument, name) in arguments.iter().zip(names) {
        match argument {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) | DataType::Null => {}
            other => {
                return plan_err!(
                    "`{name}` of `{function}` is {other}; give a DATE or a TIMESTAMP, for example `CAST(… AS DATE)`"
                );
            }
        }
    }
    Ok(vec![DataType::Date32; 2])
}

/// Applies a kernel to both dates of every row.
pub(super) fn apply(
    args: &ScalarFunctionArgs,
    kernel: impl FnOnce(&Date32Array, &Date32Array) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let all_scalar = args
        .args
        .iter()
        .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let arrays = ColumnarValue::values_to_arrays(&args.args)?;
    let [first, second] = arrays.as_slice() else {
        return datafusion::common::internal_err!("two dates expected, {} given", arrays.len());
    };
    let result = kernel(
        first.as_primitive::<Date32Type>(),
        second.as_primitive::<Date32Type>(),
    )?;
    if all_scalar {
        let value = datafusion::common::ScalarValue::try_from_array(&result, 0)?;
        return Ok(ColumnarValue::Scalar(value));
    }
    Ok(ColumnarValue::Array(result))
}
