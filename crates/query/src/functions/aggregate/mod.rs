//! Aggregates: the statistics of `columna-stats`, each the mapping of its summary to a result.

mod adapter;
mod cumulative_incidence;
mod kaplan_meier;
mod logrank_test;
mod median_survival;
mod nelson_aalen;
mod rmst;
mod survival_quantile;

use std::sync::Arc;

use datafusion::logical_expr::AggregateUDF;

/// The aggregate functions.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    [
        adapter::udaf::<cumulative_incidence::CumulativeIncidence>(),
        adapter::udaf::<kaplan_meier::KaplanMeier>(),
        adapter::udaf::<logrank_test::LogRankTest>(),
        adapter::udaf::<median_survival::MedianSurvival>(),
        adapter::udaf::<nelson_aalen::NelsonAalen>(),
        adapter::udaf::<rmst::Rmst>(),
        adapter::udaf::<survival_quantile::SurvivalQuantile>(),
    ]
    .map(Arc::new)
    .into()
}

/// The parameters of an aggregate of ours: their names, and whether each is required.
pub(crate) fn parameters(function: &str) -> Option<Vec<(&'static str, bool)>> {
    use adapter::Statistic;
    let parameters = match function {
        cumulative_incidence::CumulativeIncidence::NAME => {
            cumulative_incidence::CumulativeIncidence::PARAMETERS
        }
        kaplan_meier::KaplanMeier::NAME => kaplan_meier::KaplanMeier::PARAMETERS,
        logrank_test::LogRankTest::NAME => logrank_test::LogRankTest::PARAMETERS,
        median_survival::MedianSurvival::NAME => median_survival::MedianSurvival::PARAMETERS,
        nelson_aalen::NelsonAalen::NAME => nelson_aalen::NelsonAalen::PARAMETERS,
        rmst::Rmst::NAME => rmst::Rmst::PARAMETERS,
        survival_quantile::SurvivalQuantile::NAME => {
            survival_quantile::SurvivalQuantile::PARAMETERS
        }
        _ => return None,
    };
    Some(
        parameters
            .iter()
            .map(|parameter| (parameter.name, parameter.required))
            .collect(),
    )
}
