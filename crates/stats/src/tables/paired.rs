//! McNemar's test of paired proportions.
//!
//! With b and c the discordant pairs: χ² = (b − c)²/(b + c), with Edwards' correction (|b − c| − 1)²/(b + c), and the
//! exact binomial test of b out of b + c at one half. McNemar, Psychometrika 12 (1947); R's `mcnemar.test`.

use super::proportion::binomial_test;
use super::two_by_two::{ChiSquared, number};

/// McNemar's test in its three forms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Without continuity correction.
    pub uncorrected: ChiSquared,
    /// With continuity correction; R's default.
    pub corrected: ChiSquared,
    /// The two-sided exact p-value.
    pub exact_p_value: f64,
}

/// Tests whether two paired proportions differ, from the two counts of discordant pairs.
///
/// Without discordant pairs the χ² statistics are NaN and the exact p-value is 1.
#[must_use]
pub fn mcnemar(first_only: u64, second_only: u64) -> McNemar {
    let (b, c) = (number(first_only), number(second_only));
    let distance = (b - c).abs();
    let corrected = (distance - 1.0).max(0.0);
    McNemar {
        uncorrected: ChiSquared::new(distance * distance / (b + c), 1.0),
        corrected: ChiSquared::new(corrected * corrected / (b + c), 1.0),
        exact_p_value: binomial_test(first_only, first_only + second_only, 0.5),
    }
}
