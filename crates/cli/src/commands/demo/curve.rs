//! The demo's curves: from the answer of a query to a chart.

use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::error::CliError;
use crate::output::arrow_error;
use crate::plot::{Chart, Series, Step};
use crate::shell::session::Session;
use crate::sql::engine::Receiver;

use super::questions::{COUNTS, CURVE_ROWS};
use super::truth::Truth;

/// Days on the axis: three years, for which most patients are followed.
const DAYS: f64 = 3.0 * 365.0;

/// The chart, and the counts behind it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) chart: Chart,
    /// The treatment, then the comparator.
    pub(crate) groups: [Group; 2],
}

/// Counts of a group.
#[derive(Debug, Default, Clone)]
pub(crate) struct Group {
    pub(crate) persons: u64,
    pub(crate) events: u64,
    days: f64,
}

impl Found {
    /// Events per day of the treated over those of the comparator.
    pub(crate) fn rate_ratio(&self) -> f64 {
        let rate = |group: &Group| float(group.events) / group.days;
        rate(&self.groups[0]) / rate(&self.groups[1])
    }
}

/// Asks for the curves and the counts.
pub(crate) fn ask(session: &mut Session, truth: &Truth) -> Result<Found, CliError> {
    let names = [truth.treatment.as_str(), truth.comparator.as_str()];
    let counts = collect(session, COUNTS)?;
    let (drug, persons, events, days) = (
        text(&counts, 0)?,
        numbers(&counts, 1)?,
        numbers(&counts, 2)?,
        numbers(&counts, 3)?,
    );
    let group = |name: &str| {
        (0..counts.num_rows())
            .find(|&row| drug.value(row) == name)
            .map_or_else(Group::default, |row| Group {
                persons: whole(persons.value(row)),
                events: whole(events.value(row)),
                days: days.value(row),
            })
    };
    let groups = names.map(group);
    let rows = collect(session, CURVE_ROWS)?;
    let series = names
        .iter()
        .map(|name| series(&rows, name))
        .collect::<Result<Vec<_>, _>>()?;
    let chart = Chart {
        title: format!(
            "Patients without a stroke since their first {} or {}",
            names[0], names[1]
        ),
        note: format!(
            "Kaplan-Meier with 95% confidence intervals, deaths censored. Not adjusted: {} was given to sicker patients.",
            names[0]
        ),
        x_label: "days".into(),
        y_label: "without a stroke".into(),
        x_max: DAYS,
        series,
    };
    Ok(Found { chart, groups })
}

fn series(rows: &RecordBatch, name: &str) -> Result<Series, CliError> {
    let drug = text(rows, 0)?;
    let columns: Vec<Float64Array> = (1..7)
        .map(|index| numbers(rows, index))
        .collect::<Result<_, _>>()?;
    let [time, n_risk, n_event, survival, lower, upper] = columns.as_slice() else {
        return Err(CliError::failed(
            "the curve has other columns than expected",
        ));
    };
    let mine: Vec<usize> = (0..rows.num_rows())
        .filter(|&row| drug.value(row) == name)
        .collect();
    let steps = mine
        .iter()
        // Times at which patients only leave do not move the curve.
        .filter(|&&row| n_event.value(row) > 0.0)
        .map(|&row| Step {
            time: time.value(row),
            survival: survival.value(row),
            lower: if lower.is_null(row) {
                f64::NAN
            } else {
                lower.value(row)
            },
            upper: if upper.is_null(row) {
                f64::NAN
            } else {
                upper.value(row)
            },
        })
        .collect();
    let at_risk = Chart::ticks(DAYS)
        .into_iter()
        .map(|tick| {
            mine.iter()
                .find(|&&row| time.value(row) >= tick)
                .map_or(0, |&row| whole(n_risk.value(row)))
        })
        .collect();
    Ok(Series {
        name: name.to_owned(),
        steps,
        at_risk,
    })
}

/// All rows of a small result.
fn collect(session: &mut Session, sql: &str) -> Result<RecordBatch, CliError> {
    let mut rows = Rows::default();
    session.ask(sql, &mut rows)?;
    let schema = rows
        .schema
        .ok_or_else(|| CliError::failed("the demo's query gave no result"))?;
    concat_batches(&schema, &rows.batches).map_err(arrow_error)
}

fn text(batch: &RecordBatch, index: usize) -> Result<StringArray, CliError> {
    Ok(cast(batch.column(index), &DataType::Utf8)
        .map_err(arrow_error)?
        .as_string::<i32>()
        .clone())
}

fn numbers(batch: &RecordBatch, index: usize) -> Result<Float64Array, CliError> {
    let column = cast(batch.column(index), &DataType::Float64).map_err(arrow_error)?;
    Ok(column
        .as_primitive::<arrow::datatypes::Float64Type>()
        .clone())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, which a float holds exactly"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Keeps a small result.
#[derive(Debug, Default)]
struct Rows {
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
}

impl Receiver for Rows {
    fn start(&mut self, schema: &SchemaRef) -> Result<(), CliError> {
        self.schema = Some(SchemaRef::clone(schema));
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        self.batches.push(batch.clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(())
    }
}
