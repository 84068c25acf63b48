//! Regression models: logistic and Poisson regression by Newton steps that are mergeable summaries.

mod cross_validation;
mod elastic_net;
mod family;
mod fit;
mod folds;
mod frame;
pub mod logistic_regression;
mod moments;
mod newton;
mod passes;
mod path;
pub mod poisson_regression;
mod quadratic;
mod separation;
mod sparse;
mod spread;
mod step;
mod totals;

pub use cross_validation::{CrossValidation, cross_validate};
pub use elastic_net::path;
pub use family::Family;
pub use fit::{Coefficient, Fit, Options, Variance, fit};
pub use folds::{deal_folds, fold_of_key};
pub use frame::{Covariates, Frame, Row, Rows};
pub use moments::Moments;
pub use newton::Newton;
pub use passes::{Answer, Fitting, Question};
pub use path::{Path, PathOptions, PathPoint};
pub use separation::Separation;
pub use sparse::{SparseColumn, SparseFrame};
pub use step::{Point, Step, StepParts};
pub use totals::Totals;

pub(crate) use cross_validation::{FoldLosses, validate};
pub(crate) use moments::{Moment, count};
pub(crate) use path::Ending;
pub(crate) use quadratic::Quadratic;
pub(crate) use spread::Spread;
