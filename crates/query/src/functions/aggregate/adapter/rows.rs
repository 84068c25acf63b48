//! What a statistic reads of a batch, and what it keeps of it: the two halves that a new shape of rows brings.

use columna_stats::{Error, Summary};
use datafusion::common::{DataFusionError, Result};

use super::batch::{Batch, Counted};
use super::state::{State, StateBuilder};
use super::unsuitable::unsuitable;

/// A batch of arguments as rows of one shape: times and events, counts, covariates.
///
/// Everything that can be done for a whole column is done here, once per batch: casts, checks, which rows count.
pub(crate) trait BatchRows: Sized {
    /// Reads a batch.
    fn read(batch: &Batch<'_>) -> Result<Self>;
    /// Which rows count.
    fn counted(&self) -> &Counted;
}

/// A summary that takes rows of a batch and travels as flat lists.
pub(crate) trait RowSummary:
    Summary + Clone + Send + Sync + std::fmt::Debug + 'static
{
    /// The rows that it takes.
    type Rows: BatchRows;

    /// Takes one row in.
    fn add_row(&mut self, rows: &Self::Rows, row: usize) -> Result<()>;

    /// Takes in some rows, in their order. Worth its own code where columns can be gathered.
    fn add_rows(&mut self, rows: &Self::Rows, selected: &[usize]) -> Result<()> {
        selected.iter().try_for_each(|row| self.add_row(rows, *row))
    }

    /// Takes in all rows that count. Worth its own code where columns can be taken whole.
    fn add_all(&mut self, rows: &Self::Rows) -> Result<()> {
        rows.counted()
            .iter()
            .try_for_each(|row| self.add_row(rows, row))
    }

    /// Writes the state of a summary of this one row; worth its own code where the summary need not be made.
    fn write_row(rows: &Self::Rows, row: usize, state: &mut StateBuilder) -> Result<()> {
        let mut summary = Self::default();
        summary.add_row(rows, row)?;
        summary.write(state);
        Ok(())
    }

    /// Writes the state of this summary.
    fn write(&self, state: &mut StateBuilder);

    /// Merges a state in.
    fn read(&mut self, state: &State) -> Result<()>;

    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;
}

/// A statistic's refusal as the user's error. The messages of the statistics carry no value.
pub(crate) fn refused(error: &Error) -> DataFusionError {
    match error {
        // A state that cannot be read is the engine's fault, not the user's.
        Error::CorruptState => DataFusionError::Internal(error.to_string()),
        other => unsuitable(other.to_string()),
    }
}
