//! Which parts of a query may pass a guard: those that no value can make fail.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Whether a predicate is leak-proof: an unmasked column compared with a literal of its own type, `IN` a list of
/// them, `IS NULL`, true or false, and `AND`, `OR`, `NOT` of those. `unmasked` tells whether a column of this name is shown as stored.
pub(crate) fn is_leak_proof(expr: &Expr, schema: &Schema, unmasked: &dyn Fn(&str) -> bool) -> bool {
    let column = |expr: &Expr| -> Option<DataType> {
        match expr {
            Expr::Column(column) if unmasked(column.name()) => {
                let field = schema.field_with_name(column.name()).ok()?;
                Some(field.data_type().clone())
            }
            _ => None,
        }
    };
    let literal = |expr: &Expr| match expr {
        Expr::Literal(value, _) => Some(value.data_type()),
        _ => None,
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => is_leak_proof(left, schema, unmasked) && is_leak_proof(right, schema, unmasked),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            let one = |a: &Expr, b: &Expr| column(a).is_some_and(|t| literal(b) == Some(t));
            one(left, right) || one(right, left)
        }
        Expr::Not(inner) => is_leak_proof(inner, schema, unmasked),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner).is_some(),
        Expr::Between(between) => column(&between.expr).is_some_and(|t| {
            literal(&between.low).as_ref() == Some(&t) && literal(&between.high) == Some(t)
        }),
        Expr::InList(InList { expr, list, .. }) => {
            column(expr).is_some_and(|t| list.iter().all(|e| literal(e).as_ref() == Some(&t)))
        }
        Expr::Column(_) => column(expr) == Some(DataType::Boolean),
        // What is left of a condition that the plan tells is always met, or never.
        Expr::Literal(value, _) => value.data_type() == DataType::Boolean,
        _ => false,
    }
}

/// An operator that has an answer for every two values.
pub(super) fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(
        op,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom
    )
}

/// The predicate over the table's own columns, by whatever name the query calls the table.
pub(crate) fn unqualified(expr: Expr) -> Result<Expr> {
    Ok(expr
        .transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
                column.name,
            )))),
            other => Ok(Transformed::no(other)),
        })?
        .data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;
    use datafusion::functions::string::expr_fn::lower;
    use datafusion::logical_expr::{cast, col, lit};

    #[test]
    fn only_unmasked_columns_against_literals_pass() {
        let schema = Schema::new(vec![
            Field::new("age", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("masked", DataType::Int64, true),
        ]);
        let unmasked = |name: &str| name != "masked";
        let passes = |expr: Expr| is_leak_proof(&expr, &schema, &unmasked);
        assert!(passes(col("age").eq(lit(3i64))));
        assert!(passes(lit(3i64).lt(col("age"))));
        assert!(passes(col("age").in_list(vec![lit(3i64), lit(4i64)], true)));
        assert!(passes(col("age").is_null().or(col("name").eq(lit("x")))));
        assert!(passes(col("age").between(lit(1i64), lit(2i64))));
        assert!(passes(lit(true)));
        assert!(!passes(col("masked").eq(lit(3i64))));
        assert!(!passes(
            col("age").eq(lit(3i64)).and(col("masked").is_null())
        ));
        assert!(!passes(col("age").eq(lit("3"))));
        assert!(!passes(col("age").eq(col("masked"))));
        assert!(!passes(cast(col("name"), DataType::Int64).eq(lit(3i64))));
        assert!(!passes(lower(col("name")).eq(lit("x"))));
        assert!(!passes((lit(1i64) / col("age")).gt(lit(3i64))));
        assert!(!passes(col("age").like(lit("x"))));
        assert!(!passes(col("nobody").is_null()));
    }
}
