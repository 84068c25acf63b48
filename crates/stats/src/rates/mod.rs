//! Rates: events per person-time, their ratios and differences, and standardisation.

mod incidence;
mod ratio;
mod standardized;

pub use incidence::{PersonTime, RateInterval, poisson_test};
pub use ratio::{RateRatio, rate_difference, rate_ratio};
pub use standardized::{Smr, Stratum, indirectly_standardized_rate, smr, standardized_rate};
