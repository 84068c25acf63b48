//! `ARRAY(SELECT x … ORDER BY y)`: the list of a subquery's values, in its order.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value,
};

use super::query;
use crate::selects::folded;

/// An aggregate of the values. An aggregate knows no order of its rows but its own: what they are ordered by comes with them.
///
/// # Errors
/// When they are ordered by what cannot come with them.
pub(super) fn listed(rows: &Query) -> Result<Expr> {
    let mut rows = rows.clone();
    let keys = keys(&mut rows)?;
    let mut columns = vec!["value".to_owned()];
    let added = keys.iter().map(|key| key.expr.to_string());
    columns.extend(added.filter(|column| column != "value"));
    let by: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let by = match by.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", by.join(", ")),
    };
    let columns = columns.join(", ");
    let mut list = query(&format!(
        "SELECT coalesce(array_agg(value{by}), make_array()) FROM (SELECT 1) AS t({columns})"
    ))?;
    if let SetExpr::Select(select) = list.body.as_mut()
        && let Some(TableFactor::Derived { subquery, .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
    {
        **subquery = rows;
    }
    Ok(Expr::Subquery(Box::new(list)))
}

/// What a subquery's rows are ordered by, as columns: its one, `value`, or further ones that it is given.
fn keys(rows: &mut Query) -> Result<Vec<OrderByExpr>> {
    let Some(OrderByKind::Expressions(by)) = rows.order_by.as_mut().map(|order| &mut order.kind)
    else {
        return Ok(Vec::new());
    };
    let mut keys = Vec::with_capacity(by.len());
    for (at, key) in by.iter().enumerate() {
        let column = match column_of(&mut rows.body, &key.expr)? {
            None => "value".to_owned(),
            Some(select) => {
                let name = format!("key_{at}");
                select.projection.push(SelectItem::ExprWithAlias {
                    expr: key.expr.clone(),
                    alias: Ident::new(&name),
                });
                name
            }
        };
        keys.push(OrderByExpr {
            expr: Expr::Identifier(Ident::new(column)),
            ..key.clone()
        });
    }
    // Which rows there are is by the order only where some are left out.
    if rows.limit_clause.is_none() && rows.fetch.is_none() {
        rows.order_by = None;
    }
    Ok(keys)
}

/// The SELECT that can show what its rows are ordered by; none where that is its value.
fn column_of<'a>(body: &'a mut SetExpr, key: &Expr) -> Result<Option<&'a mut Select>> {
    if let Expr::Value(place) = key
        && let Value::Number(place, _) = &place.value
    {
        return match place.as_str() {
            "1" => Ok(None),
            _ => plan_err!("ORDER BY {place}: `ARRAY(SELECT …)` is of one column"),
        };
    }
    if first_item(body).is_some_and(|item| is_called(item, key)) {
        return Ok(None);
    }
    match body {
        SetExpr::Select(select) if select.distinct.is_none() => Ok(Some(select)),
        _ => plan_err!(
            "`ARRAY(SELECT DISTINCT …)`, and that of several SELECTs, is ordered by its values only: write `ORDER BY 1`"
        ),
    }
}

fn first_item(body: &SetExpr) -> Option<&SelectItem> {
    match body {
        SetExpr::Select(select) => select.projection.first(),
        SetExpr::SetOperation { left, .. } => first_item(left),
        SetExpr::Query(query) => first_item(&query.body),
        _ => None,
    }
}

/// Whether a key is what a SELECT shows, or its name.
fn is_called(item: &SelectItem, key: &Expr) -> bool {
    let named = |name: &Ident| matches!(key, Expr::Identifier(key) if folded(key) == folded(name));
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
            if parts.last().is_some_and(named) =>
        {
            true
        }
        SelectItem::UnnamedExpr(expr) => expr == key,
        SelectItem::ExprWithAlias { expr, alias } => named(alias) || expr == key,
        _ => false,
    }
}
