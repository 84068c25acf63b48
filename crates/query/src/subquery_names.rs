//! Tells subqueries in functions apart by name.
//!
//! The engine (DataFusion 55) names `sum(CASE WHEN EXISTS (…) THEN 1 END)` without what is in the parentheses, and refuses
//! two columns of one name, aliases or not. Every further one is wrapped once more in `CASE WHEN true THEN … END`, which
//! changes nothing and is taken out again.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{CaseWhen, Expr, Function, Value, visit_expressions_mut};

/// The texts of a statement's subqueries in functions, in the order of their first use.
#[derive(Debug, Default)]
pub(crate) struct SubqueryNames(Vec<String>);

impl SubqueryNames {
    /// Gives the subqueries in a function's arguments names of their own.
    pub(crate) fn distinguish(&mut self, function: &mut Function) {
        let mut wrap = |expr: &mut Expr| {
            self.wrap(expr);
            ControlFlow::<()>::Continue(())
        };
        // The visitor never breaks off.
        let _ = visit_expressions_mut(&mut function.args, &mut wrap);
        let _ = visit_expressions_mut(&mut function.filter, &mut wrap);
    }

    fn wrap(&mut self, expr: &mut Expr) {
        let times = match expr {
            Expr::Exists { .. } | Expr::InSubquery { .. } | Expr::Subquery(_) => {
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
