//! `date_trunc` of dates and times, to years, quarters and months by a table of days.
//!
//! As with parts of dates, the engine's own goes through the calendar for each of them, and through nanoseconds, which do not
//! reach a day in 9999.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use columna_model::Day;
use columna_model::time::Civil;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions::datetime::date_trunc::DateTruncFunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::date_part::{CALENDAR, FIRST};

/// What is truncated to, with the first day of it for each day of the calendar.
static FIRST_DAYS: LazyLock<[(&str, FirstMonth, Vec<i32>); 3]> = LazyLock::new(|| {
    let known: [(&str, FirstMonth); 3] = [
        ("year", |_| 1),
        ("quarter", |civil| (civil.month - 1) / 3 * 3 + 1),
        ("month", |civil| civil.month),
    ];
    known.map(|(name, month)| {
        let days = CALENDAR.iter();
        let first = days.filter_map(|civil| Day::from_civil(civil.year, month(civil), 1));
        (name, month, first.map(|day| day.0).collect())
    })
});

/// The month that a date's year, quarter or month begins with.
type FirstMonth = fn(&Civil) -> u8;

static QUICK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(DateTrunc {
        signature: Signature::any(2, Volatility::Immutable),
        stock: DateTruncFunc::new(),
    }))
});

/// The engine's `date_trunc`, quick for dates and for times without a zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    signature: Signature,
    stock: DateTruncFunc,
}

/// The function that stands for the engine's.
pub(crate) fn date_trunc() -> Arc<ScalarUDF> {
    Arc::clone(&QUICK)
}

/// Whether it is known here how to truncate to this.
pub(super) fn known(to: &ScalarValue) -> bool {
    let words = [
        "year", "quarter", "month", "week", "day", "hour", "minute", "second",
    ];
    let to = to.try_as_str().flatten().map(str::to_ascii_lowercase);
    to.is_some_and(|to| words.contains(&to.as_str()))
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &'static str {
        "columna_date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, DataType::Date32] => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
            [_, time] => Ok(time.clone()),
            _ => internal_err!("a time is truncated to something"),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(to), time] = args.args.as_slice() else {
            return internal_err!("a time is truncated to something");
        };
        if let ColumnarValue::Array(times) = time
            && let Some(truncated) = quick(to, times)
        {
            return Ok(ColumnarValue::Array(truncated));
        }
        if time.data_type() == DataType::Date32 {
            let to = DataType::Timestamp(TimeUnit::Microsecond, None);
            args.args[1] = time.cast_to(&to, None)?;
        }
        self.stock.invoke_with_args(args)
    }

    /// A later time is truncated to no earlier one.
    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.stock.output_ordering(input)
    }
}

/// What is truncated, as far as it is known how.
fn quick(to: &ScalarValue, times: &ArrayRef) -> Option<ArrayRef> {
    const DAY: i64 = 86_400;
    let to = to.try_as_str()??.to_ascii_lowercase();
    let first = FIRST_DAYS.iter().find(|(name, ..)| *name == to);
    // Of days since 1970, which was a Thursday.
    let day = |day: i64| -> Option<i64> {
        match (first, to.as_str()) {
            (Some((_, month, first)), _) => {
                let day = i32::try_from(day).ok()?;
                let place = usize::try_from(i64::from(day) - i64::from(FIRST)).ok();
                match place.and_then(|at| first.get(at)) {
                    Some(first) => Some(i64::from(*first)),
                    None => {
                        let civil = Day(day).civil();
                        let first = Day::from_civil(civil.year, month(&civil), 1)?;
                        Some(i64::from(first.0))
                    }
                }
            }
            (None, "week") => Some(day - (day + 3).rem_euclid(7)),
            (None, "day") => Some(day),
            _ => None,
        }
    };
    let seconds = match to.as_str() {
        "hour" => Some(3_600),
        "minute" => Some(60),
        "second" => Some(1),
        _ => None,
    };
    if let Some(dates) = times.as_primitive_opt::<Date32Type>() {
        let days = dates.values().iter();
        let starts = days.map(|&of| day(of.into())?.checked_mul(DAY * 1_000_000));
        let starts: Option<Vec<i64>> = starts.collect();
        let starts = TimestampMicrosecondArray::new(starts?.into(), dates.nulls().cloned());
        return Some(Arc::new(starts));
    }
    let start = |time: i64, per_second: i64| match seconds {
        Some(seconds) => Some(time - time.rem_euclid(seconds * per_second)),
        None => day(time.div_euclid(DAY * per_second))?.checked_mul(DAY * per_second),
    };
    match times.data_type() {
        DataType::Timestamp(TimeUnit::Second, None) => {
            of_times::<TimestampSecondType>(times, |time| start(time, 1))
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            of_times::<TimestampMillisecondType>(times, |time| start(time, 1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            of_times::<TimestampMicrosecondType>(times, |time| start(time, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            of_times::<TimestampNanosecondType>(times, |time| start(time, 1_000_000_000))
        }
        _ => None,
    }
}

fn of_times<T: ArrowTimestampType>(
    times: &ArrayRef,
    start: impl Fn(i64) -> Option<i64>,
) -> Option<ArrayRef> {
    let times = times.as_primitive_opt::<T>()?;
    let starts: Option<Vec<i64>> = times.values().iter().map(|time| start(*time)).collect();
    let starts = PrimitiveArray::<T>::new(starts?.into(), times.nulls().cloned());
    Some(Arc::new(starts))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};
    use arrow::compute::cast;
    use datafusion::config::ConfigOptions;

    use super::super::date_part::END;
    use super::*;

    fn truncated(of: &dyn ScalarUDFImpl, to: &str, times: &ArrayRef) -> ArrayRef {
        let field = |name: &str, of: &DataType| {
            Arc::new(arrow::datatypes::Field::new(name, of.clone(), true))
        };
        let returns = match times.data_type() {
            DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            time => time.clone(),
        };
        let args = ScalarFunctionArgs {
            args: vec![
                ColumnarValue::Scalar(ScalarValue::from(to)),
                ColumnarValue::Array(Arc::clone(times)),
            ],
            arg_fields: vec![
                field("to", &DataType::Utf8),
                field("time", times.data_type()),
            ],
            number_rows: times.len(),
            return_field: field("start", &returns),
            config_options: Arc::new(ConfigOptions::new()),
        };
        let found = of.invoke_with_args(args).unwrap();
        found.into_array(times.len()).unwrap()
    }

    /// The engine's own is what must come out.
    #[test]
    fn starts_are_the_engines() {
        let stock = DateTruncFunc::new();
        let days = [FIRST, 0, 11_016, 19_782, END - 1]
            .into_iter()
            .flat_map(|day| day - 400..day + 400);
        let days: Vec<i32> = days.filter(|day| (FIRST..END).contains(day)).collect();
        let far = [&days[..], &[FIRST - 1, END]].concat();
        for days in [days, far] {
            let dates: ArrayRef = Arc::new(Date32Array::from_iter(
                days.iter().copied().map(Some).chain([None]),
            ));
            let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
            let as_times = cast(&dates, &microseconds).unwrap();
            let moments = days.iter().map(|day| i64::from(*day) * 86_400_000_000 - 1);
            let moments: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(moments));
            for to in ["year", "QUARTER", "month", "week", "day", "hour"] {
                assert_eq!(
                    &truncated(QUICK.inner().as_ref(), to, &dates),
                    &truncated(&stock, to, &as_times),
                    "{to}"
                );
                for times in [&as_times, &moments] {
                    assert_eq!(
                        &truncated(QUICK.inner().as_ref(), to, times),
                        &truncated(&stock, to, times),
                        "{to}"
                    );
                }
            }
        }
    }
}
