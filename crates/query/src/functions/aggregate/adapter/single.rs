//! One summary: for windows, and where DataFusion asks for a plain accumulator.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::batch::Batch;
use super::parameters::Columns;
use super::rows::{BatchRows, RowSummary};
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
        let batch = Batch::new(&self.columns, values, None);
        let rows = <S::Summary as RowSummary>::Rows::read(&batch)?;
        self.summary.add_all(&rows)
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
            .finish()?
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.summary.heap_bytes()
    }
}
