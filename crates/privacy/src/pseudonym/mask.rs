//! What is done to the values of a column: prepared once, applied to arrays, and total: no value makes it fail.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit};
use columna_model::Day;
use datafusion::common::{Result, exec_err};

use super::project::ProjectKeys;
use super::zip::zip3;
use crate::policy::{Ages, ColumnRule, DateUnit};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Days of persons are from 1901 to 2049. Others stand for an unknown day or an open end: moved by a person's days, they would say by
/// how many, and one that is only mistyped would do so if it stayed.
const PERSONS_DAYS: [Day; 2] = [Day(-25_202), Day(29_219)];

/// What is shown of those before and after them: 1900-01-01 and 9999-12-31.
const NO_DAYS: [Day; 2] = [Day(-25_567), Day(2_932_896)];

/// What is done to the values of a column.
#[derive(Debug, Clone)]
pub enum Mask {
    /// Replace them with keyed pseudonyms.
    Pseudonym {
        /// The project's keys.
        keys: Arc<ProjectKeys>,
        /// The domain of the pseudonyms.
        domain: String,
    },
    /// Move days by the person's offset.
    Shift {
        /// The project's keys.
        keys: Arc<ProjectKeys>,
        /// No day before this one is shown.
        floor: Option<Day>,
    },
    /// Cut days.
    Generalize {
        /// To what.
        unit: DateUnit,
        /// No day before this one is shown.
        floor: Option<Day>,
    },
    /// Cut numbers to a multiple of the width.
    Bin(u32),
    /// Show no number above this.
    Top(i64),
    /// Show no year before this.
    BirthYear(i32),
    /// Show the first characters only.
    Prefix(u8),
    /// Show the three-digit ZIP area only.
    Zip3,
}

impl Mask {
    /// The mask of a rule, or `None` where the values are shown as they are.
    ///
    /// # Errors
    /// When it needs a key and there is none.
    pub fn of(
        rule: &ColumnRule,
        domain: &str,
        ages: Option<Ages>,
        keys: Option<&Arc<ProjectKeys>>,
    ) -> crate::Result<Option<Self>> {
        let key = || {
            keys.cloned().ok_or_else(|| crate::Error::Keys {
                message:
                    "this role sees pseudonyms or shifted dates, and there is no key to make them with; \
                     give one with `--keys`, and work in a project"
                        .to_owned(),
            })
        };
        Ok(Some(match rule {
            ColumnRule::Raw => return Ok(None),
            ColumnRule::Absent => {
                return Err(crate::Error::Keys {
                    message: "an absent column has no mask".to_owned(),
                });
            }
            ColumnRule::Pseudonym => Self::Pseudonym {
                keys: key()?,
                domain: domain.to_owned(),
            },
            ColumnRule::ShiftDate => {
                let keys = key()?;
                // Cut after the shift, at one day for all: a cut before it would show everybody's offset.
                let floor =
                    ages.map(|ages| Day(first_day(ages).0.saturating_add(keys.longest_shift())));
                Self::Shift { keys, floor }
            }
            ColumnRule::GeneralizeDate(unit) => Self::Generalize {
                unit: *unit,
                floor: ages.map(|ages| cut(first_day(ages), *unit)),
            },
            ColumnRule::Bin(width) => Self::Bin(*width),
            ColumnRule::Top(limit) => Self::Top(*limit),
            ColumnRule::BirthYear => {
                Self::BirthYear(ages.map_or(i32::MIN, |ages| first_day(ages).civil().year))
            }
            ColumnRule::Mask(keep) => Self::Prefix(*keep),
            ColumnRule::Zip3 => Self::Zip3,
        }))
    }

    /// The keys that it uses.
    #[must_use]
    pub fn keys(&self) -> Option<&ProjectKeys> {
        match self {
            Self::Pseudonym { keys, .. } | Self::Shift { keys, .. } => Some(keys),
            _ => None,
        }
    }

    /// Whether it reads the person of each row.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::Shift { .. })
    }

    /// Whether rows in order of the values stay in order (with ties).
    #[must_use]
    pub fn keeps_order_within_a_person(&self) -> bool {
        matches!(
            self,
            Self::Shift { .. } | Self::Generalize { .. } | Self::Bin(_) | Self::Top(_)
        )
    }

    /// Why a column of this type can't be treated so, or `None` where it can.
    #[must_use]
    pub fn mismatch(rule: &ColumnRule, data_type: &DataType) -> Option<&'static str> {
        let text = matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        let whole = data_type.is_integer();
        let number = whole || data_type.is_floating();
        let date = matches!(
            data_type,
            DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)
        );
        match rule {
            ColumnRule::Raw | ColumnRule::Absent => None,
            ColumnRule::Pseudonym if text || *data_type == DataType::Int64 => None,
            ColumnRule::Pseudonym => Some("a pseudonym is for BIGINT and VARCHAR columns"),
            ColumnRule::ShiftDate | ColumnRule::GeneralizeDate(_) if date => None,
            ColumnRule::ShiftDate | ColumnRule::GeneralizeDate(_) => {
                Some("it is for DATE and TIMESTAMP columns")
            }
            ColumnRule::Bin(_) | ColumnRule::Top(_) if number => None,
            ColumnRule::Bin(_) | ColumnRule::Top(_) => Some("it is for columns of numbers"),
            ColumnRule::BirthYear if whole => None,
            ColumnRule::BirthYear => Some("it is for columns of whole numbers"),
            ColumnRule::Mask(_) | ColumnRule::Zip3 if text => None,
            ColumnRule::Mask(_) | ColumnRule::Zip3 => Some("it is for VARCHAR columns"),
        }
    }

    /// The days by which the dates of each row's person are moved, where this mask moves dates.
    ///
    /// # Errors
    /// When the persons are no numbers.
    pub fn offsets(&self, persons: &ArrayRef) -> Result<Option<Int32Array>> {
        match self {
            Self::Shift { keys, .. } => offsets(persons, keys).map(Some),
            _ => Ok(None),
        }
    }

    /// The values as they are shown; `persons` are those of the same rows, for masks that need them.
    ///
    /// # Errors
    /// When the type is none that the mask is for, which a policy's check finds.
    pub fn apply(&self, values: &ArrayRef, persons: Option<&ArrayRef>) -> Result<ArrayRef> {
        let offsets = persons.map(|persons| self.offsets(persons)).transpose()?;
        self.apply_with(values, offsets.flatten().as_ref())
    }

    /// The values as they are shown; `offsets` are those of the same rows, for masks that need the person.
    ///
    /// # Errors
    /// When the type is none that the mask is for, which a policy's check finds.
    pub fn apply_with(&self, values: &ArrayRef, offsets: Option<&Int32Array>) -> Result<ArrayRef> {
        let data_type = values.data_type().clone();
        let shown: ArrayRef = match self {
            Self::Pseudonym { keys, domain } if data_type == DataType::Int64 => {
                let numbers = values.as_primitive::<Int64Type>();
                let shown = keys.pseudonyms_of_numbers(domain, numbers.values());
                Arc::new(Int64Array::new(shown.into(), numbers.nulls().cloned()))
            }
            Self::Pseudonym { keys, domain } => {
                map_texts(values, |text| keys.pseudonym_of_text(domain, text))?
            }
            Self::Shift { floor, .. } => shift(values, offsets, *floor)?,
            Self::Generalize { unit, floor } => map_days(values, true, |day| {
                let cut = cut(day, *unit);
                floor.map_or(cut, |floor| cut.max(floor))
            })?,
            Self::Bin(width) if data_type.is_floating() => {
                let width = f64::from(*width);
                map_floats(values, |value| (value / width).floor() * width)?
            }
            Self::Bin(width) => {
                let width = i64::from(*width);
                map_wide(values, |value| {
                    value.div_euclid(width).checked_mul(width).unwrap_or(value)
                })?
            }
            Self::Top(limit) if data_type.is_floating() => {
                #[expect(clippy::cast_precision_loss, reason = "a policy's limit is below 2^53")]
                let limit = *limit as f64;
                map_floats(values, |value| if value > limit { limit } else { value })?
            }
            Self::Top(limit) => map_wide(values, |value| value.min(*limit))?,
            Self::BirthYear(first) => map_wide(values, |year| year.max(i64::from(*first)))?,
            Self::Prefix(keep) => map_texts(values, |text| {
                let kept: String = text.chars().take(usize::from(*keep)).collect();
                kept + "***"
            })?,
            Self::Zip3 => map_texts(values, |text| zip3(text).to_owned())?,
        };
        if shown.data_type() == &data_type {
            Ok(shown)
        } else {
            Ok(cast(&shown, &data_type)?)
        }
    }
}

/// The first day on which nobody was born who is over the limit on the policy's day.
fn first_day(ages: Ages) -> Day {
    let on = ages.on.civil();
    let year = on.year - i32::from(ages.over) - 1;
    let day = Day::from_civil(year, on.month, on.day)
        // 29 February, in a year that has none.
        .or_else(|| Day::from_civil(year, 3, 1));
    Day(day.map_or(i32::MIN, |day| day.0.saturating_add(1)))
}

/// The first day of the month, quarter, year or decade.
pub(crate) fn cut(day: Day, unit: DateUnit) -> Day {
    let civil = day.civil();
    let (year, month) = match unit {
        DateUnit::Day => return day,
        DateUnit::Month => (civil.year, civil.month),
        DateUnit::Quarter => (civil.year, (civil.month - 1) / 3 * 3 + 1),
        DateUnit::Year => (civil.year, 1),
        DateUnit::Decade => (civil.year.div_euclid(10) * 10, 1),
    };
    Day::from_civil(year, month, 1).unwrap_or(day)
}

fn map_numbers(values: &ArrayRef, f: impl Fn(i64) -> i64) -> ArrayRef {
    let numbers = values.as_primitive::<Int64Type>();
    Arc::new(
        numbers
            .iter()
            .map(|number| number.map(&f))
            .collect::<Int64Array>(),
    )
}

/// Whole numbers of any width. What no longer fits, such as an unsigned number, becomes NULL.
fn map_wide(values: &ArrayRef, f: impl Fn(i64) -> i64) -> Result<ArrayRef> {
    Ok(map_numbers(&cast(values, &DataType::Int64)?, f))
}

fn map_floats(values: &ArrayRef, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let wide = cast(values, &DataType::Float64)?;
    Ok(Arc::new(
        wide.as_primitive::<Float64Type>()
            .unary::<_, Float64Type>(f),
    ))
}

fn map_texts(values: &ArrayRef, f: impl Fn(&str) -> String) -> Result<ArrayRef> {
    let views = cast(values, &DataType::Utf8View)?;
    let texts = views.as_string_view();
    let mut shown = StringViewBuilder::with_capacity(texts.len());
    for text in texts {
        shown.append_option(text.map(&f));
    }
    Ok(Arc::new(shown.finish()))
}

/// Days of dates, and of times with the time of day kept or cut off.
fn map_days(values: &ArrayRef, cut_time: bool, f: impl Fn(Day) -> Day) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Date32 => {
            let days = values.as_primitive::<Date32Type>();
            Ok(Arc::new(days.unary::<_, Date32Type>(|day| f(Day(day)).0)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = cast(values, &DataType::Int64)?;
            Ok(map_numbers(&micros, |micros| {
                move_micros(micros, cut_time, &f)
            }))
        }
        other => exec_err!("a column of type {other} has no days"),
    }
}

fn move_micros(micros: i64, cut_time: bool, f: impl Fn(Day) -> Day) -> i64 {
    let (day, time) = (
        micros.div_euclid(MICROS_PER_DAY),
        micros.rem_euclid(MICROS_PER_DAY),
    );
    // Every microsecond of an i64 lies within 300,000 years, whose days fit.
    let day = Day(i32::try_from(day).unwrap_or_default());
    let moved = f(day);
    let time = if cut_time { 0 } else { time };
    i64::from(moved.0)
        .saturating_mul(MICROS_PER_DAY)
        .saturating_add(time)
}

fn offsets(persons: &ArrayRef, keys: &ProjectKeys) -> Result<Int32Array> {
    let persons = cast(persons, &DataType::Int64)?;
    let persons = persons.as_primitive::<Int64Type>();
    let days = keys.shifts_of(persons.values());
    Ok(Int32Array::new(days.into(), persons.nulls().cloned()))
}

fn shift(values: &ArrayRef, offsets: Option<&Int32Array>, floor: Option<Day>) -> Result<ArrayRef> {
    let Some(offsets) = offsets else {
        return exec_err!("dates are shifted by person, and these rows have none");
    };
    let [first, last] = PERSONS_DAYS;
    let moved = |day: Day, days: i32| {
        let moved = match day {
            day if day < first => NO_DAYS[0],
            day if day > last => NO_DAYS[1],
            // Still between the others: a person's days stay in order.
            day => Day(day.0.saturating_add(days)).clamp(first, last),
        };
        floor.map_or(moved, |floor| moved.max(floor))
    };
    match values.data_type() {
        DataType::Date32 => {
            // Not by a kernel, which computes under NULLs too: zero and the offset is the offset.
            let days = values.as_primitive::<Date32Type>().iter();
            let shown = days
                .zip(offsets)
                .map(|(day, offset)| Some(moved(Day(day?), offset?).0));
            Ok(Arc::new(shown.collect::<Date32Array>()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = cast(values, &DataType::Int64)?;
            let shown =
                micros
                    .as_primitive::<Int64Type>()
                    .iter()
                    .zip(offsets)
                    .map(|(micros, offset)| {
                        let (micros, offset) = (micros?, offset?);
                        let day = micros.div_euclid(MICROS_PER_DAY);
                        let below =
                            floor.is_some_and(|floor| day + i64::from(offset) < i64::from(floor.0));
                        let of_nobody = day < i64::from(first.0) || day > i64::from(last.0);
                        // The time of day of one who is very old would tell them apart.
                        let cut = below || of_nobody;
                        Some(move_micros(micros, cut, |day| moved(day, offset)))
                    });
            Ok(Arc::new(shown.collect::<Int64Array>()))
        }
        other => exec_err!("a column of type {other} has no days"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{StringArray, TimestampMicrosecondArray};

    fn day(year: i32, month: u8, day: u8) -> i32 {
        Day::from_civil(year, month, day).unwrap().0
    }

    fn ages() -> Option<Ages> {
        Some(Ages {
            over: 89,
            on: Day(day(2026, 6, 30)),
        })
    }

    fn keys() -> Arc<ProjectKeys> {
        Arc::new(ProjectKeys::from_key(&[7; 32], 365, false).unwrap())
    }

    fn mask(rule: &ColumnRule) -> Mask {
        Mask::of(rule, "person", ages(), Some(&keys()))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn attack_46_a_year_of_birth_gives_no_age_above_89_away() {
        let years: ArrayRef = Arc::new(Int32Array::from(vec![
            Some(1900),
            Some(1936),
            Some(1937),
            Some(1990),
            None,
        ]));
        let shown = mask(&ColumnRule::BirthYear).apply(&years, None).unwrap();
        assert_eq!(
            shown
                .as_primitive::<arrow::datatypes::Int32Type>()
                .iter()
                .collect::<Vec<_>>(),
            [Some(1936), Some(1936), Some(1937), Some(1990), None]
        );
    }

    #[test]
    fn attack_46_shifted_dates_give_no_age_above_89_and_no_offset_away() {
        let persons: ArrayRef = Arc::new((0..200).collect::<Int64Array>());
        let old: ArrayRef = Arc::new(
            (0..200)
                .map(|p| Some(day(1920, 1, 1) + p))
                .collect::<Date32Array>(),
        );
        let last: ArrayRef = Arc::new(
            (0..200)
                .map(|_| Some(day(2026, 6, 30)))
                .collect::<Date32Array>(),
        );
        let shift = mask(&ColumnRule::ShiftDate);
        let old = shift.apply(&old, Some(&persons)).unwrap();
        let last = shift.apply(&last, Some(&persons)).unwrap();
        let (old, last) = (
            old.as_primitive::<Date32Type>(),
            last.as_primitive::<Date32Type>(),
        );
        for row in 0..200 {
            let age =
                columna_model::time::age_at(Day(old.value(row)), Day(last.value(row))).unwrap();
            assert!(age < 90, "{age}");
            // One day for all of them: nothing of the offsets shows.
            assert_eq!(old.value(row), old.value(0));
        }
    }

    /// A day that stands for none is the same for all, whatever their dates are moved by.
    #[test]
    fn days_of_nobody_give_no_offset_away() {
        assert_eq!(
            PERSONS_DAYS.map(|day| day.0),
            [day(1901, 1, 1), day(2049, 12, 31)]
        );
        assert_eq!(
            NO_DAYS.map(|day| day.0),
            [day(1900, 1, 1), day(9999, 12, 31)]
        );
        let persons: ArrayRef = Arc::new((0..200).collect::<Int64Array>());
        let shift = Mask::of(&ColumnRule::ShiftDate, "person", None, Some(&keys()));
        let shift = shift.unwrap().unwrap();
        let of = |stored: i32| {
            let days: ArrayRef = Arc::new(Date32Array::from(vec![stored; 200]));
            let times = (0..200).map(|at| i64::from(stored) * MICROS_PER_DAY + at);
            let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times));
            let days = shift.apply(&days, Some(&persons)).unwrap();
            let times = shift.apply(&times, Some(&persons)).unwrap();
            let times = cast(&times, &DataType::Int64).unwrap();
            let times = times.as_primitive::<Int64Type>().values().to_vec();
            (days.as_primitive::<Date32Type>().values().to_vec(), times)
        };
        for (stored, shown) in [
            (day(1, 1, 1), day(1900, 1, 1)),
            (day(1900, 1, 1), day(1900, 1, 1)),
            (day(2099, 12, 31), day(9999, 12, 31)),
            (day(9999, 12, 31), day(9999, 12, 31)),
        ] {
            let (days, times) = of(stored);
            assert_eq!(days, vec![shown; 200]);
            assert_eq!(times, vec![i64::from(shown) * MICROS_PER_DAY; 200]);
        }
        // Siblings: days of persons are moved, and stay between the others.
        for stored in [day(1901, 1, 1), day(2020, 2, 29), day(2049, 12, 31)] {
            let (days, _) = of(stored);
            let own: std::collections::HashSet<i32> = days.iter().copied().collect();
            assert!(own.len() > 50);
            assert!(
                days.iter()
                    .all(|day| (NO_DAYS[0].0 + 1..NO_DAYS[1].0).contains(day))
            );
        }
    }

    #[test]
    fn intervals_of_a_person_are_kept() {
        let persons: ArrayRef = Arc::new(Int64Array::from(vec![5, 5, 5, 9]));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![
            Some(day(2020, 1, 1)),
            Some(day(2020, 3, 1)),
            None,
            Some(day(2020, 1, 1)),
        ]));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            Some(i64::from(day(2020, 1, 1)) * MICROS_PER_DAY + 5),
            Some(0),
            None,
            Some(-1),
        ]));
        let shift = mask(&ColumnRule::ShiftDate);
        let shown = shift.apply(&dates, Some(&persons)).unwrap();
        let shown = shown.as_primitive::<Date32Type>();
        assert_eq!(shown.value(1) - shown.value(0), 60);
        assert_ne!(shown.value(0), day(2020, 1, 1));
        assert_ne!(shown.value(0), shown.value(3));
        assert!(shown.is_null(2));
        // Nor does the offset lie under it.
        assert_eq!(shown.values()[2], 0);
        let moved = shift.apply(&times, Some(&persons)).unwrap();
        assert_eq!(moved.data_type(), times.data_type());
        let moved = cast(&moved, &DataType::Int64).unwrap();
        let moved = moved.as_primitive::<Int64Type>();
        assert_eq!(
            moved.value(0),
            i64::from(shown.value(0)) * MICROS_PER_DAY + 5
        );
    }

    #[test]
    fn days_are_cut_to_their_unit() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![day(1987, 8, 19)]));
        for (unit, cut) in [
            (DateUnit::Day, day(1987, 8, 19)),
            (DateUnit::Month, day(1987, 8, 1)),
            (DateUnit::Quarter, day(1987, 7, 1)),
            (DateUnit::Year, day(1987, 1, 1)),
            (DateUnit::Decade, day(1980, 1, 1)),
        ] {
            let shown = mask(&ColumnRule::GeneralizeDate(unit))
                .apply(&dates, None)
                .unwrap();
            assert_eq!(shown.as_primitive::<Date32Type>().value(0), cut);
        }
        let old: ArrayRef = Arc::new(Date32Array::from(vec![day(1887, 8, 19)]));
        let shown = mask(&ColumnRule::GeneralizeDate(DateUnit::Year))
            .apply(&old, None)
            .unwrap();
        assert_eq!(shown.as_primitive::<Date32Type>().value(0), day(1936, 1, 1));
    }

    #[test]
    fn numbers_and_texts() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![47, -3, i64::MIN, i64::MAX]));
        let shown = mask(&ColumnRule::Bin(5)).apply(&numbers, None).unwrap();
        let shown = shown.as_primitive::<Int64Type>();
        assert_eq!((shown.value(0), shown.value(1)), (45, -5));
        let top = mask(&ColumnRule::Top(40)).apply(&numbers, None).unwrap();
        assert_eq!(top.as_primitive::<Int64Type>().value(0), 40);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("김철수"), None, Some("")]));
        let shown = mask(&ColumnRule::Mask(1)).apply(&texts, None).unwrap();
        let shown: Vec<_> = shown.as_string::<i32>().iter().collect();
        assert_eq!(shown, [Some("김***"), None, Some("***")]);
    }

    #[test]
    fn extremes_do_not_fail() {
        let persons: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX]));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX]));
        for values in [&dates, &times] {
            for rule in [
                ColumnRule::ShiftDate,
                ColumnRule::GeneralizeDate(DateUnit::Month),
            ] {
                for ages in [None, ages()] {
                    let mask = Mask::of(&rule, "x", ages, Some(&keys())).unwrap().unwrap();
                    assert!(mask.apply(values, Some(&persons)).is_ok());
                }
            }
        }
    }
}
