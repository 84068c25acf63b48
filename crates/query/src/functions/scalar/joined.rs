//! `||` of texts up to a length: see [`super::bounded`].

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::bounded::{grows_too_long, too_long};

const NAME: &str = "columna_joined";

/// Two texts put together up to a length, or NULL where one of them is.
pub(super) fn joined(longest: usize) -> ScalarUDF {
    ScalarUDF::new_from_impl(Joined {
        longest,
        signature: Signature::any(2, Volatility::Immutable),
    })
}

/// Takes it in place of `||`.
#[derive(Debug)]
pub(crate) struct BoundedJoins(pub(crate) ScalarUDF);

impl BoundedJoins {
    /// With the function that a session has.
    pub(crate) fn of(functions: impl Iterator<Item = ScalarUDF>) -> Option<Self> {
        let mut functions = functions;
        functions.find(|function| function.name() == NAME).map(Self)
    }
}

impl FunctionRewrite for BoundedJoins {
    fn name(&self) -> &'static str {
        "bounded_joins"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::BinaryExpr(BinaryExpr {
            op: Operator::StringConcat,
            ..
        }) = &expr
        else {
            return Ok(Transformed::no(expr));
        };
        // What is no text, or none at all, is the engine's.
        if !expr.get_type(schema).is_ok_and(|kind| is_text(&kind)) {
            return Ok(Transformed::no(expr));
        }
        let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr else {
            return Ok(Transformed::no(expr));
        };
        Ok(Transformed::yes(self.0.call(vec![*left, *right])))
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    longest: usize,
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let [left, right] = kinds else {
            return Ok(DataType::Utf8View);
        };
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let single = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if single { 1 } else { args.number_rows };
        let mut sides = Vec::with_capacity(2);
        for arg in &args.args {
            sides.push(cast(&arg.to_array(rows)?, &DataType::Utf8View)?);
        }
        let mut texts = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for row in 0..rows {
            text.clear();
            let mut longest = 0;
            let mut whole = true;
            for side in &sides {
                let side = side.as_string_view();
                whole &= side.is_valid(row);
                if whole {
                    longest = longest.max(side.value(row).len());
                    text.push_str(side.value(row));
                }
            }
            if whole && grows_too_long(longest, text.len(), self.longest) {
                return Err(too_long("||", self.longest));
            }
            texts.append_option(whole.then_some(text.as_str()));
        }
        let texts = cast(&texts.finish(), args.return_field.data_type())?;
        Ok(if single {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
        } else {
            ColumnarValue::Array(texts)
        })
    }
}
