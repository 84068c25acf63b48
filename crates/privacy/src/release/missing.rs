//! Which expressions have a value in each row, by the words of a query: nobody is missing from their numbers, whatever is stored.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast,
};

use super::expression::uncast;
use super::words::exact;

/// Columns that a condition right below says are known: `x IS NOT NULL`, or one that no NULL meets, as `x > 5`.
pub(super) fn known(plan: &LogicalPlan) -> HashSet<Column> {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let mut known = HashSet::new();
    let mut plan = plan;
    while let LogicalPlan::Filter(filter) = plan {
        for condition in split_conjunction(&filter.predicate) {
            let parts: Vec<&Expr> = match condition {
                Expr::IsNotNull(inner) => vec![inner],
                Expr::Between(between) => vec![&between.expr],
                Expr::InList(list) => vec![&list.expr],
                Expr::BinaryExpr(BinaryExpr {
                    left,
                    op: Eq | NotEq | Lt | LtEq | Gt | GtEq,
                    right,
                }) => vec![left, right],
                _ => Vec::new(),
            };
            known.extend(parts.into_iter().filter_map(|part| match uncast(part) {
                Expr::Column(column) => Some(column.clone()),
                _ => None,
            }));
        }
        plan = &filter.input;
    }
    known
}

/// The text of those of the expressions that may be missing in a row: of the same rows, numbers with the same text have the same
/// persons.
pub(super) fn missing<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
    known: &HashSet<Column>,
) -> Result<String> {
    let mut texts = exprs
        .into_iter()
        .filter(|expr| may_be_missing(expr, schema, known))
        .map(exact)
        .collect::<Result<Vec<String>>>()?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts.join("; "))
}

/// The columns that must be known for nothing of these expressions to be missing, in their order; none where that is not enough.
pub(super) fn to_be_known(
    exprs: &[&Expr],
    schema: &DFSchema,
    known: &HashSet<Column>,
) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for expr in exprs {
        expr.apply(|part| {
            if let Expr::Column(column) = part
                && may_be_missing(part, schema, known)
                && !columns.contains(column)
            {
                columns.push(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let suffices = |columns: &[Column]| {
        let known = known.iter().chain(columns).cloned().collect();
        !exprs
            .iter()
            .any(|expr| may_be_missing(expr, schema, &known))
    };
    if !suffices(&columns) {
        return Ok(Vec::new());
    }
    // Of `coalesce(x, y)` the last one.
    for column in columns.clone() {
        let others = columns.iter().filter(|other| **other != column);
        let others: Vec<Column> = others.cloned().collect();
        if suffices(&others) {
            columns = others;
        }
    }
    Ok(columns)
}

fn may_be_missing(expr: &Expr, schema: &DFSchema, known: &HashSet<Column>) -> bool {
    use Operator::{And, Eq, Gt, GtEq, Lt, LtEq, Minus, Multiply, NotEq, Or, Plus};
    let of = |expr: &Expr| may_be_missing(expr, schema, known);
    let number = |expr: &Expr| {
        let kind = expr.get_type(schema);
        kind.is_ok_and(|kind| is_number(&kind))
    };
    match expr {
        Expr::Column(column) => !known.contains(column) && expr.nullable(schema).unwrap_or(true),
        Expr::Literal(value, _) => value.is_null(),
        Expr::Alias(alias) => of(&alias.expr),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            // `DATE '2024-12-31'`.
            if let Expr::Literal(value, _) = expr.as_ref() {
                let value = value.cast_to(field.data_type());
                return value.map_or(true, |value| value.is_null());
            }
            // A number that its type has no room for is missing.
            let wide = *field.data_type() == DataType::Float64;
            let same = expr
                .get_type(schema)
                .is_ok_and(|kind| kind == *field.data_type());
            let whole = *field.data_type() == DataType::Int64
                && expr.get_type(schema).is_ok_and(|kind| {
                    kind == DataType::Boolean || kind.is_integer() && kind != DataType::UInt64
                });
            !(same || whole || wide && number(expr)) || of(expr)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Plus | Minus | Multiply => !number(left) || !number(right) || of(left) || of(right),
            And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq => of(left) || of(right),
            _ => true,
        },
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_) => false,
        Expr::Not(inner) => of(inner),
        Expr::Between(between) => of(&between.expr) || of(&between.low) || of(&between.high),
        Expr::InList(list) => of(&list.expr) || list.list.iter().any(of),
        Expr::Case(Case {
            when_then_expr,
            else_expr,
            ..
        }) => {
            when_then_expr.iter().any(|(_, then)| of(then))
                || else_expr.as_ref().is_none_or(|other| of(other))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match func.name() {
            "coalesce" => args.iter().all(of),
            "least" | "greatest" => args.iter().any(of),
            "days_between" | "date_part" | "datepart" | "person_time" => args.iter().any(of),
            _ => true,
        },
        _ => true,
    }
}

fn is_number(kind: &DataType) -> bool {
    *kind == DataType::Boolean || kind.is_integer() || kind.is_floating()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{cast, col, lit, when};

    use super::*;

    #[test]
    fn what_is_there_in_each_row_is_so_by_its_words() {
        let schema = Schema::new(vec![
            Field::new("x", DataType::Int64, false),
            Field::new("y", DataType::Int64, true),
        ]);
        let schema = DFSchema::try_from(schema).unwrap();
        let none = HashSet::new();
        let known = HashSet::from([Column::from_name("y")]);
        let (x, y) = (|| col("x"), || col("y"));
        for expr in [
            x(),
            cast(lit("2024-12-31"), DataType::Date32),
            cast(x(), DataType::Float64) * lit(0.5),
            y().is_not_null(),
            when(y().eq(lit(1)), lit(1)).otherwise(lit(0)).unwrap(),
        ] {
            assert_eq!(missing([&expr], &schema, &none).unwrap(), "", "{expr}");
        }
        for expr in [
            cast(lit("2024-13-31"), DataType::Date32),
            cast(lit("x"), DataType::Int64),
        ] {
            assert_ne!(missing([&expr], &schema, &known).unwrap(), "", "{expr}");
        }
        for expr in [y(), x() + y(), y().gt(lit(3))] {
            assert_ne!(missing([&expr], &schema, &none).unwrap(), "", "{expr}");
            assert_eq!(missing([&expr], &schema, &known).unwrap(), "", "{expr}");
        }
        let to_be_known = |expr: Expr| to_be_known(&[&expr], &schema, &none).unwrap();
        assert_eq!(to_be_known(x() + y()), [Column::from_name("y")]);
        assert!(to_be_known(x() + lit(1)).is_empty());
        assert!(to_be_known(y() / y()).is_empty());
        for expr in [x() / x(), cast(x(), DataType::Int8)] {
            assert_ne!(missing([&expr], &schema, &known).unwrap(), "", "{expr}");
        }
    }
}
