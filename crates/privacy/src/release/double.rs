//! Arithmetic of measures in DOUBLE.
//!
//! Whole numbers wrap around: `x * 2147483648 * y * 4294967296` is 2⁶³ for one person and 0 for all others, which is a condition. So
//! what is added up is computed in DOUBLE, and whole numbers that a subquery computes are missing where they are larger than any
//! that people have.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::math::expr_fn::trunc;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, binary_expr, cast, lit, when,
};

/// No whole number that is computed in a subquery is larger: a sum of a person's rows has room for millions of such.
const LARGEST: f64 = 1e12;

/// The same number in DOUBLE, where it is computed; what is stored stays as it is.
pub(super) fn in_double(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    if !computes(expr)? {
        return Ok(expr.clone());
    }
    double(expr, schema)
}

/// A number that a subquery computes, with its type: missing where it is too large for one.
pub(super) fn bounded(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if let Expr::Alias(mut alias) = expr {
        alias.expr = Box::new(bounded(*alias.expr, schema)?);
        return Ok(Expr::Alias(alias));
    }
    if !may_wrap(&expr, schema)? || !expr.get_type(schema)?.is_integer() {
        return Ok(expr);
    }
    let size = double(&expr, schema)?;
    // Else it has wrapped.
    let fits = size.clone().eq(cast(expr.clone(), DataType::Float64));
    when(fits.and(size.between(lit(-LARGEST), lit(LARGEST))), expr).end()
}

/// There is arithmetic in it.
fn computes(expr: &Expr) -> Result<bool> {
    expr.exists(|part| Ok(matches!(part, Expr::BinaryExpr(_) | Expr::Negative(_))))
}

/// Sums and differences of 64 bits do not wrap: what is added is not larger than 10¹².
fn may_wrap(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    expr.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                !matches!(op, Operator::Plus | Operator::Minus)
                    || part.get_type(schema)? != DataType::Int64
            }
            Expr::Negative(_) => part.get_type(schema)? != DataType::Int64,
            _ => false,
        })
    })
}

fn double(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    use Operator::{Divide, Minus, Multiply, Plus};
    let of = |expr: &Expr| double(expr, schema);
    let kind = expr.get_type(schema)?;
    if !kind.is_numeric() {
        return Ok(expr.clone());
    }
    Ok(match expr {
        Expr::Alias(alias) => of(&alias.expr)?,
        Expr::Negative(inner) => Expr::Negative(Box::new(of(inner)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Plus | Minus | Multiply | Divide) && !kind.is_decimal() =>
        {
            let number = binary_expr(of(left)?, *op, of(right)?);
            // Whole numbers are cut.
            match *op == Divide && kind.is_integer() {
                true => trunc(vec![number]),
                false => number,
            }
        }
        Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })
            if inner.get_type(schema)?.is_numeric() && computes(inner)? =>
        {
            let number = of(inner)?;
            match field.data_type() {
                DataType::Int64 | DataType::Float64 => number,
                // Missing where it has no room for the number.
                kind => cast(
                    Expr::TryCast(TryCast::new(Box::new(number), kind.clone())),
                    DataType::Float64,
                ),
            }
        }
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "coalesce" | "greatest" | "least") =>
        {
            let args = call.args.iter().map(of).collect::<Result<_>>()?;
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&call.func), args))
        }
        stored => cast(stored.clone(), DataType::Float64),
    })
}
