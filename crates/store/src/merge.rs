//! Merges sorted runs into one, holding one batch of each.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::{RowConverter, Rows, SortField};

use crate::run_reader::Batches;
use crate::run_writer::ORDER;
use crate::table_spec::TableSpec;
use crate::{Error, Result};

/// Rows of a merged batch.
const BATCH_ROWS: usize = 8192;

/// As many rows in a row from one run are passed on as they are, without being copied.
const PASS_ON_ROWS: usize = 2048;

/// Merges runs that are each in the table's order. Rows that compare equal keep the order of their runs.
pub(crate) fn merge<'a>(spec: &TableSpec, mut runs: Vec<Batches<'a>>) -> Result<Batches<'a>> {
    if runs.len() == 1 || spec.sort.is_empty() {
        return Ok(if runs.len() == 1 {
            runs.remove(0)
        } else {
            Box::new(runs.into_iter().flatten())
        });
    }
    let sort = spec.sort_positions()?;
    let fields = sort
        .iter()
        .map(|&at| SortField::new_with_options(spec.schema.field(at).data_type().clone(), ORDER));
    let converter = RowConverter::new(fields.collect()).map_err(|e| Error::arrow(&spec.name, e))?;
    let keys = Keys {
        table: spec.name.clone(),
        sort,
        converter,
    };
    let mut started = Vec::with_capacity(runs.len());
    for batches in runs {
        let mut run = Run {
            batches,
            head: None,
        };
        keys.advance(&mut run)?;
        started.push(run);
    }
    Ok(Box::new(Merge {
        keys,
        runs: started,
        held: Vec::new(),
        picked: Vec::new(),
        ready: VecDeque::new(),
    }))
}

/// Makes rows comparable by the sort columns.
struct Keys {
    table: String,
    sort: Vec<usize>,
    converter: RowConverter,
}

struct Merge<'a> {
    keys: Keys,
    runs: Vec<Run<'a>>,
    /// Batches that `picked` refers to.
    held: Vec<RecordBatch>,
    /// Rows to be copied together: batch and row.
    picked: Vec<(usize, usize)>,
    ready: VecDeque<RecordBatch>,
}

struct Run<'a> {
    batches: Batches<'a>,
    head: Option<Head>,
}

/// The batch at the head of a run, and how far it is consumed.
struct Head {
    batch: RecordBatch,
    keys: Rows,
    at: usize,
    /// Its place in `held`, once a row of it was picked.
    held: Option<usize>,
}

impl Head {
    fn left(&self) -> usize {
        self.batch.num_rows() - self.at
    }

    /// How many rows from here on come before `limit`, or up to it where equal rows come first too.
    fn before(&self, limit: &arrow::row::Row<'_>, equal_too: bool) -> usize {
        let comes_before = |row: usize| {
            let key = self.keys.row(row);
            if equal_too {
                key <= *limit
            } else {
                key < *limit
            }
        };
        let end = self.batch.num_rows();
        if comes_before(end - 1) {
            return end - self.at;
        }
        // Gallop, for most turns are short; then search within the last step.
        let mut step = 1;
        while self.at + step < end && comes_before(self.at + step) {
            step *= 2;
        }
        let (mut low, mut high) = (self.at + step / 2, (self.at + step).min(end - 1));
        while low < high {
            let middle = low.midpoint(high);
            if comes_before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - self.at
    }
}

impl Keys {
    /// Goes on to a run's next batch.
    fn advance(&self, run: &mut Run<'_>) -> Result<()> {
        run.head = None;
        for batch in run.batches.by_ref() {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let keys: Vec<_> = self
                .sort
                .iter()
                .map(|&at| Arc::clone(batch.column(at)))
                .collect();
            let keys = self.converter.convert_columns(&keys);
            run.head = Some(Head {
                keys: keys.map_err(|e| Error::arrow(&self.table, e))?,
                batch,
                at: 0,
                held: None,
            });
            break;
        }
        Ok(())
    }
}

impl Merge<'_> {
    /// The run with the smallest head, and how many of its rows come before all other heads.
    fn next_turn(&self) -> Option<(usize, usize)> {
        let mut heads = self
            .runs
            .iter()
            .enumerate()
            .filter_map(|(i, run)| run.head.as_ref().map(|head| (i, head)));
        let mut first = heads.next()?;
        let mut second: Option<(usize, &Head)> = None;
        for other in heads {
            let smaller = |a: &Head, b: &Head| a.keys.row(a.at) < b.keys.row(b.at);
            if smaller(other.1, first.1) {
                second = Some(first);
                first = other;
            } else if second.is_none_or(|s| smaller(other.1, s.1)) {
                second = Some(other);
            }
        }
        let (i, head) = first;
        let count = second.map_or(head.left(), |(j, limit)| {
            head.before(&limit.keys.row(limit.at), i < j)
        });
        Some((i, count))
    }

    /// Takes the rows of one turn.
    fn take(&mut self, run: usize, count: usize) -> Result<()> {
        let Some(head) = &mut self.runs[run].head else {
            return Err(Error::engine("a merge took from a run at its end"));
        };
        let start = head.at;
        head.at += count;
        let ended = head.left() == 0;
        if count >= PASS_ON_ROWS {
            let slice = head.batch.slice(start, count);
            self.flush()?;
            self.ready.push_back(slice);
        } else {
            let held = *head.held.get_or_insert_with(|| {
                self.held.push(head.batch.clone());
                self.held.len() - 1
            });
            self.picked
                .extend((start..start + count).map(|row| (held, row)));
            if self.picked.len() >= BATCH_ROWS {
                self.flush()?;
            }
        }
        if ended {
            self.keys.advance(&mut self.runs[run])?;
        }
        Ok(())
    }

    /// Copies the picked rows together.
    fn flush(&mut self) -> Result<()> {
        if !self.picked.is_empty() {
            let held: Vec<&RecordBatch> = self.held.iter().collect();
            let batch = interleave_record_batch(&held, &self.picked);
            self.ready
                .push_back(batch.map_err(|e| Error::arrow(&self.keys.table, e))?);
        }
        self.picked.clear();
        self.held.clear();
        for run in &mut self.runs {
            if let Some(head) = &mut run.head {
                head.held = None;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<RecordBatch>> {
        while self.ready.is_empty() {
            match self.next_turn() {
                Some((run, count)) => self.take(run, count)?,
                None if self.picked.is_empty() => return Ok(None),
                None => self.flush()?,
            }
        }
        Ok(self.ready.pop_front())
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::run_writer::is_sorted;
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use proptest::prelude::*;

    fn spec() -> TableSpec {
        let column = |name| Field::new(name, DataType::Int64, true);
        TableSpec {
            name: "t".to_owned(),
            schema: Arc::new(Schema::new(vec![
                column("person_id"),
                column("day"),
                column("run"),
            ])),
            person_key: Some("person_id".to_owned()),
            sort: vec!["person_id".to_owned(), "day".to_owned()],
            bloom: vec![],
        }
    }

    /// A run of (person, day) with its number, cut into batches.
    fn run(number: usize, rows: &[(i64, Option<i64>)], batch: usize) -> Vec<RecordBatch> {
        let batches = rows.chunks(batch.max(1)).map(|rows| {
            let person: Int64Array = rows.iter().map(|r| Some(r.0)).collect();
            let day: Int64Array = rows.iter().map(|r| r.1).collect();
            let run: Int64Array = rows.iter().map(|_| i64::try_from(number).ok()).collect();
            let columns: Vec<ArrayRef> = vec![Arc::new(person), Arc::new(day), Arc::new(run)];
            RecordBatch::try_new(spec().schema, columns).unwrap()
        });
        batches.collect()
    }

    fn column(batch: &RecordBatch, at: usize) -> Vec<Option<i64>> {
        batch
            .column(at)
            .as_primitive::<Int64Type>()
            .iter()
            .collect()
    }

    fn check(runs: Vec<Vec<(i64, Option<i64>)>>, batch: usize) {
        let order = |r: &(i64, Option<i64>)| (r.0, r.1.is_none(), r.1);
        let mut expected = Vec::new();
        let mut inputs: Vec<Batches<'_>> = Vec::new();
        for (number, mut rows) in runs.into_iter().enumerate() {
            rows.sort_by_key(order);
            inputs.push(Box::new(run(number, &rows, batch).into_iter().map(Ok)));
            expected.extend(rows.into_iter().map(|r| (r, number)));
        }
        // Stable, so that equal rows stay in the order of their runs.
        expected.sort_by_key(|(r, _)| order(r));
        let merged: Vec<RecordBatch> = merge(&spec(), inputs)
            .unwrap()
            .collect::<Result<_>>()
            .unwrap();
        assert!(
            merged
                .iter()
                .all(|b| b.num_rows() > 0 && is_sorted(&[0, 1], b).unwrap())
        );
        let got: Vec<_> = merged
            .iter()
            .flat_map(|b| {
                let (person, day, run) = (column(b, 0), column(b, 1), column(b, 2));
                (0..b.num_rows()).map(move |i| ((person[i].unwrap(), day[i]), run[i].unwrap()))
            })
            .map(|(row, run)| (row, usize::try_from(run).unwrap()))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn long_stretches_pass_through() {
        let many: Vec<_> = (0..20_000).map(|i| (i, Some(0))).collect();
        let few = vec![(5, None), (9_999, Some(0)), (30_000, Some(1))];
        check(vec![many.clone(), few.clone()], 8192);
        check(vec![few, many], 8192);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn equals_a_stable_sort(
            runs in prop::collection::vec(
                prop::collection::vec((0i64..20, prop::option::of(0i64..3)), 0..120), 1..5),
            batch in 1usize..40,
        ) {
            check(runs, batch);
        }
    }
}
