//! Covariates of which most values are 0: the rows and values of the others.

use std::ops::Range;

use super::{Covariates, Frame};
use crate::{Error, Result};

/// A column that stores only what is not 0, by rising row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseColumn {
    rows: Vec<u32>,
    values: Vec<f64>,
}

impl SparseColumn {
    /// A column that is 1 in these rows.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if the rows do not rise.
    pub fn indicator(rows: Vec<u32>) -> Result<Self> {
        let values = vec![1.0; rows.len()];
        Self::new(rows, values)
    }

    /// A column with these values in these rows.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalColumns`]; [`Error::NonFiniteCovariate`]; [`Error::InvalidOption`] if the rows do not rise.
    pub fn new(rows: Vec<u32>, values: Vec<f64>) -> Result<Self> {
        if rows.len() != values.len() {
            return Err(Error::UnequalColumns);
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::NonFiniteCovariate);
        }
        if !rows.is_sorted_by(|a, b| a < b) {
            return Err(Error::InvalidOption("the order of a sparse column's rows"));
        }
        Ok(Self { rows, values })
    }

    /// From a column that has all its values.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteCovariate`]; [`Error::TooManyRows`].
    pub fn from_dense(column: &[f64]) -> Result<Self> {
        let mut sparse = Self::default();
        for (row, value) in column.iter().enumerate() {
            if *value != 0.0 {
                sparse
                    .rows
                    .push(u32::try_from(row).map_err(|_| Error::TooManyRows)?);
                sparse.values.push(*value);
            }
        }
        Self::new(sparse.rows, sparse.values)
    }

    /// Values that are stored.
    pub fn stored(&self) -> usize {
        self.rows.len()
    }

    /// The stored values less a number.
    pub(crate) fn less(&self, shift: f64) -> Self {
        Self {
            rows: self.rows.clone(),
            values: self.values.iter().map(|value| value - shift).collect(),
        }
    }

    /// Rows and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.rows
            .iter()
            .map(|row| *row as usize)
            .zip(self.values.iter().copied())
    }

    /// The values of these rows less a number, those that are not stored being 0.
    #[inline(always)]
    pub(crate) fn centred(&self, centre: f64, rows: Range<usize>, into: &mut [f64]) {
        if self.stored() == self.end() && rows.end <= self.stored() {
            // Every row is stored up to the last.
            for (into, x) in into.iter_mut().zip(&self.values[rows]) {
                *into = x - centre;
            }
            return;
        }
        into.fill(-centre);
        let first = self
            .rows
            .partition_point(|row| (*row as usize) < rows.start);
        let stored = self.rows[first..].iter().zip(&self.values[first..]);
        for (row, x) in stored.take_while(|(row, _)| (**row as usize) < rows.end) {
            into[*row as usize - rows.start] = x - centre;
        }
    }

    /// One more than the last row stored.
    pub(crate) fn end(&self) -> usize {
        self.rows.last().map_or(0, |row| *row as usize + 1)
    }
}

/// The rows of a regression on sparse columns.
#[derive(Debug, Clone, Copy)]
pub struct SparseFrame<'a> {
    /// As in [`Frame::outcome`].
    pub outcome: &'a [f64],
    /// A column per term.
    pub covariates: &'a [SparseColumn],
    /// Case weights; all 1 if there are none.
    pub weights: Option<&'a [f64]>,
    /// A term whose coefficient is 1.
    pub offset: Option<&'a [f64]>,
}

impl<'a> SparseFrame<'a> {
    /// Outcome and covariates.
    pub fn new(outcome: &'a [f64], covariates: &'a [SparseColumn]) -> Self {
        Self {
            outcome,
            covariates,
            weights: None,
            offset: None,
        }
    }

    /// What is not covariates.
    pub(crate) fn dense(&self) -> Frame<'a> {
        Frame {
            outcome: self.outcome,
            covariates: Covariates::Floats(&[]),
            weights: self.weights,
            offset: self.offset,
            clusters: None,
        }
    }

    pub(crate) fn check_lengths(&self) -> Result<()> {
        self.dense().check_lengths()?;
        let rows = self.outcome.len();
        if self.covariates.iter().all(|column| column.end() <= rows) {
            Ok(())
        } else {
            Err(Error::UnequalColumns)
        }
    }
}
