//! One Newton step as a summary: log-likelihood, score and information at given coefficients.
//!
//! The sums over any parts of the rows add up to those over all rows, so that threads, query partitions and
//! hospitals each contribute one small step, and the coefficients go back to them. Covariates are centred, which
//! changes the intercept only, and keeps columns such as years apart from it.

use std::ops::Range;

use rayon::prelude::*;

use super::Frame;
use super::family::{Family, Working};
use crate::numeric::{BLOCK, Block, CrossProduct, Symmetric, widest};
use crate::{Error, Result, Summary};

/// Where a step is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The model's family.
    pub family: Family,
    /// Whether the first coefficient is that of a constant.
    pub intercept: bool,
    /// Taken from each covariate.
    pub centre: Vec<f64>,
    /// One per term, of the centred covariates, the intercept's first; `None` asks for R's starting values: the
    /// least-squares problem of the working response, whose solution is the first iteration.
    pub coefficients: Option<Vec<f64>>,
}

/// Rows of a task. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 16_384;

impl Point {
    /// Coefficients, the intercept's included.
    pub fn terms(&self) -> usize {
        self.centre.len() + usize::from(self.intercept)
    }

    /// The linear predictor of a block of rows.
    pub(crate) fn linear_predictor(&self, frame: &Frame<'_>, rows: Range<usize>, into: &mut [f64]) {
        let slopes = self.begin(frame, rows.clone(), into);
        widest!({
            let columns = frame.covariates.columns().zip(&self.centre);
            for ((column, centre), slope) in columns.zip(slopes) {
                if *slope != 0.0 {
                    column.slice(rows.clone()).add_along(*centre, *slope, into);
                }
            }
        });
    }

    /// The linear predictor of as many rows as it is long, and the columns of the design: the constant, and the covariates
    /// less their centres. To be called inside [`widest`].
    #[inline(always)]
    pub(crate) fn design(
        &self,
        frame: &Frame<'_>,
        rows: &Range<usize>,
        columns: &mut [Block],
        eta: &mut [f64],
    ) {
        let slopes = self.begin(frame, rows.clone(), eta);
        let columns = match columns.split_first_mut() {
            Some((constant, columns)) if self.intercept => {
                constant.fill(1.0);
                columns
            }
            _ => columns,
        };
        let covariates = frame.covariates.columns().zip(&self.centre);
        for (term, (column, (values, centre))) in columns.iter_mut().zip(covariates).enumerate() {
            let values = values.slice(rows.clone());
            match slopes.get(term) {
                Some(slope) => values.centred_along(*centre, *slope, &mut **column, eta),
                None => values.centred(*centre, &mut **column),
            }
        }
    }

    /// Fills in the constant and the offset; the slopes, which come next.
    fn begin(&self, frame: &Frame<'_>, rows: Range<usize>, eta: &mut [f64]) -> &[f64] {
        let coefficients = self.coefficients.as_deref().unwrap_or_default();
        let (constant, slopes) = match coefficients.split_first() {
            Some((constant, slopes)) if self.intercept => (*constant, slopes),
            _ => (0.0, coefficients),
        };
        match frame.offset {
            Some(offset) => {
                for (eta, offset) in eta.iter_mut().zip(&offset[rows]) {
                    *eta = constant + offset;
                }
            }
            None => eta.fill(constant),
        }
        slopes
    }
}

/// What a step takes from the rows.
#[derive(Debug, Clone, Default)]
pub struct Step {
    pub(super) rows: u64,
    /// Without the part that does not depend on the coefficients.
    pub(super) log_likelihood: f64,
    /// The same for the model that fits every row; known from the first step only.
    pub(super) saturated: f64,
    pub(super) score: Vec<f64>,
    pub(super) information: Option<Symmetric>,
    /// Whether parts of different models were merged.
    pub(super) mixed: bool,
}

/// The contents of a [`Step`], to be sent and put together again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepParts {
    /// Rows seen.
    pub rows: u64,
    /// Kernel of the log-likelihood.
    pub log_likelihood: f64,
    /// Kernel of the saturated log-likelihood.
    pub saturated: f64,
    /// The score, one number per term.
    pub score: Vec<f64>,
    /// The lower triangle of the information by rows.
    pub information: Vec<f64>,
}

impl Step {
    /// The step over some rows of a frame, which [`super::Moments::of`] has checked.
    pub fn of(frame: &Frame<'_>, at: &Point, rows: Range<usize>) -> Self {
        let terms = at.terms();
        let mut step = Self {
            score: vec![0.0; terms],
            rows: rows.len() as u64,
            ..Self::default()
        };
        let mut buffer = Buffer::new();
        let mut product = CrossProduct::new(terms);
        for block in blocks(rows) {
            step.add_block(frame, at, block, &mut buffer, &mut product);
        }
        step.information = Some(product.finish());
        step
    }

    fn add_block(
        &mut self,
        frame: &Frame<'_>,
        at: &Point,
        rows: Range<usize>,
        buffer: &mut Buffer,
        product: &mut CrossProduct,
    ) {
        let length = rows.len();
        let Buffer {
            eta,
            residual,
            weight,
        } = buffer;
        let eta = &mut eta[..length];
        let (residual, weight) = (&mut residual[..length], &mut weight[..length]);
        let outcome = &frame.outcome[rows.clone()];
        let weights = frame.weights.map(|weights| &weights[rows.clone()]);
        widest!(at.design(frame, &rows, product.block(), eta));
        if at.coefficients.is_some() {
            self.log_likelihood +=
                at.family
                    .working(eta, outcome, weights, Working { residual, weight });
        } else {
            let offset = frame.offset.map(|offset| &offset[rows.clone()]);
            self.saturated += start(
                at.family,
                outcome,
                weights,
                offset,
                Working { residual, weight },
            );
        }
        widest!({
            for (score, column) in self.score.iter_mut().zip(product.block()) {
                *score += scalar_product(&column[..length], residual);
            }
            product.add(weight);
        });
    }

    /// The contents.
    pub fn to_parts(&self) -> StepParts {
        let information = self.information.as_ref();
        StepParts {
            rows: self.rows,
            log_likelihood: if self.mixed {
                f64::NAN
            } else {
                self.log_likelihood
            },
            saturated: self.saturated,
            score: self.score.clone(),
            information: information.map_or_else(Vec::new, Symmetric::lower),
        }
    }

    /// Puts a step together again.
    ///
    /// # Errors
    ///
    /// [`Error::CorruptState`] if the parts do not belong together.
    pub fn from_parts(parts: StepParts) -> Result<Self> {
        let matrix = Symmetric::of_lower(parts.score.len(), &parts.information)
            .ok_or(Error::CorruptState)?;
        Ok(Self {
            rows: parts.rows,
            log_likelihood: parts.log_likelihood,
            saturated: parts.saturated,
            score: parts.score,
            information: (parts.rows > 0).then_some(matrix),
            mixed: false,
        })
    }
}

impl Summary for Step {
    fn merge(&mut self, other: Self) {
        self.mixed |= other.mixed;
        if other.rows == 0 {
            return;
        }
        if self.rows == 0 {
            let mixed = self.mixed;
            *self = other;
            self.mixed = mixed;
            return;
        }
        self.mixed |= self.score.len() != other.score.len();
        self.rows += other.rows;
        self.log_likelihood += other.log_likelihood;
        self.saturated += other.saturated;
        for (mine, theirs) in self.score.iter_mut().zip(other.score) {
            *mine += theirs;
        }
        if let (Some(mine), Some(theirs)) = (&mut self.information, other.information) {
            mine.add_scaled(&theirs, 1.0);
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && !self.mixed
    }
}

/// R's first iteration: residuals and weights of the working response, as a step from coefficients of 0.
fn start(
    family: Family,
    outcome: &[f64],
    weights: Option<&[f64]>,
    offset: Option<&[f64]>,
    into: Working<'_>,
) -> f64 {
    let working = |y: f64, w: f64| {
        let mean = family.start(y, w);
        let variance = family.variance(mean);
        // z − offset = η + (y − μ)/V − offset, times w V.
        [
            w * variance,
            w * (variance * family.link(mean) + (y - mean)),
            w * family.saturated(y),
        ]
    };
    // Most outcomes are 0 or 1.
    let (zero, one) = (working(0.0, 1.0), working(1.0, 1.0));
    let mut saturated = 0.0;
    for (row, (residual, weight)) in into.residual.iter_mut().zip(into.weight).enumerate() {
        let (y, w) = (outcome[row], weights.map_or(1.0, |weights| weights[row]));
        let known = if w != 1.0 {
            None
        } else if y == 0.0 {
            Some(zero)
        } else if y == 1.0 {
            Some(one)
        } else {
            None
        };
        let [variance, response, kernel] = known.unwrap_or_else(|| working(y, w));
        *residual = response - offset.map_or(0.0, |offset| variance * offset[row]);
        *weight = variance;
        saturated += kernel;
    }
    saturated
}

/// The columns that a block needs besides those of the design.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) eta: Vec<f64>,
    pub(crate) residual: Vec<f64>,
    pub(crate) weight: Vec<f64>,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        let zeros = || vec![0.0; BLOCK];
        Self {
            eta: zeros(),
            residual: zeros(),
            weight: zeros(),
        }
    }
}

/// Consecutive ranges of at most `BLOCK` rows.
pub(crate) fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(BLOCK)
        .map(move |begin| begin..(begin + BLOCK).min(end))
}

/// Σ a·b, by lanes so that the compiler may use vector instructions.
#[inline(always)]
fn scalar_product(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Summarises the rows in chunks, in parallel, and merges the chunks pairwise in their order.
pub(crate) fn summarize<S: Summary + Send>(
    rows: usize,
    of: impl Fn(Range<usize>) -> Result<S> + Send + Sync,
) -> Result<S> {
    let chunks: Vec<Range<usize>> = (0..rows)
        .step_by(CHUNK)
        .map(|begin| begin..(begin + CHUNK).min(rows))
        .collect();
    let mut parts = chunks.into_par_iter().map(of).collect::<Result<Vec<S>>>()?;
    while parts.len() > 1 {
        let mut merged = Vec::with_capacity(parts.len().div_ceil(2));
        let mut pairs = parts.into_iter();
        while let Some(mut left) = pairs.next() {
            if let Some(right) = pairs.next() {
                left.merge(right);
            }
            merged.push(left);
        }
        parts = merged;
    }
    Ok(parts.pop().unwrap_or_default())
}
