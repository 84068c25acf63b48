//! The columns of a source file, by name in any case, and its rows by those columns.

use std::borrow::Cow;

use crate::csv::Cell;

/// The names of a file's columns.
#[derive(Debug, Clone)]
pub(super) struct Header {
    names: Vec<String>,
}

impl Header {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The column of a name, or of one of several separated by `|`.
    pub(super) fn position(&self, names: &str) -> Option<usize> {
        let find = |name: &str| {
            self.names
                .iter()
                .position(|given| given.eq_ignore_ascii_case(name))
        };
        names.split('|').find_map(find)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }
}

/// A row of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'b, 'c> {
    pub(super) block: &'b [u8],
    pub(super) cells: &'c [Cell],
}

impl<'b> Row<'b, '_> {
    /// The content of a cell, empty where the row has none.
    pub(super) fn cell(&self, at: usize) -> Cow<'b, [u8]> {
        match self.cells.get(at) {
            None => Cow::Borrowed(b""),
            Some(cell) if cell.is_doubled() => Cow::Owned(cell.unquoted(self.block)),
            Some(cell) => Cow::Borrowed(cell.bytes(self.block)),
        }
    }

    /// The content of a cell that may not exist, without spaces around it; `None` where it is empty.
    pub(super) fn filled(&self, at: Option<usize>) -> Option<Cow<'b, [u8]>> {
        let cell = match self.cell(at?) {
            Cow::Borrowed(cell) => Cow::Borrowed(cell.trim_ascii()),
            Cow::Owned(cell) => Cow::Owned(cell.trim_ascii().to_vec()),
        };
        (!cell.is_empty()).then_some(cell)
    }
}
