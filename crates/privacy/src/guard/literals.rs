//! Literals of a row filter, given the types of the columns beside them when the policy is read. A literal that cannot have
//! that type would else fail with the first row that it is compared with, and so tell whether there is one.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, Cast, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable};

use super::pushdown::compares;

/// The filter with plain literals for those that have to be cast, and plain columns of time beside them.
///
/// # Errors
/// Which literal is not a value of its column's type.
pub(super) fn fold(filter: Expr, schema: &DFSchema) -> Result<Expr, String> {
    let times = filter.transform_down(|expr| in_columns_type(expr, schema));
    let folded = times.and_then(|t| t.data.transform_up(folded));
    match folded {
        Ok(folded) => Ok(folded.data),
        Err(error) => Err(super::filter::first_line(&said(&error))),
    }
}

/// What is wrong, without the library's word for the kind of error.
fn said(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Plan(what) => what.clone(),
        other => other.strip_backtrace(),
    }
}

/// `CAST('2020-01-01' AS DATE)` as a day.
fn folded(expr: Expr) -> Result<Transformed<Expr>> {
    if let Expr::Cast(Cast { expr: inner, field }) = &expr
        && let Expr::Literal(value, metadata) = inner.as_ref()
    {
        let value = cast(value, field.data_type())?;
        return Ok(Transformed::yes(Expr::Literal(value, metadata.clone())));
    }
    Ok(Transformed::no(expr))
}

/// A comparison of a column of days or times: its literals become what the column is, not the column what they are, which
/// may fail for a day that is far away.
fn in_columns_type(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let column = |expr: &Expr| -> Option<(Expr, DataType)> {
        let Expr::Cast(Cast { expr: inner, field }) = expr else {
            return None;
        };
        let from = inner.get_type(schema).ok()?;
        let times = matches!(from, DataType::Date32 | DataType::Timestamp(_, None))
            && matches!(field.data_type(), DataType::Timestamp(_, None));
        let is_column = matches!(inner.as_ref(), Expr::Column(_));
        (times && is_column).then(|| (inner.as_ref().clone(), from))
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left, right) = match (column(&left), column(&right)) {
                (Some((plain, of)), None) if is_literal(&right) => (plain, literal(&right, &of)?),
                (None, Some((plain, of))) if is_literal(&left) => (literal(&left, &of)?, plain),
                _ => {
                    let same = BinaryExpr { left, op, right };
                    return Ok(Transformed::no(Expr::BinaryExpr(same)));
                }
            };
            let changed = BinaryExpr::new(Box::new(left), op, Box::new(right));
            Ok(Transformed::yes(Expr::BinaryExpr(changed)))
        }
        Expr::Between(between) => {
            let Some((plain, of)) = column(&between.expr) else {
                return Ok(Transformed::no(Expr::Between(between)));
            };
            if !is_literal(&between.low) || !is_literal(&between.high) {
                return Ok(Transformed::no(Expr::Between(between)));
            }
            let (low, high) = (literal(&between.low, &of)?, literal(&between.high, &of)?);
            let changed = Between::new(
                Box::new(plain),
                between.negated,
                Box::new(low),
                Box::new(high),
            );
            Ok(Transformed::yes(Expr::Between(changed)))
        }
        Expr::InList(list) => {
            let Some((plain, of)) = column(&list.expr) else {
                return Ok(Transformed::no(Expr::InList(list)));
            };
            if !list.list.iter().all(is_literal) {
                return Ok(Transformed::no(Expr::InList(list)));
            }
            let among: Result<Vec<Expr>> = list.list.iter().map(|e| literal(e, &of)).collect();
            let changed = InList::new(Box::new(plain), among?, list.negated);
            Ok(Transformed::yes(Expr::InList(changed)))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_literal(&cast.expr),
        _ => false,
    }
}

/// A literal as a value of a column of times, the same to the last digit.
fn literal(expr: &Expr, of: &DataType) -> Result<Expr> {
    // A text goes there at once: nanoseconds, which comparisons are made in, end in 2262.
    if let Expr::Cast(Cast { expr: inner, field }) = expr
        && let Expr::Literal(value, _) = inner.as_ref()
        && value.data_type().is_string()
        && matches!(field.data_type(), DataType::Timestamp(_, None))
        && matches!(of, DataType::Timestamp(_, None))
    {
        return Ok(Expr::Literal(cast(value, of)?, None));
    }
    let Expr::Literal(value, _) = expr.clone().transform_up(folded)?.data else {
        return Err(DataFusionError::Plan(format!("`{expr}` is no literal")));
    };
    let changed = cast(&value, of)?;
    if changed.cast_to(&value.data_type())? != value {
        return Err(DataFusionError::Plan(format!(
            "`{value}` is compared with a column that is not as exact, of type {of}; write a whole day or second"
        )));
    }
    Ok(Expr::Literal(changed, None))
}

fn cast(value: &ScalarValue, to: &DataType) -> Result<ScalarValue> {
    value.cast_to(to).map_err(|_| {
        DataFusionError::Plan(format!(
            "`{value}` cannot be a value of type {to}, which it is compared with"
        ))
    })
}
