//! `date_part` and `extract` of dates by a table of days.
//!
//! The engine's own goes through the calendar for each date, which took 40 % of the processor's time where records are
//! counted by year. Clinical dates fall into few decades, so year, month and day of each day of them are written down once.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, Date32Array, Int32Array};
use arrow::datatypes::{DataType, Date32Type, FieldRef};
use columna_model::Day;
use columna_model::time::Civil;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::datetime::date_part::DatePartFunc;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// 1900-01-01 and 2100-01-01, in days since 1970-01-01.
const FIRST: i32 = -25_567;
const END: i32 = 47_482;
/// Some 240,000 years either way; the engine's calendar ends a little later, and then it answers NULL.
const FARTHEST: i32 = 88_000_000;

static CALENDAR: LazyLock<Vec<Civil>> =
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
    let dates = dates.as_primitive_opt::<Date32Type>()?;
    match part.to_ascii_lowercase().as_str() {
        "year" => of(dates, |civil| civil.year),
        "quarter" => of(dates, |civil| (i32::from(civil.month) + 2) / 3),
        "month" => of(dates, |civil| i32::from(civil.month)),
        "day" => of(dates, |civil| i32::from(civil.day)),
        _ => None,
    }
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

/// Puts the quick function where the engine planned its own, as it does for `extract`.
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
        plan.map_expressions(|expr| expr.transform_up(|expr| Ok(replaced(expr))))
    }
}

fn replaced(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if func.inner().downcast_ref::<DatePartFunc>().is_some() =>
        {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                date_part(),
                args,
            )))
        }
        expr => Transformed::no(expr),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::ArrayRef;
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
    fn what_the_table_does_not_answer_is_left_to_the_engine() {
        let far: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
        assert!(parts("year", &far).is_none());
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![0]));
        assert!(parts("week", &dates).is_none());
        assert!(parts("years", &dates).is_none());
    }
}
