//! `to_char` of days: each day of the years in which most records lie is written once in each format.
//!
//! Months and years as text are what records are often counted by. To write a day takes the engine longer than to read
//! and to count the record.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::date_part::days;
use super::repeated_values::over_repeated_values;

/// 1970-01-01 and 2040-01-01, in days since the first.
const FIRST: i32 = 0;
const END: i32 = 25_567;
/// Fewer rows are written one by one.
const FEW: usize = 1024;
/// So many formats are kept.
const FORMATS: usize = 16;

/// The parts of a format that are the same all day long.
const OF_DAYS: &str = "YCymbBhdeaAwuUWGgVjDxFq%";

static WRITTEN: LazyLock<Mutex<HashMap<String, ArrayRef>>> = LazyLock::new(Mutex::default);

/// The function under the engine's name for it.
pub(super) fn to_char() -> ScalarUDF {
    ScalarUDF::new_from_impl(ToChar {
        others: Arc::new(over_repeated_values(datetime::to_char())),
    })
}

/// The engine's `to_char`, quick for days.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    /// For what is no day in those years.
    others: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        self.others.name()
    }

    fn aliases(&self) -> &[String] {
        self.others.aliases()
    }

    fn signature(&self) -> &Signature {
        self.others.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.others.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.others.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.looked_up(&args)? {
            Some(texts) => Ok(ColumnarValue::Array(texts)),
            None => self.others.invoke_with_args(args),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.others.documentation()
    }
}

impl ToChar {
    /// The texts, where all of them are of days in those years.
    fn looked_up(&self, args: &ScalarFunctionArgs) -> Result<Option<ArrayRef>> {
        let [
            ColumnarValue::Array(times),
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(format))),
        ] = args.args.as_slice()
        else {
            return Ok(None);
        };
        if times.len() < FEW {
            return Ok(None);
        }
        let of_days = match times.as_primitive_opt::<Date32Type>() {
            Some(of_days) => of_days.clone(),
            None if is_of_days(format) => match days(times) {
                Some(of_days) => of_days,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let outside = |day: &i32| !(FIRST..END).contains(day);
        if of_days.iter().flatten().any(|day| outside(&day)) {
            return Ok(None);
        }
        let Some(written) = self.written(format, args)? else {
            return Ok(None);
        };
        // A day that is none may be any number.
        let at: UInt32Array = of_days.unary(|day| {
            if outside(&day) {
                0
            } else {
                day.cast_unsigned()
            }
        });
        Ok(Some(take(&written, &at, None)?))
    }

    /// All those days in a format; none where the engine cannot write a day so, which it says itself then.
    fn written(&self, format: &str, args: &ScalarFunctionArgs) -> Result<Option<ArrayRef>> {
        let mut kept = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = kept.get(format) {
            return Ok(Some(Arc::clone(written)));
        }
        let all: ArrayRef = Arc::new(Date32Array::from_iter_values(FIRST..END));
        let rows = all.len();
        let mut of_all = args.clone();
        if let (Some(days), Some(field)) = (of_all.args.first_mut(), of_all.arg_fields.first_mut())
        {
            *days = ColumnarValue::Array(all);
            *field = Arc::new(Field::new(field.name(), DataType::Date32, true));
        }
        of_all.number_rows = rows;
        let Ok(written) = self.others.invoke_with_args(of_all) else {
            return Ok(None);
        };
        let written = written.into_array(rows)?;
        if kept.len() >= FORMATS {
            kept.clear();
        }
        kept.insert(format.to_owned(), Arc::clone(&written));
        Ok(Some(written))
    }
}

/// Whether a format writes nothing of the time of the day.
fn is_of_days(format: &str) -> bool {
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign == '%' && !signs.next().is_some_and(|part| OF_DAYS.contains(part)) {
            return false;
        }
    }
    true
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::TimestampMicrosecondArray;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn written(function: &ScalarUDF, times: &ArrayRef, format: &str) -> Option<ArrayRef> {
        let field = |kind: &DataType| Arc::new(Field::new("x", kind.clone(), true));
        let answer = function.invoke_with_args(ScalarFunctionArgs {
            args: vec![
                ColumnarValue::Array(Arc::clone(times)),
                ColumnarValue::Scalar(ScalarValue::from(format)),
            ],
            arg_fields: vec![field(times.data_type()), field(&DataType::Utf8)],
            number_rows: times.len(),
            return_field: field(&DataType::Utf8),
            config_options: Arc::new(ConfigOptions::default()),
        });
        Some(answer.ok()?.into_array(times.len()).unwrap())
    }

    #[test]
    fn days_are_written_as_the_engine_writes_them() {
        let days = |from: i32| {
            let days = (from..from + 3000).map(|day| (day % 7 != 0).then_some(day));
            Arc::new(days.collect::<Date32Array>()) as ArrayRef
        };
        let times: TimestampMicrosecondArray = (0..3000_i64)
            .map(|n| (n % 7 != 0).then_some(n * 86_399_999_999))
            .collect();
        let times: ArrayRef = Arc::new(times);
        for format in [
            "%Y-%m",
            "%d.%m.%y %%",
            "%G-W%V",
            "%B %A",
            "%H:%M",
            "%F %T",
            "%",
            "%Q",
            "",
        ] {
            for times in [
                days(0),
                days(-10),
                days(END - 3000),
                days(END - 10),
                Arc::clone(&times),
            ] {
                let right = written(&datetime::to_char(), &times, format);
                let found = written(&to_char(), &times, format);
                assert_eq!(found, right, "{format}");
            }
        }
        assert!(WRITTEN.lock().unwrap().contains_key("%Y-%m"));
    }
}
