//! Where rows differ from the one before them.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::ptr::addr_eq;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, PrimitiveArray,
    downcast_primitive_array,
};
use arrow::compute::partition;
use datafusion::common::Result;

use super::segments::CHUNK_ROWS;

/// More rows are not kept in mind: a chunk may hold one person's rows without end.
const MOST_ROWS_KNOWN: usize = 2 * CHUNK_ROWS;

thread_local! {
    /// What was told last of columns on this thread, and of which: one window after the other asks the same of the same arrays.
    static KNOWN: RefCell<[Option<Known>; 2]> = const { RefCell::new([None, None]) };
}

struct Known {
    /// They keep no values, and no other array can come to lie where one of them lay.
    columns: Vec<Weak<dyn Array>>,
    changes: Rc<Changes>,
}

/// For each row whether it differs from the one before it in some columns; the first does.
#[derive(Debug)]
pub(super) struct Changes {
    marks: Vec<u8>,
    runs: OnceCell<Vec<Range<usize>>>,
}

impl Changes {
    pub(super) fn of(columns: &[ArrayRef], rows: usize) -> Result<Rc<Self>> {
        let within = |known: &Known| {
            known.changes.marks.len() == rows
                && known.columns.iter().all(|known| {
                    let mut columns = columns.iter();
                    columns.any(|column| addr_eq(known.as_ptr(), Arc::as_ptr(column)))
                })
        };
        let (marks, told) = KNOWN
            .with_borrow(|known| {
                let known = known.iter().flatten().filter(|known| within(known));
                let known = known.max_by_key(|known| known.columns.len())?;
                Some((Rc::clone(&known.changes), known.columns.clone()))
            })
            .unzip();
        let told = told.unwrap_or_default();
        let is_told = |column: &&ArrayRef| {
            let mut told = told.iter();
            told.any(|told| addr_eq(told.as_ptr(), Arc::as_ptr(column)))
        };
        let rest = columns.iter().filter(|column| !is_told(column));
        let rest: Vec<&ArrayRef> = rest.collect();
        let mut marks = match marks {
            Some(known) if rest.is_empty() => return Ok(known),
            Some(known) => known.marks.clone(),
            None => vec![0; rows],
        };
        for column in rest {
            add(column, &mut marks)?;
        }
        if let Some(first) = marks.first_mut() {
            *first = 1;
        }
        let runs = OnceCell::new();
        let changes = Rc::new(Self { marks, runs });
        if rows <= MOST_ROWS_KNOWN && !columns.is_empty() {
            KNOWN.with_borrow_mut(|known| {
                known.rotate_right(1);
                known[0] = Some(Known {
                    columns: columns.iter().map(Arc::downgrade).collect(),
                    changes: Rc::clone(&changes),
                });
            });
        }
        Ok(changes)
    }

    /// For each row 1 where it begins a run, and 0 elsewhere.
    pub(super) fn marks(&self) -> &[u8] {
        &self.marks
    }

    /// The runs of rows that are equal.
    pub(super) fn runs(&self) -> &[Range<usize>] {
        self.runs.get_or_init(|| {
            let count = self.marks.iter().map(|mark| usize::from(*mark)).sum();
            let mut runs = Vec::with_capacity(count);
            let mut start = 0;
            let mut begin = |at| {
                if at > 0 {
                    runs.push(start..at);
                    start = at;
                }
            };
            let (eights, rest) = self.marks.as_chunks::<8>();
            for (eight, at) in eights.iter().zip((0..).step_by(8)) {
                let mut eight = u64::from_le_bytes(*eight);
                while eight != 0 {
                    begin(at + eight.trailing_zeros() as usize / 8);
                    eight &= eight - 1;
                }
            }
            for (mark, at) in rest.iter().zip(8 * eights.len()..) {
                if *mark > 0 {
                    begin(at);
                }
            }
            begin(self.marks.len());
            runs
        })
    }
}

/// Marks the rows that differ from the one before them in a column.
fn add(column: &ArrayRef, marks: &mut [u8]) -> Result<()> {
    if column.null_count() == 0 && column.data_type().is_primitive() {
        let column = column.as_ref();
        downcast_primitive_array! {
            column => mark(column, marks),
            _ => {}
        }
        return Ok(());
    }
    for run in partition(std::slice::from_ref(column))?.ranges() {
        marks[run.start] = 1;
    }
    Ok(())
}

fn mark<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, marks: &mut [u8]) {
    let pairs = column.values().windows(2);
    for (mark, pair) in marks.iter_mut().skip(1).zip(pairs) {
        *mark |= u8::from(pair[0].is_ne(pair[1]));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn runs_are_those_of_arrow() {
        let row = |row: i64| (row * 7919 % 101, row / 3, row / 17);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|n| row(n).2)));
        let nulls: ArrayRef = Arc::new(
            (0..1000)
                .map(|n| (row(n).1 % 4 > 1).then_some(row(n).1))
                .collect::<Int64Array>(),
        );
        let days: ArrayRef = Arc::new(Date32Array::from_iter_values((0..1000).map(|n| n / 5)));
        let signs: ArrayRef = Arc::new(Float64Array::from_iter_values(
            (0..1000).map(|n| if n % 4 < 2 { 0.0 } else { -0.0 }),
        ));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..1000).map(|n| if row(n).0 < 50 { "a" } else { "b" }),
        ));
        let all = [numbers, nulls, days, signs, words];
        for length in [0, 1, 7, 8, 9, 16, 1000] {
            for (from, to) in
                (0..all.len()).flat_map(|from| (from..all.len()).map(move |to| (from, to)))
            {
                let columns: Vec<ArrayRef> =
                    all[from..=to].iter().map(|c| c.slice(0, length)).collect();
                let runs = partition(&columns).unwrap().ranges();
                // Of columns of which none, some and all are known by then.
                for known in [0, 1, columns.len()] {
                    let columns: Vec<ArrayRef> =
                        columns.iter().map(|c| c.slice(0, length)).collect();
                    let known = &columns[columns.len() - known.min(columns.len())..];
                    Changes::of(known, length).unwrap();
                    let changes = Changes::of(&columns, length).unwrap();
                    assert_eq!(changes.runs(), runs, "{from} {to} {length}");
                }
            }
        }
    }
}
