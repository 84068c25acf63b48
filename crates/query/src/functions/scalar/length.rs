//! `length` of a list: how many elements it has.
//!
//! The engine's `length` is that of a text, and it takes a list for the text that shows it.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

/// Counts elements where `length` is asked of a list.
#[derive(Debug)]
pub(crate) struct LengthOfLists;

impl FunctionRewrite for LengthOfLists {
    fn name(&self) -> &'static str {
        "length_of_lists"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let ("character_length", [list]) = (func.name(), args.as_slice()) else {
            return Ok(Transformed::no(expr));
        };
        Ok(match list.get_type(schema)? {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                // Of the type that `length` has.
                Transformed::yes(cast(array_length(list.clone()), DataType::Int32))
            }
            _ => Transformed::no(expr),
        })
    }
}
