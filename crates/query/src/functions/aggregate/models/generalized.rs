//! Logistic and Poisson regression, as R's `glm`, and the propensity scores that come of the former.

mod propensity_score;
mod regression;
mod summary;

pub(crate) use propensity_score::PropensityScore;
pub(crate) use regression::{LogisticRegression, PoissonRegression};
pub(crate) use summary::{LogisticSummary, PoissonSummary};

use columna_stats::models::{Covariates, Frame, Options as FitOptions, Variance};
use columna_stats::{Numbers, Values};
use datafusion::common::Result;

use super::design::Design;
use crate::functions::aggregate::adapter::{Layout, ModelRows, Options, Parameter, Role};
use crate::functions::aggregate::conf_level;

const WEIGHTS: Parameter = Parameter::optional("weights", Role::Weights);
const OFFSET: Parameter = Parameter::optional("offset", Role::Value);
const CLUSTER: Parameter = Parameter::optional("cluster", Role::Cluster);
const ROBUST: Parameter = Parameter::optional("robust", Role::Switch);
const INTERCEPT: Parameter = Parameter::optional("intercept", Role::Switch);
const CONF_LEVEL: Parameter = Parameter::optional("conf_level", Role::Number);

/// What a regression is fitted with.
#[derive(Debug)]
pub(crate) struct RegressionOptions {
    layout: Layout,
    fit: FitOptions,
}

impl RegressionOptions {
    fn read(given: &Options) -> Result<Self> {
        let intercept = given.switch("intercept").unwrap_or(true);
        let layout = Layout::new(given.columns().iter().map(|(p, t)| (p, t)));
        let layout = layout.with_constant(intercept);
        let variance = match (layout.slot("cluster"), given.switch("robust")) {
            (Some(_), _) => Variance::Clustered { adjusted: true },
            (None, Some(true)) => Variance::Robust,
            (None, _) => Variance::Model,
        };
        Ok(Self {
            layout,
            fit: FitOptions {
                intercept,
                conf_level: conf_level(given)?,
                variance,
                ..FitOptions::default()
            },
        })
    }
}

/// The columns of a regression.
struct Regression {
    design: Design,
    outcome: Vec<f64>,
    weights: Vec<f64>,
    offset: Vec<f64>,
    clusters: Vec<u64>,
}

impl Regression {
    fn take(mut kept: ModelRows, layout: &Layout, outcome: &str) -> Self {
        let design = Design::take(&mut kept, layout);
        Self {
            design,
            outcome: kept.take_numbers(layout.slot(outcome)),
            weights: kept.take_numbers(layout.slot("weights")),
            offset: kept.take_numbers(layout.slot("offset")),
            clusters: kept.keys_of(layout.slot("cluster")),
        }
    }

    fn with_frame<T>(&self, use_frame: impl FnOnce(&Frame<'_>) -> T) -> T {
        let covariates: Vec<Values<'_>> = self.design.columns.iter().map(Numbers::values).collect();
        let given = |column: &'_ Vec<f64>| !column.is_empty();
        use_frame(&Frame {
            outcome: &self.outcome,
            covariates: Covariates::Values(&covariates),
            weights: given(&self.weights).then_some(&self.weights),
            offset: given(&self.offset).then_some(&self.offset),
            clusters: (!self.clusters.is_empty()).then_some(&self.clusters),
        })
    }
}
