//! Regressions: rows of covariates in, a table of terms out.
//!
//! Numbers and booleans are terms as they are. Words are factors with treatment coding: the first level in sort
//! order is the reference, and each other level is a term named as R names it, `sexM`.

mod concordance_index;
mod cox_baseline;
mod cox_ph;
mod cox_ph_tests;
mod cox_residuals;
pub(crate) mod cox_together;
mod cox_zph;
mod design;
mod fine_gray;
mod generalized;
mod penalised;
mod survival_rows;
mod term_table;

pub(super) use concordance_index::ConcordanceIndex;
pub(super) use cox_baseline::CoxBaseline;
pub(super) use cox_ph::CoxPh;
pub(super) use cox_ph_tests::CoxPhTests;
pub(super) use cox_residuals::CoxResiduals;
pub(super) use cox_zph::CoxZph;
pub(super) use design::Design;
pub(super) use fine_gray::FineGray;
pub(super) use generalized::{
    LogisticRegression, LogisticSummary, PoissonRegression, PoissonSummary, PropensityScore,
};
pub(super) use penalised::{
    CoxElasticNet, CoxElasticNetPath, LogisticElasticNet, LogisticElasticNetPath,
    PoissonElasticNet, PoissonElasticNetPath,
};

/// The table of a regression: coefficient, ratio and its interval, standard error, z, p, and the naive standard error.
pub(super) type Terms = term_table::TermTable<8>;
