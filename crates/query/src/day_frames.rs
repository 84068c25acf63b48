//! Frames of days: `RANGE BETWEEN 30 PRECEDING AND CURRENT ROW` over dates.
//!
//! The engine takes the number for an interval without a unit, and that for months. Of dates they are days, as a difference of two
//! dates is.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, WindowFrameBound, WindowFrameUnits};

/// Gives such numbers their unit.
#[derive(Debug)]
pub(crate) struct DayFrames;

impl FunctionRewrite for DayFrames {
    fn name(&self) -> &'static str {
        "day_frames"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::WindowFunction(window) = &mut expr else {
            return Ok(Transformed::no(expr));
        };
        let params = &mut window.params;
        let frame = &mut params.window_frame;
        let [by] = params.order_by.as_slice() else {
            return Ok(Transformed::no(expr));
        };
        if frame.units != WindowFrameUnits::Range {
            return Ok(Transformed::no(expr));
        }
        let kind = by.expr.get_type(schema)?;
        let mut changed = false;
        for bound in [&mut frame.start_bound, &mut frame.end_bound] {
            let (WindowFrameBound::Preceding(ScalarValue::Utf8(Some(text)))
            | WindowFrameBound::Following(ScalarValue::Utf8(Some(text)))) = bound
            else {
                continue;
            };
            if text.parse::<f64>().is_err() {
                continue;
            }
            match kind {
                DataType::Date32 | DataType::Date64 => {
                    text.push_str(" days");
                    changed = true;
                }
                DataType::Timestamp(..) => {
                    return plan_err!(
                        "a RANGE over times takes an interval, such as `INTERVAL '{text} days'`"
                    );
                }
                _ => {}
            }
        }
        Ok(match changed {
            true => Transformed::yes(expr),
            false => Transformed::no(expr),
        })
    }
}
