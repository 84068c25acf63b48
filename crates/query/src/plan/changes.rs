//! Where rows differ from the one before them.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, PrimitiveArray,
    downcast_primitive_array,
};
use arrow::compute::partition;
use datafusion::common::Result;

/// For each row 1 where it differs from the one before it in a column, and 0 elsewhere.
#[derive(Debug)]
pub(super) struct Changes(Vec<u8>);

impl Changes {
    pub(super) fn of(columns: &[ArrayRef], rows: usize) -> Result<Self> {
        let mut changes = Self(vec![0; rows]);
        changes.add(columns)?;
        Ok(changes)
    }

    /// Of more columns.
    pub(super) fn add(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for column in columns {
            if column.null_count() == 0 && column.data_type().is_primitive() {
                let column = column.as_ref();
                downcast_primitive_array! {
                    column => mark(column, &mut self.0),
                    _ => {}
                }
                continue;
            }
            for run in partition(std::slice::from_ref(column))?.ranges() {
                self.0[run.start] |= u8::from(run.start > 0);
            }
        }
        Ok(())
    }

    /// The runs of rows that are equal.
    pub(super) fn runs(&self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = 0;
        let mut end = |at| {
            runs.push(start..at);
            start = at;
        };
        let (eights, rest) = self.0.as_chunks::<8>();
        for (eight, at) in eights.iter().zip((0..).step_by(8)) {
            let mut eight = u64::from_le_bytes(*eight);
            while eight != 0 {
                end(at + eight.trailing_zeros() as usize / 8);
                eight &= eight - 1;
            }
        }
        for (changed, at) in rest.iter().zip(8 * eights.len()..) {
            if *changed > 0 {
                end(at);
            }
        }
        if !self.0.is_empty() {
            end(self.0.len());
        }
        runs
    }
}

fn mark<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, changes: &mut [u8]) {
    let pairs = column.values().windows(2);
    for (change, pair) in changes.iter_mut().skip(1).zip(pairs) {
        *change |= u8::from(pair[0].is_ne(pair[1]));
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
                let runs = Changes::of(&columns, length).unwrap().runs();
                assert_eq!(
                    runs,
                    partition(&columns).unwrap().ranges(),
                    "{from} {to} {length}"
                );
            }
        }
    }
}
