//! Texts up to a length: `repeat`, `lpad`, `rpad`, `replace`, `regexp_replace`, `concat` and `||`.
//!
//! Texts that an expression makes belong to no operator, so that no memory limit counts them: `lpad(x, 2147483647)` of a
//! few rows would end the process, and so would `x || x` in a recursive query of forty steps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use columna_privacy::Refusal;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::functions::{regex, string, unicode};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// Bytes of the longest text that is made; one that is longer already may grow by so many.
const LONGEST: usize = 1 << 20;
/// The same where somebody asks on a machine that is not theirs.
const LONGEST_UNDER_POLICY: usize = 1 << 12;
/// Bytes that a replacement by a pattern may have at most, before it is looked at.
const MOST_AT_ONCE: usize = 1 << 26;

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
        (regex::regexp_replace(), Grows::ReplacePattern),
        (string::concat(), Grows::Join),
        (string::concat_ws(), Grows::JoinWith),
    ]
    .into_iter()
    // What cannot make a text beyond all memory by itself is looked at where somebody means harm.
    .filter(move |(_, grows)| under_policy || grows.is_unbounded())
    .map(move |(stock, grows)| {
        ScalarUDF::new_from_impl(Bounded {
            stock,
            grows,
            longest,
        })
    })
    .chain([super::joined::joined(longest)])
}

/// The refusal of a text that is too long. Which row's it is is not said: it follows from the query and from rows that the
/// asker sees.
pub(super) fn too_long(function: &str, longest: usize) -> DataFusionError {
    Refusal::new(
        "memory",
        format!("`{function}` makes no text of more than {longest} bytes"),
        "ask for shorter texts",
    )
    .into()
}

/// Whether a text is too long that is made of this longest one.
pub(super) fn grows_too_long(before: usize, after: usize, longest: usize) -> bool {
    after > longest && after > before.saturating_add(longest)
}

/// How long a function's text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Grows {
    Repeat,
    Pad,
    Replace,
    ReplacePattern,
    Join,
    /// With the first argument between the others.
    JoinWith,
}

impl Grows {
    /// Whether a number says how long its text becomes, or a text how often it stands in another.
    fn is_unbounded(self) -> bool {
        matches!(self, Self::Repeat | Self::Pad | Self::Replace)
    }
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
        if self.is_too_long(&args)? {
            return Err(too_long(self.name(), self.longest));
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
        let forbids = |before, after| grows_too_long(before, after, self.longest);
        match self.grows {
            Grows::Join | Grows::JoinWith => {
                if args.args.iter().any(|arg| arg.data_type().is_nested()) {
                    return Ok(false);
                }
                let texts = (0..args.args.len()).map(text);
                let texts = texts
                    .collect::<Result<Option<Vec<_>>>>()?
                    .unwrap_or_default();
                Ok((0..rows).any(|row| {
                    let lengths = texts.iter().map(|texts| {
                        let texts = texts.as_string_view();
                        if texts.is_null(row) {
                            0
                        } else {
                            texts.value(row).len()
                        }
                    });
                    let sum: usize = lengths.clone().sum();
                    let between = match (self.grows, lengths.clone().next()) {
                        (Grows::JoinWith, Some(first)) => first.saturating_mul(texts.len()),
                        _ => 0,
                    };
                    forbids(lengths.max().unwrap_or(0), sum.saturating_add(between))
                }))
            }
            Grows::ReplacePattern => {
                let (Some(texts), Some(to)) = (text(0)?, text(2)?) else {
                    return Ok(false);
                };
                let mut both = texts.as_string_view().iter().zip(to.as_string_view());
                let pair = both.position(|(text, to)| {
                    let (Some(text), Some(to)) = (text, to) else {
                        return false;
                    };
                    // A replacement may repeat what it replaces, as often as it has bytes.
                    let most = text.len().saturating_add(1).saturating_mul(to.len());
                    forbids(text.len(), text.len().saturating_add(most))
                });
                match pair {
                    None => Ok(false),
                    Some(first) => self.replaced_too_long(args, (first, rows), (&texts, &to)),
                }
            }
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
                    forbids(text.len(), text.len().saturating_mul(times))
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
                    forbids(text.len(), longest)
                        && forbids(
                            text.len(),
                            text.matches(from).count().saturating_mul(to.len()),
                        )
                }))
            }
        }
    }

    /// Replaces by a pattern in one row after the other from the first that could be too long, and looks.
    fn replaced_too_long(
        &self,
        args: &ScalarFunctionArgs,
        (first, rows): (usize, usize),
        (texts, to): (&ArrayRef, &ArrayRef),
    ) -> Result<bool> {
        for row in first..rows {
            let (text, to) = (texts.as_string_view(), to.as_string_view());
            if text.is_null(row) || to.is_null(row) {
                continue;
            }
            let (before, by) = (text.value(row).len(), to.value(row).len());
            if before.saturating_mul(by) > MOST_AT_ONCE {
                return Ok(true);
            }
            let of_row = args.args.iter().map(|arg| match arg {
                ColumnarValue::Array(all) => ColumnarValue::Array(all.slice(row, 1)),
                one => one.clone(),
            });
            let of_row = ScalarFunctionArgs {
                args: of_row.collect(),
                number_rows: 1,
                ..args.clone()
            };
            let done = self.stock.invoke_with_args(of_row)?.into_array(1)?;
            let done = cast(&done, &DataType::Utf8View)?;
            let done = done.as_string_view();
            if done.is_valid(0) && grows_too_long(before, done.value(0).len(), self.longest) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn most(&self) -> i64 {
        i64::try_from(self.longest).unwrap_or(i64::MAX)
    }
}
