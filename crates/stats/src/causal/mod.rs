//! Causal comparisons: propensity scores, weights, balance, matching and empirical calibration.
