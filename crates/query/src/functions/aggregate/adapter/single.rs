//! One summary: for windows, and where DataFusion asks for a plain accumulator.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::parameters::Columns;
use super::rows::{EventRows, RowSummary};
use super::state::{StateBuilder, States};
use super::udaf::{Evaluation, Statistic};

#[derive(Debug)]
pub(super) struct Single<S: Statistic> {
    columns: Columns,
    evaluation: Evaluation<S>,
    summary: S::Summary,
}

impl<S: Statistic> Single<S> {
    pub(super) fn new(columns: Columns, evaluation: Evaluation<S>) -> Self {
        Self {
            columns,
            evaluation,
            summary: S::Summary::default(),
        }
    }
}

impl<S: Statistic> Accumulator for Single<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = EventRows::new(self.columns, values, None)?;
        for row in (0..rows.len()).filter(|row| rows.counts(*row)) {
            self.summary.add_row(&rows, row)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = States::new(states)?;
        for state in (0..states.len()).filter_map(|row| states.get(row)) {
            self.summary.read(&state)?;
        }
        Ok(())
    }

    /// Leaves the summary as it is: a running window evaluates it again and again.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let array = self.evaluation.run(std::slice::from_ref(&self.summary))?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut state = StateBuilder::with_capacity(1);
        self.summary.write(&mut state);
        state
            .finish()
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.summary.heap_bytes()
    }
}
