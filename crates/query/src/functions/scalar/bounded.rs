//! `repeat`, `lpad`, `rpad` and `replace` up to a length.
//!
//! Texts that an expression makes belong to no operator, so that no memory limit counts them: `lpad(x, 2147483647)` of a
//! few rows would end the process.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use columna_privacy::Refusal;
use datafusion::common::Result;
use datafusion::functions::{string, unicode};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// Bytes of the longest text that is made; one that is longer already may double.
const LONGEST: usize = 1 << 20;
/// The same where somebody asks on a machine that is not theirs.
const LONGEST_UNDER_POLICY: usize = 1 << 12;

/// The engine's functions under their own names, up to a length.
pub(crate) fn bounded(under_policy: bool) -> impl Iterator<Item = ScalarUDF> {
    let longest = if under_policy {
        LONGEST_UNDER_POLICY
    } else {
        LONGEST
    };
    [
        (string::repeat(), Grows::Repeat),
        (unicode::lpad(), Grows::Pad),
        (unicode::rpad(), Grows::Pad),
        (string::replace(), Grows::Replace),
    ]
    .into_iter()
    .map(move |(stock, grows)| {
        ScalarUDF::new_from_impl(Bounded {
            stock,
            grows,
            longest,
        })
    })
}

/// How long a function's text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Grows {
    Repeat,
    Pad,
    Replace,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    stock: Arc<ScalarUDF>,
    grows: Grows,
    longest: usize,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Which row is too long is not said: it follows from the query and from rows that the asker sees.
        if self.is_too_long(&args)? {
            return Err(Refusal::new(
                "memory",
                format!(
                    "`{}` makes no text of more than {} bytes",
                    self.name(),
                    self.longest
                ),
                "ask for shorter texts",
            )
            .into());
        }
        self.stock.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

impl Bounded {
    fn is_too_long(&self, args: &ScalarFunctionArgs) -> Result<bool> {
        let rows = if args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
        {
            1
        } else {
            args.number_rows
        };
        let column = |index: usize, kind: &DataType| -> Result<Option<ArrayRef>> {
            let Some(arg) = args.args.get(index) else {
                return Ok(None);
            };
            Ok(Some(cast(&arg.to_array(rows)?, kind)?))
        };
        let text = |index: usize| column(index, &DataType::Utf8View);
        match self.grows {
            Grows::Pad => {
                if let Some(ColumnarValue::Scalar(length)) = args.args.get(1)
                    && let Ok(length) = i64::try_from(length.clone())
                {
                    return Ok(length > self.most());
                }
                let Some(lengths) = column(1, &DataType::Int64)? else {
                    return Ok(false);
                };
                let mut lengths = lengths.as_primitive::<Int64Type>().iter().flatten();
                Ok(lengths.any(|length| length > self.most()))
            }
            Grows::Repeat => {
                let (Some(texts), Some(times)) = (text(0)?, column(1, &DataType::Int64)?) else {
                    return Ok(false);
                };
                let times = times.as_primitive::<Int64Type>().iter();
                let mut both = texts.as_string_view().iter().zip(times);
                Ok(both.any(|(text, times)| {
                    let (Some(text), Some(times)) = (text, times) else {
                        return false;
                    };
                    let times = usize::try_from(times).unwrap_or(0);
                    self.forbids(text.len(), text.len().saturating_mul(times))
                }))
            }
            Grows::Replace => {
                let (Some(texts), Some(from), Some(to)) = (text(0)?, text(1)?, text(2)?) else {
                    return Ok(false);
                };
                let words = from.as_string_view().iter().zip(to.as_string_view());
                let mut all = texts.as_string_view().iter().zip(words);
                Ok(all.any(|(text, words)| {
                    let (Some(text), (Some(from), Some(to))) = (text, words) else {
                        return false;
                    };
                    let longest = text.len().saturating_add(1).saturating_mul(to.len() + 1);
                    // Counting takes as long as replacing does: only where it could matter.
                    self.forbids(text.len(), longest)
                        && self.forbids(
                            text.len(),
                            text.matches(from).count().saturating_mul(to.len()),
                        )
                }))
            }
        }
    }

    fn forbids(&self, before: usize, after: usize) -> bool {
        after > self.longest && after > before.saturating_mul(2)
    }

    fn most(&self) -> i64 {
        i64::try_from(self.longest).unwrap_or(i64::MAX)
    }
}
