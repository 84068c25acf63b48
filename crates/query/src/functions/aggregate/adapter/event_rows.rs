//! Rows of times and events: what survival statistics read.

use arrow::array::{Array, Float64Array, StringArray};
use columna_stats::survival::{EventTimes, EventTimesParts};
use datafusion::common::Result;

use super::batch::{self, Batch, Counted};
use super::parameters::Role;
use super::rows::{BatchRows, RowSummary, refused};
use super::state::{State, StateBuilder};

/// The rows of a batch, with one mask for those that count.
pub(crate) struct EventRows {
    time: Float64Array,
    status: Vec<u32>,
    start: Option<Float64Array>,
    weights: Option<Float64Array>,
    group: Option<StringArray>,
    strata: Option<StringArray>,
    counted: Counted,
}

impl BatchRows for EventRows {
    fn read(batch: &Batch<'_>) -> Result<Self> {
        let time = batch::days(batch.required(Role::Time)?)?;
        let event = batch.required(Role::Event)?;
        let start = batch.role(Role::Start).map(batch::days).transpose()?;
        let weights = batch.role(Role::Weights).map(batch::numbers).transpose()?;
        let group = batch.role(Role::Group).map(batch::labels).transpose()?;
        let strata = batch.role(Role::Strata).map(batch::labels).transpose()?;
        let counted = batch.counted([
            time.nulls(),
            event.nulls(),
            start.as_ref().and_then(|start| start.nulls()),
            weights.as_ref().and_then(|weights| weights.nulls()),
            group.as_ref().and_then(|group| group.nulls()),
            strata.as_ref().and_then(|strata| strata.nulls()),
        ]);
        let status = batch::statuses(event, &counted)?;
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

    fn counted(&self) -> &Counted {
        &self.counted
    }
}

impl EventRows {
    /// The stratum and the group of a row; empty where the statistic has none.
    pub(super) fn labels(&self, row: usize) -> (&str, &str) {
        (
            self.strata.as_ref().map_or("", |strata| strata.value(row)),
            self.group.as_ref().map_or("", |group| group.value(row)),
        )
    }

    fn start(&self, row: usize) -> Option<f64> {
        self.start.as_ref().map(|start| start.value(row))
    }
}

impl RowSummary for EventTimes {
    type Rows = EventRows;

    fn add_row(&mut self, rows: &EventRows, row: usize) -> Result<()> {
        let (time, status) = (rows.time.value(row), rows.status[row]);
        match (&rows.weights, rows.start(row)) {
            (None, None) => self.add(time, status),
            (None, Some(start)) => self.add_interval(start, time, status),
            (Some(weights), start) => self.add_weighted(start, time, status, weights.value(row)),
        }
        .map_err(|error| refused(&error))
    }

    fn add_all(&mut self, rows: &EventRows) -> Result<()> {
        if rows.weights.is_some() || rows.start.is_some() || !rows.counted.all() {
            return rows
                .counted
                .iter()
                .try_for_each(|row| self.add_row(rows, row));
        }
        for (time, status) in rows.time.values().iter().zip(&rows.status) {
            self.add(*time, *status).map_err(|error| refused(&error))?;
        }
        Ok(())
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
            .map_err(|error| refused(&error))
    }

    fn heap_bytes(&self) -> usize {
        EventTimes::heap_bytes(self)
    }
}
