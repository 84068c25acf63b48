//! Casts whose results are in another order than their values.
//!
//! The engine (DataFusion 55) leaves out row groups by the least and the greatest value of a column also where a condition is about
//! a cast of it. The time of day of the first and of the last moment says nothing of those between them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility,
};

/// Hides such casts from the engine.
#[derive(Debug)]
pub(crate) struct CastsOutOfOrder;

impl FunctionRewrite for CastsOutOfOrder {
    fn name(&self) -> &'static str {
        "casts_out_of_order"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let (Expr::Cast(Cast { expr: of, field }) | Expr::TryCast(TryCast { expr: of, field })) =
            &expr
        else {
            return Ok(Transformed::no(expr));
        };
        let out_of_order = match (of.get_type(schema)?, field.data_type()) {
            (DataType::Timestamp(..), DataType::Time32(_) | DataType::Time64(_)) => true,
            (from, DataType::Boolean) => from.is_numeric(),
            _ => false,
        };
        Ok(if out_of_order {
            Transformed::yes(ITSELF.call(vec![expr]))
        } else {
            Transformed::no(expr)
        })
    }
}

const NAME: &str = "out_of_order";

static ITSELF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Itself {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// A function that gives its argument.
pub(crate) fn out_of_order() -> ScalarUDF {
    ITSELF.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Itself {
    signature: Signature,
}

impl ScalarUDFImpl for Itself {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => exec_err!("{NAME} takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [value] => Ok(value.clone()),
            _ => exec_err!("{NAME} takes one argument"),
        }
    }
}
