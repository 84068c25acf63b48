//! A batch of arguments as rows of times and events, and summaries that take them.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use columna_stats::survival::{EventTimes, EventTimesParts};
use columna_stats::{Error, Summary};
use datafusion::common::{DataFusionError, Result, exec_err};

use super::parameters::Columns;
use super::state::{State, StateBuilder};

/// A summary that takes rows of a batch and travels as flat lists.
pub(crate) trait RowSummary: Summary + Send + Sync + std::fmt::Debug + 'static {
    /// Takes one row in.
    fn add_row(&mut self, rows: &EventRows, row: usize) -> Result<()>;
    /// Writes the state of a summary of this one row, without making the summary where that can be avoided.
    fn write_row(rows: &EventRows, row: usize, state: &mut StateBuilder) -> Result<()>;
    /// Writes the state of this summary.
    fn write(&self, state: &mut StateBuilder);
    /// Merges a state in.
    fn read(&mut self, state: &State) -> Result<()>;
    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;
}

/// The rows of a batch, with one mask for those that count.
pub(crate) struct EventRows {
    time: Float64Array,
    status: Vec<u32>,
    start: Option<Float64Array>,
    weights: Option<Float64Array>,
    group: Option<StringArray>,
    strata: Option<StringArray>,
    /// Rows without a NULL that pass the filter; all of them if there is none.
    counted: Option<NullBuffer>,
}

impl EventRows {
    pub(crate) fn new(
        columns: Columns,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Self> {
        let column = |index: usize| match values.get(index) {
            Some(array) => Ok(array),
            None => exec_err!("argument {index} is missing"),
        };
        let time = days(column(columns.time)?)?;
        let event = column(columns.event)?;
        let start = columns
            .start
            .map(|index| days(column(index)?))
            .transpose()?;
        let weights = columns
            .weights
            .map(|index| numbers(column(index)?))
            .transpose()?;
        let group = columns
            .group
            .map(|index| labels(column(index)?))
            .transpose()?;
        let strata = columns
            .strata
            .map(|index| labels(column(index)?))
            .transpose()?;
        let mut counted = NullBuffer::union(time.nulls(), event.nulls());
        for optional in [&group, &strata].into_iter().flatten() {
            counted = NullBuffer::union(counted.as_ref(), optional.nulls());
        }
        for optional in [&start, &weights].into_iter().flatten() {
            counted = NullBuffer::union(counted.as_ref(), optional.nulls());
        }
        if let Some(filter) = filter {
            let passes = match filter.nulls() {
                None => filter.values().clone(),
                Some(nulls) => filter.values() & nulls.inner(),
            };
            counted = NullBuffer::union(counted.as_ref(), Some(&NullBuffer::new(passes)));
        }
        let status = statuses(event, counted.as_ref())?;
        Ok(Self {
            time,
            status,
            start,
            weights,
            group,
            strata,
            counted,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    pub(crate) fn counts(&self, row: usize) -> bool {
        self.counted
            .as_ref()
            .is_none_or(|counted| counted.is_valid(row))
    }

    /// The stratum and the group of a row; empty where the statistic has none.
    pub(crate) fn labels(&self, row: usize) -> (&str, &str) {
        (
            self.strata.as_ref().map_or("", |strata| strata.value(row)),
            self.group.as_ref().map_or("", |group| group.value(row)),
        )
    }

    fn start(&self, row: usize) -> Option<f64> {
        self.start.as_ref().map(|start| start.value(row))
    }
}

/// A column of days as numbers.
fn days(array: &ArrayRef) -> Result<Float64Array> {
    let per_day: f64 = match array.data_type() {
        DataType::Duration(TimeUnit::Second) => 86_400.0,
        DataType::Duration(TimeUnit::Millisecond) => 86_400e3,
        DataType::Duration(TimeUnit::Microsecond) => 86_400e6,
        DataType::Duration(TimeUnit::Nanosecond) => 86_400e9,
        _ => return numbers(array),
    };
    let ticks = cast(array, &DataType::Int64)?;
    Ok(numbers(&ticks)?.unary(|ticks| ticks / per_day))
}

fn numbers(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?
        .as_primitive::<Float64Type>()
        .clone())
}

fn labels(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// Events as codes: 0 or false for censored, 1 or true for the event, 2 and more for competing events.
fn statuses(event: &ArrayRef, counted: Option<&NullBuffer>) -> Result<Vec<u32>> {
    let counts = |row: usize| counted.is_none_or(|counted| counted.is_valid(row));
    let wrong = || {
        DataFusionError::Execution(
            "an event is neither a boolean nor one of the codes 0 (censored), 1 (event), 2, …; recode it"
                .to_owned(),
        )
    };
    match event.data_type() {
        DataType::Boolean => Ok(event.as_boolean().values().iter().map(u32::from).collect()),
        DataType::Int64 => {
            let codes = event.as_primitive::<Int64Type>().values();
            let code = |(row, code): (usize, &i64)| {
                if counts(row) {
                    u32::try_from(*code).map_err(|_| wrong())
                } else {
                    Ok(0)
                }
            };
            codes.iter().enumerate().map(code).collect()
        }
        _ => {
            let numbers = numbers(event)?;
            let code = |(row, number): (usize, &f64)| {
                if !counts(row) {
                    return Ok(0);
                }
                let codes = 0..=columna_stats::survival::MAX_STATUS;
                codes
                    .into_iter()
                    .find(|code| f64::from(*code) == *number)
                    .ok_or_else(wrong)
            };
            numbers.values().iter().enumerate().map(code).collect()
        }
    }
}

/// A statistic's refusal as the user's error. The messages of the statistics carry no value.
pub(crate) fn refused(error: &Error) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

impl RowSummary for EventTimes {
    fn add_row(&mut self, rows: &EventRows, row: usize) -> Result<()> {
        let (time, status) = (rows.time.value(row), rows.status[row]);
        match (&rows.weights, rows.start(row)) {
            (None, None) => self.add(time, status),
            (None, Some(start)) => self.add_interval(start, time, status),
            (Some(weights), start) => self.add_weighted(start, time, status, weights.value(row)),
        }
        .map_err(|error| refused(&error))
    }

    fn write_row(rows: &EventRows, row: usize, state: &mut StateBuilder) -> Result<()> {
        if rows.weights.is_some() {
            let mut summary = Self::new();
            summary.add_row(rows, row)?;
            summary.write(state);
            return Ok(());
        }
        let (time, status) = (rows.time.value(row), rows.status[row]);
        let parts = EventTimesParts::of_row(rows.start(row), time, status)
            .map_err(|error| refused(&error))?;
        state.append(&parts.ints, &parts.floats, &[]);
        Ok(())
    }

    fn write(&self, state: &mut StateBuilder) {
        let parts = self.to_parts();
        state.append(&parts.ints, &parts.floats, &[]);
    }

    fn read(&mut self, state: &State) -> Result<()> {
        self.merge_parts(state.ints, state.floats)
            .map_err(|error| match error {
                // A state that cannot be read is the engine's fault, not the user's.
                Error::CorruptState => DataFusionError::Internal(error.to_string()),
                other => refused(&other),
            })
    }

    fn heap_bytes(&self) -> usize {
        EventTimes::heap_bytes(self)
    }
}
