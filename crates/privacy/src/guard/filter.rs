//! A policy's row filter: from SQL text to an expression that cannot fail on any row.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Cast, InList, Like, TryCast};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::SessionContext;

use super::fault::FilterFault;

/// Functions of text that give an answer for every text.
const TOTAL_FUNCTIONS: [&str; 8] = [
    "lower",
    "upper",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "starts_with",
    "character_length",
];

/// Checks a row filter against a table's columns.
///
/// # Errors
/// What is wrong with it, in words, and where.
pub fn check_filter(text: &str, schema: &Schema) -> Result<(), FilterFault> {
    compile(text, schema).map(|_| ())
}

/// The filter over a table's stored columns. It is made of comparisons, pattern matches and `AND`, `OR`, `NOT`, all
/// of which have an answer for every row: an expression that could fail would tell of rows that nobody may see.
pub(crate) fn compile(text: &str, schema: &Schema) -> Result<Expr, FilterFault> {
    let fault = |error: DataFusionError| FilterFault::of(&error, text);
    let named = DFSchema::try_from(schema.clone()).map_err(fault)?;
    let ctx = SessionContext::new();
    let parsed = ctx.parse_sql_expr(text, &named).map_err(fault)?;
    let simplifier = ExprSimplifier::new(
        SimplifyContext::builder()
            .with_schema(Arc::new(named.clone()))
            .build(),
    );
    let coerced = simplifier.coerce(parsed, &named).map_err(fault)?;
    let data_type =
        datafusion::logical_expr::ExprSchemable::get_type(&coerced, &named).map_err(fault)?;
    if data_type != DataType::Boolean {
        return Err("a filter is a condition, true or false for each row"
            .to_owned()
            .into());
    }
    let folded = super::literals::fold(coerced, &named)?;
    refuse_partial(&folded, &named)?;
    Ok(folded)
}

fn refuse_partial(filter: &Expr, schema: &DFSchema) -> Result<(), String> {
    let mut wrong: Option<String> = None;
    let walked = filter.apply(|expr| {
        if let Some(reason) = partial(expr, schema) {
            wrong.get_or_insert(reason);
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match (walked, wrong) {
        (_, Some(reason)) => Err(reason),
        (Err(error), _) => Err(first_line(&error.to_string())),
        (Ok(_), None) => Ok(()),
    }
}

/// Why an expression might fail on some value, or might not be what it looks like, or `None`.
fn partial(expr: &Expr, schema: &DFSchema) -> Option<String> {
    // The parser takes all that follows for the right side, where SQL takes one value.
    if let Expr::BinaryExpr(BinaryExpr { op, right, .. }) = expr
        && matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
        && matches!(right.as_ref(), Expr::BinaryExpr(_) | Expr::Not(_))
    {
        return Some(format!(
            "`{}` would compare with a whole condition; put what is compared into parentheses, `(a IS DISTINCT FROM b) AND c`, \
             or write the condition first",
            first_line(&expr.to_string())
        ));
    }
    let allowed = match expr {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::InList(InList { .. })
        | Expr::TryCast(TryCast { .. }) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            super::pushdown::compares(*op) || matches!(op, Operator::And | Operator::Or)
        }
        Expr::Like(Like { pattern, .. }) => is_constant(pattern),
        Expr::ScalarFunction(function) => TOTAL_FUNCTIONS.contains(&function.name()),
        Expr::Cast(Cast { expr, field }) => widening(expr, field.data_type(), schema),
        _ => false,
    };
    (!allowed).then(|| {
        format!(
            "`{}` may fail on some row, and its failing would tell of hidden rows; use comparisons, IN, LIKE, BETWEEN, \
             IS NULL, AND, OR, NOT, TRY_CAST and functions such as lower",
            first_line(&expr.to_string())
        )
    })
}

/// A literal, or one that was given the type of the column beside it.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

/// A cast that the types alone make safe.
fn widening(from: &Expr, to: &DataType, schema: &DFSchema) -> bool {
    use DataType::{
        Boolean, Date32, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Utf8, Utf8View,
    };
    let Ok(from) = datafusion::logical_expr::ExprSchemable::get_type(from, schema) else {
        return false;
    };
    let text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    match (&from, to) {
        (a, b) if a == b => true,
        (_, b) if text(b) => text(&from) || from.is_numeric() || matches!(from, Boolean | Date32),
        (Int8 | Int16 | Int32, Int64) | (Int8 | Int16, Int32) | (Int8, Int16) => true,
        (Int8 | Int16 | Int32 | Int64 | Float32, Float64) => true,
        _ => false,
    }
}

pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, TimeUnit};

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("hosp", DataType::Utf8View, true),
            Field::new("age", DataType::Int32, true),
            Field::new("seen", DataType::Date32, true),
            Field::new(
                "born",
                DataType::Timestamp(TimeUnit::Microsecond, None),
                true,
            ),
        ])
    }

    #[test]
    fn conditions_that_always_have_an_answer_are_taken() {
        for filter in [
            "hosp = 'A'",
            "hosp LIKE 'A%' AND NOT (age BETWEEN 3 AND 17)",
            "lower(hosp) IN ('a', 'b') OR age IS NULL",
            "seen >= '2020-01-01'",
            "seen >= DATE '2020-01-01'",
            "TRY_CAST(hosp AS INT) = 3",
            "born > TIMESTAMP '1980-01-01 00:00:00'",
            "born > TIMESTAMP '9999-12-31 00:00:00'",
            "DATE '1980-01-01' <= born",
            "born > '1980-01-01'",
            "born BETWEEN '1980-01-01' AND TIMESTAMP '1990-01-01 12:00:00'",
            "born NOT IN (DATE '1980-01-01', '1990-01-01 12:00:00.5')",
            "seen >= TIMESTAMP '2020-01-01 00:00:00'",
            "age > 1.5",
            "age > 3 AND (hosp = 'A') IS DISTINCT FROM true",
            "(hosp IS NOT DISTINCT FROM 'A') AND age > 3",
        ] {
            assert_eq!(check_filter(filter, &schema()), Ok(()), "{filter}");
        }
    }

    /// A literal that fails with the first row tells whether there is one.
    #[test]
    fn literals_of_no_meaning_are_refused() {
        for (filter, says) in [
            ("seen >= '2020-13-01'", "2020-13-01"),
            ("age = 8 OR age = 'abc'", "abc"),
            ("age IN (1, 'abc')", "abc"),
            ("born > 'yesterday'", "yesterday"),
            ("born BETWEEN '1980-01-01' AND '1980-02-31'", "1980-02-31"),
            ("seen >= TIMESTAMP '2020-01-01 12:00:00'", "whole day"),
        ] {
            let said = check_filter(filter, &schema()).unwrap_err().to_string();
            assert!(said.contains(says), "{filter}: {said}");
        }
    }

    #[test]
    fn faults_are_in_the_words_of_queries_with_their_place() {
        for (filter, says, at) in [
            (
                "age = = 3",
                "syntax error: expected: an expression, found: =",
                Some(6),
            ),
            (
                "age = 3 AND ",
                "syntax error: expected: an expression, found: the end of the filter",
                Some(11),
            ),
            (
                "age = 3\n  AND hsp = 'A'",
                "no column named `hsp`; did you mean `hosp`?",
                Some(14),
            ),
            ("nosuch(age) = 3", "no function named `nosuch`", Some(0)),
            (
                "age IN (SELECT a FROM other)",
                "a filter is a condition on the columns of its own table, without subqueries",
                Some(22),
            ),
        ] {
            let fault = check_filter(filter, &schema()).unwrap_err();
            assert_eq!(
                (fault.to_string().as_str(), fault.at),
                (says, at),
                "{filter}"
            );
        }
    }

    #[test]
    fn conditions_that_may_fail_are_refused() {
        for filter in [
            "1/age > 2",
            "CAST(hosp AS INT) = 3",
            "hosp = 3",
            "age + 1 > 3",
            "age",
            "nobody = 3",
            "age IN (SELECT 1)",
            "random() > 0.5",
            "age >",
            "(hosp = 'A') IS DISTINCT FROM true AND age > 3",
            "hosp IS NOT DISTINCT FROM 'A' OR age > 3",
            "date_trunc('month', seen) = '2020-01-01'",
            "CAST(born AS DATE) = DATE '2020-01-01'",
        ] {
            assert!(check_filter(filter, &schema()).is_err(), "{filter}");
        }
    }
}
