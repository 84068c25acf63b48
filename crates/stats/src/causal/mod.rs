//! Causal comparisons: propensity scores, weights, balance, matching and empirical calibration.

pub mod balance;
pub mod calibration;
pub mod matching;
pub mod outcome;
pub mod propensity;
pub mod weighting;
