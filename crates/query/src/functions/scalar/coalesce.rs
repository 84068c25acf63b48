//! `coalesce(death_date, '2099-01-01')`: a text beside days and moments is one of them.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions::core::coalesce::CoalesceFunc;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// The function under the engine's name for it.
pub(crate) fn coalesce() -> ScalarUDF {
    ScalarUDF::new_from_impl(Coalesce {
        stock: CoalesceFunc::new(),
    })
}

/// The engine's `coalesce`, which knows no type for a day and a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesce {
    stock: CoalesceFunc,
}

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        let is_time = |kind: &&DataType| matches!(kind, DataType::Date32 | DataType::Timestamp(..));
        let fits = |kind: &DataType| kind.is_string() || kind.is_null();
        match kinds.iter().find(is_time) {
            Some(time) if kinds.iter().all(|kind| kind == time || fits(kind)) => {
                Ok(vec![time.clone(); kinds.len()])
            }
            _ => self.stock.coerce_types(kinds),
        }
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.stock.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.stock.simplify(args, context)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.stock.invoke_with_args(args)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.stock.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.stock.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}
