//! The specification of a study: what stands in its YAML file.

mod analyses;
mod cohorts;
mod covariates;
pub(crate) mod decode;
mod design;
mod listed;
mod load;
mod references;
pub(crate) mod words;

pub use analyses::{Analysis, Grid, Kind, Model, RateStandard, Rates, Readmission};
pub(crate) use cohorts::plain;
pub use cohorts::{Cohort, ConceptSet, Domain, Source};
pub use covariates::{
    Comorbidity, Covariate, CovariateSource, Covariates, Demographic, Measure, Missing, Sparse,
};
pub use decode::Located;
pub use design::{
    Both, Competing, Criterion, Design, Estimand, IndexRule, Method, Observation, Outcome,
    Propensity, PropensityModel, RiskEnd, Sex, TimeAtRisk, Window,
};
pub use load::Study;

use serde::Serialize;

/// A study as it was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Spec {
    /// The title of the report.
    pub title: String,
    /// The question, in words.
    pub question: String,
    /// The population, in words.
    pub population: Option<String>,
    /// Who answers for it.
    pub authors: Vec<String>,
    /// Known limitations, in words.
    pub limitations: Vec<String>,
    /// The level of every interval.
    pub confidence: f64,
    /// Cohorts in the order of the file.
    pub cohorts: Vec<Cohort>,
    /// Who is compared, or followed.
    pub design: Option<Design>,
    /// When they are at risk.
    pub time_at_risk: TimeAtRisk,
    /// What may happen to them; the first is the primary outcome.
    pub outcomes: Vec<Outcome>,
    /// Outcomes that the exposure cannot change.
    pub negative_controls: Vec<Outcome>,
    /// What is known of them at the index date.
    pub covariates: Covariates,
    /// How the groups are made comparable.
    pub propensity: Propensity,
    /// What is computed.
    pub analyses: Vec<Analysis>,
    /// Which files are written.
    pub outputs: Outputs,
}

/// Which files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outputs {
    /// Tables as Parquet.
    pub parquet: bool,
    /// Tables as CSV.
    pub csv: bool,
    /// Figures as SVG files of their own.
    pub svg: bool,
    /// The report.
    pub report: bool,
}

impl Spec {
    /// The cohort of a name.
    pub fn cohort(&self, name: &str) -> Option<&Cohort> {
        self.cohorts.iter().find(|cohort| cohort.name == name)
    }

    /// The outcome, or the negative control, of a name.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes
            .iter()
            .chain(&self.negative_controls)
            .find(|outcome| outcome.name == name)
    }

    /// What readers call a cohort.
    pub fn cohort_label(&self, name: &str) -> String {
        self.cohort(name)
            .map_or_else(|| name.to_owned(), |cohort| cohort.label.clone())
    }
}
