//! Regression models: logistic and Poisson regression by Newton steps that are mergeable summaries.

mod cross_validation;
mod elastic_net;
mod family;
mod fit;
mod frame;
pub mod logistic_regression;
mod moments;
mod newton;
pub mod poisson_regression;
mod separation;
mod sparse;
mod step;
mod totals;

pub use cross_validation::{CrossValidation, cross_validate, fold_of_key};
pub use elastic_net::{Path, PathOptions, PathPoint, path};
pub use family::Family;
pub use fit::{Coefficient, Fit, Options, Variance, fit};
pub use frame::{Frame, Row, Rows};
pub use moments::Moments;
pub use newton::Newton;
pub use separation::Separation;
pub use sparse::{SparseColumn, SparseFrame};
pub use step::{Point, Step, StepParts};
pub use totals::Totals;

pub(crate) use moments::{Moment, count};
