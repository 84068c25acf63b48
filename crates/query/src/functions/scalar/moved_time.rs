//! A date or a time moved by an interval, mostly one that is the same for all rows: `visit_start_date + INTERVAL '6 months'`.
//!
//! The engine's own goes through the calendar for each of them, with a date, a time and a zone. Here months are looked up in a table
//! of days, and days and parts of them are numbers.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::kernels::numeric::add;
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, Date32Type, IntervalMonthDayNano, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::date_part::{CALENDAR, END, FIRST};

const FIRST_YEAR: i32 = 1900;
const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

/// The first days of the months of the calendar, and of the one after it.
static MONTHS: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let starts = (FIRST..END).zip(CALENDAR.iter());
    let starts = starts.filter(|(_, civil)| civil.day == 1);
    starts.map(|(day, _)| day).chain([END]).collect()
});

static MOVED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(MovedTime {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// The function that stands for the engine's sum of a time and an interval.
pub(crate) fn moved_time() -> ScalarUDF {
    MOVED.as_ref().clone()
}

/// A date or a time without a zone, moved.
pub(crate) fn moved(time: Expr, by: IntervalMonthDayNano) -> Expr {
    moved_by(time, lit(ScalarValue::IntervalMonthDayNano(Some(by))))
}

/// Moved by an interval of each row.
pub(crate) fn moved_by(time: Expr, by: Expr) -> Expr {
    MOVED.call(vec![time, by])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MovedTime {
    signature: Signature,
}

impl ScalarUDFImpl for MovedTime {
    fn name(&self) -> &'static str {
        "columna_moved_time"
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [time, _] => Ok(time.clone()),
            _ => internal_err!("a time is moved by an interval"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, by] = args.args.as_slice() else {
            return internal_err!("a time is moved by one interval");
        };
        let times = time.to_array(args.number_rows)?;
        let by = match by {
            ColumnarValue::Scalar(by) => by,
            ColumnarValue::Array(by) => return Ok(ColumnarValue::Array(add(&times, by)?)),
        };
        let quick = match by {
            ScalarValue::IntervalMonthDayNano(Some(by)) => quick(&times, *by),
            _ => None,
        };
        let moved = match quick {
            Some(moved) => moved,
            None => add(&times, &by.to_scalar()?)?,
        };
        Ok(match time {
            ColumnarValue::Array(_) => ColumnarValue::Array(moved),
            ColumnarValue::Scalar(_) => ScalarValue::try_from_array(&moved, 0)?.into(),
        })
    }

    /// A later day is moved to no earlier one. Of times, 23:00 on the 30th of January comes after 1:00 on the 31st, a month on.
    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        let one = input
            .get(1)
            .is_some_and(|by| by.sort_properties == SortProperties::Singleton);
        let days = input
            .first()
            .filter(|time| one && time.range.data_type() == DataType::Date32);
        Ok(days.map_or(SortProperties::Unordered, |days| days.sort_properties))
    }
}

/// The times, where all months are in the calendar and nothing is finer than the times are.
fn quick(times: &ArrayRef, by: IntervalMonthDayNano) -> Option<ArrayRef> {
    match times.data_type() {
        DataType::Date32 => {
            let days = i64::from(by.days) + whole(by.nanoseconds, NANOSECONDS_PER_DAY)?;
            let days = i32::try_from(days).ok()?;
            each::<Date32Type>(times, |day| on_day(day, by.months)?.checked_add(days))
        }
        DataType::Timestamp(TimeUnit::Second, None) => {
            of_times::<TimestampSecondType>(times, by, 1_000_000_000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            of_times::<TimestampMillisecondType>(times, by, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            of_times::<TimestampMicrosecondType>(times, by, 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            of_times::<TimestampNanosecondType>(times, by, 1)
        }
        _ => None,
    }
}

fn of_times<T: ArrowTimestampType>(
    times: &ArrayRef,
    by: IntervalMonthDayNano,
    unit: i64,
) -> Option<ArrayRef> {
    let per_day = NANOSECONDS_PER_DAY / unit;
    let rest = whole(by.nanoseconds, unit)?;
    let rest = i64::from(by.days).checked_mul(per_day)?.checked_add(rest)?;
    if by.months == 0 {
        return each::<T>(times, |time| time.checked_add(rest));
    }
    each::<T>(times, |time| {
        let day = i32::try_from(time.div_euclid(per_day)).ok()?;
        let start = i64::from(on_day(day, by.months)?).checked_mul(per_day)?;
        start
            .checked_add(time.rem_euclid(per_day))?
            .checked_add(rest)
    })
}

fn whole(nanoseconds: i64, unit: i64) -> Option<i64> {
    (nanoseconds % unit == 0).then_some(nanoseconds / unit)
}

/// The day so many months on, or the last one of its month where that is shorter.
#[inline]
fn on_day(day: i32, months: i32) -> Option<i32> {
    if months == 0 {
        return Some(day);
    }
    let at = usize::try_from(day.checked_sub(FIRST)?).ok()?;
    let civil = CALENDAR.get(at)?;
    let month = (civil.year - FIRST_YEAR) * 12 + i32::from(civil.month) - 1;
    let month = usize::try_from(month.checked_add(months)?).ok()?;
    let (first, next) = (MONTHS.get(month)?, MONTHS.get(month + 1)?);
    Some((first + i32::from(civil.day) - 1).min(next - 1))
}

fn each<T: ArrowPrimitiveType>(
    times: &ArrayRef,
    moved: impl Fn(T::Native) -> Option<T::Native>,
) -> Option<ArrayRef> {
    let times = times.as_primitive_opt::<T>()?;
    let values = times.values().iter();
    let values: Option<Vec<T::Native>> = match times.nulls() {
        None => values.map(|&time| moved(time)).collect(),
        // What stands where there is no value may be anything.
        Some(nulls) => values
            .zip(nulls.iter())
            .map(|(&time, valid)| if valid { moved(time) } else { Some(time) })
            .collect(),
    };
    let moved = PrimitiveArray::<T>::new(values?.into(), times.nulls().cloned());
    Some(Arc::new(moved))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::Date32Array;
    use arrow::compute::cast;

    use super::*;

    #[test]
    fn what_is_moved_is_what_arrow_moves() {
        let days = (FIRST - 3..FIRST + 800)
            .chain(10_000..12_000)
            .chain(END - 800..END + 3);
        let days: ArrayRef = Arc::new(
            days.map(|day| (day % 7 != 0).then_some(day))
                .collect::<Date32Array>(),
        );
        let (hour, day) = (3_600_000_000_000, NANOSECONDS_PER_DAY);
        let intervals = [
            (1, 0, 0),
            (-1, 0, 0),
            (13, -40, 0),
            (-240, 3, 5 * hour),
            (0, 30, 0),
            (0, 0, -7 * day),
            (0, 2, -1_000),
            (0, 0, 1),
            (i32::MAX, 0, 0),
        ];
        let units = [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ];
        for (months, days_on, nanoseconds) in intervals {
            let by = IntervalMonthDayNano::new(months, days_on, nanoseconds);
            let scalar = ScalarValue::IntervalMonthDayNano(Some(by))
                .to_scalar()
                .unwrap();
            let mut inside = 0;
            for unit in units {
                let times = cast(&days, &DataType::Timestamp(unit, None)).unwrap();
                let odd = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(
                    0,
                    0,
                    5 * hour,
                )));
                let times = add(&times, &odd.to_scalar().unwrap()).unwrap();
                for slice in [times.slice(10, 700), times.slice(900, 1_900), times] {
                    if let Some(moved) = quick(&slice, by) {
                        assert_eq!(&moved, &add(&slice, &scalar).unwrap(), "{by:?} {unit:?}");
                        inside += 1;
                    }
                }
            }
            for slice in [
                days.slice(10, 700),
                days.slice(900, 1_900),
                ArrayRef::clone(&days),
            ] {
                if let Some(moved) = quick(&slice, by) {
                    assert_eq!(&moved, &add(&slice, &scalar).unwrap(), "{by:?}");
                    inside += 1;
                }
            }
            assert_eq!(inside > 0, months != i32::MAX, "{by:?}");
        }
    }
}
