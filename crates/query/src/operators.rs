//! Operators that the engine reads in another way than DuckDB and PostgreSQL do, in its words.
//!
//! `a ^ b` is a power, and binds closer than `*`; the engine's parser has it for an exclusive or that binds less than `+`. Rows
//! are compared from left to right, `(year, month) < (1970, 6)`; the engine takes a NULL for the least of all. As in DuckDB
//! it is the greatest, and equal to itself. `SIMILAR TO` is about a whole text.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, UnaryOperator,
    Value, VisitorMut,
};

/// Writes such operators.
#[derive(Debug)]
pub(crate) struct Operators;

impl VisitorMut for Operators {
    type Break = DataFusionError;

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
                && let Some(compared) = rows(left, op, right)
            {
                *expr = compared;
            }
        }
        Expr::SimilarTo {
            pattern,
            escape_char: None,
            ..
        } => whole(pattern)?,
        _ => {}
    }
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
                3 => power(left, right),
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

/// A number of floating point, as in DuckDB.
fn power(base: Expr, exponent: Expr) -> Expr {
    let number = |expr: Expr| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Double(ExactNumberInfo::None),
        array: false,
        format: None,
    };
    call("power", vec![number(base), number(exponent)])
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The comparison of two rows as comparisons of their values.
fn rows(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let joined = |a: Expr, op: BinaryOperator, b: Expr| Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(a))),
        op,
        right: Box::new(Expr::Nested(Box::new(b))),
    };
    let same = |a: &Expr, b: &Expr| {
        let (a, b) = (Box::new(a.clone()), Box::new(b.clone()));
        Expr::IsNotDistinctFrom(a, b)
    };
    if left.len() != right.len() {
        return None;
    }
    let pairs = || left.iter().zip(right);
    let equal = || {
        let each = pairs().map(|(a, b)| same(a, b));
        each.reduce(|all, one| joined(all, And, one))
    };
    // NULL is greater than all others.
    let less = |a: &Expr, b: &Expr| {
        let known = |expr: &Expr| Expr::IsNotNull(Box::new(expr.clone()));
        let unknown = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
        let below = joined(a.clone(), Lt, b.clone());
        let both = joined(joined(known(a), And, known(b)), And, below);
        joined(both, Or, joined(known(a), And, unknown(b)))
    };
    let before = |left: &[Expr], right: &[Expr]| {
        let pairs = left.iter().zip(right).rev();
        pairs.fold(None, |rest: Option<Expr>, (a, b)| {
            Some(match rest {
                None => less(a, b),
                Some(rest) => joined(less(a, b), Or, joined(same(a, b), And, rest)),
            })
        })
    };
    let not = |expr: Option<Expr>| {
        expr.map(|expr| Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(Expr::Nested(Box::new(expr))),
        })
    };
    // Where rows are looked for, one that is unknown is as good as another one; and joins know equality.
    let alike = || {
        let each = pairs().map(|(a, b)| joined(a.clone(), Eq, b.clone()));
        each.reduce(|all, one| joined(all, And, one))
    };
    let compared = match op {
        Eq => alike(),
        NotEq => not(equal()),
        Lt => before(left, right),
        Gt => before(right, left),
        LtEq => not(before(right, left)),
        GtEq => not(before(left, right)),
        _ => None,
    };
    compared.map(|compared| Expr::Nested(Box::new(compared)))
}

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
