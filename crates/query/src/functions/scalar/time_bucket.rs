//! `time_bucket(width, time)`: the start of the span of a width that a time lies in.
//!
//! Spans are those of DuckDB, whose numbers `dialect.slt` has: of whole months from January 2000 on, others from 3 January 2000, a
//! Monday.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use columna_model::Day;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::functions::docs::CLINICAL_TIME;

const DAY: i64 = 86_400_000_000;
/// 3 January 2000.
const MONDAY: i64 = 10_959 * DAY;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "The start of the span of this width that a time lies in, as in DuckDB: spans of months are counted from January 2000, \
         others from Monday, 3 January 2000.",
        "time_bucket(width, time)",
    )
    .with_argument(
        "width",
        "How wide spans are: a constant INTERVAL, of months and years or of all that is shorter",
    )
    .with_argument("time", "The time, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT time_bucket(INTERVAL '15 minutes', TIMESTAMP '2024-03-01 10:52:00') AS start;
+---------------------+
| start               |
+---------------------+
| 2024-03-01T10:45:00 |
+---------------------+",
    )
    .build()
});

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &'static str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let width = DataType::Interval(IntervalUnit::MonthDayNano);
        match arguments {
            [
                DataType::Interval(_) | DataType::Null,
                time @ (DataType::Date32 | DataType::Timestamp(_, _)),
            ] => Ok(vec![width, time.clone()]),
            [DataType::Interval(_) | DataType::Null, DataType::Null] => {
                Ok(vec![width, DataType::Date32])
            }
            _ => plan_err!("time_bucket takes an INTERVAL, and a DATE or TIMESTAMP"),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, time] => Ok(time.clone()),
            _ => internal_err!("a time lies in a span"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [width, times] = args.args.as_slice() else {
            return internal_err!("a time lies in a span");
        };
        let width = match width {
            ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(width)) => *width,
            _ => return plan_err!("the width of time_bucket is a constant"),
        };
        let kind = times.data_type();
        let Some(width) = width.map(Width::of).transpose()? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&kind)?));
        };
        let zone = match &kind {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let moments = DataType::Timestamp(TimeUnit::Microsecond, zone);
        let starts = cast(&times.to_array(args.number_rows)?, &moments)?
            .as_primitive::<TimestampMicrosecondType>()
            .try_unary::<_, TimestampMicrosecondType, _>(|time| {
                let start = width.start(time);
                start.ok_or_else(|| exec_datafusion_err!("a time is too far away for time_bucket"))
            })?
            .with_data_type(moments);
        Ok(ColumnarValue::Array(cast(
            &(Arc::new(starts) as Arc<dyn Array>),
            &kind,
        )?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

enum Width {
    Months(i32),
    Microseconds(i64),
}

impl Width {
    fn of(width: IntervalMonthDayNano) -> Result<Self> {
        let IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        } = width;
        let shorter = i64::from(days)
            .checked_mul(DAY)
            .and_then(|days| days.checked_add(nanoseconds / 1_000));
        match (months, shorter) {
            (1.., Some(0)) => Ok(Self::Months(months)),
            (0, Some(shorter @ 1..)) => Ok(Self::Microseconds(shorter)),
            _ => plan_err!(
                "the width of time_bucket is more than nothing, and of months and years or of all that is shorter"
            ),
        }
    }

    fn start(&self, time: i64) -> Option<i64> {
        match self {
            Self::Microseconds(width) => {
                let into = time.checked_sub(MONDAY)?.rem_euclid(*width);
                time.checked_sub(into)
            }
            Self::Months(width) => {
                let civil = Day(i32::try_from(time.div_euclid(DAY)).ok()?).civil();
                let month =
                    civil.year.checked_sub(2000)?.checked_mul(12)? + i32::from(civil.month) - 1;
                let start = month - month.rem_euclid(*width);
                let month = u8::try_from(start.rem_euclid(12) + 1).ok()?;
                let first = Day::from_civil(2000 + start.div_euclid(12), month, 1)?;
                i64::from(first.0).checked_mul(DAY)
            }
        }
    }
}
