//! Tells subqueries apart by name, in functions and among the keys of GROUP BY.
//!
//! The engine (DataFusion 55) names `sum(CASE WHEN EXISTS (…) THEN 1 END)` without what is in the parentheses, and refuses
//! two columns of one name, aliases or not. Every further one is wrapped once more in `CASE WHEN true THEN … END`, which
//! changes nothing and is taken out again.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use crate::joins::OutsideSubqueries;
use crate::selects::{each_select, is_of, named_by_text};

/// The texts of a statement's subqueries that are told apart, in the order of their first use.
#[derive(Debug, Default)]
pub(crate) struct SubqueryNames(Vec<String>);

impl VisitorMut for SubqueryNames {
    type Break = DataFusionError;

    /// When the subqueries within are what they stay.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let by_subqueries = match query.body.as_mut() {
            SetExpr::Select(select) => is_by_subqueries(select),
            _ => false,
        };
        self.distinguish(&mut query.order_by, by_subqueries);
        // No SELECT fails.
        let _ = each_select(&mut query.body, &mut |select| {
            self.columns(select);
            Ok(())
        });
        ControlFlow::Continue(())
    }
}

impl SubqueryNames {
    fn columns(&mut self, select: &mut Select) {
        let by_subqueries = is_by_subqueries(select);
        for item in &mut select.projection {
            let plain = item.clone();
            self.distinguish(item, by_subqueries);
            if let SelectItem::UnnamedExpr(expr) = item
                && let SelectItem::UnnamedExpr(plain) = plain
                && *expr != plain
            {
                *item = named_by_text(expr.clone(), &plain);
            }
        }
        self.distinguish(&mut select.group_by, by_subqueries);
        self.distinguish(&mut select.having, by_subqueries);
        self.distinguish(&mut select.qualify, by_subqueries);
    }

    /// Gives the subqueries in functions names of their own, or all of them.
    fn distinguish(&mut self, within: &mut impl VisitMut, all: bool) {
        let mut each = OutsideSubqueries::new(|expr| match expr {
            _ if all => self.wrap(affirmed(expr)),
            Expr::Function(function) => {
                let mut within = OutsideSubqueries::new(|expr| self.wrap(expr));
                let _ = function.visit(&mut within);
            }
            _ => {}
        });
        // The visitor never breaks off.
        let _ = within.visit(&mut each);
    }

    fn wrap(&mut self, expr: &mut Expr) {
        let times = match expr {
            _ if is_subquery(expr) => {
                let text = expr.to_string();
                let known = self.0.iter().position(|known| *known == text);
                known.unwrap_or_else(|| {
                    self.0.push(text);
                    self.0.len() - 1
                })
            }
            // What stands there must stay a subquery.
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => unwrapped(right),
            _ => return,
        };
        wrap(expr, times);
    }
}

/// What a negated test negates, which may be a key by itself.
fn affirmed(expr: &mut Expr) -> &mut Expr {
    match expr {
        Expr::Exists { negated, .. } | Expr::InSubquery { negated, .. } if *negated => {
            *negated = false;
        }
        _ => return expr,
    }
    let test = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(Expr::Nested(Box::new(test))),
    };
    match expr {
        Expr::UnaryOp { expr, .. } => match expr.as_mut() {
            Expr::Nested(test) => test,
            other => other,
        },
        other => other,
    }
}

/// Gives an expression another name, and leaves it what it is.
fn wrap(expr: &mut Expr, times: usize) {
    for _ in 0..times {
        let result = std::mem::replace(expr, Expr::value(Value::Null));
        *expr = Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen {
                condition: Expr::value(Value::Boolean(true)),
                result,
            }],
            else_result: None,
        };
    }
}

/// Whether subqueries are among what a SELECT is grouped by: written there, or in a column that it names.
fn is_by_subqueries(select: &mut Select) -> bool {
    if !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if !keys.is_empty()) {
        return false;
    }
    let Select {
        projection,
        group_by,
        ..
    } = select;
    let mut found = false;
    let mut keys = OutsideSubqueries::new(|key| {
        found |= is_subquery(key)
            || projection
                .iter_mut()
                .enumerate()
                .any(|(at, item)| is_of(key, at, item) && has_subquery(item));
    });
    // The visitor never breaks off.
    let _ = group_by.visit(&mut keys);
    found
}

fn has_subquery(item: &mut SelectItem) -> bool {
    let mut found = false;
    // The visitor never breaks off.
    let _ = item.visit(&mut OutsideSubqueries::new(|expr| {
        found |= is_subquery(expr);
    }));
    found
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists { .. } | Expr::InSubquery { .. } | Expr::Subquery(_)
    )
}

/// Takes a subquery out of what it was wrapped in, and says how often it was.
fn unwrapped(expr: &mut Expr) -> usize {
    let mut times = 0;
    while let Expr::Case {
        conditions,
        operand: None,
        else_result: None,
        ..
    } = expr
        && let [when] = conditions.as_mut_slice()
        && when.condition == Expr::value(Value::Boolean(true))
    {
        *expr = std::mem::replace(&mut when.result, Expr::value(Value::Null));
        times += 1;
    }
    times
}
