//! Moments before 1678 and after 2261: `coalesce(visit_end_datetime, TIMESTAMP '9999-12-31')`, `visit_end_datetime < DATE '9999-12-31'`.
//!
//! The engine (DataFusion 55) reads moments in nanoseconds, and compares days and texts with moments in nanoseconds, which do not
//! reach so far; stored ones are in microseconds. "Still open" is often a day in 9999.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, cast};

use crate::short_times::is_comparison;

/// Compares days, and texts of far moments, with moments in their units.
#[derive(Debug)]
pub(crate) struct FarTimes;

impl FunctionRewrite for FarTimes {
    fn name(&self) -> &'static str {
        "far_times"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let parts: Vec<&mut Expr> = match &mut expr {
            Expr::BinaryExpr(BinaryExpr { left, right, op }) if is_comparison(*op) => {
                vec![left, right]
            }
            Expr::Between(Between {
                expr, low, high, ..
            }) => vec![expr, low, high],
            Expr::InList(InList { expr, list, .. }) => {
                [expr.as_mut()].into_iter().chain(list).collect()
            }
            _ => return Ok(Transformed::no(expr)),
        };
        let mut moment = None;
        let mut others = Vec::new();
        for part in parts {
            match part.get_type(schema)? {
                kind @ DataType::Timestamp(_, None)
                    if moment.as_ref().is_none_or(|of| *of == kind) =>
                {
                    moment = Some(kind);
                }
                DataType::Date32 => others.push(part),
                _ if is_far_text(part) => others.push(part),
                _ => return Ok(Transformed::no(expr)),
            }
        }
        let Some(moment) = moment.filter(|_| !others.is_empty()) else {
            return Ok(Transformed::no(expr));
        };
        for part in others {
            let day = std::mem::replace(part, Expr::Literal(ScalarValue::Null, None));
            *part = cast(day, moment.clone());
        }
        Ok(Transformed::yes(expr))
    }
}

fn is_far_text(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().is_some_and(is_far),
        _ => false,
    }
}

/// Whether a text begins with a year that nanoseconds do not reach.
fn is_far(text: &str) -> bool {
    let year = text
        .split('-')
        .next()
        .and_then(|year| year.parse::<u32>().ok());
    let dated = text.as_bytes().get(4) == Some(&b'-');
    dated && year.is_some_and(|year| !(1678..2262).contains(&year))
}
