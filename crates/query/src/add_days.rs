//! Adds days to dates as whole numbers.
//!
//! The engine makes an interval of nanoseconds of the number in `date + 365`, and adds it by way of the calendar: year,
//! month and day of each date are found and put together again. Windows around an index date are such sums, one for
//! each pair of rows that a join looks at, and took 40 % of the processor's time there. A date is a number of days. A difference
//! of dates that is compared with a number is two dates that are compared. Months, and what is added to times, go by a function that
//! knows the calendar by heart.

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, cast, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::functions::scalar;
use crate::kept_names;

const SECONDS_PER_DAY: i64 = 86_400;
/// Days in 2,700 years: a date and so many are a date.
const FARTHEST: i32 = 1_000_000;
const NANOSECONDS_PER_DAY: i64 = SECONDS_PER_DAY * 1_000_000_000;

/// Adds and subtracts whole days without the calendar.
#[derive(Debug)]
pub(crate) struct AddDays;

impl OptimizerRule for AddDays {
    fn name(&self) -> &'static str {
        "add_days"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&plan.inputs());
        if plan.inputs().is_empty() {
            schema.merge(plan.schema());
        }
        kept_names::changed(plan, |expr| {
            expr.transform_up(|expr| Ok(rewrite(expr, &schema)))
        })
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Transformed::no(expr);
    };
    if let Some(compared) = bounded(left, *op, right, schema) {
        return Transformed::yes(compared);
    }
    if let Some(moved) = moved(left, *op, right, schema) {
        return Transformed::yes(moved);
    }
    let (date, days) = match op {
        Operator::Plus => match (days(left, schema), days(right, schema)) {
            (Some(days), None) => (right, days),
            (None, Some(days)) => (left, days),
            _ => return Transformed::no(expr),
        },
        Operator::Minus => match days(right, schema) {
            Some(days) => (left, days),
            None => return Transformed::no(expr),
        },
        _ => return Transformed::no(expr),
    };
    match date.get_type(schema) {
        Ok(DataType::Date32) => {
            let date = cast(date.as_ref().clone(), DataType::Int32);
            Transformed::yes(cast(binary_expr(date, *op, days), DataType::Date32))
        }
        _ => Transformed::no(expr),
    }
}

/// A column's date or time without a zone, and an interval of other than whole days or of a time.
fn moved(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Option<Expr> {
    let interval = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(by), _) => *by,
        _ => None,
    };
    // The engine does not know the range of such a sum, and then not its own order by it.
    let of_rows = |expr: &Expr| match expr.get_type(schema) {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano)) => expr.any_column_refs(),
        _ => false,
    };
    let is_time = |expr: &Expr| {
        let time = expr.get_type(schema);
        matches!(time, Ok(DataType::Date32 | DataType::Timestamp(_, None)))
    };
    if op == Operator::Plus && of_rows(right) && is_time(left) {
        let is_date = left.get_type(schema).ok()? == DataType::Date32;
        let in_days = is_date && days(right, schema).is_some();
        return (!in_days).then(|| scalar::moved_by(left.clone(), right.clone()));
    }
    let (time, by) = match op {
        Operator::Plus => match interval(right) {
            Some(by) => (left, by),
            None => (right, interval(left)?),
        },
        Operator::Minus => {
            let by = interval(right)?;
            let (months, days) = (by.months.checked_neg()?, by.days.checked_neg()?);
            let nanoseconds = by.nanoseconds.checked_neg()?;
            (left, IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        _ => return None,
    };
    let known = match time.get_type(schema).ok()? {
        DataType::Date32 => by.months != 0,
        DataType::Timestamp(_, None) => true,
        _ => false,
    };
    (known && time.any_column_refs()).then(|| scalar::moved(time.clone(), by))
}

/// `b.day - a.day <= 30` as `b.day <= a.day + 30`: joins look up what is bounded.
fn bounded(difference: &Expr, op: Operator, days: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Int64(Some(days)), _) = days else {
        return None;
    };
    let days = i32::try_from(*days)
        .ok()
        .filter(|days| days.abs() <= FARTHEST)?;
    if let Expr::ScalarFunction(call) = difference
        && let ("abs", [difference]) = (call.func.name(), call.args.as_slice())
    {
        let other = match op {
            Operator::Lt => Operator::Gt,
            Operator::LtEq => Operator::GtEq,
            _ => return None,
        };
        let (later, earlier) = dates(difference, schema)?;
        let upper = compared(later.clone(), op, earlier.clone(), days);
        return Some(upper.and(compared(later, other, earlier, -days)));
    }
    let (later, earlier) = dates(difference, schema)?;
    let ordered = matches!(
        op,
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq
    );
    ordered.then(|| compared(later, op, earlier, days))
}

fn compared(later: Expr, op: Operator, earlier: Expr, days: i32) -> Expr {
    let bound = binary_expr(cast(earlier, DataType::Int32), Operator::Plus, lit(days));
    binary_expr(later, op, cast(bound, DataType::Date32))
}

/// The two dates of a difference in days, the one that is taken away last; both of rows.
fn dates(difference: &Expr, schema: &DFSchema) -> Option<(Expr, Expr)> {
    let (later, earlier) = match difference {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Minus,
            right,
        }) => (left.as_ref(), right.as_ref()),
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            ("days_between", [earlier, later]) => (later, earlier),
            _ => return None,
        },
        _ => return None,
    };
    let date = |expr: &Expr| {
        let is_date = expr.get_type(schema).ok()? == DataType::Date32;
        (is_date && expr.any_column_refs()).then(|| expr.clone())
    };
    Some((date(later)?, date(earlier)?))
}

/// The number of days in an interval of whole days: a literal, or what the engine makes of a number.
fn days(interval: &Expr, schema: &DFSchema) -> Option<Expr> {
    if let Expr::ScalarFunction(call) = interval
        && let ("interval_times", [number, each]) = (call.func.name(), call.args.as_slice())
        && let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(each)), _) = each
    {
        let whole = each.months == 0 && each.nanoseconds == 0;
        let counts = number.get_type(schema).ok()?.is_integer();
        let number = cast(number.clone(), DataType::Int64);
        return (whole && counts).then(|| match each.days {
            1 => cast(number, DataType::Int32),
            days => cast(
                binary_expr(number, Operator::Multiply, lit(i64::from(days))),
                DataType::Int32,
            ),
        });
    }
    if let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = interval {
        let whole = interval.months == 0 && interval.nanoseconds % NANOSECONDS_PER_DAY == 0;
        let days = i64::from(interval.days) + interval.nanoseconds / NANOSECONDS_PER_DAY;
        return i32::try_from(days).ok().filter(|_| whole).map(lit);
    }
    let seconds = cast_to(interval, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) =
        cast_to(seconds, &DataType::Duration(TimeUnit::Second))?
    else {
        return None;
    };
    let per_day = Expr::Literal(ScalarValue::Int64(Some(SECONDS_PER_DAY)), None);
    let number = *op == Operator::Multiply && **right == per_day;
    number.then(|| cast(left.as_ref().clone(), DataType::Int32))
}

/// What is cast to this type.
fn cast_to<'a>(expr: &'a Expr, to: &DataType) -> Option<&'a Expr> {
    match expr {
        Expr::Cast(Cast { expr, field }) if field.data_type() == to => Some(expr),
        _ => None,
    }
}
