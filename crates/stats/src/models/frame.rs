//! The rows of a regression: columns that are borrowed, or collected row by row.

use std::ops::Range;

use super::Family;
use crate::{Error, Result, Summary, Values};

/// The covariates of a regression, a column per term.
#[derive(Debug, Clone, Copy)]
pub enum Covariates<'a> {
    /// Floating-point numbers.
    Floats(&'a [&'a [f64]]),
    /// Numbers of which some columns are kept in 16 bits.
    Values(&'a [Values<'a>]),
}

impl<'a> Covariates<'a> {
    /// Terms.
    pub fn len(self) -> usize {
        match self {
            Self::Floats(columns) => columns.len(),
            Self::Values(columns) => columns.len(),
        }
    }

    /// Whether there are no terms.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The columns in order.
    #[inline(always)]
    pub fn columns(self) -> impl Iterator<Item = Values<'a>> {
        (0..self.len()).map(move |term| match self {
            Self::Floats(columns) => Values::Any(columns[term]),
            Self::Values(columns) => columns[term],
        })
    }
}

/// The columns of a regression, as they lie in memory.
///
/// All columns have one element per row. Rows of weight 0 count for nothing.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// 0 or 1, or a share between them, for logistic regression; a count for Poisson regression.
    pub outcome: &'a [f64],
    /// A column per term, the intercept not among them.
    pub covariates: Covariates<'a>,
    /// Case weights; all 1 if there are none.
    pub weights: Option<&'a [f64]>,
    /// A term whose coefficient is 1, such as the logarithm of person-time; all 0 if there is none.
    pub offset: Option<&'a [f64]>,
    /// Rows of one cluster (a person, a hospital) are not independent. Needed for clustered variances only.
    pub clusters: Option<&'a [u64]>,
}

impl<'a> Frame<'a> {
    /// Outcome and covariates, without weights, offset and clusters.
    pub fn new(outcome: &'a [f64], covariates: &'a [&'a [f64]]) -> Self {
        Self {
            outcome,
            covariates: Covariates::Floats(covariates),
            weights: None,
            offset: None,
            clusters: None,
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.outcome.len()
    }

    /// The same rows without covariates.
    pub(crate) fn without_covariates(&self) -> Self {
        Self {
            covariates: Covariates::Floats(&[]),
            clusters: None,
            ..*self
        }
    }

    /// Whether all columns have the same number of rows.
    pub(crate) fn check_lengths(&self) -> Result<()> {
        let rows = self.rows();
        let others = [
            self.weights.map(<[f64]>::len),
            self.offset.map(<[f64]>::len),
            self.clusters.map(<[u64]>::len),
        ];
        let equal = self.covariates.columns().all(|column| column.len() == rows)
            && others.into_iter().flatten().all(|length| length == rows);
        if equal {
            Ok(())
        } else {
            Err(Error::UnequalColumns)
        }
    }

    /// Whether these rows can be in a model of the family.
    pub(crate) fn check(&self, family: Family, rows: Range<usize>) -> Result<()> {
        if let Some(weights) = self.weights
            && weights[rows.clone()]
                .iter()
                .any(|weight| !(weight.is_finite() && *weight >= 0.0))
        {
            return Err(Error::InvalidWeight);
        }
        if let Some(offset) = self.offset
            && offset[rows.clone()]
                .iter()
                .any(|offset| !offset.is_finite())
        {
            return Err(Error::NonFiniteCovariate);
        }
        family.check(&self.outcome[rows])
    }
}

/// One row of a regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The outcome, as in [`Frame::outcome`].
    pub outcome: f64,
    /// One value per term, the intercept not among them.
    pub covariates: &'a [f64],
    /// Case weight. A row of weight 0 is left out.
    pub weight: f64,
    /// A term whose coefficient is 1.
    pub offset: f64,
    /// Asks for clustered variance.
    pub cluster: Option<u64>,
}

impl<'a> Row<'a> {
    /// A row without weight, offset or cluster.
    pub fn new(outcome: f64, covariates: &'a [f64]) -> Self {
        Self {
            outcome,
            covariates,
            weight: 1.0,
            offset: 0.0,
            cluster: None,
        }
    }
}

/// The rows of a regression, collected by column.
///
/// Merging appends: every step of a fit reads the rows again. What a step takes from them is as small as the
/// coefficients, and merges without them: see [`super::Newton`].
#[derive(Debug, Clone, Default)]
pub struct Rows {
    outcome: Vec<f64>,
    covariates: Vec<Vec<f64>>,
    /// Empty if all are 1.
    weights: Vec<f64>,
    /// Empty if all are 0.
    offset: Vec<f64>,
    /// Empty if there are none.
    clusters: Vec<u64>,
    /// What made a merge impossible, for the fit to report.
    broken: Option<Error>,
}

impl Rows {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWeight`]; [`Error::NonFiniteCovariate`]; [`Error::UnequalTerms`] if the row has another
    /// number of covariates than the first; [`Error::MixedClusters`] if only some rows have a cluster. What the
    /// outcome may be is for the fit to say. A refused row leaves no trace.
    pub fn push(&mut self, row: &Row<'_>) -> Result<()> {
        if !(row.weight.is_finite() && row.weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        if !(row.offset.is_finite() && row.covariates.iter().all(|value| value.is_finite())) {
            return Err(Error::NonFiniteCovariate);
        }
        let rows = self.len();
        if rows > 0 && self.covariates.len() != row.covariates.len() {
            return Err(Error::UnequalTerms);
        }
        if rows > 0 && self.clusters.is_empty() == row.cluster.is_some() {
            return Err(Error::MixedClusters);
        }
        if row.weight == 0.0 {
            return Ok(());
        }
        self.covariates.resize(row.covariates.len(), Vec::new());
        for (column, value) in self.covariates.iter_mut().zip(row.covariates) {
            column.push(*value);
        }
        extend(&mut self.weights, rows, &[row.weight], 1, 1.0);
        extend(&mut self.offset, rows, &[row.offset], 1, 0.0);
        self.clusters.extend(row.cluster);
        self.outcome.push(row.outcome);
        Ok(())
    }

    /// Rows held.
    #[expect(clippy::len_without_is_empty, reason = "`is_empty` is the summary's")]
    pub fn len(&self) -> usize {
        self.outcome.len()
    }

    /// Covariates per row.
    pub fn terms(&self) -> usize {
        self.covariates.len()
    }

    /// Merges, refusing rows of another model.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] and [`Error::MixedClusters`]; the rows are then as they were.
    pub fn try_merge(&mut self, other: Self) -> Result<()> {
        if let Some(error) = other.broken {
            return Err(error);
        }
        if other.is_empty() {
            return Ok(());
        }
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        if self.terms() != other.terms() {
            return Err(Error::UnequalTerms);
        }
        if self.clusters.is_empty() != other.clusters.is_empty() {
            return Err(Error::MixedClusters);
        }
        let (rows, more) = (self.len(), other.len());
        extend(&mut self.weights, rows, &other.weights, more, 1.0);
        extend(&mut self.offset, rows, &other.offset, more, 0.0);
        self.clusters.extend(other.clusters);
        self.outcome.extend(other.outcome);
        for (mine, theirs) in self.covariates.iter_mut().zip(other.covariates) {
            mine.extend(theirs);
        }
        Ok(())
    }

    /// Calls `use_frame` with the columns.
    ///
    /// # Errors
    ///
    /// What a merge could not report, and what `use_frame` returns.
    pub fn with_frame<T>(&self, use_frame: impl FnOnce(&Frame<'_>) -> Result<T>) -> Result<T> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let covariates: Vec<&[f64]> = self.covariates.iter().map(Vec::as_slice).collect();
        use_frame(&Frame {
            outcome: &self.outcome,
            covariates: Covariates::Floats(&covariates),
            weights: Some(self.weights.as_slice()).filter(|column| !column.is_empty()),
            offset: Some(self.offset.as_slice()).filter(|column| !column.is_empty()),
            clusters: Some(self.clusters.as_slice()).filter(|column| !column.is_empty()),
        })
    }

    /// Heap bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        let covariates: usize = self.covariates.iter().map(Vec::capacity).sum();
        let others = self.outcome.capacity() + self.weights.capacity() + self.offset.capacity();
        8 * (covariates + others + self.clusters.capacity())
    }
}

/// Appends to a column that stays empty as long as all its values are the default.
fn extend(column: &mut Vec<f64>, rows: usize, values: &[f64], more: usize, default: f64) {
    if column.is_empty() && values.iter().all(|value| *value == default) {
        return;
    }
    if column.is_empty() {
        column.resize(rows, default);
    }
    column.extend(values);
    column.resize(rows + more, default);
}

impl Summary for Rows {
    /// Rows of another model (other terms, or clusters in only one of the two) make the whole unusable: the fit
    /// then says why. Use [`Rows::try_merge`] to learn of it at once.
    fn merge(&mut self, other: Self) {
        if self.broken.is_none()
            && let Err(error) = self.try_merge(other)
        {
            self.broken = Some(error);
        }
    }

    fn is_empty(&self) -> bool {
        self.outcome.is_empty() && self.broken.is_none()
    }
}
