//! `date_part` and `extract` of dates and times by a table of days, and the day of a time.
//!
//! The engine's own go through the calendar for each date, which took 40 % of the processor's time where records are
//! counted by year. Clinical dates fall into few decades, so year, month and day of each day of them are written down once. What is
//! no part of the calendar, such as the day itself or its hour, is a quotient.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, FieldRef, Int64Type, TimeUnit};
use columna_model::Day;
use columna_model::time::Civil;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::functions::datetime::date_part::DatePartFunc;
use datafusion::functions::datetime::date_trunc::DateTruncFunc;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::date_trunc;
use crate::kept_names;

/// 1900-01-01 and 2100-01-01, in days since 1970-01-01.
pub(super) const FIRST: i32 = -25_567;
pub(super) const END: i32 = 47_482;
/// Some 240,000 years either way; the engine's calendar ends a little later, and then it answers NULL.
const FARTHEST: i32 = 88_000_000;

pub(super) static CALENDAR: LazyLock<Vec<Civil>> =
    LazyLock::new(|| (FIRST..END).map(|day| Day(day).civil()).collect());

static QUICK: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(DatePart::new())));

/// The engine's `date_part`, quick for dates.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    stock: DatePartFunc,
}

/// The function under the engine's name for it.
pub(crate) fn date_part() -> Arc<ScalarUDF> {
    Arc::clone(&QUICK)
}

impl DatePart {
    fn new() -> Self {
        Self {
            stock: DatePartFunc::new(),
        }
    }
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match quick(&args.args) {
            Some(parts) => Ok(ColumnarValue::Array(Arc::new(parts))),
            None => self.stock.invoke_with_args(args),
        }
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.stock.preimage(args, literal, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// The parts, where they are of dates and can be read off the table.
fn quick(args: &[ColumnarValue]) -> Option<Int32Array> {
    let [ColumnarValue::Scalar(part), ColumnarValue::Array(dates)] = args else {
        return None;
    };
    let (ScalarValue::Utf8(Some(part)) | ScalarValue::Utf8View(Some(part))) = part else {
        return None;
    };
    let part = part.to_ascii_lowercase();
    let of_day = match part.as_str() {
        "hour" => Some(24),
        "minute" => Some(24 * 60),
        _ => None,
    };
    if let Some(parts) = of_day {
        return of_times(dates, parts);
    }
    let days = match dates.as_primitive_opt::<Date32Type>() {
        Some(dates) => dates.clone(),
        None => days(dates)?,
    };
    match part.as_str() {
        "year" => of(&days, |civil| civil.year),
        "quarter" => of(&days, |civil| (i32::from(civil.month) + 2) / 3),
        "month" => of(&days, |civil| i32::from(civil.month)),
        "day" => of(&days, |civil| i32::from(civil.day)),
        // The first day was a Thursday.
        "dow" => Some(days.unary(|day| day.wrapping_add(4).rem_euclid(7))),
        "isodow" => Some(days.unary(|day| day.wrapping_add(3).rem_euclid(7) + 1)),
        _ => None,
    }
}

/// How many units of a time without a zone are a day, and its numbers.
fn times(column: &ArrayRef) -> Option<(i64, Int64Array)> {
    const SECONDS: i64 = 86_400;
    let per_day = match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, None) => SECONDS,
        DataType::Timestamp(TimeUnit::Millisecond, None) => SECONDS * 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, None) => SECONDS * 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => SECONDS * 1_000_000_000,
        _ => return None,
    };
    let numbers = cast(column, &DataType::Int64).ok()?;
    Some((per_day, numbers.as_primitive::<Int64Type>().clone()))
}

/// The days of times, where none is far from now.
pub(super) fn days(column: &ArrayRef) -> Option<Date32Array> {
    let (per_day, times) = times(column)?;
    let far = i64::from(FARTHEST).saturating_mul(per_day);
    if times
        .values()
        .iter()
        .any(|time| !(-far..=far).contains(time))
    {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was looked for above")]
    Some(times.unary(|time| time.div_euclid(per_day) as i32))
}

/// Which of so many equal parts of the day a time is in, within its hour from 60 parts of it on.
fn of_times(column: &ArrayRef, parts: i64) -> Option<Int32Array> {
    let (per_day, times) = times(column)?;
    let within = if parts > 24 { 60 } else { 24 };
    let per_part = per_day / parts;
    #[expect(clippy::cast_possible_truncation, reason = "there are 60 at most")]
    Some(times.unary(|time| (time.div_euclid(per_part).rem_euclid(within)) as i32))
}

fn of(dates: &Date32Array, part: impl Fn(&Civil) -> i32 + Copy) -> Option<Int32Array> {
    let days = dates.values();
    let far = |&day: &i32| !(-FARTHEST..=FARTHEST).contains(&day);
    if days.iter().filter(|day| far(day)).count() > 0 {
        return None;
    }
    let calendar = CALENDAR.as_slice();
    let parts = days.iter().map(|&day| {
        // Days before the first wrap around to the far end, where there is no entry either.
        let at = day.wrapping_sub(FIRST).cast_unsigned() as usize;
        calendar
            .get(at)
            .map_or_else(|| part(&Day(day).civil()), part)
    });
    Some(Int32Array::new(parts.collect(), dates.nulls().cloned()))
}

static DAY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(DayOfTime {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The day of a time: what `CAST(… AS DATE)` is planned as.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DayOfTime {
    signature: Signature,
}

/// The function that stands for the cast.
pub(crate) fn day_of_time() -> ScalarUDF {
    DAY.as_ref().clone()
}

impl ScalarUDFImpl for DayOfTime {
    fn name(&self) -> &'static str {
        "columna_day_of_time"
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time] = args.args.as_slice() else {
            return internal_err!("the day of a time is asked of one time");
        };
        match time {
            ColumnarValue::Array(times) => match days(times) {
                Some(days) => Ok(ColumnarValue::Array(Arc::new(days))),
                None => time.cast_to(&DataType::Date32, None),
            },
            ColumnarValue::Scalar(_) => time.cast_to(&DataType::Date32, None),
        }
    }

    /// A later time is of no earlier day.
    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        let time = input.first().map(|time| time.sort_properties);
        Ok(time.unwrap_or(SortProperties::Unordered))
    }
}

/// Puts the quick functions where the engine planned its own, as it does for `extract`.
#[derive(Debug)]
pub(crate) struct QuickDateParts;

impl OptimizerRule for QuickDateParts {
    fn name(&self) -> &'static str {
        "quick_date_parts"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        // Scans leave out what a condition on a cast excludes, and know no other function.
        let schema = match plan {
            LogicalPlan::TableScan(_) | LogicalPlan::Filter(_) => DFSchema::empty(),
            _ => merge_schema(&plan.inputs()),
        };
        kept_names::changed(plan, |expr| {
            expr.transform_up(|expr| Ok(replaced(expr, &schema)))
        })
    }
}

fn replaced(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::Cast(cast) if *cast.field.data_type() == DataType::Date32 => {
            match cast.expr.get_type(schema) {
                Ok(DataType::Timestamp(_, None)) => Transformed::yes(DAY.call(vec![*cast.expr])),
                _ => Transformed::no(Expr::Cast(cast)),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.inner().downcast_ref::<DatePartFunc>().is_some() =>
        {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                date_part(),
                args,
            )))
        }
        Expr::ScalarFunction(call) if call.func.inner().is::<DateTruncFunc>() => {
            truncated(call, schema)
        }
        expr => Transformed::no(expr),
    }
}

/// The quick truncation, of a date itself where it was made a time for the engine's.
fn truncated(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let [Expr::Literal(to, _), time] = call.args.as_slice() else {
        return Transformed::no(Expr::ScalarFunction(call));
    };
    let of = |expr: &Expr| expr.get_type(schema).ok();
    let time = match time {
        Expr::Cast(cast)
            if of(&cast.expr) == Some(DataType::Date32)
                && *cast.field.data_type() == DataType::Timestamp(TimeUnit::Microsecond, None) =>
        {
            cast.expr.as_ref()
        }
        time => time,
    };
    let quick = date_trunc::known(to)
        && matches!(
            of(time),
            Some(DataType::Date32 | DataType::Timestamp(_, None))
        );
    if !quick {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    let args = vec![call.args[0].clone(), time.clone()];
    Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
        date_trunc::date_trunc(),
        args,
    )))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::TimestampMicrosecondArray;
    use arrow::compute::DatePart as Part;
    use arrow::compute::kernels::temporal::date_part as by_calendar;

    use super::*;

    fn parts(name: &str, dates: &ArrayRef) -> Option<Int32Array> {
        quick(&[
            ColumnarValue::Scalar(ScalarValue::from(name)),
            ColumnarValue::Array(Arc::clone(dates)),
        ])
    }

    #[test]
    fn parts_are_the_calendars() {
        let edges = [FIRST, END, 0, FARTHEST, -FARTHEST, 11_016, 11_017];
        let around = edges.into_iter().flat_map(|day| day - 800..day + 800);
        let near = around.map(|day| day.clamp(-FARTHEST, FARTHEST)).map(Some);
        let dates: ArrayRef = Arc::new(near.chain([None]).collect::<Date32Array>());
        for (name, part) in [
            ("year", Part::Year),
            ("YEAR", Part::Year),
            ("quarter", Part::Quarter),
            ("month", Part::Month),
            ("day", Part::Day),
        ] {
            let expected = by_calendar(dates.as_ref(), part).unwrap();
            assert_eq!(
                &parts(name, &dates).unwrap(),
                expected.as_primitive(),
                "{name}"
            );
        }
        assert_eq!(CALENDAR.len(), 73_049);
        assert_eq!(CALENDAR[0].year, 1900);
        assert_eq!(CALENDAR[73_048].year, 2099);
    }

    #[test]
    fn parts_and_days_of_times_are_the_calendars() {
        let day = 86_400_000_000_i64;
        let edges = [0, -day, day, 11_016 * day, -30_000 * day, 60_000 * day];
        let around = edges.into_iter().flat_map(|at| {
            (-60..60).flat_map(move |step| [at + step * 1_799_999_999, at + step, at - step * day])
        });
        let micros = around
            .map(Some)
            .chain([None])
            .collect::<TimestampMicrosecondArray>();
        let micros: ArrayRef = Arc::new(micros);
        for unit in [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ] {
            let times = cast(&micros, &DataType::Timestamp(unit, None)).unwrap();
            for (name, part) in [
                ("year", Part::Year),
                ("quarter", Part::Quarter),
                ("day", Part::Day),
                ("dow", Part::DayOfWeekSunday0),
                ("isodow", Part::DayOfWeekMonday1),
                ("hour", Part::Hour),
                ("minute", Part::Minute),
            ] {
                let expected = by_calendar(times.as_ref(), part).unwrap();
                let found = parts(name, &times).unwrap();
                assert_eq!(&found, expected.as_primitive(), "{name} {unit:?}");
            }
            let expected = cast(&times, &DataType::Date32).unwrap();
            assert_eq!(&days(&times).unwrap(), expected.as_primitive(), "{unit:?}");
        }
        let zoned = cast(
            &micros,
            &DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
        );
        assert!(parts("hour", &zoned.unwrap()).is_none());
    }

    #[test]
    fn what_the_table_does_not_answer_is_left_to_the_engine() {
        let far: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
        assert!(parts("year", &far).is_none());
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![0]));
        assert!(parts("week", &dates).is_none());
        assert!(parts("years", &dates).is_none());
    }
}
