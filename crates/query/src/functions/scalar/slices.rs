//! `code[1:3]`: the letters of a text at those places, as lists have their values.

use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::unicode::expr_fn::{right, substr, substring};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, lit};

/// Takes letters of texts at places that are written as numbers.
#[derive(Debug)]
pub(crate) struct SlicesOfTexts;

impl ExprPlanner for SlicesOfTexts {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if !access.expr.get_type(schema)?.is_string() {
            return Ok(PlannerResult::Original(access));
        }
        Ok(match sliced(&access.expr, &access.field_access) {
            Some(slice) => PlannerResult::Planned(slice),
            None => PlannerResult::Original(access),
        })
    }
}

/// Places are from 1 on; those below 0 are from the end, of which only the last letters are taken here.
fn sliced(text: &Expr, access: &GetFieldAccess) -> Option<Expr> {
    let text = text.clone();
    match access {
        GetFieldAccess::ListIndex { key } => match place(key)? {
            at @ 1.. => Some(substring(text, lit(at), lit(1_i64))),
            -1 => Some(right(text, lit(1_i64))),
            _ => None,
        },
        GetFieldAccess::ListRange {
            start,
            stop,
            stride,
        } if place(stride) == Some(1) => match (place(start)?, place(stop)?) {
            (first @ 1.., -1 | i64::MAX) => Some(substr(text, lit(first))),
            (first @ 1.., last @ 0..) => {
                Some(substring(text, lit(first), lit((last - first + 1).max(0))))
            }
            (first @ ..=-1, -1 | i64::MAX) => Some(right(text, lit(first.checked_neg()?))),
            _ => None,
        },
        _ => None,
    }
}

fn place(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(place)), _) => Some(*place),
        Expr::Negative(place_from_end) => place(place_from_end)?.checked_neg(),
        _ => None,
    }
}
