//! One batch of arguments, and what statistics read from it: each kind of column once, checked and without NULLs.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err};

use super::parameters::{Columns, Parameter, Role};

/// The arguments of a batch of rows, by parameter.
pub(crate) struct Batch<'a> {
    columns: &'a Columns,
    values: &'a [ArrayRef],
    filter: Option<&'a BooleanArray>,
}

/// Which rows count: those without a NULL that pass the filter; all of them if there is no mask.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    rows: usize,
    mask: Option<NullBuffer>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        columns: &'a Columns,
        values: &'a [ArrayRef],
        filter: Option<&'a BooleanArray>,
    ) -> Self {
        Self {
            columns,
            values,
            filter,
        }
    }

    /// Rows, whether they count or not.
    pub(crate) fn rows(&self) -> usize {
        self.values.first().map_or(0, |values| values.len())
    }

    /// The columns that were given, in the order of the parameters.
    pub(crate) fn given(&self) -> impl Iterator<Item = (Parameter, &'a ArrayRef)> {
        let values = self.values;
        self.columns
            .given()
            .iter()
            .filter_map(|(parameter, index)| Some((*parameter, values.get(*index)?)))
    }

    /// The argument of a role, if it was given.
    pub(crate) fn role(&self, role: Role) -> Option<&'a ArrayRef> {
        self.columns
            .role(role)
            .and_then(|index| self.values.get(index))
    }

    /// The argument of a role that every call has.
    pub(crate) fn required(&self, role: Role) -> Result<&'a ArrayRef> {
        self.role(role)
            .ok_or_else(|| exec_datafusion_err!("an argument is missing"))
    }

    /// The argument of a parameter, if it was given.
    pub(crate) fn named(&self, name: &str) -> Option<&'a ArrayRef> {
        self.columns
            .named(name)
            .and_then(|index| self.values.get(index))
    }

    /// The rows that count, given the NULLs of the columns that are read.
    pub(crate) fn counted<'n>(
        &self,
        nulls: impl IntoIterator<Item = Option<&'n NullBuffer>>,
    ) -> Counted {
        let mut mask: Option<NullBuffer> = None;
        for nulls in nulls.into_iter().flatten() {
            mask = NullBuffer::union(mask.as_ref(), Some(nulls));
        }
        if let Some(filter) = self.filter {
            let passes = match filter.nulls() {
                None => filter.values().clone(),
                Some(nulls) => filter.values() & nulls.inner(),
            };
            mask = NullBuffer::union(mask.as_ref(), Some(&NullBuffer::new(passes)));
        }
        Counted {
            rows: self.rows(),
            mask: mask.filter(|mask| mask.null_count() > 0),
        }
    }
}

impl Counted {
    /// Whether a row counts.
    pub(crate) fn is(&self, row: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.is_valid(row))
    }

    /// Whether all rows count, so that columns can be taken whole.
    pub(crate) fn all(&self) -> bool {
        self.mask.is_none()
    }

    /// Rows, whether they count or not.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows that count, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows).filter(|row| self.is(*row))
    }
}

/// A column of days as numbers.
pub(crate) fn days(array: &ArrayRef) -> Result<Float64Array> {
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

/// A column of numbers; a boolean is 0 or 1.
pub(crate) fn numbers(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?
        .as_primitive::<Float64Type>()
        .clone())
}

/// A column of labels.
pub(crate) fn labels(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A column of yes and no, such as an exposure: a boolean, or 0 and 1. `name` is the parameter's, for the error.
pub(crate) fn flags(array: &ArrayRef, counted: &Counted, name: &str) -> Result<BooleanBuffer> {
    if let DataType::Boolean = array.data_type() {
        return Ok(array.as_boolean().values().clone());
    }
    let numbers = numbers(array)?;
    let values = numbers.values();
    if counted
        .iter()
        .any(|row| values[row] != 0.0 && values[row] != 1.0)
    {
        return Err(super::unsuitable(format!(
            "a value of `{name}` is neither a boolean nor 0 or 1; recode it, for example `{name} = 'yes'`"
        )));
    }
    Ok(values.iter().map(|value| *value == 1.0).collect())
}

/// Events as codes: 0 or false for censored, 1 or true for the event, 2 and more for competing events.
pub(crate) fn statuses(event: &ArrayRef, counted: &Counted) -> Result<Vec<u32>> {
    let wrong = || {
        super::unsuitable(
            "an event is neither a boolean nor one of the codes 0 (censored), 1 (event), 2, …; recode it",
        )
    };
    match event.data_type() {
        DataType::Boolean => Ok(event.as_boolean().values().iter().map(u32::from).collect()),
        DataType::Int64 => {
            let codes = event.as_primitive::<Int64Type>().values();
            let code = |(row, code): (usize, &i64)| {
                if counted.is(row) {
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
                if !counted.is(row) {
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
