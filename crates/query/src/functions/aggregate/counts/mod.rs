//! Rates and tables: what is kept are counts and sums by stratum, however many rows there are.

mod cells;
mod proportion;
mod quantiles;
mod rates;
mod tables;

pub(super) use proportion::ProportionInterval;
pub(super) use quantiles::{QuantileApprox, QuantileExact};
pub(super) use rates::{IncidenceRate, RateDifference, RateRatio, Smr, StandardizedRate};
pub(super) use tables::{
    ChiSquaredTest, FisherExact, MantelHaenszelTest, McNemarTest, OddsRatio, RiskDifference,
    RiskRatio,
};
