//! `labs PIVOT (avg(value) FOR code IN ('a', 'b'))` and `labs UNPIVOT (value FOR name IN (a, b))`.
//!
//! The engine (DataFusion 55) plans neither. What they stand for is written in their place, with the names that DuckDB gives:
//!
//! ```sql
//! SELECT * EXCEPT (value, code), avg(value) FILTER (WHERE code = 'a') AS a, … FROM labs GROUP BY ALL
//!
//! SELECT * EXCEPT (a, b), unnest(['a', 'b']) AS name, unnest([a, b]) AS value FROM labs
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, NullInclusion, PivotValueSource, Query, SelectItem, SetExpr,
    TableAlias, TableFactor, TypedString, Value, VisitorMut, visit_expressions,
};

use crate::dialect::{filled, query};
use crate::selects::folded;

/// Writes pivoted tables as subqueries.
#[derive(Debug)]
pub(crate) struct Pivots;

impl VisitorMut for Pivots {
    type Break = DataFusionError;

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DataFusionError> {
        let written = match table {
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source: PivotValueSource::List(values),
                default_on_null,
                alias,
            } => shown_by_value(
                aggregate_functions,
                value_column,
                values,
                default_on_null.as_ref(),
            )
            .and_then(|(named, shown)| {
                derived("GROUP BY ALL", table, &named, shown, alias.clone())
            }),
            TableFactor::Pivot { .. } => {
                plan_err!("PIVOT needs its values one by one: write `FOR code IN ('a', 'b')`")
            }
            TableFactor::Unpivot {
                table,
                value: Expr::Identifier(value),
                name,
                columns,
                null_inclusion,
                alias,
            } => unpivoted(
                table,
                [name, value],
                columns,
                null_inclusion.as_ref(),
                alias.clone(),
            ),
            TableFactor::Unpivot { .. } => plan_err!(
                "UNPIVOT into several columns is not supported: join those of one column each"
            ),
            _ => return ControlFlow::Continue(()),
        };
        match written {
            Ok(written) => {
                *table = written;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// An expression, and what it is called.
type Called = (Expr, String);

/// The columns that a PIVOT names, which its groups are not by, and what it shows of each group: the calls by value, with their names.
fn shown_by_value(
    calls: &[ExprWithAlias],
    keys: &[Expr],
    values: &[ExprWithAlias],
    default_on_null: Option<&Expr>,
) -> Result<(Vec<String>, Vec<Called>)> {
    let called = calls.iter().map(|call| &call.expr);
    let named: Vec<String> = called.chain(keys).flat_map(columns).collect();
    let apart = calls.len() > 1;
    let mut shown = Vec::new();
    for value in values {
        let parts = match &value.expr {
            Expr::Tuple(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        if parts.len() != keys.len() {
            return plan_err!(
                "PIVOT compares {} columns with {} values",
                keys.len(),
                parts.len()
            );
        }
        let mut holds = Vec::new();
        for (key, part) in keys.iter().zip(parts) {
            holds.push(match part {
                Expr::Value(null) if null.value == Value::Null => {
                    filled("$1 IS NULL", std::slice::from_ref(key))?
                }
                _ => filled("$1 = $2", &[key.clone(), part.clone()])?,
            });
        }
        for call in calls {
            let Expr::Function(function) = &call.expr else {
                return plan_err!(
                    "PIVOT needs aggregates before FOR: write `PIVOT (avg(value) FOR …)`"
                );
            };
            let mut function = function.clone();
            let conditions: Vec<Expr> = function
                .filter
                .take()
                .map(|filter| *filter)
                .into_iter()
                .chain(holds.iter().cloned())
                .collect();
            let all: Vec<String> = (1..=conditions.len()).map(|at| format!("${at}")).collect();
            function.filter = Some(Box::new(filled(&all.join(" AND "), &conditions)?));
            let expr = match default_on_null {
                Some(other) => filled(
                    "coalesce($1, $2)",
                    &[Expr::Function(function), other.clone()],
                )?,
                None => Expr::Function(function),
            };
            let words: Vec<String> = parts.iter().map(text).collect();
            let mut name = match &value.alias {
                Some(alias) => folded(alias),
                None => words.join("_"),
            };
            if let Some(alias) = &call.alias {
                name = format!("{name}_{}", folded(alias));
            } else if apart {
                name = format!("{name}_{}", call.expr.to_string().to_lowercase());
            }
            shown.push((expr, name));
        }
    }
    Ok((named, shown))
}

/// One row for each of the columns.
fn unpivoted(
    table: &TableFactor,
    [name, value]: [&Ident; 2],
    given: &[ExprWithAlias],
    null_inclusion: Option<&NullInclusion>,
    alias: Option<TableAlias>,
) -> Result<TableFactor> {
    let words = given.iter().map(|ExprWithAlias { expr, alias }| {
        let word = match (alias, expr) {
            // A value of the rows, and no name.
            (Some(alias), _) => alias.value.clone(),
            (None, Expr::Identifier(column)) => folded(column),
            (None, expr) => expr.to_string(),
        };
        Expr::value(Value::SingleQuotedString(word))
    });
    let exprs: Vec<Expr> = given.iter().map(|given| given.expr.clone()).collect();
    let words: Vec<Expr> = words.collect();
    let places: Vec<String> = (1..=given.len()).map(|at| format!("${at}")).collect();
    let list = format!("unnest(make_array({}))", places.join(", "));
    let shown = vec![
        (filled(&list, &words)?, folded(name)),
        (filled(&list, &exprs)?, folded(value)),
    ];
    let named: Vec<String> = exprs.iter().flat_map(columns).collect();
    let mut all = derived("", table, &named, shown, alias)?;
    if let (TableFactor::Derived { subquery, .. }, None | Some(NullInclusion::ExcludeNulls)) =
        (&mut all, null_inclusion)
    {
        let mut known = query(&format!(
            "SELECT * FROM (SELECT 1) WHERE {value} IS NOT NULL"
        ))?;
        if let Some(within) = first_table(&mut known) {
            std::mem::swap(within, subquery);
            **subquery = known;
        }
    }
    Ok(all)
}

/// A query of a table's other columns and of these.
fn derived(
    ending: &str,
    table: &TableFactor,
    named: &[String],
    shown: Vec<Called>,
    alias: Option<TableAlias>,
) -> Result<TableFactor> {
    let named: BTreeSet<&String> = named.iter().collect();
    let named: Vec<&str> = named.into_iter().map(String::as_str).collect();
    let sql = format!(
        "SELECT * EXCEPT ({}) FROM (SELECT 1) {ending}",
        named.join(", ")
    );
    let mut subquery = query(&sql)?;
    if let SetExpr::Select(select) = subquery.body.as_mut() {
        let shown = shown.into_iter().map(|(expr, name)| {
            let alias = Ident::with_quote('"', name);
            SelectItem::ExprWithAlias { expr, alias }
        });
        select.projection.extend(shown);
        if let [from] = select.from.as_mut_slice() {
            from.relation = table.clone();
        }
    }
    Ok(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias,
        sample: None,
    })
}

fn first_table(query: &mut Query) -> Option<&mut Box<Query>> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    match &mut select.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => Some(subquery),
        _ => None,
    }
}

/// The columns that an expression names.
fn columns(expr: &Expr) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // The visitor never breaks off.
    let _ = visit_expressions(expr, |expr| {
        let column = match expr {
            Expr::Identifier(column) => Some(column),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        found.extend(column.map(|column| Ident::with_quote('"', folded(column)).to_string()));
        ControlFlow::<()>::Continue(())
    });
    found
}

/// A value as it is a column's name.
fn text(value: &Expr) -> String {
    let literal = match value {
        Expr::Value(value) | Expr::TypedString(TypedString { value, .. }) => &value.value,
        other => return other.to_string(),
    };
    match literal {
        Value::SingleQuotedString(text) | Value::Number(text, _) => text.clone(),
        Value::Boolean(truth) => truth.to_string(),
        other => other.to_string(),
    }
}
