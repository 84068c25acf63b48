//! A field of a struct, which is NULL where the struct is.
//!
//! The engine hands out the field's own column. What CASE and `nullif` leave out is NULL as a struct, and its fields still
//! have the values that were left out.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::core::get_field;
use datafusion::functions::core::getfield::GetFieldFunc;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// The engine's `get_field`, by the struct's NULLs as well.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldOf {
    stock: Arc<ScalarUDF>,
}

/// The function under the engine's name for it.
pub(crate) fn field_of() -> ScalarUDF {
    ScalarUDF::new_from_impl(FieldOf { stock: get_field() })
}

impl ScalarUDFImpl for FieldOf {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.stock.schema_name(args)
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

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.stock.simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr) => {
                ExprSimplifyResult::Simplified(masked(expr)?.data)
            }
            original => original,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let absent = match args.args.first() {
            Some(ColumnarValue::Array(of)) if of.as_struct_opt().is_some() => {
                (of.null_count() > 0).then(|| is_null(of)).transpose()?
            }
            Some(ColumnarValue::Scalar(ScalarValue::Struct(of))) if of.is_null(0) => {
                let field = self.stock.invoke_with_args(args)?.data_type();
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from(field)?));
            }
            _ => None,
        };
        let field = self.stock.invoke_with_args(args)?;
        Ok(match (absent, field) {
            (Some(absent), ColumnarValue::Array(field)) => {
                ColumnarValue::Array(nullif(&field, &absent)?)
            }
            (_, field) => field,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// Asks for fields by this function.
#[derive(Debug)]
pub(crate) struct FieldsOfStructs;

impl FunctionRewrite for FieldsOfStructs {
    fn name(&self) -> &'static str {
        "fields_of_structs"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        Ok(of_one(expr))
    }
}

fn masked(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| Ok(of_one(expr)))
}

/// The call by this function, of one field after the other.
fn of_one(expr: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return Transformed::no(expr);
    };
    if !call.func.inner().is::<GetFieldFunc>() {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    let mut args = call.args.into_iter();
    let of = args.next().unwrap_or_default();
    let asked = args.fold(of, |of, field| field_of().call(vec![of, field]));
    Transformed::yes(asked)
}
