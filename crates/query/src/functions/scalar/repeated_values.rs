//! Costly functions of a column that has the same values again and again: each different value is asked for once.
//!
//! Codes, names and days of a batch are few; a pattern is matched, or a day written out, in much more time than a value
//! is looked up in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef, Int32Type};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::functions::{datetime, regex, string, unicode};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use super::written_days;

/// Of so many rows it is found whether values repeat.
const SAMPLE: usize = 256;
/// Of texts, half as many may be different.
const SLOTS: usize = 4096;
const NONE: u32 = u32::MAX;

/// The engine's functions under their own names. Each is NULL for a NULL.
pub(crate) fn of_repeated_values() -> impl Iterator<Item = ScalarUDF> {
    [
        string::lower(),
        string::replace(),
        string::split_part(),
        string::upper(),
        unicode::initcap(),
        unicode::reverse(),
        unicode::strpos(),
        unicode::translate(),
        regex::regexp_count(),
        regex::regexp_like(),
        regex::regexp_match(),
        regex::regexp_replace(),
        datetime::to_date(),
    ]
    .into_iter()
    .map(over_repeated_values)
    .chain([written_days::to_char()])
}

/// A function that is NULL for a NULL, of a column's different values.
pub(super) fn over_repeated_values(function: Arc<ScalarUDF>) -> ScalarUDF {
    ScalarUDF::new_from_impl(OverRepeatedValues { function })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverRepeatedValues {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for OverRepeatedValues {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, info)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        Some(over_repeated_values(Arc::new(function)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut columns = args.args.iter_mut().filter_map(|arg| match arg {
            ColumnarValue::Array(column) => Some(column),
            ColumnarValue::Scalar(_) => None,
        });
        let (Some(column), None) = (columns.next(), columns.next()) else {
            return self.function.invoke_with_args(args);
        };
        let Some((values, row_values)) = different(column)? else {
            return self.function.invoke_with_args(args);
        };
        args.number_rows = values.len();
        *column = values;
        let answers = self.function.invoke_with_args(args)?;
        let answers = answers.into_array(row_values.len())?;
        Ok(ColumnarValue::Array(take(&answers, &row_values, None)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// A column's different values, and where each row's is among them; none where they are many.
fn different(column: &ArrayRef) -> Result<Option<(ArrayRef, ArrayRef)>> {
    if let Some((texts, rows)) = different_texts(column)?
        && texts.len() <= rows.len() / 8
    {
        return Ok(Some((texts, rows)));
    }
    let key = Box::new(DataType::Int32);
    let kind = match column.data_type() {
        // What a dictionary of these is made by first.
        DataType::Utf8View => DataType::LargeUtf8,
        kind @ (DataType::Utf8 | DataType::Date32 | DataType::Timestamp(..)) => kind.clone(),
        _ => return Ok(None),
    };
    let kind = DataType::Dictionary(key, Box::new(kind));
    let few = |column: &ArrayRef| -> Result<Option<ArrayRef>> {
        let dictionary = cast(column, &kind)?;
        let values = dictionary.as_dictionary::<Int32Type>().values().len();
        Ok((values <= column.len() / 2 && values > 0).then_some(dictionary))
    };
    if column.len() < SAMPLE || few(&column.slice(0, SAMPLE))?.is_none() {
        return Ok(None);
    }
    let Some(dictionary) = few(column)? else {
        return Ok(None);
    };
    let dictionary = dictionary.as_dictionary::<Int32Type>();
    let values = cast(dictionary.values(), column.data_type())?;
    Ok(Some((values, Arc::new(dictionary.keys().clone()))))
}

/// The same of texts, some of which may be there several times: of long ones it is only looked at where they lie, which of a file's
/// dictionary is the same place.
pub(crate) fn different_texts(column: &ArrayRef) -> Result<Option<(ArrayRef, ArrayRef)>> {
    let Some(texts) = column.as_string_view_opt() else {
        return Ok(None);
    };
    let (rows, views) = (texts.len(), texts.views());
    if rows < SAMPLE || rows >= NONE as usize {
        return Ok(None);
    }
    let mut known = vec![NONE; SLOTS];
    let (mut firsts, mut places) = (Vec::<u32>::new(), Vec::with_capacity(rows));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bits of a hash, and rows that fit"
    )]
    for (row, view) in views.iter().enumerate() {
        if texts.is_null(row) {
            places.push(0);
            continue;
        }
        let bits = (*view >> 64) as u64 ^ (*view as u64).rotate_left(32);
        let mut at = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SLOTS;
        let place = loop {
            let place = known[at];
            if place == NONE {
                known[at] = firsts.len() as u32;
                firsts.push(row as u32);
                break known[at];
            }
            if views[firsts[place as usize] as usize] == *view {
                break place;
            }
            at = (at + 1) % SLOTS;
        };
        places.push(place);
        if firsts.len() > (rows / 2).min(SLOTS / 2) {
            return Ok(None);
        }
    }
    if firsts.is_empty() {
        return Ok(None);
    }
    let values = take(column, &UInt32Array::from(firsts), None)?;
    let places = UInt32Array::new(places.into(), texts.nulls().cloned());
    Ok(Some((values, Arc::new(places))))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringViewArray};
    use arrow::datatypes::{DataType, Field, Int32Type};
    use datafusion::common::config::ConfigOptions;
    use datafusion::logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, Volatility, create_udf,
    };

    use super::over_repeated_values;

    /// The length of a text, and how many were asked for.
    fn counted() -> (ScalarUDF, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let function = create_udf(
            "counted",
            vec![DataType::Utf8View],
            DataType::Int32,
            Volatility::Immutable,
            Arc::new(move |args| {
                let texts = ColumnarValue::values_to_arrays(args)?;
                counter.fetch_add(texts[0].len(), Ordering::Relaxed);
                let lengths: Int32Array = texts[0]
                    .as_string_view()
                    .iter()
                    .map(|text| text.map(|text| i32::try_from(text.len()).unwrap()))
                    .collect();
                Ok(ColumnarValue::Array(Arc::new(lengths)))
            }),
        );
        (over_repeated_values(Arc::new(function)), asked)
    }

    fn ask(texts: StringViewArray) -> (Vec<Option<i32>>, usize) {
        let (function, asked) = counted();
        let rows = texts.len();
        let field = |kind| Arc::new(Field::new("x", kind, true));
        let answer = function
            .invoke_with_args(ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(Arc::new(texts) as ArrayRef)],
                arg_fields: vec![field(DataType::Utf8View)],
                number_rows: rows,
                return_field: field(DataType::Int32),
                config_options: Arc::new(ConfigOptions::default()),
            })
            .unwrap();
        let answer = answer.into_array(rows).unwrap();
        let answer = answer.as_primitive::<Int32Type>().iter().collect();
        (answer, asked.load(Ordering::Relaxed))
    }

    #[test]
    fn each_value_is_asked_for_once() {
        let text = |row: usize| (!row.is_multiple_of(3)).then(|| "x".repeat(row % 5 + 10));
        let texts: Vec<_> = (0..1000).map(text).collect();
        let right: Vec<_> = (0..1000)
            .map(|row| (row % 3 != 0).then_some(row % 5 + 10))
            .collect();
        assert_eq!(ask(texts.into()), (right, 5));
    }

    #[test]
    fn different_values_are_asked_for_as_they_are() {
        let texts: Vec<_> = (0..1000).map(|row| Some(row.to_string())).collect();
        let (answer, asked) = ask(texts.into());
        assert_eq!(asked, 1000);
        assert_eq!(answer[10..12], [Some(2), Some(2)]);
        let (_, asked) = ask(vec![None::<&str>; 1000].into());
        assert_eq!(asked, 1000);
    }
}
