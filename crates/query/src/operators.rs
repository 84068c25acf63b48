//! Operators that the engine reads in another way than DuckDB and PostgreSQL do, in its words.
//!
//! `a ^ b` is a power, and binds closer than `*`; the engine's parser has it for an exclusive or that binds less than `+`. Rows
//! are compared from left to right, `(year, month) < (1970, 6)`; the engine takes a NULL for the least of all. As in DuckDB
//! it is the greatest, and equal to itself. `SIMILAR TO` is about a whole text. The escape character of LIKE is a backslash. The NOT of
//! `NOT EXISTS (…) IS NULL` is of all of it.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, UnaryOperator, Value,
    ValueWithSpan, VisitorMut, WindowType,
};

use crate::dialect::filled;
use crate::selects::has_window;

/// Writes such operators.
#[derive(Debug)]
pub(crate) struct Operators;

impl VisitorMut for Operators {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        // Of different rows, and of groups, the keys are what is shown or grouped by.
        let rows = match query.body.as_ref() {
            SetExpr::Select(select) => {
                let groups = &select.group_by;
                let none = matches!(groups, GroupByExpr::Expressions(by, _) if by.is_empty());
                none && select.distinct.is_none()
            }
            _ => true,
        };
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            match rows {
                true => keys.iter_mut().for_each(turned_round),
                false => by_places(&query.body, keys),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match written(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn written(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::BinaryOp { op, .. } if rank(op).is_some() => powers(expr)?,
        Expr::BinaryOp { left, op, right } => {
            if let (Expr::Tuple(left), Expr::Tuple(right)) = (left.as_ref(), right.as_ref())
                && let Some(compared) = rows(left, op, right)?
            {
                *expr = compared;
            }
        }
        Expr::InList {
            expr: value, list, ..
        } if is_computed_row(value) && list.iter().all(|row| matches!(row, Expr::Tuple(_))) => {
            for row in [value.as_mut()].into_iter().chain(list) {
                as_record(row)?;
            }
        }
        Expr::IsNull(test) | Expr::IsNotNull(test) => {
            if let Expr::Exists { negated, .. } = test.as_mut()
                && std::mem::take(negated)
            {
                *expr = filled("NOT $1", std::slice::from_ref(expr))?;
            }
        }
        Expr::SimilarTo {
            pattern,
            escape_char: None,
            ..
        } => whole(pattern)?,
        Expr::Like {
            pattern,
            escape_char: escape @ Some(_),
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char: escape @ Some(_),
            ..
        } => with_backslashes(pattern, escape)?,
        Expr::Function(function) => {
            if let Some(WindowType::WindowSpec(window)) = &mut function.over {
                window.order_by.iter_mut().for_each(turned_round);
                pass_nulls(function);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether this is a row of values of which one is neither a column nor a literal: the engine looks for no such row in a list.
fn is_computed_row(expr: &Expr) -> bool {
    let plain = |value: &Expr| {
        matches!(
            value,
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)
        )
    };
    matches!(expr, Expr::Tuple(values) if !values.iter().all(plain))
}

/// A row as the record that the engine makes of one of columns.
fn as_record(row: &mut Expr) -> Result<()> {
    if let Expr::Tuple(values) = row {
        let places: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
        *row = filled(&format!("struct({})", places.join(", ")), values)?;
    }
    Ok(())
}

/// Takes IGNORE NULLS from the argument that the parser gave it to.
fn pass_nulls(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))) =
            list.args.last_mut()
        && inner.over.is_none()
        && function.null_treatment.is_none()
    {
        function.null_treatment = inner.null_treatment.take();
    }
}

/// Expressions that a SELECT DISTINCT shows as their places in it: the engine looks for columns only. And aggregates that are shown
/// under a name: the engine would look for the name within them, `max(year) AS year … ORDER BY max(year)`.
fn by_places(body: &SetExpr, keys: &mut [OrderByExpr]) {
    let SetExpr::Select(select) = body else {
        return;
    };
    let distinct = match select.distinct {
        Some(Distinct::Distinct) => true,
        None => false,
        Some(_) => return,
    };
    let mut shown = Vec::new();
    for item in &select.projection {
        shown.push(match item {
            SelectItem::UnnamedExpr(_) if !distinct => None,
            SelectItem::ExprWithAlias { expr, .. } if !distinct && has_window(expr) => None,
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                Some(expr.to_string())
            }
            // Of so many columns as nobody knows here.
            _ => break,
        });
    }
    for key in keys {
        // A name is a column's first.
        if matches!(key.expr, Expr::Value(_) | Expr::Identifier(_)) {
            continue;
        }
        let asked = Some(key.expr.to_string());
        if let Some(place) = shown.iter().position(|shown| *shown == asked) {
            let place = Value::Number((place + 1).to_string(), false);
            key.expr = Expr::value(place);
        }
    }
}

/// A key that is a negated expression, and not only a column or a number, as the expression in the other direction.
fn turned_round(key: &mut OrderByExpr) {
    let Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr,
    } = &key.expr
    else {
        return;
    };
    let mut inner = expr.as_ref();
    while let Expr::Nested(within) = inner {
        inner = within;
    }
    if !matches!(
        inner,
        Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)
    ) {
        key.options.nulls_first = Some(key.options.nulls_first.unwrap_or(false));
        key.options.asc = Some(key.options.asc == Some(false));
        key.expr = inner.clone();
    }
}

/// The pattern with the escape character that the engine knows.
fn with_backslashes(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let (Expr::Value(pattern), Some(by)) = (pattern, escape.as_ref()) else {
        return Ok(());
    };
    let (Value::SingleQuotedString(text), Value::SingleQuotedString(by)) =
        (&mut pattern.value, &by.value)
    else {
        return Ok(());
    };
    let Some(by) = by.chars().next().filter(|one| by.len() == one.len_utf8()) else {
        return plan_err!("ESCAPE takes one character, for example ESCAPE '!'");
    };
    let mut written = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let literal = match char == by {
            true => chars.next().map(|next| (next, "%_\\".contains(next))),
            false => Some((char, char == '\\')),
        };
        let Some((char, special)) = literal else {
            return plan_err!("the pattern ends in its escape character");
        };
        written.extend(special.then_some('\\').into_iter().chain([char]));
    }
    *text = written;
    *escape = None;
    Ok(())
}

/// How close an operator binds; none for those that are not of arithmetic.
fn rank(op: &BinaryOperator) -> Option<u8> {
    use BinaryOperator::{
        BitwiseXor, Divide, DuckIntegerDivide, Minus, Modulo, Multiply, PGExp, Plus,
    };
    match op {
        Plus | Minus => Some(1),
        Multiply | Divide | Modulo | DuckIntegerDivide => Some(2),
        BitwiseXor | PGExp => Some(3),
        _ => None,
    }
}

/// The same terms with powers where they belong.
fn powers(expr: &mut Expr) -> Result<()> {
    fn any(expr: &Expr) -> bool {
        match expr {
            Expr::BinaryOp { left, op, right } => match rank(op) {
                Some(3) => true,
                Some(_) => any(left) || any(right),
                None => false,
            },
            _ => false,
        }
    }
    fn take(expr: Expr, terms: &mut Vec<Expr>, ops: &mut Vec<BinaryOperator>) {
        match expr {
            Expr::BinaryOp { left, op, right } if rank(&op).is_some() => {
                take(*left, terms, ops);
                ops.push(op);
                take(*right, terms, ops);
            }
            term => terms.push(term),
        }
    }
    if !any(expr) {
        return Ok(());
    }
    let (mut terms, mut ops) = (Vec::new(), Vec::new());
    let whole = std::mem::replace(expr, Expr::value(Value::Null));
    take(whole, &mut terms, &mut ops);
    // From left to right, the closest first.
    for closest in [3, 2, 1] {
        let mut at = 0;
        while at < ops.len() {
            if rank(&ops[at]) != Some(closest) {
                at += 1;
                continue;
            }
            let op = ops.remove(at);
            let right = terms.remove(at + 1);
            let left = std::mem::replace(&mut terms[at], Expr::value(Value::Null));
            terms[at] = match closest {
                // A number of floating point, as in DuckDB.
                3 => filled(
                    "power(CAST($1 AS DOUBLE), CAST($2 AS DOUBLE))",
                    &[left, right],
                )?,
                _ => Expr::BinaryOp {
                    left: Box::new(left),
                    op,
                    right: Box::new(right),
                },
            };
        }
    }
    match terms.pop() {
        Some(whole) if terms.is_empty() => *expr = whole,
        _ => return plan_err!("write `power(a, b)` for `a ^ b` here"),
    }
    Ok(())
}

/// The comparison of two rows as comparisons of their values; none for other operators.
fn rows(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Option<Expr>> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let (left, right, form, negated) = match op {
        // Where rows are looked for, one that is unknown is as good as another one; and joins know equality.
        Eq => (left, right, ["$1 = $2", "$1 = $2 AND $3"], false),
        NotEq => (left, right, [SAME, SAME_AND], true),
        Lt => (left, right, [LESS, LESS_OR], false),
        Gt => (right, left, [LESS, LESS_OR], false),
        LtEq => (right, left, [LESS, LESS_OR], true),
        GtEq => (left, right, [LESS, LESS_OR], true),
        _ => return Ok(None),
    };
    if left.len() != right.len() {
        return Ok(None);
    }
    let mut compared: Option<Expr> = None;
    for (a, b) in left.iter().zip(right).rev() {
        let mut values = vec![a.clone(), b.clone()];
        let form = form[usize::from(compared.is_some())];
        values.extend(compared);
        compared = Some(filled(form, &values)?);
    }
    match compared {
        Some(compared) if negated => filled("NOT $1", &[compared]).map(Some),
        compared => Ok(compared),
    }
}

/// Two values that are alike, NULL like NULL, and the rest of their rows after them.
const SAME: &str = "$1 IS NOT DISTINCT FROM $2";
const SAME_AND: &str = "($1 IS NOT DISTINCT FROM $2) AND $3";
/// A value before another, where NULL is the greatest; or alike, and the rest of their rows before.
const LESS: &str = "$1 IS NOT NULL AND ($2 IS NULL OR $1 < $2)";
const LESS_OR: &str =
    "($1 IS NOT NULL AND ($2 IS NULL OR $1 < $2)) OR (($1 IS NOT DISTINCT FROM $2) AND $3)";

/// A pattern of the whole text.
fn whole(pattern: &mut Expr) -> Result<()> {
    let Expr::Value(value) = pattern else {
        return plan_err!("the pattern of SIMILAR TO is a text in quotes");
    };
    let Value::SingleQuotedString(text) = &mut value.value else {
        return Ok(());
    };
    if text.contains(['%', '_']) {
        return plan_err!(
            "SIMILAR TO with `%` or `_` is read in two ways: write LIKE, or a regular expression with `.*` and `.`, and \
             `regexp_like(text, '^(?:…)$')` for one that contains these signs"
        );
    }
    *text = format!("^(?:{text})$");
    Ok(())
}
