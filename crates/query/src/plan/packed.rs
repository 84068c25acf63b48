//! The sort keys of a chunk's rows in one number for each row, as narrow as the chunk's values allow.

use std::mem;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::SortColumn;
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;

use super::keys::{ascending_numbers, unsigned};

/// Two to the power of so many parts are filled side by side without much waiting for memory.
const MOST_PARTS: u32 = 14;

/// So many sorted runs are merged more quickly than they are taken apart: copies by concept have one for each concept and file.
const FEW_RUNS: usize = 16;

/// Numbers that compare as the rows' keys do.
pub(super) enum Packed {
    Narrow(Vec<u64>),
    Wide(Vec<u128>),
}

/// The keys of rows, the first one highest, and below them each row's place in so many bits. None where a key's type has
/// no numbers, and where they do not fit.
pub(super) fn packed(columns: &[SortColumn], place: u32) -> Result<Option<Packed>> {
    let codes = |by_steps: bool| -> Result<Option<Vec<Codes>>> {
        let codes = columns.iter().map(|column| Codes::of(column, by_steps));
        codes.collect()
    };
    let width = |codes: &[Codes]| place + codes.iter().map(|c| c.bits).sum::<u32>();
    let Some(codes) = (match codes(false)? {
        Some(wide) if width(&wide) > u128::BITS => codes(true)?,
        found => found,
    }) else {
        return Ok(None);
    };
    Ok(match width(&codes) {
        0..=64 => Some(Packed::Narrow(narrow(&codes, place))),
        65..=128 => {
            let put = |number: u128, code, bits| number.unbounded_shl(bits) | u128::from(code);
            Some(Packed::Wide(together(&codes, place, put)))
        }
        _ => None,
    })
}

/// The first keys of rows, as many as fit into 64 bits above each row's place, and how many these are.
pub(super) fn leading(columns: &[SortColumn], place: u32) -> Result<(Vec<u64>, usize)> {
    let (mut codes, mut width) = (Vec::new(), place);
    for column in columns {
        match Codes::of(column, false)? {
            Some(code) if width + code.bits <= u64::BITS => {
                width += code.bits;
                codes.push(code);
            }
            _ => break,
        }
    }
    Ok((narrow(&codes, place), codes.len()))
}

fn narrow(codes: &[Codes], place: u32) -> Vec<u64> {
    let put = |number: u64, code, bits| number.unbounded_shl(bits) | code;
    together(codes, place, put)
}

fn together<T: Copy + From<u64>>(
    codes: &[Codes],
    place: u32,
    put: impl Fn(T, u64, u32) -> T,
) -> Vec<T> {
    let rows = codes.first().map_or(0, |c| c.values.len());
    let mut numbers = vec![T::from(0); rows];
    for column in codes {
        column.each(&mut numbers, |number, code| {
            *number = put(*number, code, column.bits);
        });
    }
    if place > 0 {
        for (number, row) in numbers.iter_mut().zip(0..) {
            *number = put(*number, row, place);
        }
    }
    numbers
}

/// Sorts numbers of which there are many: first apart by their highest bits, and each part by itself, which stays in the
/// cache.
pub(super) fn sort<T: Copy + Ord + Default>(
    mut numbers: Vec<T>,
    high: impl Fn(T, u32) -> usize,
    bits: u32,
) -> Vec<T> {
    let mut ends = numbers.array_windows().filter(|[one, next]| one > next);
    if ends.nth(FEW_RUNS).is_none() {
        numbers.sort();
        return numbers;
    }
    // Some sixty rows in each part, where they are spread evenly.
    let parts = (numbers.len() / 64).checked_ilog2().unwrap_or(0);
    let parts = parts.min(MOST_PARTS).min(bits);
    let below = bits - parts;
    let mut ends = vec![0; 1 << parts];
    for number in &numbers {
        ends[high(*number, below)] += 1;
    }
    let mut before = 0;
    for end in &mut ends {
        before += mem::replace(end, before);
    }
    let mut apart = vec![T::default(); numbers.len()];
    for number in numbers {
        let end = &mut ends[high(number, below)];
        apart[*end] = number;
        *end += 1;
    }
    let mut start = 0;
    for end in ends {
        apart[start..end].sort_unstable();
        start = end;
    }
    apart
}

/// A column's values counted from the chunk's lowest one, with direction and place of nulls in them.
struct Codes<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
    /// The value that comes first, and by which values are divided.
    first: u64,
    step: u64,
    descending: bool,
    /// What nulls are, and how many come before the first value.
    null: u64,
    before: u64,
    bits: u32,
}

/// Values that stand for numbers in the order of values.
enum Values<'a> {
    Days(&'a [i32]),
    Whole(&'a [i64]),
    Numbers(Vec<u64>),
}

impl<'a> Values<'a> {
    /// None where the type has no numbers.
    fn of(column: &'a ArrayRef) -> Result<Option<Self>> {
        Ok(Some(match column.data_type() {
            DataType::Date32 => Self::Days(column.as_primitive::<Date32Type>().values()),
            DataType::Int32 => Self::Days(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Whole(column.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Whole(column.as_primitive::<TimestampMicrosecondType>().values())
            }
            _ => match ascending_numbers(column)? {
                Some(numbers) => Self::Numbers(numbers),
                None => return Ok(None),
            },
        }))
    }

    fn len(&self) -> usize {
        match self {
            Self::Days(days) => days.len(),
            Self::Whole(values) => values.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// The lowest and the highest one; 0 and 0 of none.
    fn range(&self, nulls: Option<&NullBuffer>) -> (u64, u64) {
        match self {
            Self::Days(days) => range(days, nulls, of_day),
            Self::Whole(values) => range(values, nulls, unsigned),
            Self::Numbers(numbers) => range(numbers, nulls, |n| n),
        }
    }

    /// Whether all are so many steps from one of them.
    fn lie_in_steps(&self, nulls: Option<&NullBuffer>, from: u64, step: u64) -> bool {
        let number = |row: usize| match self {
            Self::Days(days) => of_day(days[row]),
            Self::Whole(values) => unsigned(values[row]),
            Self::Numbers(numbers) => numbers[row],
        };
        (0..self.len()).all(|row| {
            nulls.is_some_and(|nulls| nulls.is_null(row))
                || number(row).wrapping_sub(from).is_multiple_of(step)
        })
    }
}

fn of_day(day: i32) -> u64 {
    unsigned(day.into())
}

fn range<T: Copy>(
    values: &[T],
    nulls: Option<&NullBuffer>,
    number: impl Fn(T) -> u64,
) -> (u64, u64) {
    let wider = |(low, high): (u64, u64), n: u64| (low.min(n), high.max(n));
    let none = (u64::MAX, 0);
    let (low, high) = match nulls {
        None => values
            .iter()
            .fold(none, |range, &n| wider(range, number(n))),
        Some(nulls) => nulls
            .valid_indices()
            .fold(none, |range, row| wider(range, number(values[row]))),
    };
    if low > high { (0, 0) } else { (low, high) }
}

impl<'a> Codes<'a> {
    /// None where the type has no numbers. `by_steps` counts times in the longest steps that reach all of them.
    fn of(column: &'a SortColumn, by_steps: bool) -> Result<Option<Self>> {
        let options = column.options.unwrap_or_default();
        let Some(values) = Values::of(&column.values)? else {
            return Ok(None);
        };
        let nulls = column.values.nulls().filter(|nulls| nulls.null_count() > 0);
        let (low, high) = values.range(nulls);
        let step = if by_steps {
            let reaches = |step| values.lie_in_steps(nulls, low, step);
            step(column.values.data_type(), reaches)
        } else {
            1
        };
        let span = (high - low) / step;
        let Some(top) = span.checked_add(u64::from(nulls.is_some())) else {
            return Ok(None);
        };
        Ok(Some(Self {
            values,
            nulls,
            first: if options.descending { high } else { low },
            step,
            descending: options.descending,
            null: if options.nulls_first { 0 } else { top },
            before: u64::from(nulls.is_some() && options.nulls_first),
            bits: u64::BITS - top.leading_zeros(),
        }))
    }

    /// Gives each row's code to what is there of the row.
    fn each<T>(&self, rows: &mut [T], put: impl Fn(&mut T, u64)) {
        match &self.values {
            Values::Days(days) => self.each_of(days, of_day, rows, put),
            Values::Whole(values) => self.each_of(values, unsigned, rows, put),
            Values::Numbers(numbers) => self.each_of(numbers, |n| n, rows, put),
        }
    }

    #[inline]
    fn each_of<V: Copy, T>(
        &self,
        values: &[V],
        number: impl Fn(V) -> u64,
        rows: &mut [T],
        put: impl Fn(&mut T, u64),
    ) {
        let first = self.first;
        let rows = rows.iter_mut().zip(values);
        match (self.nulls, self.step, self.descending) {
            (None, 1, false) => {
                rows.for_each(|(row, value)| put(row, number(*value).wrapping_sub(first)));
            }
            (None, 1, true) => {
                rows.for_each(|(row, value)| put(row, first.wrapping_sub(number(*value))));
            }
            (nulls, step, descending) => {
                for (at, (row, value)) in rows.enumerate() {
                    let value = number(*value);
                    let from = if descending {
                        first.wrapping_sub(value)
                    } else {
                        value.wrapping_sub(first)
                    };
                    let null = nulls.is_some_and(|nulls| nulls.is_null(at));
                    let code = if step == 1 { from } else { from / step };
                    put(
                        row,
                        if null {
                            self.null
                        } else {
                            code.wrapping_add(self.before)
                        },
                    );
                }
            }
        }
    }
}

/// The longest of some usual steps of time that reaches all values; of what is no time, 1.
fn step(of: &DataType, reaches: impl Fn(u64) -> bool) -> u64 {
    let second: u64 = match of {
        DataType::Timestamp(TimeUnit::Second, _) => 1,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000_000,
        _ => return 1,
    };
    let steps = [second * 86_400, second * 60, second, second / 1_000];
    let mut steps = steps.into_iter().filter(|step| *step > 1);
    steps.find(|step| reaches(*step)).unwrap_or(1)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::cmp::Ordering;
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        make_comparator,
    };
    use arrow::compute::SortOptions;

    use super::*;

    fn column(values: ArrayRef, descending: bool, nulls_first: bool) -> SortColumn {
        let options = SortOptions {
            descending,
            nulls_first,
        };
        SortColumn {
            values,
            options: Some(options),
        }
    }

    /// Arrow's own comparators say what must come out.
    fn agree(columns: &[SortColumn]) {
        let rows = columns[0].values.len();
        let compare: Vec<_> = columns
            .iter()
            .map(|c| make_comparator(&c.values, &c.values, c.options.unwrap()).unwrap())
            .collect();
        let packed = packed(columns, 0).unwrap().unwrap();
        for (a, b) in (0..rows).flat_map(|a| (0..rows).map(move |b| (a, b))) {
            let mut wanted = compare.iter().map(|compare| compare(a, b));
            let wanted = wanted
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal);
            let found = match &packed {
                Packed::Narrow(keys) => keys[a].cmp(&keys[b]),
                Packed::Wide(keys) => keys[a].cmp(&keys[b]),
            };
            assert_eq!(found, wanted, "rows {a} and {b} of {columns:?}");
        }
    }

    #[test]
    fn numbers_compare_as_the_keys() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![
            Some(-3),
            None,
            Some(40),
            Some(40),
            Some(-3),
            None,
        ]));
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(i64::MIN),
            Some(7),
            None,
            Some(i64::MAX),
            Some(7),
            None,
        ]));
        let near: ArrayRef = Arc::new(Int64Array::from(vec![9, 8, 7, 9, 8, 7]));
        let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None; 6]));
        let one: ArrayRef = Arc::new(Int64Array::from(vec![5; 6]));
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::NEG_INFINITY,
            1e-300,
            -1.5,
        ]));
        for (descending, first) in [(false, false), (false, true), (true, false), (true, true)] {
            let key = |values: &ArrayRef| column(Arc::clone(values), descending, first);
            agree(&[key(&days), key(&near)]);
            agree(&[key(&near), key(&days), key(&one)]);
            agree(&[key(&one), key(&floats)]);
            agree(&[key(&nothing), key(&floats), key(&days)]);
            agree(&[
                key(&days),
                column(Arc::clone(&near), !descending, first),
                key(&nothing),
            ]);
            // Every number there is and NULL do not fit into one.
            assert!(packed(&[key(&wide)], 0).unwrap().is_none());
        }
    }

    #[test]
    fn times_that_do_not_fit_are_counted_by_steps() {
        let times = |values: [i64; 4]| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(values[0]),
                None,
                Some(values[1]),
                Some(values[2]),
                Some(values[3]),
            ]))
        };
        let hour = 3_600_000_000;
        let minutes = times([-7 * hour, 1_000_000 * hour, 60_000_000, -7 * hour]);
        let odd = times([-7 * hour, 1_000_000 * hour, 60_000_001, -7 * hour]);
        let far: ArrayRef = Arc::new(Int64Array::from(vec![0, 1 << 61, 5, 5, 5]));
        for (descending, first) in [(false, false), (false, true), (true, false), (true, true)] {
            let key = |values: &ArrayRef| column(Arc::clone(values), descending, first);
            agree(&[key(&far), key(&minutes), key(&minutes)]);
            let odd = [key(&far), key(&odd), key(&odd)];
            assert!(packed(&odd, 0).unwrap().is_none());
        }
    }

    #[test]
    fn what_does_not_fit_or_has_no_numbers_is_not_packed() {
        let whole =
            |values: [i64; 2]| column(Arc::new(Int64Array::from(values.to_vec())), false, false);
        let every = || whole([i64::MIN, i64::MAX]);
        assert!(
            matches!(packed(&[every()], 0).unwrap(), Some(Packed::Narrow(k)) if k == [0, u64::MAX])
        );
        assert!(
            matches!(packed(&[every()], 1).unwrap(), Some(Packed::Wide(k)) if k == [0, u128::from(u64::MAX) << 1 | 1])
        );
        assert!(
            matches!(packed(&[every(), every()], 0).unwrap(), Some(Packed::Wide(k)) if k == [0, u128::MAX])
        );
        assert!(packed(&[every(), every()], 1).unwrap().is_none());
        let text = column(Arc::new(StringArray::from(vec!["a", "b"])), false, false);
        assert!(packed(&[whole([1, 2]), text], 0).unwrap().is_none());
    }
}
