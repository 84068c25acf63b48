//! The rows of a regression on time: what every pass over the data reads.

use crate::survival::check_time;
use crate::{Error, Numbers, Result, Summary};

/// One row of a Cox model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Start of the interval `(start, time]`; `None` if the row is at risk from the beginning.
    pub start: Option<f64>,
    /// End of follow-up.
    pub time: f64,
    /// Whether the event happened at `time`.
    pub event: bool,
    /// One value per term.
    pub covariates: &'a [f64],
    /// Baseline hazards are per stratum. Any code: rows with the same code share a stratum.
    pub stratum: u64,
    /// Case weight. A row of weight 0 is left out.
    pub weight: f64,
    /// Rows of one cluster (a person, a hospital) are not independent; asks for clustered variance.
    pub cluster: Option<u64>,
    /// A term whose coefficient is 1.
    pub offset: f64,
}

impl<'a> Row<'a> {
    /// A row without start, stratum, weight, cluster or offset.
    pub fn new(time: f64, event: bool, covariates: &'a [f64]) -> Self {
        Self {
            start: None,
            time,
            event,
            covariates,
            stratum: 0,
            weight: 1.0,
            cluster: None,
            offset: 0.0,
        }
    }
}

/// The rows of a Cox model, by column.
///
/// Merging appends. Unlike other summaries it grows with the rows, because every step of the fit reads them
/// again; what a step takes from them is as small as a histogram.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub(crate) time: Vec<f64>,
    pub(crate) event: Vec<bool>,
    /// By term.
    pub(crate) covariates: Vec<Numbers>,
    /// Empty if no row has one; else −∞ where a row has none.
    pub(crate) start: Vec<f64>,
    /// Empty if all are in stratum 0.
    pub(crate) stratum: Vec<u64>,
    /// Empty if all are 1.
    pub(crate) weight: Vec<f64>,
    /// Empty if there are none.
    pub(crate) cluster: Vec<u64>,
    /// Empty if all are 0.
    pub(crate) offset: Vec<f64>,
}

impl Rows {
    /// Whether each row has the event.
    #[must_use]
    pub fn events(&self) -> &[bool] {
        &self.event
    }

    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// What [`crate::survival::EventTimes`] refuses of times and weights; [`Error::NonFiniteCovariate`];
    /// [`Error::UnequalTerms`] if the row has another number of covariates than the first;
    /// [`Error::MixedClusters`] if only some rows have a cluster. A refused row leaves no trace.
    pub fn push(&mut self, row: &Row<'_>) -> Result<()> {
        check_time(row.time)?;
        if let Some(start) = row.start {
            check_time(start)?;
            if start >= row.time {
                return Err(Error::EmptyInterval);
            }
        }
        if !(row.weight.is_finite() && row.weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        if !(row.offset.is_finite() && row.covariates.iter().all(|value| value.is_finite())) {
            return Err(Error::NonFiniteCovariate);
        }
        let rows = self.time.len();
        if rows > 0 && self.covariates.len() != row.covariates.len() {
            return Err(Error::UnequalTerms);
        }
        if rows > 0 && self.cluster.is_empty() == row.cluster.is_some() {
            return Err(Error::MixedClusters);
        }
        if row.weight == 0.0 {
            return Ok(());
        }
        self.covariates
            .resize(row.covariates.len(), Numbers::default());
        for (column, value) in self.covariates.iter_mut().zip(row.covariates) {
            column.push(*value);
        }
        put(
            &mut self.start,
            rows,
            row.start.unwrap_or(f64::NEG_INFINITY),
            f64::NEG_INFINITY,
        );
        put(&mut self.stratum, rows, row.stratum, 0);
        put(&mut self.weight, rows, row.weight, 1.0);
        put(&mut self.offset, rows, row.offset, 0.0);
        self.cluster.extend(row.cluster);
        self.time.push(row.time + 0.0);
        self.event.push(row.event);
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Covariates per row.
    pub fn terms(&self) -> usize {
        self.covariates.len()
    }

    /// Whether the variance is robust unless it is said otherwise, as in R: with clusters, and with weights that are not whole
    /// numbers.
    #[must_use]
    pub fn ask_for_robust(&self) -> bool {
        !self.cluster.is_empty() || self.fractional_weights()
    }

    /// Whether some weight is not a whole number.
    pub(crate) fn fractional_weights(&self) -> bool {
        self.weight.iter().any(|weight| weight.fract() != 0.0)
    }

    pub(crate) fn weight_of(&self, row: usize) -> f64 {
        self.weight.get(row).copied().unwrap_or(1.0)
    }

    pub(crate) fn offset_of(&self, row: usize) -> f64 {
        self.offset.get(row).copied().unwrap_or(0.0)
    }

    /// The same rows with some of their covariates only.
    pub(crate) fn with_terms(&self, terms: &[usize]) -> Self {
        let covariates = terms.iter().map(|term| self.covariates[*term].clone());
        Self {
            covariates: covariates.collect(),
            ..self.without_covariates()
        }
    }

    /// The rows for which `keep` is true.
    pub(crate) fn kept(&self, keep: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.len()).filter(|row| keep(*row)).collect();
        fn those<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
            let given = !column.is_empty();
            let rows = rows.iter().filter(|_| given);
            rows.map(|row| column[*row]).collect()
        }
        let covariates = self.covariates.iter();
        Self {
            time: those(&self.time, &rows),
            event: those(&self.event, &rows),
            covariates: covariates.map(|column| column.those(&rows)).collect(),
            start: those(&self.start, &rows),
            stratum: those(&self.stratum, &rows),
            weight: those(&self.weight, &rows),
            cluster: those(&self.cluster, &rows),
            offset: those(&self.offset, &rows),
        }
    }

    fn without_covariates(&self) -> Self {
        Self {
            time: self.time.clone(),
            event: self.event.clone(),
            covariates: Vec::new(),
            start: self.start.clone(),
            stratum: self.stratum.clone(),
            weight: self.weight.clone(),
            cluster: self.cluster.clone(),
            offset: self.offset.clone(),
        }
    }

    /// Whether the two have columns of the same meaning.
    fn check_mergeable(&self, other: &Self) -> Result<()> {
        if self.terms() != other.terms() {
            return Err(Error::UnequalTerms);
        }
        if self.cluster.is_empty() != other.cluster.is_empty() {
            return Err(Error::MixedClusters);
        }
        Ok(())
    }

    /// Merges, refusing rows of another model.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] and [`Error::MixedClusters`]; the rows are then as they were.
    pub fn try_merge(&mut self, other: Self) -> Result<()> {
        if other.is_empty() {
            return Ok(());
        }
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        self.check_mergeable(&other)?;
        let (rows, more) = (self.len(), other.len());
        append(&mut self.start, rows, other.start, more, f64::NEG_INFINITY);
        append(&mut self.stratum, rows, other.stratum, more, 0);
        append(&mut self.weight, rows, other.weight, more, 1.0);
        append(&mut self.offset, rows, other.offset, more, 0.0);
        self.cluster.extend(other.cluster);
        self.time.extend(other.time);
        self.event.extend(other.event);
        for (mine, theirs) in self.covariates.iter_mut().zip(other.covariates) {
            mine.append(theirs);
        }
        Ok(())
    }

    /// Heap bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        let floats = self.time.capacity()
            + self.start.capacity()
            + self.weight.capacity()
            + self.offset.capacity();
        let covariates: usize = self.covariates.iter().map(Numbers::heap_bytes).sum();
        8 * (floats + self.stratum.capacity() + self.cluster.capacity())
            + covariates
            + self.event.capacity()
    }
}

/// Appends to a column that is empty as long as all its values are the default.
fn put<T: Copy + PartialEq>(column: &mut Vec<T>, rows: usize, value: T, default: T) {
    if column.is_empty() {
        if value == default {
            return;
        }
        column.resize(rows, default);
    }
    column.push(value);
}

fn append<T: Copy>(column: &mut Vec<T>, rows: usize, other: Vec<T>, more: usize, default: T) {
    if column.is_empty() && other.is_empty() {
        return;
    }
    if column.is_empty() {
        column.resize(rows, default);
    }
    if other.is_empty() {
        column.resize(rows + more, default);
    } else {
        column.extend(other);
    }
}

impl Summary for Rows {
    /// Rows of another model (other terms, or clusters in only one of the two) make the whole unusable: the
    /// fit then fails with [`Error::UnequalTerms`]. Use [`Rows::try_merge`] to learn of it at once.
    fn merge(&mut self, other: Self) {
        if self.check_mergeable(&other).is_err() && !self.is_empty() && !other.is_empty() {
            self.covariates.clear();
            self.time.push(f64::NAN);
            return;
        }
        // Cannot fail: checked above, or one of the two is empty.
        let _: Result<()> = self.try_merge(other);
    }

    fn is_empty(&self) -> bool {
        self.time.is_empty()
    }
}
