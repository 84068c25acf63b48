//! `x NOT IN (1, 2) OR x NOT IN (3, 4)`: lists that have no value in common.
//!
//! The simplifier (DataFusion 55) makes an empty list of what they have in common, and true or false of that, where a NULL is in
//! neither and not out of them.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Says what such lists say, NULL where the value is.
#[derive(Debug)]
pub(crate) struct DisjointLists;

impl FunctionRewrite for DisjointLists {
    fn name(&self) -> &'static str {
        "disjoint_lists"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let (Expr::InList(a), Expr::InList(b)) = (left.as_ref(), right.as_ref()) else {
            return Ok(Transformed::no(expr));
        };
        let same = a.expr == b.expr && !a.expr.is_volatile();
        if !same || !of_literals(a) || !of_literals(b) {
            return Ok(Transformed::no(expr));
        }
        let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
        let value = || a.expr.as_ref().clone();
        let all_in = |a: &InList, b: &InList| a.list.iter().all(|one| b.list.contains(one));
        let apart = !a.list.iter().any(|one| b.list.contains(one));
        let never = match (op, a.negated, b.negated) {
            (Operator::And, false, false) => apart,
            (Operator::And, false, true) => all_in(a, b),
            (Operator::And, true, false) => all_in(b, a),
            _ => false,
        };
        let always = match (op, a.negated, b.negated) {
            (Operator::Or, true, true) => apart,
            (Operator::Or, true, false) => all_in(a, b),
            (Operator::Or, false, true) => all_in(b, a),
            _ => false,
        };
        Ok(match (never, always) {
            (true, _) => Transformed::yes(value().is_null().and(unknown)),
            (_, true) => Transformed::yes(value().is_not_null().or(unknown)),
            _ => Transformed::no(expr),
        })
    }
}

fn of_literals(list: &InList) -> bool {
    let literal = |expr: &Expr| matches!(expr, Expr::Literal(value, _) if !value.is_null());
    !list.list.is_empty() && list.list.iter().all(literal)
}
