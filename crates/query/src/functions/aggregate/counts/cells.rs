//! Four sums for each stratum, as a summary.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use columna_stats::Summary;
use datafusion::common::{DataFusionError, Result};

use crate::functions::aggregate::adapter::{
    BatchRows, Label, ModelBatch, RowSummary, State, StateBuilder, refuse,
};

/// What a row adds to its stratum.
pub(crate) trait Cell: Debug + Clone + Copy + Default + Send + Sync + 'static {
    /// Whether a row stands for nobody, and its stratum is not there because of it.
    fn is_nobody(_rows: &ModelBatch, _row: usize) -> bool {
        false
    }

    /// Adds a row.
    fn add(rows: &ModelBatch, row: usize, sums: &mut [f64; 4]) -> Result<()>;
}

/// The most persons that a table may have: counts beyond it are not exact.
const MOST: f64 = 9_007_199_254_740_992.0;

/// A yes and a no, and for how many persons the row stands: counts of (yes, yes), (yes, no), (no, yes), (no, no).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TwoFlags;

impl Cell for TwoFlags {
    fn is_nobody(rows: &ModelBatch, row: usize) -> bool {
        rows.number(0, row) == Some(0.0)
    }

    fn add(rows: &ModelBatch, row: usize, sums: &mut [f64; 4]) -> Result<()> {
        let is = |place| rows.code(place, row) == Some(1);
        let at = usize::from(!is(0)) * 2 + usize::from(!is(1));
        let persons = rows.number(0, row).unwrap_or(1.0);
        if !(persons >= 0.0 && persons.fract() == 0.0) {
            return refuse!(
                "`weights` are counts of persons: whole numbers, none of them negative"
            );
        }
        sums[at] += persons;
        Ok(())
    }
}

/// Events, person-time, and the standard population, which must be the same in all rows of a stratum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EventsAndTime;

impl Cell for EventsAndTime {
    fn add(rows: &ModelBatch, row: usize, sums: &mut [f64; 4]) -> Result<()> {
        let events = rows.number(0, row).unwrap_or_default();
        let time = rows.number(1, row).unwrap_or_default();
        if !(events >= 0.0 && events.fract() == 0.0 && events.is_finite()) {
            return refuse!("events are counts: whole numbers, none of them negative");
        }
        if !(time >= 0.0 && time.is_finite()) {
            return refuse!("person-time and expected events are numbers, none of them negative");
        }
        sums[0] += events;
        sums[1] += time;
        if let Some(standard) = rows.number(2, row) {
            if !(standard >= 0.0 && standard.is_finite()) {
                return refuse!("a standard population is a number that is not negative");
            }
            if sums[3] > 0.0 && sums[2] != standard {
                return refuse!("a stratum has one standard population, and rows differ");
            }
            sums[2] = standard;
        }
        sums[3] += 1.0;
        Ok(())
    }
}

/// Sums by stratum.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells<C> {
    pub(crate) strata: BTreeMap<Label, [f64; 4]>,
    /// Strata whose parts had different standard populations.
    differ: bool,
    cell: PhantomData<C>,
}

impl<C: Cell> Cells<C> {
    /// All strata together.
    pub(crate) fn total(&self) -> [f64; 4] {
        let mut total = [0.0; 4];
        for sums in self.strata.values() {
            for (sum, more) in total.iter_mut().zip(sums) {
                *sum += more;
            }
        }
        total
    }

    /// Whether all that was counted is exact.
    pub(crate) fn exact(&self) -> Result<()> {
        if self.total().iter().sum::<f64>() > MOST {
            return refuse!("there are more than 2^53 persons in a table, too many to count");
        }
        Ok(())
    }

    /// Whether every stratum has one standard population.
    pub(crate) fn check(&self) -> Result<()> {
        if self.differ {
            return refuse!("a stratum has one standard population, and rows differ");
        }
        Ok(())
    }

    fn join(&mut self, label: Label, sums: [f64; 4], standard: bool) {
        let mine = self.strata.entry(label).or_default();
        if standard && mine[3] > 0.0 && mine[2] != sums[2] {
            self.differ = true;
        }
        for (at, (sum, more)) in mine.iter_mut().zip(sums).enumerate() {
            if standard && at == 2 {
                *sum = more;
            } else {
                *sum += more;
            }
        }
    }
}

/// Whether the third sum is a standard population.
fn has_standard<C: Cell>() -> bool {
    std::any::TypeId::of::<C>() == std::any::TypeId::of::<EventsAndTime>()
}

impl<C: Cell> Summary for Cells<C> {
    fn merge(&mut self, other: Self) {
        self.differ |= other.differ;
        for (label, sums) in other.strata {
            self.join(label, sums, has_standard::<C>());
        }
    }

    fn is_empty(&self) -> bool {
        self.strata.is_empty()
    }
}

impl<C: Cell> RowSummary for Cells<C> {
    type Rows = ModelBatch;

    fn add_row(&mut self, rows: &ModelBatch, row: usize) -> Result<()> {
        if C::is_nobody(rows, row) {
            return Ok(());
        }
        let label = Label(rows.word(0, row).unwrap_or_default().to_owned());
        C::add(rows, row, self.strata.entry(label).or_default())
    }

    fn add_rows(&mut self, rows: &ModelBatch, selected: &[usize]) -> Result<()> {
        selected.iter().try_for_each(|row| {
            // Most rows are of a stratum that is known, and of a call without strata all are of one.
            let label = rows.word(0, *row).unwrap_or_default();
            if self.strata.len() == 1
                && let Some(mut only) = self.strata.first_entry()
                && only.key().0 == label
            {
                return C::add(rows, *row, only.get_mut());
            }
            self.add_row(rows, *row)
        })
    }

    fn add_all(&mut self, rows: &ModelBatch) -> Result<()> {
        self.add_rows(rows, &rows.counted().iter().collect::<Vec<_>>())
    }

    fn write(&self, state: &mut StateBuilder) {
        let floats: Vec<f64> = self.strata.values().flatten().copied().collect();
        let labels: Vec<&str> = self.strata.keys().map(|label| label.0.as_str()).collect();
        state.append(&[u64::from(self.differ)], &floats, &labels);
    }

    fn read(&mut self, state: &State<'_>) -> Result<()> {
        let (sums, rest) = state.floats.as_chunks::<4>();
        if !rest.is_empty() || sums.len() != state.labels.iter().flatten().count() {
            return Err(DataFusionError::Internal(
                "the partial state of a table is cut short".to_owned(),
            ));
        }
        self.differ |= state.ints.first() == Some(&1);
        for (label, sums) in state.labels.iter().flatten().zip(sums) {
            self.join(Label(label.to_owned()), *sums, has_standard::<C>());
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        let strata = self.strata.keys();
        strata.map(|label| label.0.capacity() + 64).sum()
    }
}
