//! What is computed.

use serde::Serialize;

use super::cohorts::ConceptSet;
use super::decode::Located;
use super::design::{Estimand, Method, RiskEnd};
use crate::problem::Spot;

/// How a regression is adjusted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Not at all.
    Crude,
    /// For the named covariates and demographics, as terms.
    Covariates,
    /// By the propensity score.
    Propensity,
    /// By both.
    DoublyRobust,
}

/// The population that rates are standardised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateStandard {
    /// The WHO's world population of 2000 to 2025.
    World,
    /// The European population of 2013.
    European,
    /// The person-time of the study itself.
    Internal,
}

/// Incidence in a population by sex, age and calendar year.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// The cohort whose first entry is the event.
    pub event: Located<String>,
    /// The cohort whose members are at risk from their first entry; everybody under observation if not given.
    pub among: Option<Located<String>>,
    /// Whether who had the event before is left out.
    pub exclude_prior: bool,
    /// Lower ends of the age bands.
    pub ages: Vec<i64>,
    /// Split by sex, by age, by calendar year.
    pub by: (bool, bool, bool),
    /// First and last day of follow-up.
    pub calendar: Option<(i32, i32)>,
    /// What age is standardised to.
    pub standard: RateStandard,
    /// The person-years that a rate is per.
    pub per: f64,
}

/// Readmission after stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readmission {
    /// What a stay is.
    pub visits: ConceptSet,
    /// Within how many days.
    pub days: i64,
    /// Groups of stays: those with a record of these conditions in them.
    pub by: Vec<(String, ConceptSet)>,
    /// First and last day of discharge.
    pub calendar: Option<(i32, i32)>,
}

/// Alternatives of a sensitivity analysis; every combination is computed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Grid {
    /// Days of washout.
    pub washout: Vec<i64>,
    /// Ends of the time at risk.
    pub end: Vec<RiskEnd>,
    /// What is done with the score.
    pub method: Vec<Method>,
    /// Whose effect weights ask for.
    pub estimand: Vec<Estimand>,
    /// Calipers.
    pub caliper: Vec<f64>,
    /// Number of strata.
    pub strata: Vec<i64>,
}

/// One analysis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// The name of its files.
    pub id: String,
    /// Its heading in the report.
    pub title: Option<String>,
    /// Where it stands.
    #[serde(skip)]
    pub at: Spot,
    /// What it does.
    pub kind: Kind,
}

/// What an analysis does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who was left out, and why.
    Attrition,
    /// The groups at their index date, before and after adjustment.
    TableOne {
        /// Names; all named covariates and demographics if empty.
        variables: Vec<Located<String>>,
    },
    /// The propensity score and what it does for balance.
    Propensity,
    /// Survival curves with a log-rank test.
    KaplanMeier {
        /// The outcome.
        outcome: Located<String>,
        /// Whether adjusted curves are drawn too.
        adjusted: bool,
        /// Days at which survival is reported.
        at: Vec<i64>,
        /// Days up to which restricted means are compared.
        rmst: Option<i64>,
    },
    /// Hazard ratios.
    Cox {
        /// The outcome.
        outcome: Located<String>,
        /// How they are adjusted.
        models: Vec<Model>,
        /// Which of them is the result.
        main: Model,
        /// Terms of adjusted models; all named covariates and demographics if not given.
        covariates: Option<Vec<Located<String>>>,
    },
    /// Cumulative incidence in the presence of a competing event.
    CompetingRisks {
        /// The outcome.
        outcome: Located<String>,
        /// Days at which it is reported.
        at: Vec<i64>,
        /// Whether a model of Fine and Gray is fitted.
        fine_gray: bool,
        /// Its terms.
        covariates: Option<Vec<Located<String>>>,
    },
    /// Events, person-time and rates by group.
    Incidence {
        /// The outcome.
        outcome: Located<String>,
    },
    /// Incidence in a population.
    Rates(Rates),
    /// Odds of the outcome within a time.
    Logistic {
        /// The outcome.
        outcome: Located<String>,
        /// Days.
        within: i64,
        /// How the odds ratio is adjusted.
        models: Vec<Model>,
        /// Terms of adjusted models.
        covariates: Option<Vec<Located<String>>>,
    },
    /// Readmission.
    Readmission(Readmission),
    /// The main model for every negative control, and the main result calibrated by them.
    NegativeControls,
    /// The main model within subgroups.
    Subgroups {
        /// The outcome.
        outcome: Located<String>,
        /// `sex`, `age`, `index_year` or a named covariate.
        by: Vec<Located<String>>,
        /// The model.
        model: Model,
    },
    /// The main model under alternatives.
    Sensitivity {
        /// The outcome.
        outcome: Located<String>,
        /// The model.
        model: Model,
        /// The alternatives.
        grid: Grid,
    },
    /// A query over the store and the study's own tables.
    Sql {
        /// The query.
        query: String,
    },
}

impl Kind {
    /// Its name in a specification.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Attrition => "attrition",
            Self::TableOne { .. } => "table_one",
            Self::Propensity => "propensity",
            Self::KaplanMeier { .. } => "kaplan_meier",
            Self::Cox { .. } => "cox",
            Self::CompetingRisks { .. } => "competing_risks",
            Self::Incidence { .. } => "incidence",
            Self::Rates(_) => "rates",
            Self::Logistic { .. } => "logistic",
            Self::Readmission(_) => "readmission",
            Self::NegativeControls => "negative_controls",
            Self::Subgroups { .. } => "subgroups",
            Self::Sensitivity { .. } => "sensitivity",
            Self::Sql { .. } => "sql",
        }
    }

    /// The outcome that it is about.
    pub fn outcome(&self) -> Option<&str> {
        match self {
            Self::KaplanMeier { outcome, .. }
            | Self::Cox { outcome, .. }
            | Self::CompetingRisks { outcome, .. }
            | Self::Incidence { outcome }
            | Self::Logistic { outcome, .. }
            | Self::Subgroups { outcome, .. }
            | Self::Sensitivity { outcome, .. } => Some(&outcome.value),
            Self::Attrition
            | Self::TableOne { .. }
            | Self::Propensity
            | Self::Rates(_)
            | Self::Readmission(_)
            | Self::NegativeControls
            | Self::Sql { .. } => None,
        }
    }

    /// Whether it is about the persons of the design.
    pub fn needs_design(&self) -> bool {
        !matches!(
            self,
            Self::Rates(_) | Self::Readmission(_) | Self::Sql { .. }
        )
    }

    /// Whether it compares two groups.
    pub fn needs_comparator(&self) -> bool {
        matches!(
            self,
            Self::Propensity
                | Self::Cox { .. }
                | Self::NegativeControls
                | Self::Subgroups { .. }
                | Self::Sensitivity { .. }
        )
    }
}

pub(super) const MODELS: [(&str, Model); 4] = [
    ("crude", Model::Crude),
    ("covariates", Model::Covariates),
    ("propensity", Model::Propensity),
    ("doubly_robust", Model::DoublyRobust),
];

impl Model {
    /// Its name in a specification.
    pub fn name(self) -> &'static str {
        MODELS
            .iter()
            .find(|(_, model)| *model == self)
            .map_or("", |(name, _)| name)
    }
}
