//! Frames that move, of functions whose answer is made of the values in it, for each row anew.

use std::collections::VecDeque;
use std::fmt::Debug;

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;

/// What the values of a frame answer.
pub(super) trait OfFrame: Debug + Send + Sync + 'static {
    type Value: Debug + Send + Sync;

    /// The values of rows.
    fn values(&self, columns: &[ArrayRef]) -> Result<Vec<Option<Self::Value>>>;

    fn answer(&self, values: &VecDeque<Option<Self::Value>>) -> ScalarValue;
}

/// The values of a frame, of which each row asks anew.
#[derive(Debug)]
pub(super) struct Frame<M: OfFrame> {
    values: VecDeque<Option<M::Value>>,
    of: M,
}

impl<M: OfFrame> Frame<M> {
    pub(super) fn of(of: M) -> Self {
        Self {
            values: VecDeque::new(),
            of,
        }
    }
}

impl<M: OfFrame> Accumulator for Frame<M> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(self.of.values(values)?);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.drain(..values[0].len().min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.of.answer(&self.values))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.capacity() * size_of::<Option<M::Value>>()
    }
}
