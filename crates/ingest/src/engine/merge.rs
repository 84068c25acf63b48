//! Sorted temporary runs merged into one, a batch of each in memory.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows};

use super::order::{converter, gather};
use super::parts::{GATHERED, Ordered};

/// Merges runs whose last column, after `columns` others, is the row's place in the source.
pub(crate) fn merge<'a>(
    runs: Vec<Ordered<'a>>,
    sort: &[usize],
    columns: usize,
) -> Result<Merge<'a>, ArrowError> {
    let mut merge = Merge {
        heads: Vec::new(),
        heap: Vec::new(),
        converter: None,
        keys: sort.iter().copied().chain([columns]).collect(),
        columns,
    };
    for batches in runs {
        let mut head = Head {
            batches,
            batch: None,
        };
        if merge.advance(&mut head)? {
            merge.heads.push(head);
        }
    }
    merge.heap = (0..merge.heads.len()).collect();
    for at in (0..merge.heap.len() / 2).rev() {
        merge.sift_down(at);
    }
    Ok(merge)
}

/// A merge on its way.
pub(crate) struct Merge<'a> {
    heads: Vec<Head<'a>>,
    /// Runs with rows left, the one with the smallest row first.
    heap: Vec<usize>,
    converter: Option<RowConverter>,
    /// The columns compared: those of the order, then the place in the source, so that no two rows are equal.
    keys: Vec<usize>,
    columns: usize,
}

struct Head<'a> {
    batches: Ordered<'a>,
    batch: Option<(RecordBatch, Rows, usize)>,
}

impl Merge<'_> {
    /// Loads a run's next batch that has rows.
    fn advance(&mut self, head: &mut Head<'_>) -> Result<bool, ArrowError> {
        for batch in head.batches.by_ref() {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let columns: Vec<ArrayRef> = self
                .keys
                .iter()
                .map(|at| ArrayRef::clone(batch.column(*at)))
                .collect();
            let converter = match &mut self.converter {
                Some(converter) => converter,
                empty => empty.insert(converter(
                    &columns
                        .iter()
                        .map(|column| column.data_type().clone())
                        .collect::<Vec<_>>(),
                )?),
            };
            let rows = converter.convert_columns(&columns)?;
            head.batch = Some((batch, rows, 0));
            return Ok(true);
        }
        head.batch = None;
        Ok(false)
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        let key = |run: usize| {
            self.heads[run]
                .batch
                .as_ref()
                .map(|(_, rows, at)| rows.row(*at))
        };
        key(self.heap[left]).cmp(&key(self.heap[right]))
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let child = 2 * at + 1;
            if child >= self.heap.len() {
                return;
            }
            let other = child + 1;
            let least = if other < self.heap.len() && self.compare(other, child).is_lt() {
                other
            } else {
                child
            };
            if self.compare(least, at).is_ge() {
                return;
            }
            self.heap.swap(least, at);
            at = least;
        }
    }

    fn piece(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let mut held: Vec<RecordBatch> = Vec::new();
        // Where each run's current batch lies in `held`.
        let mut placed: Vec<Option<usize>> = vec![None; self.heads.len()];
        let mut places = Vec::with_capacity(GATHERED);
        while places.len() < GATHERED
            && let Some(run) = self.heap.first().copied()
        {
            let Some((batch, _, at)) = &mut self.heads[run].batch else {
                break;
            };
            let slot = *placed[run].get_or_insert_with(|| {
                held.push(batch.clone());
                held.len() - 1
            });
            places.push((slot, *at));
            *at += 1;
            if *at == batch.num_rows() {
                placed[run] = None;
                let ended: Ordered<'_> = Box::new(std::iter::empty());
                let batches = std::mem::replace(&mut self.heads[run].batches, ended);
                let mut head = Head {
                    batches,
                    batch: None,
                };
                if !self.advance(&mut head)? {
                    self.heap.swap_remove(0);
                }
                self.heads[run] = head;
            }
            self.sift_down(0);
        }
        if places.is_empty() {
            return Ok(None);
        }
        let merged = gather(&held.iter().collect::<Vec<_>>(), &places)?;
        merged
            .project(&(0..self.columns).collect::<Vec<_>>())
            .map(Some)
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}
