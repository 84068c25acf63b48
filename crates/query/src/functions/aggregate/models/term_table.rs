//! A table of terms: a name, numbers, and a remark where the numbers mean nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::functions::aggregate::adapter::output::{list_of, lists, numbers, struct_of};

/// Tables of several groups, with `N` numbers for each term.
pub(in crate::functions::aggregate) struct TermTable<const N: usize> {
    lengths: Vec<Option<usize>>,
    terms: Vec<String>,
    numbers: [Vec<f64>; N],
    notes: Vec<Option<&'static str>>,
}

/// The type of such a table.
pub(super) fn table_type(numbers: &[&str]) -> DataType {
    let mut columns = vec![("term", DataType::Utf8)];
    columns.extend(numbers.iter().map(|name| (*name, DataType::Float64)));
    columns.push(("note", DataType::Utf8));
    list_of(struct_of(&columns))
}

impl<const N: usize> TermTable<N> {
    pub(in crate::functions::aggregate) fn new() -> Self {
        Self {
            lengths: Vec::new(),
            terms: Vec::new(),
            numbers: std::array::from_fn(|_| Vec::new()),
            notes: Vec::new(),
        }
    }

    /// Begins the table of a group.
    pub(super) fn group(&mut self) {
        self.lengths.push(Some(0));
    }

    /// A group without a table.
    pub(super) fn null(&mut self) {
        self.lengths.push(None);
    }

    /// A line of the group that was begun last.
    pub(super) fn push(&mut self, term: &str, row: [f64; N], note: Option<&'static str>) {
        self.terms.push(term.to_owned());
        for (column, number) in self.numbers.iter_mut().zip(row) {
            column.push(number);
        }
        self.notes.push(note);
        if let Some(Some(length)) = self.lengths.last_mut() {
            *length += 1;
        }
    }

    /// A line for each factor whose rows all have the same level.
    pub(super) fn push_constant(&mut self, factors: &[String]) {
        for factor in factors {
            self.push(factor, [f64::NAN; N], Some("one level only"));
        }
    }

    pub(in crate::functions::aggregate) fn finish(self, output: &DataType) -> Result<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(self.terms))];
        columns.extend(self.numbers.into_iter().map(numbers));
        columns.push(Arc::new(StringArray::from(self.notes)));
        lists(output, &self.lengths, &columns)
    }
}
