//! A query in words by which it is known again: no other one has the same.
//!
//! The engine writes texts and names as they are. A text with a quote in it can read like two texts, and a name like an
//! expression; long bytes are cut. Here literals and names stand as their hashes.

use datafusion::catalog::MemTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, internal_err};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, lit};
use datafusion_proto::bytes::Serializeable;

use super::private::encoded;

/// A plan in words, with what the engine's words leave out: rows that the query wrote itself, those of functions of the
/// vocabulary, and the filters of aggregates.
pub(super) fn described(plan: &LogicalPlan) -> Result<String> {
    let mut parts = Vec::new();
    plan.apply(|node| {
        parts.push(node.display().to_string());
        parts.push(format!(
            "{} {}",
            node.inputs().len(),
            node.schema().fields().len()
        ));
        match node {
            LogicalPlan::Join(join) => parts.push(format!(
                "{:?} {:?} {:?} {}",
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.on.len()
            )),
            LogicalPlan::Distinct(Distinct::On(on)) => {
                parts.push(format!("{} {}", on.on_expr.len(), on.select_expr.len()));
            }
            LogicalPlan::Aggregate(aggregate) => parts.push(aggregate.group_expr.len().to_string()),
            LogicalPlan::Unnest(unnest) => parts.push(format!("{:?}", unnest.options)),
            LogicalPlan::TableScan(scan) if scan.table_name.table().ends_with("()") => {
                let provider = source_as_provider(&scan.source)?;
                if let Some(table) = provider.downcast_ref::<MemTable>() {
                    parts.push(digest(table)?);
                }
            }
            _ => {}
        }
        for expr in node.expressions() {
            parts.push(exact(&expr)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(hashed(&parts))
}

/// An expression in words.
pub(super) fn exact(expr: &Expr) -> Result<String> {
    let mut parts = Vec::new();
    expr.apply(|part| {
        // The engine writes `(a OR b) IS FALSE` and `a OR (b IS FALSE)` alike: what has how many parts tells them apart.
        let mut within = 0_usize;
        part.apply_children(|_| {
            within += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        parts.push(format!("{} {within}", part.variant_name()));
        match part {
            Expr::BinaryExpr(binary) => parts.push(binary.op.to_string()),
            Expr::ScalarFunction(call) => parts.push(call.name().to_owned()),
            Expr::Cast(cast) => parts.push(format!("{:?}", cast.field.data_type())),
            Expr::TryCast(cast) => parts.push(format!("{:?}", cast.field.data_type())),
            Expr::AggregateFunction(function) => {
                let params = &function.params;
                parts.push(format!(
                    "{} {:?} {}",
                    params.distinct,
                    params.null_treatment,
                    params.args.len()
                ));
                for sort in &params.order_by {
                    parts.push(format!("{} {}", sort.asc, sort.nulls_first));
                    parts.push(exact(&sort.expr)?);
                }
                parts.push(match &params.filter {
                    Some(filter) => exact(filter)?,
                    None => String::new(),
                });
            }
            Expr::WindowFunction(function) => {
                let params = &function.params;
                parts.push(format!(
                    "{} {:?} {:?} {} {} {}",
                    params.distinct,
                    params.null_treatment,
                    params.window_frame,
                    params.args.len(),
                    params.partition_by.len(),
                    params.order_by.len()
                ));
                parts.push(match &params.filter {
                    Some(filter) => exact(filter)?,
                    None => String::new(),
                });
            }
            Expr::Exists(Exists { subquery, .. })
            | Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::SetComparison(SetComparison { subquery, .. })
            | Expr::ScalarSubquery(subquery) => {
                parts.push(described(&subquery.subquery)?);
                for outer in &subquery.outer_ref_columns {
                    parts.push(exact(outer)?);
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let named = expr.clone().transform(|part| {
        Ok(match part {
            Expr::Literal(value, _) => {
                let kind = format!("{:?}", value.data_type());
                Transformed::yes(lit(hashed(&[kind, written(&value)])))
            }
            Expr::Column(column) => Transformed::yes(Expr::Column(renamed(&column))),
            Expr::OuterReferenceColumn(field, column) => {
                Transformed::yes(Expr::OuterReferenceColumn(field, renamed(&column)))
            }
            Expr::Alias(mut alias) => {
                alias.name = hashed(&[format!("{:?}", alias.relation), alias.name]);
                alias.relation = None;
                Transformed::yes(Expr::Alias(alias))
            }
            Expr::LambdaVariable(mut variable) => {
                variable.name = hashed(&[variable.name]);
                Transformed::yes(Expr::LambdaVariable(variable))
            }
            Expr::Lambda(mut lambda) => {
                for name in &mut lambda.params {
                    *name = hashed(&[std::mem::take(name)]);
                }
                Transformed::yes(Expr::Lambda(lambda))
            }
            other => Transformed::no(other),
        })
    })?;
    parts.push(named.data.to_string());
    Ok(hashed(&parts))
}

fn renamed(column: &Column) -> Column {
    let relation = format!("{:?}", column.relation);
    Column::new_unqualified(hashed(&[relation, column.name.clone()]))
}

/// A value in words, none of it left out.
pub(super) fn written(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => {
            format!("{:?} {bytes:02x?}", value.data_type())
        }
        value if value.data_type().is_nested() => {
            let bytes = Expr::Literal(value.clone(), None).to_bytes();
            bytes.map_or_else(
                |_| format!("{value:?}"),
                |bytes| blake3::hash(&bytes).to_hex().to_string(),
            )
        }
        value => format!("{value:?}"),
    }
}

/// A short name of words.
pub(super) fn hashed<T: AsRef<str>>(words: &[T]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in words {
        let part = part.as_ref();
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn digest(table: &MemTable) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for partition in &table.batches {
        let Ok(batches) = partition.try_read() else {
            return internal_err!("a table of constants is being written to");
        };
        for batch in batches.iter() {
            hasher.update(&encoded(batch)?);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use datafusion::logical_expr::not;
    use datafusion::prelude::{SessionContext, col};

    use super::*;

    async fn of(sql: &str) -> String {
        let ctx = SessionContext::new();
        let table = "CREATE TABLE t AS SELECT 'a' AS x, 1 AS n, x'00' AS b";
        ctx.sql(table).await.unwrap().collect().await.unwrap();
        let plan = ctx.sql(sql).await.unwrap().into_unoptimized_plan();
        described(&plan).unwrap()
    }

    #[tokio::test]
    async fn texts_do_not_read_like_others() {
        for (one, other) in [
            (
                r#"SELECT n FROM t WHERE x NOT IN ('A', 'b', 'C')"#,
                r#"SELECT n FROM t WHERE x NOT IN ('A"), Utf8("b', 'C')"#,
            ),
            (
                "SELECT n FROM t WHERE b = x'000102030405060708090a0b'",
                "SELECT n FROM t WHERE b = x'000102030405060708090a0c'",
            ),
            (
                r#"SELECT count(*) FILTER (WHERE x = 'A' OR x = 'B') FROM t"#,
                r#"SELECT count(*) FILTER (WHERE x = 'A") OR t.x = Utf8("B') FROM t"#,
            ),
            (
                r#"SELECT * FROM (SELECT x, n AS y FROM t) AS s"#,
                r#"SELECT * FROM (SELECT x AS "x, t.n AS y" FROM t) AS s"#,
            ),
            (
                "SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.x = 'A')",
                "SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.x = 'B')",
            ),
            (
                "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.x = 'A')) FROM t",
                "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.x = 'B')) FROM t",
            ),
            (
                "SELECT n FROM t JOIN (VALUES ('A'), ('B')) AS v(y) ON v.y = t.x",
                r#"SELECT n FROM t JOIN (VALUES ('A")), (Utf8("B')) AS v(y) ON v.y = t.x"#,
            ),
        ] {
            assert_ne!(of(one).await, of(other).await, "{one}");
            assert_eq!(of(one).await, of(one).await, "{one}");
        }
    }

    #[test]
    fn filters_do_not_read_like_others() {
        let or = |a: Expr, b: Expr| a.or(b);
        let [a, b, c] = ["a", "b", "c"].map(col);
        let pairs = [
            (
                or(a.clone(), b.clone()).is_false(),
                or(a.clone(), b.clone().is_false()),
            ),
            (
                or(a.clone(), b.clone()).is_null(),
                or(a.clone(), b.clone().is_null()),
            ),
            (not(a.clone()).and(b.clone()), not(a.clone().and(b.clone()))),
            (a.clone().eq(b.clone()).eq(c.clone()), a.eq(b.eq(c))),
        ];
        for (one, other) in pairs {
            assert_ne!(exact(&one).unwrap(), exact(&other).unwrap(), "{one}");
        }
        let either = col("x").eq(lit("A")).or(col("x").eq(lit("B")));
        let forged = col("x").eq(lit(r#"A") OR x = Utf8("B"#));
        assert_ne!(exact(&either).unwrap(), exact(&forged).unwrap());
        assert_ne!(
            exact(&col("a + b")).unwrap(),
            exact(&(col("a") + col("b"))).unwrap()
        );
        assert_ne!(exact(&lit(1_i32)).unwrap(), exact(&lit(1_i64)).unwrap());
        let bytes =
            |last: u8| ScalarValue::Binary(Some(vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, last]));
        assert_ne!(written(&bytes(1)), written(&bytes(2)));
    }
}
