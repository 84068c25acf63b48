//! The accumulator of a query without groups: that of many groups, with one.

use std::sync::{Mutex, PoisonError};

use arrow::array::{ArrayRef, new_empty_array};
use arrow::datatypes::FieldRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::scalar;

/// Behind a lock, which nobody else asks for: the engine's accumulators are shared between threads, and those of groups
/// are not.
pub(super) struct One(Mutex<Box<dyn GroupsAccumulator>>);

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("One")
    }
}

impl One {
    /// There is a group, if without rows.
    pub(super) fn new(
        mut groups: Box<dyn GroupsAccumulator>,
        arguments: &[FieldRef],
    ) -> Result<Self> {
        let none = arguments
            .iter()
            .map(|field| new_empty_array(field.data_type()));
        groups.update_batch(&none.collect::<Vec<_>>(), &[], None, 1)?;
        Ok(Self(Mutex::new(groups)))
    }

    fn groups(&mut self) -> &mut dyn GroupsAccumulator {
        let groups = self.0.get_mut();
        groups.unwrap_or_else(PoisonError::into_inner).as_mut()
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.groups().update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.groups().merge_batch(states, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar(&self.groups().evaluate(EmitTo::All)?)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.groups()
            .state(EmitTo::All)?
            .iter()
            .map(scalar)
            .collect()
    }

    fn size(&self) -> usize {
        let groups = self.0.lock();
        groups.unwrap_or_else(PoisonError::into_inner).size()
    }
}
