//! Times without seconds: `TIMESTAMP '2024-02-29 10:00'`, `visit_start_datetime >= '2024-02-29 10:00'`.
//!
//! SQL's other engines read them, this one asks for the seconds. They are added where such a text is compared with a moment or
//! cast to one, and only to literals: what a column of texts holds stays what it is.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, Cast, InList, TryCast};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit};

/// Writes such texts with their seconds.
#[derive(Debug)]
pub(crate) struct ShortTimes;

impl FunctionRewrite for ShortTimes {
    fn name(&self) -> &'static str {
        "short_times"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        // Looked at first: types are not asked for where there is no such text.
        let mut texts: Vec<&mut Expr> = Vec::new();
        let moment = match &mut expr {
            Expr::Cast(Cast { expr: text, field })
            | Expr::TryCast(TryCast { expr: text, field }) => {
                texts.push(text);
                Moment::Known(matches!(field.data_type(), DataType::Timestamp(..)))
            }
            Expr::BinaryExpr(BinaryExpr { left, right, op }) if is_comparison(*op) => {
                if full(left).is_some() {
                    texts.push(left);
                    Moment::Of(right)
                } else {
                    texts.push(right);
                    Moment::Of(left)
                }
            }
            Expr::Between(Between {
                expr: value,
                low,
                high,
                ..
            }) => {
                texts.extend([low.as_mut(), high.as_mut()]);
                Moment::Of(value)
            }
            Expr::InList(InList {
                expr: value, list, ..
            }) => {
                texts.extend(list);
                Moment::Of(value)
            }
            _ => return Ok(Transformed::no(expr)),
        };
        texts.retain(|text| full(text).is_some());
        let is_moment = || match moment {
            Moment::Known(known) => Ok(known),
            Moment::Of(value) => Ok::<_, datafusion::error::DataFusionError>(matches!(
                value.get_type(schema)?,
                DataType::Timestamp(..)
            )),
        };
        if texts.is_empty() || !is_moment()? {
            return Ok(Transformed::no(expr));
        }
        for text in texts {
            if let Some(full) = full(text) {
                *text = lit(full);
            }
        }
        Ok(Transformed::yes(expr))
    }
}

pub(crate) fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// What says whether a text stands for a moment.
enum Moment<'e> {
    Known(bool),
    Of(&'e Expr),
}

/// A literal of the form `YYYY-MM-DD HH:MM`, with seconds.
fn full(expr: &Expr) -> Option<String> {
    let Expr::Literal(
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)),
        _,
    ) = expr
    else {
        return None;
    };
    let form = b"dddd-dd-dd dd:dd";
    let fits = text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            b' ' => byte == b' ' || byte == b'T',
            form => byte == *form,
        });
    fits.then(|| format!("{text}:00"))
}
