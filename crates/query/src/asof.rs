//! `visits ASOF JOIN labs ON visits.person_id = labs.person_id AND visits.day >= labs.day`: of the rows that match, the nearest.
//!
//! The parser (sqlparser 0.62) knows Snowflake's form only, which names what is compared in a clause of its own. DuckDB's is a
//! join like others; it is read as one with a mark (see [`crate::unread`]), and planned as the subquery that it stands for.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query,
    Select, SetExpr, TableAlias, TableFactor, Value, VisitorMut, visit_expressions,
};

use crate::dialect::query;
use crate::joins::{name, of, same};
use crate::selects::each_select;

/// Writes as-of joins as subqueries.
#[derive(Debug)]
pub(crate) struct AsOf;

impl VisitorMut for AsOf {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        match each_select(&mut query.body, &mut nearest_rows) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn nearest_rows(select: &mut Select) -> Result<()> {
    for tables in &mut select.from {
        let first = name(&tables.relation).filter(|_| tables.joins.len() == 1);
        for join in tables.joins.iter_mut().filter(|join| join.global) {
            nearest(join, first.as_ref())?;
        }
    }
    Ok(())
}

/// Makes a join of it with the nearest row.
fn nearest(join: &mut Join, first: Option<&Ident>) -> Result<()> {
    let (on, left) = match &join.join_operator {
        JoinOperator::Join(on) | JoinOperator::Inner(on) => (on, false),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, true),
        _ => return plan_err!("ASOF RIGHT and FULL JOIN are not supported"),
    };
    let Some(table) = name(&join.relation) else {
        return plan_err!("ASOF JOIN needs a name for the table on its right: write `AS b`");
    };
    let (condition, columns) = match on {
        JoinConstraint::On(condition) => (condition.clone(), Vec::new()),
        JoinConstraint::Using(names) => {
            let columns: Vec<&Ident> = names
                .iter()
                .filter_map(|name| name.0.last()?.as_ident())
                .collect();
            let Some(first) = first else {
                return plan_err!(
                    "ASOF JOIN … USING is supported between two tables with names; write `ON`"
                );
            };
            let last = columns.len().saturating_sub(1);
            let compared = columns.iter().enumerate().map(|(at, column)| {
                let op = match at == last {
                    true => BinaryOperator::GtEq,
                    false => BinaryOperator::Eq,
                };
                binary(of(first, column), op, of(&table, column))
            });
            let condition = compared.reduce(|all, one| binary(all, BinaryOperator::And, one));
            match condition {
                Some(condition) => (condition, columns),
                None => return plan_err!("ASOF JOIN needs a condition"),
            }
        }
        _ => return plan_err!("ASOF JOIN needs a condition: `ON a.id = b.id AND a.day >= b.day`"),
    };
    let (value, ascending) = compared(&condition, &table)?;
    let hidden: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let columns = match hidden.is_empty() {
        true => String::new(),
        false => format!("EXCEPT ({})", hidden.join(", ")),
    };
    let order = if ascending { "ASC" } else { "DESC" };
    let sql = format!("SELECT * {columns} FROM t WHERE x ORDER BY x {order} LIMIT 1");
    let mut subquery = Box::new(query(&sql)?);
    let alias = TableAlias {
        explicit: true,
        name: table,
        columns: Vec::new(),
        at: None,
    };
    let every = JoinConstraint::On(Expr::value(Value::Boolean(true)));
    if let (
        SetExpr::Select(select),
        Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            ..
        }),
    ) = (subquery.body.as_mut(), &mut subquery.order_by)
        && let ([from], [by]) = (select.from.as_mut_slice(), order.as_mut_slice())
    {
        std::mem::swap(&mut from.relation, &mut join.relation);
        select.selection = Some(condition);
        by.expr = value;
    }
    *join = Join {
        relation: TableFactor::Derived {
            lateral: true,
            subquery,
            alias: Some(alias),
            sample: None,
        },
        global: false,
        join_operator: match left {
            true => JoinOperator::LeftOuter(every),
            false => JoinOperator::Inner(every),
        },
    };
    Ok(())
}

/// What of the table is compared, and whether the least of it is the nearest.
fn compared(condition: &Expr, table: &Ident) -> Result<(Expr, bool)> {
    let mut parts = vec![condition];
    let mut found = None;
    while let Some(part) = parts.pop() {
        match part {
            Expr::Nested(inner) => parts.push(inner),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => parts.extend([left.as_ref(), right]),
            Expr::BinaryOp {
                op: BinaryOperator::Eq,
                ..
            } => {}
            Expr::BinaryOp { left, op, right } if found.is_none() => {
                let less = match op {
                    BinaryOperator::GtEq | BinaryOperator::Gt => false,
                    BinaryOperator::LtEq | BinaryOperator::Lt => true,
                    _ => return plan_err!("{WRITE}"),
                };
                found = match (is_of(left, table), is_of(right, table)) {
                    (false, true) => Some((right.as_ref().clone(), less)),
                    (true, false) => Some((left.as_ref().clone(), !less)),
                    _ => return plan_err!("{WRITE}"),
                };
            }
            _ => return plan_err!("{WRITE}"),
        }
    }
    match found {
        Some(found) => Ok(found),
        None => plan_err!("{WRITE}"),
    }
}

const WRITE: &str = "ASOF JOIN compares columns of both tables, with their tables' names, for equality, and two of them by >=, >, <= \
     or <: write `a ASOF JOIN b ON a.id = b.id AND a.day >= b.day`";

/// Whether an expression has a column of the table.
fn is_of(expr: &Expr, table: &Ident) -> bool {
    visit_expressions(expr, |expr| match expr {
        Expr::CompoundIdentifier(parts)
            if parts.len() > 1 && same(&parts[parts.len() - 2], table) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}
