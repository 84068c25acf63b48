//! `7 / 2` is 3.5 and `7 // 2` is 3, as in DuckDB. The engine's own division of whole numbers (DataFusion 55) is whole.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Plans quotients of whole numbers.
#[derive(Debug)]
pub(crate) struct Quotients;

impl ExprPlanner for Quotients {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let whole = |expr: &Expr| {
            Ok::<_, datafusion::error::DataFusionError>(expr.get_type(schema)?.is_integer())
        };
        let RawBinaryExpr { op, left, right } = expr;
        Ok(match op {
            BinaryOperator::DuckIntegerDivide => {
                PlannerResult::Planned(binary_expr(left, Operator::Divide, right))
            }
            BinaryOperator::Divide if whole(&left)? && whole(&right)? => {
                let double = |expr| cast(expr, DataType::Float64);
                let quotient = binary_expr(double(left), Operator::Divide, double(right));
                PlannerResult::Planned(quotient)
            }
            op => PlannerResult::Original(RawBinaryExpr { op, left, right }),
        })
    }
}
