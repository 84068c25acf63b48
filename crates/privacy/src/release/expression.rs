//! Expressions over persons' rows, made total: none of them can fail on a value, so that no error tells of one.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, binary_expr, lit, when,
};

use super::joined::joined;
use super::record::names_a_record;
use super::refused::refuse;
use super::total;

/// Functions that cannot fail on a value, with the number of arguments that may come from rows; the others are
/// literals. `usize::MAX` is all.
const TOTAL: &[(&str, usize)] = &[
    ("age_at", usize::MAX),
    ("age_band", 1),
    ("btrim", 1),
    ("ceil", 1),
    ("char_length", 1),
    ("character_length", 1),
    ("coalesce", usize::MAX),
    ("concat", usize::MAX),
    ("days_between", usize::MAX),
    ("floor", 1),
    ("generalize_date", 1),
    ("greatest", usize::MAX),
    ("interval_length", 1),
    ("is_descendant", 1),
    ("concept_set", 0),
    ("isnan", 1),
    ("least", usize::MAX),
    ("left", 1),
    ("length", 1),
    ("lower", 1),
    ("ltrim", 1),
    ("nullif", usize::MAX),
    ("nvl", usize::MAX),
    ("out_of_order", 1),
    ("person_time", usize::MAX),
    ("regexp_like", 1),
    ("right", 1),
    ("round", 1),
    ("round_to_even", 1),
    ("rtrim", 1),
    ("signum", 1),
    ("starts_with", usize::MAX),
    ("strpos", usize::MAX),
    ("substr", 1),
    ("substring", 1),
    ("trim", 1),
    ("trunc", 1),
    ("upper", 1),
];

/// Functions whose first argument is a literal and whose second comes from rows.
const BY_UNIT: &[&str] = &["date_part", "date_trunc", "datepart", "datetrunc"];

/// Those of them that no value and no literal makes fail, and that the optimizer should see as they are.
const NEVER_FAILS: &[&str] = &[
    "coalesce",
    "concept_set",
    "greatest",
    "is_descendant",
    "least",
    "nullif",
    "nvl",
    "starts_with",
];

/// Bytes of the longest pattern.
const LONGEST_PATTERN: usize = 1_000;

/// What is known of the columns that an expression is over.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The columns.
    pub(super) schema: &'a DFSchema,
    /// Those of them that hold the person.
    pub(super) persons: &'a HashSet<Column>,
    /// The stored columns that columns are, by table and name.
    pub(super) origins: &'a HashMap<Column, (String, String)>,
}

impl Scope<'_> {
    /// The same expression, total, with the same type. The person's number may only be asked for NULL.
    pub(super) fn total(&self, expr: Expr) -> Result<Expr> {
        if let Some(column) = self.record_in(&expr)? {
            return names_a_record(&column);
        }
        match expr {
            Expr::Column(ref column) if self.persons.contains(column) => refuse(
                "person-key",
                format!("the person's number `{}` cannot be looked at", column.name),
                "join by it, group by it below another aggregate, or count it: count(DISTINCT ...)",
            ),
            Expr::OuterReferenceColumn(_, ref column) => refuse(
                "subquery",
                format!(
                    "the subquery looks at `{}` of the query around it in a way that is not known to be safe",
                    column.name
                ),
                "link a subquery by the person alone: EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND ...), or join",
            ),
            Expr::Column(_) | Expr::Literal(..) => Ok(expr),
            Expr::IsNull(ref inner) | Expr::IsNotNull(ref inner) if matches!(inner.as_ref(), Expr::Column(column) if self.persons.contains(column)) => {
                Ok(expr)
            }
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                let from = expr.get_type(self.schema)?;
                let expr = self.total(*expr)?;
                if is_safe_cast(&from, field.data_type()) {
                    let expr = Box::new(expr);
                    return Ok(Expr::TryCast(TryCast { expr, field }));
                }
                total::cast(expr, from, field)
            }
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::ScalarFunction(call) => self.call(call),
            Expr::Like(ref like) | Expr::SimilarTo(ref like) if !is_pattern(&like.pattern) => {
                refuse(
                    "expression",
                    format!(
                        "the pattern of LIKE must be a literal of at most {LONGEST_PATTERN} bytes"
                    ),
                    "write the pattern into the query",
                )
            }
            Expr::Alias(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::InList(_)
            | Expr::Like(_) => self.children(expr),
            Expr::Negative(inner) => {
                let zero = ScalarValue::new_zero(&inner.get_type(self.schema)?)?;
                self.binary(BinaryExpr::new(
                    Box::new(Expr::Literal(zero, None)),
                    Operator::Minus,
                    inner,
                ))
            }
            Expr::WindowFunction(_) => refuse(
                "window",
                "window functions are not for this role",
                "use min, max or count with GROUP BY the person in a subquery",
            ),
            Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_) => refuse(
                "subquery",
                "a subquery stands where it could tell of single persons",
                "use IN or EXISTS in WHERE, linked by the person, or a join",
            ),
            other => refuse(
                "expression",
                format!(
                    "`{}` is not known to be safe on persons' rows",
                    kind(&other)
                ),
                "use comparisons, arithmetic, CASE and the functions listed in docs/disclosure.md",
            ),
        }
    }

    fn children(&self, expr: Expr) -> Result<Expr> {
        Ok(expr
            .map_children(|child| Ok(Transformed::yes(self.total(child)?)))?
            .data)
    }

    fn binary(&self, binary: BinaryExpr) -> Result<Expr> {
        use Operator::{
            And, Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo,
            Multiply, NotEq, Or, Plus, StringConcat,
        };
        let kind = binary.left.get_type(self.schema)?;
        let right_kind = binary.right.get_type(self.schema)?;
        let both = match binary.op {
            StringConcat => Expr::BinaryExpr(binary.clone()).get_type(self.schema)?,
            _ => DataType::Null,
        };
        let BinaryExpr { left, op, right } = binary;
        let (left, right) = (self.total(*left)?, self.total(*right)?);
        match op {
            And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom => {
                Ok(binary_expr(left, op, right))
            }
            StringConcat => Ok(joined(vec![left, right], both, true)),
            Plus | Minus | Multiply | Divide | Modulo
                if kind.is_numeric() && right_kind.is_numeric() =>
            {
                arithmetic(left, op, right, &kind)
            }
            Plus | Minus if kind.is_temporal() && is_short(&right) => {
                total::operation(left, op, right, [kind, right_kind])
            }
            Minus
                if kind.is_temporal() && right_kind.is_temporal() && !is_interval(&right_kind) =>
            {
                total::operation(left, op, right, [kind, right_kind])
            }
            _ => refuse(
                "expression",
                format!("the operator `{op}` is not known to be safe on persons' rows"),
                "use comparisons, arithmetic on numbers, and intervals of at most 200 years on dates",
            ),
        }
    }

    fn call(&self, call: ScalarFunction) -> Result<Expr> {
        let name = call.func.name().to_owned();
        if name == "abs" {
            // abs fails on the smallest whole number.
            let [arg] = call.args.as_slice() else {
                return unknown(&name);
            };
            let zero = ScalarValue::new_zero(&arg.get_type(self.schema)?)?;
            let arg = self.total(arg.clone())?;
            let zero = Expr::Literal(zero, None);
            let negative = binary_expr(zero.clone(), Operator::Minus, arg.clone());
            return when(arg.clone().lt(zero), negative).otherwise(arg);
        }
        let from_rows = TOTAL.iter().find(|(known, _)| *known == name);
        let by_unit = BY_UNIT.contains(&name.as_str());
        let literal = |at: usize| {
            if by_unit {
                at == 0
            } else {
                from_rows.is_some_and(|(_, count)| at >= *count)
            }
        };
        if from_rows.is_none() && !by_unit {
            return unknown(&name);
        }
        for (at, arg) in call.args.iter().enumerate() {
            if literal(at) && !is_literal(arg) {
                return refuse(
                    "expression",
                    format!("argument {} of `{name}` must be a literal", at + 1),
                    "write its value into the query",
                );
            }
        }
        let kinds = call
            .args
            .iter()
            .map(|arg| arg.get_type(self.schema))
            .collect::<Result<Vec<_>>>()?;
        let kind = Expr::ScalarFunction(call.clone()).get_type(self.schema)?;
        let tried = !NEVER_FAILS.contains(&name.as_str());
        if tried && let Some(reason) = total::failing(&call.func, &call.args, &kinds) {
            return refuse(
                "expression",
                format!("`{name}` fails with these arguments: {reason}"),
                "correct them",
            );
        }
        let args = call
            .args
            .into_iter()
            .enumerate()
            .map(|(at, arg)| {
                if literal(at) {
                    Ok(arg)
                } else {
                    self.total(arg)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        if name == "concat" {
            return Ok(joined(args, kind, false));
        }
        let func = if tried {
            total::function(&call.func)
        } else {
            call.func
        };
        Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
    }
}

/// Whether TRY_CAST between these types gives NULL where it would fail, as it should.
fn is_safe_cast(from: &DataType, to: &DataType) -> bool {
    let is_text = |kind: &DataType| {
        matches!(
            kind,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    let is_plain = |kind: &DataType| kind.is_numeric() || matches!(kind, DataType::Boolean);
    let is_day = |kind: &DataType| {
        matches!(
            kind,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None)
        )
    };
    from == to
        || (is_plain(from) || is_text(from)) && (is_plain(to) || is_text(to))
        || is_text(from) && is_day(to)
        || matches!(from, DataType::Date32) && is_day(to)
        || matches!(from, DataType::Null)
}

/// Whether a pattern is a literal that every engine of patterns can hold.
fn is_pattern(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value
            .try_as_str()
            .is_some_and(|text| text.is_none_or(|text| text.len() <= LONGEST_PATTERN)),
        // One kind of text made another, to fit the column's.
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => is_pattern(expr),
        _ => false,
    }
}

fn unknown(name: &str) -> Result<Expr> {
    refuse(
        "function",
        format!("the function `{name}` is not known to be safe on persons' rows"),
        instead(name),
    )
}

/// What to write in place of functions that are often asked for.
fn instead(name: &str) -> &'static str {
    match name {
        // Also `strftime`, which is another name of it.
        "to_char" => {
            "write date_part('year', day) for a number, and date_trunc('month', day) for a day, in place of strftime and to_char"
        }
        "current_date" | "current_timestamp" | "current_time" | "now" | "today" => {
            "write the day as a literal, such as DATE '2024-12-31': an answer would change from day to day"
        }
        _ => "use the functions listed in docs/disclosure.md",
    }
}

fn kind(expr: &Expr) -> &str {
    expr.variant_name()
}

/// A literal, or one that only its type was changed of.
pub(super) fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => is_literal(expr),
        Expr::Alias(alias) => is_literal(&alias.expr),
        Expr::Negative(inner) => is_literal(inner),
        // Sets of concepts are written as calls and lists of literals.
        Expr::ScalarFunction(call) => {
            matches!(call.func.name(), "concept_set" | "make_array")
                && call.args.iter().all(is_literal)
        }
        _ => false,
    }
}

/// The two sides of an equality.
pub(super) fn equal_sides(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => Some((left, right)),
        _ => None,
    }
}

fn is_interval(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_) | DataType::Duration(_))
}

/// An interval literal that takes no date of a record out of the calendar.
fn is_short(expr: &Expr) -> bool {
    const DAYS: i64 = 73_050;
    match expr {
        Expr::Literal(ScalarValue::IntervalYearMonth(Some(months)), _) => months.abs() <= 2_400,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(span)), _) => {
            i64::from(span.days).abs() <= DAYS
        }
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _) => {
            span.months.abs() <= 2_400 && i64::from(span.days).abs() <= DAYS
        }
        _ => false,
    }
}

/// Arithmetic that gives NULL where it would fail. The type stays.
fn arithmetic(left: Expr, op: Operator, right: Expr, kind: &DataType) -> Result<Expr> {
    if kind.is_decimal() {
        return refuse(
            "expression",
            "arithmetic on decimal numbers can fail by overflow",
            "cast to DOUBLE first",
        );
    }
    if !matches!(op, Operator::Divide | Operator::Modulo) {
        // Whole numbers wrap, others become infinite and are left out of every sum.
        return Ok(binary_expr(left, op, right));
    }
    let zero = Expr::Literal(ScalarValue::new_zero(kind)?, None);
    if kind.is_floating() || kind.is_unsigned_integer() {
        return Ok(binary_expr(left, op, unless(right, &[zero])?));
    }
    // The smallest whole number divided by -1 does not fit.
    let minus_one = Expr::Literal(ScalarValue::new_negative_one(kind)?, None);
    let divided = binary_expr(
        left.clone(),
        op,
        unless(right.clone(), &[zero.clone(), minus_one.clone()])?,
    );
    let by_minus_one = if op == Operator::Divide {
        binary_expr(zero, Operator::Minus, left)
    } else {
        zero
    };
    when(right.eq(minus_one), by_minus_one).otherwise(divided)
}

/// NULL where an expression has one of these values.
fn unless(expr: Expr, values: &[Expr]) -> Result<Expr> {
    Ok(Expr::Case(Case {
        expr: None,
        when_then_expr: vec![(
            Box::new(expr.clone().in_list(values.to_vec(), true)),
            Box::new(expr),
        )],
        else_expr: None,
    }))
}

/// The range of an expression, from those of its columns; nothing where they leave it open. Values are clamped to it
/// after the expression is computed.
pub(super) fn range(expr: &Expr, bounds: &HashMap<Column, (f64, f64)>) -> Option<(f64, f64)> {
    wide(expr, bounds).filter(|(low, high)| low.is_finite() && high.is_finite())
}

/// Functions whose range follows from those of their arguments. Nothing is known of others.
const RANGED: &[&str] = &[
    "least",
    "greatest",
    "coalesce",
    "ceil",
    "floor",
    "round",
    "round_to_even",
    "trunc",
];

/// The same, with infinite ends where nothing is known: `least(greatest(x, 0), 50)` has bounds, whatever `x` is.
fn wide(expr: &Expr, bounds: &HashMap<Column, (f64, f64)>) -> Option<(f64, f64)> {
    const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    let found = match expr {
        Expr::Column(column) => bounds.get(column).copied().unwrap_or(ANY),
        Expr::Literal(value, _) => match value.cast_to(&DataType::Float64).ok()? {
            ScalarValue::Float64(Some(number)) => (number, number),
            _ => return None,
        },
        Expr::Alias(alias) => wide(&alias.expr, bounds)?,
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })
            if field.data_type().is_numeric() =>
        {
            wide(expr, bounds)?
        }
        Expr::Negative(inner) => {
            let (low, high) = wide(inner, bounds)?;
            (-high, -low)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let ((a, b), (c, d)) = (wide(left, bounds)?, wide(right, bounds)?);
            let corners = |f: fn(f64, f64) -> f64| {
                let all = [f(a, c), f(a, d), f(b, c), f(b, d)];
                (
                    all.into_iter().fold(f64::INFINITY, f64::min),
                    all.into_iter().fold(f64::NEG_INFINITY, f64::max),
                )
            };
            match op {
                Operator::Plus => (a + c, b + d),
                Operator::Minus => (a - d, b - c),
                Operator::Multiply => corners(|x, y| x * y),
                Operator::Divide if c > 0.0 || d < 0.0 => corners(|x, y| x / y),
                // Near zero anything may come of it.
                Operator::Divide | Operator::Modulo => ANY,
                _ => return None,
            }
        }
        // One of the values, which the conditions choose.
        Expr::Case(case) => {
            let then = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let values = then.chain(case.else_expr.as_deref());
            let known = values.filter(
                |value| !matches!(uncast(value), Expr::Literal(value, _) if value.is_null()),
            );
            let ranges: Option<Vec<(f64, f64)>> = known.map(|value| wide(value, bounds)).collect();
            ranges?.into_iter().reduce(hull)?
        }
        Expr::ScalarFunction(call) if !RANGED.contains(&call.name()) => ANY,
        Expr::ScalarFunction(call) => {
            let ranges: Option<Vec<(f64, f64)>> =
                call.args.iter().map(|part| wide(part, bounds)).collect();
            let ranges = ranges?;
            let all = ranges.iter().copied();
            match call.name() {
                "least" => all.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))?,
                "greatest" => all.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?,
                "coalesce" => all.reduce(hull)?,
                // None of these moves a value past another one.
                "ceil" | "floor" | "round" | "round_to_even" | "trunc" => match ranges.as_slice() {
                    [(low, high)] => (low.floor(), high.ceil()),
                    _ => return None,
                },
                _ => return None,
            }
        }
        _ => return None,
    };
    (found.0 <= found.1).then_some(found)
}

fn hull(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

/// `CASE WHEN condition THEN 1 ELSE 0 END`, and a boolean made a number: the condition counted.
pub(super) fn indicator(expr: &Expr) -> Option<Expr> {
    let number = |expr: &Expr, wanted: f64| match uncast(expr) {
        Expr::Literal(value, _) => {
            matches!(value.cast_to(&DataType::Float64), Ok(ScalarValue::Float64(Some(x))) if x == wanted)
        }
        _ => false,
    };
    match uncast(expr) {
        Expr::Case(case) if case.expr.is_none() => {
            let [(condition, then)] = case.when_then_expr.as_slice() else {
                return None;
            };
            let otherwise = case.else_expr.as_deref().is_some_and(|e| number(e, 0.0));
            (number(then, 1.0) && otherwise).then(|| Expr::IsTrue(condition.clone()))
        }
        _ => None,
    }
}

/// An expression without the casts and names around it.
pub(super) fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => uncast(expr),
        Expr::Alias(alias) => uncast(&alias.expr),
        other => other,
    }
}

/// A literal one or another that counts every row.
pub(super) fn counts_all(expr: &Expr) -> bool {
    matches!(uncast(expr), Expr::Literal(value, _) if !value.is_null())
}

/// The literal true.
pub(super) fn always() -> Expr {
    lit(true)
}
