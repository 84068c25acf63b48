//! Description of a variable: quantiles.

pub mod quantile;
