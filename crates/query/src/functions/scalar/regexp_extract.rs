//! `regexp_extract(text, pattern[, group])`: the first match of a pattern in a text, or a group of it; '' where nothing matches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::functions::utils::make_scalar_function;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use regex::Regex;

use super::repeated_values::over_repeated_values;

const NAME: &str = "regexp_extract";

/// The function, as DuckDB has it.
pub(crate) fn regexp_extract() -> ScalarUDF {
    let signature = Signature::one_of(
        vec![
            TypeSignature::Exact(vec![DataType::Utf8View; 2]),
            TypeSignature::Exact(vec![
                DataType::Utf8View,
                DataType::Utf8View,
                DataType::Int64,
            ]),
        ],
        Volatility::Immutable,
    );
    let function = ScalarUDF::new_from_impl(RegexpExtract { signature });
    over_repeated_values(Arc::new(function))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpExtract {
    signature: Signature,
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        make_scalar_function(extract, Vec::new())(&args.args)
    }
}

fn extract(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [texts, patterns, groups @ ..] = args else {
        return exec_err!("{NAME} takes a text and a pattern");
    };
    let whole: ArrayRef = Arc::new(Int64Array::from_value(0, texts.len()));
    let groups = groups.first().unwrap_or(&whole);
    let mut known: HashMap<&str, Regex> = HashMap::new();
    let mut found = StringBuilder::new();
    let both = texts.as_string_view().iter().zip(patterns.as_string_view());
    for ((text, pattern), group) in both.zip(groups.as_primitive::<Int64Type>()) {
        let (Some(text), Some(pattern), Some(group)) = (text, pattern, group) else {
            found.append_null();
            continue;
        };
        let regex = match known.entry(pattern) {
            Entry::Occupied(regex) => regex.into_mut(),
            Entry::Vacant(entry) => match Regex::new(pattern) {
                Ok(regex) => entry.insert(regex),
                Err(error) => return exec_err!("{NAME}: {error}"),
            },
        };
        let part = match usize::try_from(group) {
            Ok(0) => regex.find(text),
            Ok(group) => regex.captures(text).and_then(|parts| parts.get(group)),
            Err(_) => None,
        };
        found.append_value(part.map_or("", |part| part.as_str()));
    }
    Ok(Arc::new(found.finish()))
}
