//! Parts of a SELECT in the engine's words: FETCH FIRST, ORDER BY ALL, GROUP BY … WITH ROLLUP, columns of one name,
//! `(a, b) IN (SELECT …)`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, GroupByWithModifier, Ident, LimitClause, ObjectName,
    OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor,
    TableWithJoins, Value, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
    visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::dialect::filled;
use crate::joins::OutsideSubqueries;

/// Writes SELECTs so that they can be planned.
#[derive(Debug)]
pub(crate) struct Selects;

impl VisitorMut for Selects {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        limit(query);
        order_by_all(query);
        order_by_windows(query);
        match each_select(&mut query.body, &mut written) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The SELECTs that a query's rows come from, one after the other.
///
/// # Errors
/// When one fails.
pub(crate) fn each_select(
    body: &mut SetExpr,
    each: &mut impl FnMut(&mut Select) -> Result<()>,
) -> Result<()> {
    match body {
        SetExpr::Select(select) => each(select),
        SetExpr::SetOperation { left, right, .. } => {
            each_select(left, each)?;
            each_select(right, each)
        }
        _ => Ok(()),
    }
}

fn written(select: &mut Select) -> Result<()> {
    // `FROM t` is all of it.
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.flavor = SelectFlavor::Standard;
        let all = WildcardAdditionalOptions::default();
        select.projection = vec![SelectItem::Wildcard(all)];
    }
    numbers(select)?;
    groups_by_number(select);
    grouping_sets(select)?;
    again_beside_all(select);
    name_apart(select);
    for early in [&mut select.selection, &mut select.having] {
        without_windows(early)?;
    }
    select.selection.as_mut().map_or(Ok(()), condition)
}

/// Refuses windows in WHERE and HAVING.
fn without_windows(condition: &mut Option<Expr>) -> Result<()> {
    let mut found = false;
    let mut windows = OutsideSubqueries::new(|expr| {
        found |= matches!(expr, Expr::Function(function) if function.over.is_some());
    });
    // The visitor never breaks off.
    let _ = condition.visit(&mut windows);
    match found {
        true => plan_err!(
            "a window function comes after WHERE and HAVING: write the condition after QUALIFY"
        ),
        false => Ok(()),
    }
}

/// Names columns apart that are one expression in this engine's words: `month(day)` and `date_part('month', day)`.
#[derive(Debug)]
pub(crate) struct NamesApart;

impl VisitorMut for NamesApart {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let apart = each_select(&mut query.body, &mut |select| {
            name_apart(select);
            Ok(())
        });
        apart.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

/// Gives every column that is no column of a table a name, which is its text, and the second of two that are called the same a name of
/// its own.
#[derive(Debug)]
pub(crate) struct NamesGiven;

impl VisitorMut for NamesGiven {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let given = each_select(&mut query.body, &mut |select| {
            let mut columns = HashSet::new();
            for item in &mut select.projection {
                let SelectItem::UnnamedExpr(expr) = item else {
                    continue;
                };
                let column = match expr {
                    Expr::Identifier(name) => Some(folded(name)),
                    Expr::CompoundIdentifier(names) => names.last().map(folded),
                    _ => None,
                };
                *item = match column {
                    Some(column) if columns.insert(column.clone()) => continue,
                    Some(column) => SelectItem::ExprWithAlias {
                        alias: Ident::with_quote('"', format!("{column}_1")),
                        expr: expr.clone(),
                    },
                    None => named_by_text(expr.clone(), expr),
                };
            }
            name_apart(select);
            Ok(())
        });
        given.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

/// A column under the name that another expression's column has.
pub(crate) fn named_by_text(expr: Expr, named: &Expr) -> SelectItem {
    let name = name_of(named).replace('"', "");
    SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', name),
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn limit(query: &mut Query) {
    let Some(fetch) = query
        .fetch
        .take_if(|fetch| !fetch.with_ties && !fetch.percent)
    else {
        return;
    };
    let rows = fetch.quantity.clone();
    let rows = rows.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(rows),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(LimitClause::LimitOffset {
            limit: limit @ None,
            ..
        }) => *limit = Some(rows),
        // Both: the engine says what is wrong.
        Some(_) => query.fetch = Some(fetch),
    }
}

/// `ORDER BY ALL` is by every column that is named, from left to right.
fn order_by_all(query: &mut Query) {
    let columns = columns(&query.body);
    let Some(OrderByKind::Expressions(by)) = query.order_by.as_mut().map(|order| &mut order.kind)
    else {
        return;
    };
    if let ([all], Some(columns)) = (by.as_slice(), columns)
        && matches!(&all.expr, Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("all"))
    {
        let place = |place: usize| Expr::value(Value::Number(place.to_string(), false));
        *by = (1..=columns)
            .map(|at| OrderByExpr {
                expr: place(at),
                ..all.clone()
            })
            .collect();
    }
}

/// How many columns there are, where no `*` stands for some.
fn columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let named = |item: &SelectItem| {
                matches!(
                    item,
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                )
            };
            let all = select.projection.iter().all(named);
            all.then_some(select.projection.len())
        }
        SetExpr::SetOperation { left, .. } => columns(left),
        _ => None,
    }
}

/// `GROUP BY a, b WITH ROLLUP`, whose last words the engine passes over, is `GROUP BY ROLLUP (a, b)`. In such sets a
/// place in the SELECT list stands for what is there.
fn grouping_sets(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(by, with) = &mut select.group_by else {
        return Ok(());
    };
    let sets = match with.as_slice() {
        [] => None,
        [GroupByWithModifier::Rollup] => Some(Expr::Rollup as fn(_) -> _),
        [GroupByWithModifier::Cube] => Some(Expr::Cube as fn(_) -> _),
        _ => return plan_err!("of the words after GROUP BY there are WITH ROLLUP and WITH CUBE"),
    };
    if let Some(sets) = sets {
        with.clear();
        *by = vec![sets(by.drain(..).map(|expr| vec![expr]).collect())];
    }
    let sets = by.iter_mut().filter_map(|expr| match expr {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => Some(sets),
        _ => None,
    });
    for expr in sets.flatten().flatten() {
        let Expr::Value(value) = &*expr else { continue };
        let Value::Number(place, _) = &value.value else {
            continue;
        };
        let at = place.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
        *expr = match at.and_then(|at| select.projection.get(at)) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                expr.clone()
            }
            _ => return plan_err!("GROUP BY: the SELECT list names no column at place {place}"),
        };
    }
    Ok(())
}

/// Whether a key of GROUP BY is the name or the place of a column.
pub(crate) fn is_of(key: &Expr, at: usize, column: &SelectItem) -> bool {
    match (key, column) {
        (Expr::Identifier(name), SelectItem::ExprWithAlias { alias, .. }) => {
            folded(name) == folded(alias)
        }
        (Expr::Value(place), _) => place.to_string() == (at + 1).to_string(),
        _ => false,
    }
}

/// Refuses `1_000`, which the parser takes for a 1 with the name `_000`.
fn numbers(select: &Select) -> Result<()> {
    for item in &select.projection {
        if let SelectItem::ExprWithAlias {
            expr: Expr::Value(value),
            alias,
        } = item
            && let Value::Number(number, _) = &value.value
            && alias.quote_style.is_none()
            && let Some(rest) = alias.value.strip_prefix('_')
            && rest.chars().all(|c| c.is_ascii_digit() || c == '_')
        {
            return plan_err!(
                "write the number without `_`: `{number}{}`",
                rest.replace('_', "")
            );
        }
    }
    Ok(())
}

/// `SELECT 5 AS arm, count(*) FROM person GROUP BY arm`: the engine takes what `arm` stands for to be a column's place.
fn groups_by_number(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else {
        return;
    };
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { expr, alias } = item
            && matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
            && keys
                .iter()
                .any(|key| matches!(key, Expr::Identifier(name) if folded(name) == folded(alias)))
            && let Ok(number) = filled("CAST($1 AS BIGINT)", std::slice::from_ref(expr))
            && !expr.to_string().contains(['.', 'e', 'E'])
        {
            *expr = number;
        }
    }
}

/// Windows of groups that are ordered by, under names: the engine does not find the groups' columns in them by their place.
fn order_by_windows(query: &mut Query) {
    let (SetExpr::Select(select), Some(order)) = (query.body.as_mut(), &mut query.order_by) else {
        return;
    };
    let OrderByKind::Expressions(by) = &mut order.kind else {
        return;
    };
    if matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty()) {
        return;
    }
    for by in by {
        let place = match &by.expr {
            Expr::Value(value) => value.to_string().parse::<usize>().ok(),
            _ => None,
        };
        let item = place.and_then(|place| select.projection.get_mut(place.checked_sub(1)?));
        let Some(item) = item else {
            continue;
        };
        if let SelectItem::UnnamedExpr(expr) = item
            && has_window(expr)
        {
            let alias = Ident::with_quote('"', expr.to_string().replace('"', ""));
            by.expr = Expr::Identifier(alias.clone());
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// Whether an expression is of a window.
pub(crate) fn has_window(expr: &Expr) -> bool {
    visit_expressions(expr, |expr| match expr {
        Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// `SELECT *, person_id FROM death`: a column that is among all of them once more, under another name.
fn again_beside_all(select: &mut Select) {
    let one_table = select.from.len() == 1 && select.from.iter().all(|from| from.joins.is_empty());
    let none = WildcardAdditionalOptions::default();
    let plain = |options: &WildcardAdditionalOptions| {
        WildcardAdditionalOptions {
            wildcard_token: options.wildcard_token.clone(),
            ..none.clone()
        } == *options
    };
    let (mut all, mut tables) = (false, HashSet::new());
    for item in &mut select.projection {
        let (column, table): (&Ident, Option<String>) = match item {
            SelectItem::Wildcard(options) => {
                all |= plain(options);
                continue;
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                all |= one_table && plain(options);
                tables.extend(plain(options).then(|| kind.to_string().to_lowercase()));
                continue;
            }
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => (&*column, None),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.as_slice() {
                [table, column] => (column, Some(format!("{table}.*").to_lowercase())),
                _ => continue,
            },
            _ => continue,
        };
        if all || table.is_some_and(|table| tables.contains(&table)) {
            let alias = Ident::with_quote('"', format!("{}_1", folded(column)));
            if let SelectItem::UnnamedExpr(expr) = item {
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
    }
}

/// Gives every later column of a name that is taken the name and a number: `count(*)_1`.
fn name_apart(select: &mut Select) {
    let mut taken = HashSet::new();
    for item in &mut select.projection {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => name_of(expr),
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => continue,
        };
        // A column has its table beside its name: only the same one is taken.
        let column = matches!(
            item,
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        );
        if taken.insert((column, name.clone())) {
            continue;
        }
        let name = name.rsplit('.').next().filter(|_| column).unwrap_or(&name);
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let free = numbered.into_iter().find(|name| {
            !taken.contains(&(true, name.clone())) && taken.insert((false, name.clone()))
        });
        let Some(free) = free else { continue };
        let free = Ident::with_quote('"', free);
        match item {
            SelectItem::UnnamedExpr(expr) => {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: free,
                };
            }
            SelectItem::ExprWithAlias { alias, .. } => *alias = free,
            _ => {}
        }
    }
}

/// A name as the engine looks it up.
pub(crate) fn folded(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}

/// The name of a column without one: its text, in which a subquery goes by the name of its own column.
fn name_of(expr: &Expr) -> String {
    let mut expr = expr.clone();
    // The visitor never breaks off.
    let _ = visit_expressions_mut(&mut expr, |expr| {
        if let Expr::Subquery(query) = expr
            && let SetExpr::Select(select) = query.body.as_ref()
            && let [item] = select.projection.as_slice()
        {
            let name = match item {
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                    parts.last().map(folded)
                }
                SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
                SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
                _ => None,
            };
            if let Some(name) = name {
                *expr = Expr::Identifier(Ident::new(name));
            }
        }
        match expr {
            Expr::Function(function) => function.name = lower(&function.name),
            Expr::Identifier(name) if name.quote_style.is_none() => name.value = folded(name),
            _ => {}
        }
        // Parentheses around one thing are no part of a name.
        if let Expr::Nested(inner) = expr
            && matches!(
                inner.as_ref(),
                Expr::Identifier(_)
                    | Expr::CompoundIdentifier(_)
                    | Expr::Value(_)
                    | Expr::Function(_)
            )
        {
            *expr = inner.as_ref().clone();
        }
        ControlFlow::<()>::Continue(())
    });
    expr.to_string()
}

/// A function's name as the engine looks it up.
fn lower(name: &ObjectName) -> ObjectName {
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    ObjectName::from(
        parts
            .map(|part| Ident::new(folded(part)))
            .collect::<Vec<_>>(),
    )
}

/// Writes `(a, b) IN (SELECT …)` as EXISTS where false is as good as NULL: in a condition, and in no NOT.
fn condition(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Nested(inner) => condition(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => {
            condition(left)?;
            condition(right)
        }
        Expr::InSubquery {
            expr: values,
            subquery,
            negated: false,
        } => {
            if let Expr::Tuple(values) = values.as_ref() {
                *expr = exists(values, subquery)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn exists(values: &[Expr], subquery: &mut Query) -> Result<Expr> {
    if let Some(columns) = columns(&subquery.body).filter(|columns| *columns != values.len()) {
        let several = if columns == 1 { "" } else { "s" };
        return plan_err!(
            "{} values are compared with {columns} column{several}: `(a, b) IN (SELECT x, y …)` has as many of both",
            values.len()
        );
    }
    let columns: Vec<String> = (1..=values.len())
        .map(|at| format!("__among_{at}"))
        .collect();
    let skeleton = format!(
        "EXISTS (SELECT 1 FROM (SELECT 1) AS __among({}))",
        columns.join(", ")
    );
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(&skeleton)?;
    let mut exists = parser.parse_expr()?;
    if let Expr::Exists { subquery: test, .. } = &mut exists
        && let SetExpr::Select(select) = test.body.as_mut()
        && let [
            TableWithJoins {
                relation: TableFactor::Derived { subquery: rows, .. },
                ..
            },
        ] = select.from.as_mut_slice()
    {
        std::mem::swap(rows.as_mut(), subquery);
        let equal = columns
            .iter()
            .zip(values)
            .map(|(column, value)| Expr::BinaryOp {
                left: Box::new(Expr::Identifier(Ident::new(column))),
                op: BinaryOperator::Eq,
                right: Box::new(value.clone()),
            });
        select.selection = equal.reduce(|all, one| Expr::BinaryOp {
            left: Box::new(all),
            op: BinaryOperator::And,
            right: Box::new(one),
        });
    }
    Ok(exists)
}
