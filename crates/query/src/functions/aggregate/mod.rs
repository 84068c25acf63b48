//! Aggregates: the statistics of `columna-stats`, each the mapping of its summary to a result.

mod adapter;
mod asymmetry;
mod comorbidity;
mod counts;
mod cumulative_incidence;
mod different_values;
mod effective_sample_size;
mod empirical_calibration;
mod eras;
mod extremes;
mod frame;
mod gray_test;
mod in_order;
mod kaplan_meier;
mod length_of_stay;
mod logrank_test;
mod match_nearest;
mod median_survival;
mod mode;
pub(crate) mod models;
mod moving;
mod nelson_aalen;
mod pairs;
pub(crate) mod percentile;
mod readmission;
mod rmst;
mod rmst_difference;
mod smd;
mod survival_quantile;
mod table_one;
mod values_of_groups;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use adapter::Registered;
use adapter::passes;
pub(crate) use adapter::passes::{CHANGED, Fits};
use arrow::datatypes::FieldRef;
use columna_privacy::release::Releasable;
use datafusion::common::Result;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::PhysicalExpr;

pub(crate) use different_values::count_values;
pub(crate) use eras::of_groups as eras_of_groups;
use gray_test::failcode;
pub(crate) use in_order::{How, What};
use kaplan_meier::conf_level;
use models::cox_together::CoxTogether;

/// The statistics, a line each.
const STATISTICS: &[Registered] = &[
    Registered::of::<comorbidity::CharlsonIndex>(),
    Registered::of::<comorbidity::ElixhauserIndex>(),
    Registered::of::<counts::ChiSquaredTest>(),
    Registered::of::<counts::FisherExact>(),
    Registered::of::<counts::IncidenceRate>(),
    Registered::of::<counts::MantelHaenszelTest>(),
    Registered::of::<counts::McNemarTest>(),
    Registered::of::<counts::OddsRatio>(),
    Registered::of::<counts::ProportionInterval>(),
    Registered::of::<counts::QuantileApprox>(),
    Registered::of::<counts::QuantileExact>(),
    Registered::of::<counts::RateDifference>(),
    Registered::of::<counts::RateRatio>(),
    Registered::of::<counts::RiskDifference>(),
    Registered::of::<counts::RiskRatio>(),
    Registered::of::<counts::Smr>(),
    Registered::of::<counts::StandardizedRate>(),
    Registered::of::<models::ConcordanceIndex>(),
    Registered::of::<models::CoxBaseline>(),
    Registered::of::<models::CoxElasticNet>(),
    Registered::of::<models::CoxElasticNetPath>(),
    Registered::of::<models::CoxPh>(),
    Registered::of::<models::CoxPhTests>(),
    Registered::of::<models::CoxResiduals>(),
    Registered::of::<models::CoxZph>(),
    Registered::of::<cumulative_incidence::CumulativeIncidence>(),
    Registered::of::<effective_sample_size::EffectiveSampleSize>(),
    Registered::of::<empirical_calibration::EmpiricalCalibration>(),
    Registered::of::<eras::ErasOf>(),
    Registered::of::<models::FineGray>(),
    Registered::of::<gray_test::GrayTest>(),
    Registered::of::<kaplan_meier::KaplanMeier>(),
    Registered::of::<models::LogisticElasticNet>(),
    Registered::of::<models::LogisticElasticNetPath>(),
    Registered::of::<models::LogisticRegression>(),
    Registered::of::<models::LogisticSummary>(),
    Registered::of::<length_of_stay::LengthOfStay>(),
    Registered::of::<logrank_test::LogRankTest>(),
    Registered::of::<match_nearest::MatchNearest>(),
    Registered::of::<median_survival::MedianSurvival>(),
    Registered::of::<nelson_aalen::NelsonAalen>(),
    Registered::of::<models::PoissonElasticNet>(),
    Registered::of::<models::PoissonElasticNetPath>(),
    Registered::of::<models::PoissonRegression>(),
    Registered::of::<models::PoissonSummary>(),
    Registered::of::<models::PropensityScore>(),
    Registered::of::<readmission::ReadmissionRate>(),
    Registered::of::<rmst::Rmst>(),
    Registered::of::<rmst_difference::RmstDifference>(),
    Registered::of::<smd::Smd>(),
    Registered::of::<survival_quantile::SurvivalQuantile>(),
    Registered::of::<table_one::TableOne>(),
];

/// A model that can be fitted by passes.
pub(crate) struct PassModel {
    name: &'static str,
    /// How many parameters it has.
    pub(crate) parameters: usize,
    /// The aggregate that answers a pass's questions.
    pub(crate) pass: fn() -> AggregateUDF,
    /// The fits of a call.
    pub(crate) fits: FitsOfCall,
}

type FitsOfCall = fn(&[Arc<dyn PhysicalExpr>], &[FieldRef]) -> Result<Option<Box<dyn Fits>>>;

impl PassModel {
    const fn of<S: passes::ByPasses>() -> Self {
        Self {
            name: S::NAME,
            parameters: S::PARAMETERS.len(),
            pass: passes::pass::<S>,
            fits: passes::fits::<S>,
        }
    }
}

const BY_PASSES: &[PassModel] = &[
    PassModel::of::<models::CoxPh>(),
    PassModel::of::<models::LogisticRegression>(),
    PassModel::of::<models::PoissonRegression>(),
];

/// The model of this name, if it can be fitted by passes.
pub(crate) fn by_passes(function: &str) -> Option<&'static PassModel> {
    BY_PASSES.iter().find(|model| model.name == function)
}

/// The aggregates that answer for models, which nobody calls by name.
pub(crate) fn answering() -> impl Iterator<Item = AggregateUDF> {
    BY_PASSES.iter().map(|model| (model.pass)())
}

/// The aggregate functions.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    STATISTICS
        .iter()
        .map(|statistic| Arc::new((statistic.udaf)()))
        .collect()
}

/// The aggregate that stands for several functions of one Cox model, which nobody calls by name.
pub(crate) fn cox_together() -> Arc<AggregateUDF> {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new((Registered::of::<CoxTogether>().udaf)()));
    Arc::clone(&FUNCTION)
}

/// The engine's aggregates that ours stand in the place of, under their names.
pub(crate) fn replaced() -> impl Iterator<Item = AggregateUDF> {
    let replaced = percentile::functions().into_iter();
    let replaced = replaced.chain(pairs::functions());
    let replaced = replaced.chain(asymmetry::functions());
    let replaced = replaced.chain(moving::functions());
    replaced
        .chain(in_order::functions())
        .chain([mode::function()])
}

/// How the results of our aggregates may be disclosed, by function.
#[must_use]
pub fn disclosures() -> BTreeMap<String, Releasable> {
    let releasable = |statistic: &Registered| {
        let parameters = statistic.parameters.iter().enumerate();
        Some(Releasable {
            declared: statistic.disclosure.clone()?,
            of_rows: parameters
                .filter(|(_, parameter)| !parameter.is_option())
                .map(|(at, _)| at)
                .collect(),
        })
    };
    STATISTICS
        .iter()
        .filter_map(|statistic| Some((statistic.name.to_owned(), releasable(statistic)?)))
        .collect()
}

/// The parameters of an aggregate of ours: their names, and whether each is required.
pub(crate) fn parameters(function: &str) -> Option<Vec<(&'static str, bool)>> {
    let statistic = STATISTICS
        .iter()
        .find(|statistic| statistic.name == function)?;
    let parameters = statistic.parameters.iter();
    Some(parameters.map(|p| (p.name, p.required)).collect())
}
