//! Subqueries that aggregate all of their rows: `EXISTS (SELECT 1 … HAVING count(*) = 0)`, `0 IN (SELECT count(*) …)`.
//!
//! They have a row where there is nothing to aggregate. The engine (DataFusion 55) joins what EXISTS and IN ask for by its outer
//! columns, and has no row where it has none; as values they are right.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, visit_expressions,
};

use crate::dialect::{filled, is_call_of};

/// `x IN (SELECT max(y) …)` as a comparison with the one row that there always is.
pub(crate) fn compared(value: &Expr, subquery: &Query, negated: bool) -> Expr {
    Expr::BinaryOp {
        left: Box::new(value.clone()),
        op: match negated {
            true => BinaryOperator::NotEq,
            false => BinaryOperator::Eq,
        },
        right: Box::new(Expr::Subquery(Box::new(subquery.clone()))),
    }
}

/// Whether a query is an aggregate of all rows, which has one row whatever there are.
pub(crate) fn is_one_value(query: &Query) -> bool {
    let Some(select) = of_all(query) else {
        return false;
    };
    let aggregate = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    };
    select.having.is_none() && matches!(select.projection.as_slice(), [item] if aggregate(item))
}

/// Whether HAVING holds of all rows, where a query says that and nothing else.
pub(crate) fn having_of_all(query: &Query) -> Option<Query> {
    let having = of_all(query)?.having.clone()?;
    if !aggregates(&having) {
        return None;
    }
    let mut query = query.clone();
    query.order_by = None;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.having = None;
        let holds = filled("CASE WHEN $1 THEN TRUE ELSE FALSE END", &[having]).ok()?;
        select.projection = vec![SelectItem::UnnamedExpr(holds)];
    }
    Some(query)
}

/// A SELECT that makes no groups and leaves out no row of its result.
fn of_all(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let no_groups = matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
    let plain = query.limit_clause.is_none() && query.fetch.is_none() && select.qualify.is_none();
    (no_groups && plain).then_some(select.as_ref())
}

/// Whether an expression holds one of the usual aggregates, before any subquery, which may have its own.
fn aggregates(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Function(call)
            if call.over.is_none()
                && ["avg", "count", "max", "min", "sum"]
                    .iter()
                    .any(|name| is_call_of(call, name)) =>
        {
            ControlFlow::Break(true)
        }
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break(false)
        }
        _ => ControlFlow::Continue(()),
    });
    found == ControlFlow::Break(true)
}
