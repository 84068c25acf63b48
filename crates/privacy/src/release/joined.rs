//! `concat` and `||` of persons' texts, no longer than texts are: what grows beyond all memory would fail where anybody
//! meets a condition.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Bytes of the longest text that is put together; a longer one is NULL.
const LONGEST: usize = 4_096;

/// Texts put together. For `||` a NULL makes all of it NULL; `concat` leaves it out.
pub(super) fn joined(args: Vec<Expr>, kind: DataType, nulls_win: bool) -> Expr {
    function(kind, nulls_win).call(args)
}

/// [`joined`] as a function.
pub(super) fn function(kind: DataType, nulls_win: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Joined {
        kind,
        nulls_win,
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) kind: DataType,
    pub(super) nulls_win: bool,
    signature: Signature,
}

impl Hash for Joined {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.nulls_win.hash(state);
    }
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        if self.nulls_win { "||" } else { "concat" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.kind.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut columns = Vec::with_capacity(args.args.len());
        for arg in &args.args {
            columns.push(cast(&arg.to_array(rows)?, &DataType::Utf8View)?);
        }
        let mut texts = StringBuilder::new();
        let mut text = String::new();
        for row in 0..rows {
            text.clear();
            let mut whole = true;
            for column in &columns {
                let column = column.as_string_view();
                if column.is_null(row) {
                    whole &= !self.nulls_win;
                } else if text.len() + column.value(row).len() > LONGEST {
                    whole = false;
                } else {
                    text.push_str(column.value(row));
                }
                if !whole {
                    break;
                }
            }
            texts.append_option(whole.then_some(text.as_str()));
        }
        let texts = cast(&texts.finish(), &self.kind)?;
        Ok(ColumnarValue::Array(texts))
    }
}
