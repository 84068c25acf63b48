//! How rows become a penalised path: of logistic and Poisson regression, and of Cox's model.

use columna_stats::Result as Fitted;
use columna_stats::models::{
    CrossValidation, Family, Path, SparseColumn, SparseFrame, cross_validate, path,
};
use columna_stats::survival::cox::{self, Rows};
use datafusion::common::Result;

use super::PenaltyOptions;
use super::folds::folds;
use crate::functions::aggregate::adapter::{Kind, Layout, ModelRows, refused};
use crate::functions::aggregate::models::design::Design;
use crate::functions::aggregate::models::survival_rows::cox_rows;

/// What the terms are called.
#[derive(Debug)]
pub(super) struct Terms {
    /// By column.
    pub(super) names: Vec<String>,
    /// Factors that have one level only, and no column.
    pub(super) constant_factors: Vec<String>,
    /// Columns of numbers that are all the same.
    pub(super) constant: Vec<String>,
}

impl Terms {
    fn of(design: &Design, constant: Vec<String>) -> Self {
        Self {
            names: design.names.clone(),
            constant_factors: design.constant_factors(),
            constant,
        }
    }
}

/// The terms whose numbers are all the same.
fn constant(kept: &ModelRows, layout: &Layout) -> Vec<String> {
    let numbers = layout.terms().iter().filter_map(|(name, slot)| {
        let values = kept.numbers_of(Some(*slot).filter(|slot| slot.kind == Kind::Number))?;
        values
            .iter()
            .all(|value| *value == values[0])
            .then(|| name.clone())
    });
    numbers.collect()
}

/// The rows of a model that takes a penalty.
pub(super) trait Penalised: Sized {
    /// Whether the model has a constant.
    const INTERCEPT: bool;
    /// Takes the rows' columns.
    fn take(kept: ModelRows, options: &PenaltyOptions) -> Result<(Self, Terms)>;
    /// The path over all rows.
    fn path(&self, options: &PenaltyOptions) -> Fitted<Path>;
    /// The path, and the loss of the rows of each fold.
    fn cross_validated(&self, options: &PenaltyOptions) -> Fitted<CrossValidation>;
}

/// The columns of a logistic or Poisson regression.
pub(super) struct Generalized<const POISSON: bool> {
    covariates: Vec<SparseColumn>,
    outcome: Vec<f64>,
    weights: Vec<f64>,
    offset: Vec<f64>,
    folds: Vec<u32>,
}

impl<const POISSON: bool> Generalized<POISSON> {
    const FAMILY: Family = if POISSON {
        Family::Poisson
    } else {
        Family::Binomial
    };

    fn frame(&self) -> SparseFrame<'_> {
        SparseFrame {
            outcome: &self.outcome,
            covariates: &self.covariates,
            weights: (!self.weights.is_empty()).then_some(&self.weights),
            offset: (!self.offset.is_empty()).then_some(&self.offset),
        }
    }
}

impl<const POISSON: bool> Penalised for Generalized<POISSON> {
    const INTERCEPT: bool = true;

    fn take(mut kept: ModelRows, options: &PenaltyOptions) -> Result<(Self, Terms)> {
        let layout = &options.layout;
        let outcome = layout.slot("outcome");
        let dealt_by = kept.numbers_of(outcome);
        let dealt_by: Vec<&[f64]> = dealt_by.iter().map(AsRef::as_ref).collect();
        let folds = folds(&kept, options, &dealt_by);
        let constant = constant(&kept, layout);
        let mut design = Design::take(&mut kept, layout);
        let mut members = std::mem::take(&mut design.members);
        let columns = design.columns.iter().enumerate();
        let covariates = columns.map(|(place, column)| match members.remove(&place) {
            Some(rows) => SparseColumn::indicator(rows),
            None => SparseColumn::from_dense(&column.floats()),
        });
        let columns = Self {
            covariates: covariates
                .collect::<Fitted<_>>()
                .map_err(|error| refused(&error))?,
            outcome: kept.take_numbers(outcome),
            weights: kept.take_numbers(layout.slot("weights")),
            offset: kept.take_numbers(layout.slot("offset")),
            folds,
        };
        Ok((columns, Terms::of(&design, constant)))
    }

    fn path(&self, options: &PenaltyOptions) -> Fitted<Path> {
        path(Self::FAMILY, &self.frame(), &options.path)
    }

    fn cross_validated(&self, options: &PenaltyOptions) -> Fitted<CrossValidation> {
        cross_validate(Self::FAMILY, &self.frame(), &self.folds, &options.path)
    }
}

/// The rows of a Cox model.
pub(super) struct Cox {
    rows: Rows,
    folds: Vec<u32>,
}

impl Penalised for Cox {
    const INTERCEPT: bool = false;

    fn take(kept: ModelRows, options: &PenaltyOptions) -> Result<(Self, Terms)> {
        let layout = &options.layout;
        let codes = kept.codes_of(layout.slot("event")).iter();
        let event: Vec<f64> = codes.map(|code| f64::from(u8::from(*code > 0))).collect();
        let number = |name: &str| kept.numbers_of(layout.slot(name));
        let time = number("time");
        let dealt_by: Vec<&[f64]> = std::iter::once(event.as_slice())
            .chain(time.as_deref())
            .collect();
        let mut folds = folds(&kept, options, &dealt_by);
        if let Some(weights) = number("weights").filter(|_| !folds.is_empty()) {
            // The rows of a Cox model are those that weigh something.
            let mut weights = weights.iter();
            folds.retain(|_| weights.next().is_some_and(|weight| *weight != 0.0));
        }
        let constant = constant(&kept, layout);
        let given = cox_rows(kept, layout)?;
        let model = Self {
            rows: given.rows,
            folds,
        };
        Ok((model, Terms::of(&given.design, constant)))
    }

    fn path(&self, options: &PenaltyOptions) -> Fitted<Path> {
        cox::path(&self.rows, options.ties, &options.path)
    }

    fn cross_validated(&self, options: &PenaltyOptions) -> Fitted<CrossValidation> {
        cox::cross_validate(&self.rows, &self.folds, options.ties, &options.path)
    }
}
