//! One summary for each group, fed a batch at a time.

use arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::batch::Batch;
use super::parameters::Columns;
use super::rows::{BatchRows, RowSummary};
use super::state::{StateBuilder, States};
use super::udaf::{Evaluation, Statistic};

/// Where a batch has this many rows for each group, its rows are taken in by group.
const ROWS_PER_GROUP: usize = 8;

type Rows<S> = <<S as Statistic>::Summary as RowSummary>::Rows;

/// The rows of each group that count, in their order.
fn members(rows: &impl BatchRows, group_indices: &[usize], groups: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); groups];
    for row in rows.counted().iter() {
        members[group_indices[row]].push(row);
    }
    members
}

pub(super) struct Groups<S: Statistic> {
    columns: Columns,
    evaluation: Evaluation<S>,
    summaries: Vec<S::Summary>,
    /// Bytes that the summaries hold on the heap, kept up as rows come.
    heap: usize,
}

impl<S: Statistic> Groups<S> {
    pub(super) fn new(columns: Columns, evaluation: Evaluation<S>) -> Self {
        Self {
            columns,
            evaluation,
            summaries: Vec::new(),
            heap: 0,
        }
    }

    fn grow(&mut self, groups: usize) {
        if self.summaries.len() < groups {
            self.summaries.resize_with(groups, S::Summary::default);
        }
    }

    /// Changes one summary and keeps account of its size.
    fn change(
        &mut self,
        group: usize,
        change: impl FnOnce(&mut S::Summary) -> Result<()>,
    ) -> Result<()> {
        let summary = &mut self.summaries[group];
        let before = summary.heap_bytes();
        change(summary)?;
        self.heap = (self.heap + summary.heap_bytes()).saturating_sub(before);
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<S::Summary> {
        let taken = emit_to.take_needed(&mut self.summaries);
        let bytes: usize = taken.iter().map(RowSummary::heap_bytes).sum();
        self.heap = self.heap.saturating_sub(bytes);
        taken
    }
}

impl<S: Statistic> GroupsAccumulator for Groups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let rows = Rows::<S>::read(&Batch::new(&self.columns, values, opt_filter))?;
        if let [only] = self.summaries.as_mut_slice() {
            only.add_all(&rows)?;
            self.heap = only.heap_bytes();
            return Ok(());
        }
        if total_num_groups * ROWS_PER_GROUP <= group_indices.len() {
            for (group, members) in members(&rows, group_indices, total_num_groups)
                .iter()
                .enumerate()
            {
                if !members.is_empty() {
                    self.change(group, |summary| summary.add_rows(&rows, members))?;
                }
            }
            return Ok(());
        }
        for row in rows.counted().iter() {
            self.change(group_indices[row], |summary| summary.add_row(&rows, row))?;
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let states = States::new(values)?;
        for (row, group) in group_indices.iter().enumerate() {
            if let Some(state) = states.get(row) {
                self.change(*group, |summary| summary.read(&state))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let summaries = self.take(emit_to);
        self.evaluation.finish(summaries)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let summaries = self.take(emit_to);
        let mut state = StateBuilder::with_capacity(summaries.len());
        for summary in &summaries {
            summary.write(&mut state);
        }
        state.finish()
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = Rows::<S>::read(&Batch::new(&self.columns, values, opt_filter))?;
        let counted = rows.counted();
        let mut state = StateBuilder::with_capacity(counted.rows());
        for row in 0..counted.rows() {
            if counted.is(row) {
                S::Summary::write_row(&rows, row, &mut state)?;
            } else {
                state.append_null();
            }
        }
        state.finish()
    }

    fn size(&self) -> usize {
        self.summaries.capacity() * size_of::<S::Summary>() + self.heap
    }
}
