//! Intervals by how long they are, and so many times as long.
//!
//! The engine compares months before days and days before nanoseconds, so that no difference of two times, which is
//! nanoseconds, is more than `INTERVAL '1 day'`. PostgreSQL and DuckDB compare lengths, with months of 30 days and days of 24 hours.

use std::sync::{Arc, LazyLock};

use arrow::array::AsArray;
use arrow::compute::{cast as cast_array, try_binary};
use arrow::datatypes::{
    DataType, Decimal128Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{
    Between, BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr, cast, lit,
};

use crate::short_times::is_comparison;

const MONTH_DAY_NANO: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;
const DAYS_PER_MONTH: i128 = 30;

/// What an expression compares with each other; nothing where it compares nothing.
pub(super) fn compared(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            Some(vec![left, right])
        }
        Expr::Between(Between {
            expr, low, high, ..
        }) => Some(vec![expr, low, high]),
        Expr::InList(InList { expr, list, .. }) => {
            Some([expr.as_ref()].into_iter().chain(list).collect())
        }
        _ => None,
    }
}

/// Compares lengths where intervals are compared.
#[derive(Debug)]
pub(crate) struct ComparedIntervals;

impl FunctionRewrite for ComparedIntervals {
    fn name(&self) -> &'static str {
        "compared_intervals"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Some(compared) = compared(&expr) else {
            return Ok(Transformed::no(expr));
        };
        let mut any = false;
        for part in compared {
            match part.get_type(schema)? {
                DataType::Interval(_) => any = true,
                DataType::Duration(_) | DataType::Null => {}
                _ => return Ok(Transformed::no(expr)),
            }
        }
        if !any {
            return Ok(Transformed::no(expr));
        }
        let boxed = |expr: Box<Expr>| Box::new(length(*expr));
        Ok(Transformed::yes(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                Expr::BinaryExpr(BinaryExpr::new(boxed(left), op, boxed(right)))
            }
            Expr::Between(between) => Expr::Between(Between {
                expr: boxed(between.expr),
                negated: between.negated,
                low: boxed(between.low),
                high: boxed(between.high),
            }),
            Expr::InList(list) => Expr::InList(InList {
                expr: boxed(list.expr),
                list: list.list.into_iter().map(length).collect(),
                negated: list.negated,
            }),
            other => other,
        }))
    }
}

/// Parts of the difference of two moments: its days, and what hours, minutes and seconds are left of it. The engine gives all
/// of its hours, and all of its minutes.
#[derive(Debug)]
pub(crate) struct PartsOfDifferences;

impl FunctionRewrite for PartsOfDifferences {
    fn name(&self) -> &'static str {
        "parts_of_differences"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(call) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let ("date_part", [Expr::Literal(part, _), of]) = (call.name(), call.args.as_slice())
        else {
            return Ok(Transformed::no(expr));
        };
        let (DataType::Duration(unit), Some(Some(part))) =
            (of.get_type(schema)?, part.try_as_str())
        else {
            return Ok(Transformed::no(expr));
        };
        let per_second = per_second(unit);
        let units = cast(of.clone(), DataType::Int64);
        if part.eq_ignore_ascii_case("epoch") {
            let seconds = cast(units, DataType::Float64) / cast(lit(per_second), DataType::Float64);
            return Ok(Transformed::yes(seconds));
        }
        let (seconds, of_larger): (i64, Option<i64>) = match part.to_ascii_lowercase().as_str() {
            "day" | "days" => (86_400, None),
            "hour" | "hours" => (3_600, Some(24)),
            "minute" | "minutes" => (60, Some(60)),
            "second" | "seconds" => (1, Some(60)),
            _ => return Ok(Transformed::no(expr)),
        };
        let mut count = units / lit(seconds * per_second);
        if let Some(of_larger) = of_larger {
            count = count % lit(of_larger);
        }
        Ok(Transformed::yes(cast(count, DataType::Int32)))
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

const NAME: &str = "interval_length";

static LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Length {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

fn length(interval: Expr) -> Expr {
    LENGTH.call(vec![interval])
}

/// The nanoseconds of an interval.
pub(crate) fn interval_length() -> ScalarUDF {
    LENGTH.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [interval] = arrays.as_slice() else {
            return exec_err!("{NAME} takes one argument");
        };
        if let DataType::Duration(unit) = interval.data_type() {
            let per_unit = 1_000_000_000 / i128::from(per_second(*unit));
            let lengths = cast_array(interval, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .unary::<_, Decimal128Type>(|length| i128::from(length) * per_unit)
                .with_precision_and_scale(38, 0)?;
            return Ok(ColumnarValue::Array(Arc::new(lengths)));
        }
        let interval = cast_array(interval, &MONTH_DAY_NANO)?;
        let lengths = interval
            .as_primitive::<IntervalMonthDayNanoType>()
            .unary::<_, Decimal128Type>(|interval| {
                let days = i128::from(interval.months) * DAYS_PER_MONTH + i128::from(interval.days);
                days * NANOSECONDS_PER_DAY + i128::from(interval.nanoseconds)
            })
            .with_precision_and_scale(38, 0)?;
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}

/// `day + n * INTERVAL '1 month'`, which the engine multiplies literals by only; and `day + INTERVAL '12 hours'`, of which the engine
/// makes a day, as of every interval.
#[derive(Debug)]
pub(crate) struct MultipliedIntervals;

/// Whether an expression is an interval that may end within a day: all that are not seen to be of whole days.
fn may_have_hours(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(matches!(expr.get_type(schema)?, DataType::Interval(_)) && !is_of_days(expr))
}

/// Whether an expression is made of intervals of whole days and months only.
fn is_of_days(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _) => {
            i128::from(span.nanoseconds) % NANOSECONDS_PER_DAY == 0
        }
        Expr::Literal(value, _) => value.is_null(),
        Expr::Alias(alias) => is_of_days(&alias.expr),
        Expr::Negative(inner) => is_of_days(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(op, Operator::Plus | Operator::Minus) && is_of_days(left) && is_of_days(right)
        }
        Expr::Case(case) => {
            let then = case.when_then_expr.iter().map(|(_, then)| then);
            then.chain(&case.else_expr).all(|value| is_of_days(value))
        }
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            (TIMES_NAME, [_, interval]) => is_of_days(interval),
            ("coalesce" | "greatest" | "least" | "nullif", values) => values.iter().all(is_of_days),
            _ => false,
        },
        _ => false,
    }
}

fn is_moment(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    )
}

/// The moment that a day begins.
fn midnight(day: Expr) -> Expr {
    cast(day, DataType::Timestamp(TimeUnit::Microsecond, None))
}

impl ExprPlanner for MultipliedIntervals {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let operator = match expr.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if operator == Operator::Plus
            && is_moment(&expr.left.get_type(schema)?)
            && is_moment(&expr.right.get_type(schema)?)
        {
            return plan_err!(
                "two dates cannot be added: `b - a` and `days_between(a, b)` are the days from one to the other"
            );
        }
        if operator != Operator::Multiply {
            let day =
                |expr: &Expr| Ok::<_, DataFusionError>(expr.get_type(schema)? == DataType::Date32);
            let (left, right) = if day(&expr.left)? && may_have_hours(&expr.right, schema)? {
                (midnight(expr.left), expr.right)
            } else if operator == Operator::Plus
                && day(&expr.right)?
                && may_have_hours(&expr.left, schema)?
            {
                (midnight(expr.right), expr.left)
            } else {
                return Ok(PlannerResult::Original(expr));
            };
            return Ok(PlannerResult::Planned(binary_expr(left, operator, right)));
        }
        let (left, right) = (expr.left.get_type(schema)?, expr.right.get_type(schema)?);
        let args = match (&left, &right) {
            (number, DataType::Interval(_)) if number.is_integer() => [expr.left, expr.right],
            (DataType::Interval(_), number) if number.is_integer() => [expr.right, expr.left],
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(TIMES.call(args.to_vec())))
    }
}

const TIMES_NAME: &str = "interval_times";

static TIMES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Times {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// An interval so many times.
pub(crate) fn interval_times() -> ScalarUDF {
    TIMES.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Times {
    signature: Signature,
}

impl ScalarUDFImpl for Times {
    fn name(&self) -> &'static str {
        TIMES_NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(MONTH_DAY_NANO)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [numbers, intervals] = arrays.as_slice() else {
            return exec_err!("{TIMES_NAME} takes two arguments");
        };
        let numbers = cast_array(numbers, &DataType::Int64)?;
        let intervals = cast_array(intervals, &MONTH_DAY_NANO)?;
        let times = try_binary::<_, _, _, IntervalMonthDayNanoType>(
            numbers.as_primitive::<Int64Type>(),
            intervals.as_primitive::<IntervalMonthDayNanoType>(),
            |number, interval| {
                let short = |part: i32| i32::try_from(number.checked_mul(part.into())?).ok();
                short(interval.months)
                    .zip(short(interval.days))
                    .zip(interval.nanoseconds.checked_mul(number))
                    .map(|((months, days), nanoseconds)| {
                        IntervalMonthDayNano::new(months, days, nanoseconds)
                    })
                    .ok_or_else(|| {
                        ArrowError::ArithmeticOverflow("an interval is too long".to_owned())
                    })
            },
        )?;
        Ok(ColumnarValue::Array(Arc::new(times)))
    }
}
