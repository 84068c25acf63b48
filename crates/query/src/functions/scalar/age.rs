//! `age(later, earlier)` and `date_sub(part, from, to)`: the time between two moments as a calendar counts it.
//!
//! Both are defined as in DuckDB, whose numbers `dialect.slt` has; `age` is PostgreSQL's.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use columna_model::Day;
use columna_model::time::{Civil, days_in_month};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::functions::docs::CLINICAL_TIME;

const DAY: i64 = 86_400_000_000;
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

static AGE: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "The time from one moment to a later one as an interval of months, days and microseconds, as in PostgreSQL and DuckDB; \
         `age(earlier)` is until today. `date_part('year', age(a, b))` are completed years, as are those of `age_at`.",
        "age(later, earlier)",
    )
    .with_argument("later", "The second moment, DATE or TIMESTAMP")
    .with_argument("earlier", "The first moment, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT date_part('year', age(DATE '2024-03-01', DATE '1980-03-02')) AS years;
+-------+
| years |
+-------+
| 43    |
+-------+",
    )
    .build()
});

static SUB: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CLINICAL_TIME,
        "How many whole parts lie between two moments, negative when `to` is earlier; the last day of a month completes it, \
         as in DuckDB. `date_diff` counts the boundaries between instead: from 31 December to 1 January is a year of it.",
        "date_sub(part, from, to)",
    )
    .with_argument("part", "The part: 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute' or 'second'")
    .with_argument("from", "The first moment, DATE or TIMESTAMP")
    .with_argument("to", "The second moment, DATE or TIMESTAMP")
    .with_sql_example(
        "> SELECT date_sub('year', DATE '1980-03-02', DATE '2024-03-01') AS years;
+-------+
| years |
+-------+
| 43    |
+-------+",
    )
    .build()
});

/// A moment's day and the time on it.
#[derive(Clone, Copy)]
struct Moment {
    civil: Civil,
    time: i64,
}

impl Moment {
    fn new(moment: i64) -> Self {
        let day = i32::try_from(moment.div_euclid(DAY)).unwrap_or(i32::MAX);
        Self {
            civil: Day(day).civil(),
            time: moment.rem_euclid(DAY),
        }
    }

    fn month(self) -> i64 {
        i64::from(self.civil.year) * 12 + i64::from(self.civil.month)
    }
}

/// From the earlier moment to the later.
fn interval(earlier: i64, later: i64) -> IntervalMonthDayNano {
    let (from, to) = (Moment::new(earlier), Moment::new(later));
    let mut months = to.month() - from.month();
    let mut days = i64::from(to.civil.day) - i64::from(from.civil.day);
    let mut time = to.time - from.time;
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    if days < 0 {
        days += i64::from(days_in_month(from.civil.year, from.civil.month));
        months -= 1;
    }
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    IntervalMonthDayNano::new(small(months), small(days), time * 1000)
}

fn age(later: i64, earlier: i64) -> IntervalMonthDayNano {
    if later < earlier {
        let age = interval(later, earlier);
        return IntervalMonthDayNano::new(-age.months, -age.days, -age.nanoseconds);
    }
    interval(earlier, later)
}

/// The months that are completed from one moment to another.
fn months(from: i64, to: i64) -> i64 {
    if to < from {
        return -months(to, from);
    }
    let (from, to) = (Moment::new(from), Moment::new(to));
    let last = to.civil.day == days_in_month(to.civil.year, to.civil.month);
    let day = match last {
        true => from.civil.day.min(to.civil.day),
        false => from.civil.day,
    };
    let begun = (to.civil.day, to.time) < (day, from.time);
    to.month() - from.month() - i64::from(begun)
}

/// What a part is counted by.
#[derive(Clone, Copy)]
enum Part {
    Months(i64),
    Microseconds(i64),
}

impl Part {
    fn new(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.strip_suffix('s').unwrap_or(&name) {
            "millennium" => Self::Months(12_000),
            "century" => Self::Months(1_200),
            "decade" => Self::Months(120),
            "year" => Self::Months(12),
            "quarter" => Self::Months(3),
            "month" => Self::Months(1),
            "week" => Self::Microseconds(7 * DAY),
            "day" => Self::Microseconds(DAY),
            "hour" => Self::Microseconds(3_600_000_000),
            "minute" => Self::Microseconds(60_000_000),
            "second" => Self::Microseconds(1_000_000),
            "millisecond" => Self::Microseconds(1_000),
            "microsecond" => Self::Microseconds(1),
            _ => return None,
        })
    }

    fn completed(self, from: i64, to: i64) -> i64 {
        match self {
            Self::Months(each) => months(from, to) / each,
            Self::Microseconds(each) => to.saturating_sub(from) / each,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Age,
    Sub,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Calendar {
    kind: Kind,
    signature: Signature,
    aliases: Vec<String>,
}

impl Calendar {
    fn new(kind: Kind, aliases: Vec<String>) -> Self {
        Self {
            kind,
            signature: Signature::user_defined(Volatility::Immutable),
            aliases,
        }
    }

    pub(crate) fn age() -> Self {
        Self::new(Kind::Age, Vec::new())
    }

    pub(crate) fn date_sub() -> Self {
        Self::new(Kind::Sub, vec!["datesub".to_owned()])
    }
}

impl ScalarUDFImpl for Calendar {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Age => "age",
            Kind::Sub => "date_sub",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let (part, moments) = match (self.kind, arguments) {
            (Kind::Age, [_, _]) => (None, arguments),
            (Kind::Sub, [_, moments @ ..]) if moments.len() == 2 => (Some(DataType::Utf8), moments),
            (Kind::Age, _) => {
                return plan_err!("`age` takes a moment, or the later and the earlier of two");
            }
            (Kind::Sub, _) => {
                return plan_err!("`date_sub` takes a part such as 'month', and two moments");
            }
        };
        for given in moments {
            match given {
                DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(_, _)
                | DataType::Null => {}
                other => {
                    return plan_err!(
                        "`{}` takes dates and moments; this is {other}: give a DATE or a TIMESTAMP, for example `CAST(… AS DATE)`",
                        self.name()
                    );
                }
            }
        }
        Ok(part.into_iter().chain([MOMENT, MOMENT]).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Age => DataType::Interval(IntervalUnit::MonthDayNano),
            Kind::Sub => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (part, moments) = match (self.kind, args.args.as_slice()) {
            (Kind::Age, moments) => (None, moments),
            (Kind::Sub, [ColumnarValue::Scalar(part), moments @ ..]) => {
                let name = part.try_as_str().flatten();
                let Some(part) = name.and_then(Part::new) else {
                    return plan_err!(
                        "the part of `date_sub` is 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute' or 'second'"
                    );
                };
                (Some(part), moments)
            }
            (Kind::Sub, _) => {
                return plan_err!("the part of `date_sub` is a literal such as 'month'");
            }
        };
        let scalar = moments
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(moments)?;
        let [one, other] = arrays.as_slice() else {
            return internal_err!("two moments expected, {} given", arrays.len());
        };
        let one = one.as_primitive::<TimestampMicrosecondType>().iter();
        let other = other.as_primitive::<TimestampMicrosecondType>().iter();
        let both = one.zip(other).map(|(one, other)| Some((one?, other?)));
        let found: ArrayRef = match part {
            None => Arc::new(
                both.map(|both| both.map(|(later, earlier)| age(later, earlier)))
                    .collect::<IntervalMonthDayNanoArray>(),
            ),
            Some(part) => Arc::new(
                both.map(|both| both.map(|(from, to)| part.completed(from, to)))
                    .collect::<Int64Array>(),
            ),
        };
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.kind {
            Kind::Age => &AGE,
            Kind::Sub => &SUB,
        })
    }
}
