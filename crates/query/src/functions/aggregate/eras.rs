//! `eras(start, end)`: records with short gaps between them as one.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type};
use columna_stats::Summary;
use columna_stats::description::eras::{Era, Eras, append_in_order};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::Documentation;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::adapter::output::{list_of, lists, struct_of};
use super::adapter::{
    Batch, BatchRows, Counted, Options, Parameter, Role, RowSummary, State, StateBuilder, Statistic,
};
use crate::functions::docs::DESCRIPTION;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Eras: records as spans of days, one span for all that have at most `gap` days between them. A list of structs of \
         `start`, `end`, `records` and `gap_days`, the days between the records of the era, from the last day of one to the \
         first day of the next. In `GROUP BY person_id, drug_concept_id` it gives each person's eras of each drug; \
         `unnest` turns them into rows. The table functions `drug_era`, `condition_era` and `eras` are this over tables.",
        "eras(start, end[, gap => 30])",
    )
    .with_argument("start", "The first day of the record")
    .with_argument(
        "end",
        "The last day; a record without one, or with one before its first day, is of one day",
    )
    .with_argument("gap", "The days that may lie between two records of an era, 30 by default")
    .with_sql_example(
        "> SELECT person, e['start'] AS start, e['end'] AS end, e['records'] AS records, e['gap_days'] AS gap_days FROM (
    SELECT person, unnest(eras(a, b, gap => 30)) AS e
    FROM (VALUES (1, DATE '2024-01-01', DATE '2024-01-31'), (1, DATE '2024-02-10', DATE '2024-03-10'),
                 (1, DATE '2024-06-01', NULL)) AS x(person, a, b)
    GROUP BY person) ORDER BY 1, 2;
+--------+------------+------------+---------+----------+
| person | start      | end        | records | gap_days |
+--------+------------+------------+---------+----------+
| 1      | 2024-01-01 | 2024-03-10 | 2       | 10       |
| 1      | 2024-06-01 | 2024-06-01 | 1       | 0        |
+--------+------------+------------+---------+----------+",
    )
    .build()
});

/// The records of a batch.
pub(crate) struct Records {
    start: Date32Array,
    end: Date32Array,
    counted: Counted,
}

impl BatchRows for Records {
    fn read(batch: &Batch<'_>) -> Result<Self> {
        let day = |name: &str| -> Result<Date32Array> {
            let array = batch
                .named(name)
                .ok_or_else(|| exec_datafusion_err!("an argument is missing"))?;
            let days = cast(array, &DataType::Date32)?;
            Ok(days.as_primitive::<Date32Type>().clone())
        };
        let (start, end) = (day("start")?, day("end")?);
        let counted = batch.counted([start.nulls()]);
        Ok(Self {
            start,
            end,
            counted,
        })
    }

    fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// Records as a summary of rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Eras);

impl Summary for Kept {
    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RowSummary for Kept {
    type Rows = Records;

    fn add_row(&mut self, rows: &Records, row: usize) -> Result<()> {
        let start = rows.start.value(row);
        let end = if rows.end.is_valid(row) {
            rows.end.value(row)
        } else {
            start
        };
        self.0.add(start, end);
        Ok(())
    }

    fn write(&self, state: &mut StateBuilder) {
        let day = |day: i32| u64::from(day.cast_unsigned());
        let ints: Vec<u64> = self
            .0
            .spans()
            .flat_map(|span| {
                let days = day(span.start) << 32 | day(span.end);
                [days, u64::from(span.records)]
            })
            .collect();
        state.append(&ints, &[], &[]);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what was written has these bits"
    )]
    fn read(&mut self, state: &State<'_>) -> Result<()> {
        let (spans, rest) = state.ints.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(DataFusionError::Internal(
                "the partial state of eras is cut short".to_owned(),
            ));
        }
        for [days, records] in spans {
            self.0.add_span(Era {
                start: ((days >> 32) as u32).cast_signed(),
                end: (*days as u32).cast_signed(),
                records: *records as u32,
                gap_days: 0,
            });
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct ErasOf;

impl Statistic for ErasOf {
    type Summary = Kept;
    type Options = u32;

    const NAME: &'static str = "eras";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("start", Role::Day),
        Parameter::required("end", Role::Day),
        Parameter::optional("gap", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        list_of(struct_of(&[
            ("start", DataType::Date32),
            ("end", DataType::Date32),
            ("records", DataType::Int64),
            ("gap_days", DataType::Int64),
        ]))
    }

    fn options(given: &Options) -> Result<u32> {
        whole_days(given.number("gap")?.unwrap_or(30.0))
    }

    fn evaluate(summaries: &[Option<&Kept>], gap: &u32, output: &DataType) -> Result<ArrayRef> {
        let mut eras = Vec::with_capacity(summaries.len());
        let lengths: Vec<Option<usize>> = summaries
            .iter()
            .map(|kept| kept.map(|kept| kept.0.append_to(*gap, &mut eras)))
            .collect();
        result(&eras, &lengths, output)
    }
}

/// The eras of groups that are all there: those of `count` groups, of which each row's is given. The rows of each are most often in
/// order of their days, and then nothing is kept of them. None where the arguments are others than days and a gap.
pub(crate) fn of_groups(
    call: &AggregateFunctionExpr,
    arguments: &[ArrayRef],
    ids: &[usize],
    kept: Option<&BooleanArray>,
    count: usize,
) -> Result<Option<ArrayRef>> {
    let [start, end, gap @ ..] = arguments else {
        return Ok(None);
    };
    let gap = match gap {
        [] => 30.0,
        [gap] if gap.data_type().is_numeric() && gap.null_count() == 0 && !gap.is_empty() => {
            cast(&gap.slice(0, 1), &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .value(0)
        }
        _ => return Ok(None),
    };
    let known = call.fun().name() == ErasOf::NAME && !call.is_distinct();
    let days = |array: &ArrayRef| *array.data_type() == DataType::Date32;
    let (true, Ok(gap)) = (known && days(start) && days(end), whole_days(gap)) else {
        return Ok(None);
    };
    let start = start.as_primitive::<Date32Type>();
    let end = end.as_primitive::<Date32Type>();
    let counts = |row: usize| {
        start.is_valid(row) && kept.is_none_or(|kept| kept.is_valid(row) && kept.value(row))
    };
    let mut next = vec![0usize; count];
    let rows: Vec<usize> = (0..ids.len()).filter(|row| counts(*row)).collect();
    for row in &rows {
        next[ids[*row]] += 1;
    }
    let lengths = next.clone();
    let mut place = 0;
    for next in &mut next {
        let length = *next;
        *next = place;
        place += length;
    }
    let mut records = vec![(0i32, 0i32); rows.len()];
    for row in rows {
        let first = start.value(row);
        let last = if end.is_valid(row) {
            end.value(row)
        } else {
            first
        };
        let next = &mut next[ids[row]];
        records[*next] = (first, last);
        *next += 1;
    }
    let mut eras = Vec::with_capacity(count);
    let mut rest = records.as_mut_slice();
    let mut found = Vec::with_capacity(count);
    for length in lengths {
        let (own, others) = rest.split_at_mut(length);
        rest = others;
        if !own.is_sorted() {
            own.sort_unstable();
        }
        let made = append_in_order(own.iter().copied(), gap, &mut eras);
        found.push((length > 0).then_some(made));
    }
    let field = call.field();
    result(&eras, &found, field.data_type()).map(Some)
}

/// A gap that is one.
fn whole_days(gap: f64) -> Result<u32> {
    if !(gap >= 0.0 && gap.fract() == 0.0 && gap <= 36_525.0) {
        return plan_err!("`gap` is {gap}; it is a whole number of days, for example 30");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    Ok(gap as u32)
}

/// Eras as lists, of so many for each group.
fn result(eras: &[Era], lengths: &[Option<usize>], output: &DataType) -> Result<ArrayRef> {
    let days = |of: fn(&Era) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(eras.iter().map(of)))
    };
    let numbers = |of: fn(&Era) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(eras.iter().map(of)))
    };
    let columns = [
        days(|era| era.start),
        days(|era| era.end),
        numbers(|era| era.records),
        numbers(|era| era.gap_days),
    ];
    lists(output, lengths, &columns)
}
