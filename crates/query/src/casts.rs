//! Tells apart what differs by casts, parentheses or `//` only.
//!
//! The engine (DataFusion 55) leaves them out of the names of what it computes: `count(DISTINCT t)` and `count(DISTINCT t::DATE)`,
//! `x::INT` and `x::DOUBLE`, `sum(a * (b + c))` and `sum(a * b + c)`, `x / 7` and `x // 7` are one name for two columns, which it
//! refuses. A `coalesce` of one value is in the name, and gone before anything runs.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
    VisitMut, VisitorMut, visit_expressions_mut,
};

use crate::dialect::filled;

/// Puts into names what they would be the same without.
#[derive(Debug)]
pub(crate) struct Casts;

impl VisitorMut for Casts {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let mut order = match query.order_by.as_mut().map(|order| &mut order.kind) {
            Some(OrderByKind::Expressions(order)) => {
                order.iter_mut().map(|key| &mut key.expr).collect()
            }
            _ => Vec::new(),
        };
        selects(&mut query.body, &mut order);
        ControlFlow::Continue(())
    }
}

fn selects(body: &mut SetExpr, order: &mut [&mut Expr]) {
    match body {
        SetExpr::Select(select) => tell_apart(select, order),
        SetExpr::SetOperation { left, right, .. } => {
            selects(left, &mut []);
            selects(right, &mut []);
        }
        _ => {}
    }
}

fn tell_apart(select: &mut Select, order: &mut [&mut Expr]) {
    // Whether each has something of it, and its text.
    let mut texts: HashMap<String, Vec<(bool, String)>> = HashMap::new();
    let mut note = |expr: &Expr| {
        let text = expr.to_string();
        let has = without_casts(expr, true) != text.to_lowercase();
        let texts = texts.entry(without_casts(expr, false)).or_default();
        let text = (has, text);
        if !texts.contains(&text) {
            texts.push(text);
        }
    };
    // Keys have the names of what they are, whatever they are called beside them.
    let keys = match &select.group_by {
        GroupByExpr::All(_) => &[][..],
        GroupByExpr::Expressions(keys, _) => keys,
    };
    let grouped = !keys.is_empty() || matches!(select.group_by, GroupByExpr::All(_));
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => note(expr),
            SelectItem::ExprWithAlias { expr, .. } if grouped => note(expr),
            _ => {}
        }
    }
    keys.iter().for_each(&mut note);
    let mut calls = Here::new(|expr: &mut Expr| {
        if matches!(expr, Expr::Function(_)) {
            note(expr);
        }
        false
    });
    // The visitor never breaks off.
    let _ = select.projection.visit(&mut calls);
    let _ = select.having.visit(&mut calls);
    let _ = select.qualify.visit(&mut calls);
    for key in order.iter_mut() {
        let _ = key.visit(&mut calls);
    }
    let mut marks: HashMap<String, usize> = HashMap::new();
    for mut texts in texts.into_values() {
        // What has nothing of it stays as it is, and what is in it. The same order for calls and for what is in them.
        texts.sort_unstable();
        marks.extend(texts.into_iter().map(|(_, text)| text).zip(0..));
    }
    if marks.values().all(|marks| *marks == 0) {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(marks) = marks.get(&expr.to_string()).filter(|marks| **marks > 0)
            && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        {
            let alias = Ident::with_quote('"', expr.to_string());
            let mut expr = expr.clone();
            mark(&mut expr, *marks);
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
    let mut marked = Here::new(|expr: &mut Expr| {
        let marks = marks.get(&expr.to_string());
        if let Some(marks) = marks {
            mark(expr, *marks);
        }
        marks.is_some()
    });
    let _ = select.projection.visit(&mut marked);
    let _ = select.group_by.visit(&mut marked);
    let _ = select.having.visit(&mut marked);
    let _ = select.qualify.visit(&mut marked);
    for key in order {
        let _ = key.visit(&mut marked);
    }
}

/// Every expression that is in no subquery, those around others first, and none within what is done.
struct Here<F> {
    /// Whether an expression is done.
    each: F,
    queries: usize,
    /// Expressions around this one from the one that is done.
    done: usize,
}

impl<F> Here<F> {
    fn new(each: F) -> Self {
        Self {
            each,
            queries: 0,
            done: 0,
        }
    }
}

impl<F: FnMut(&mut Expr) -> bool> VisitorMut for Here<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.done > 0 || (self.queries == 0 && (self.each)(expr)) {
            self.done += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
        self.done = self.done.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// What the engine calls it, as far as it matters here, with the tables of columns or without them.
fn without_casts(expr: &Expr, tables: bool) -> String {
    let mut expr = expr.clone();
    let _ = visit_expressions_mut(&mut expr, |expr| {
        match expr {
            Expr::Cast { expr: inner, .. } | Expr::Nested(inner) => {
                *expr = inner.as_ref().clone();
            }
            Expr::BinaryOp { op, .. } if *op == BinaryOperator::DuckIntegerDivide => {
                *op = BinaryOperator::Divide;
            }
            Expr::CompoundIdentifier(parts) if !tables => {
                if let Some(name) = parts.pop() {
                    *expr = Expr::Identifier(name);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    expr.to_string().to_lowercase()
}

/// Puts so many marks on all that is in no name.
fn mark(expr: &mut Expr, marks: usize) {
    let _ = visit_expressions_mut(expr, |expr| {
        let whole = |op: &BinaryOperator| *op == BinaryOperator::DuckIntegerDivide;
        if matches!(expr, Expr::Cast { .. } | Expr::Nested(_))
            || matches!(expr, Expr::BinaryOp { op, .. } if whole(op))
        {
            for _ in 0..marks {
                if let Ok(same) = filled("coalesce($1)", std::slice::from_ref(expr)) {
                    *expr = same;
                }
            }
        }
        ControlFlow::<()>::Continue(())
    });
}
