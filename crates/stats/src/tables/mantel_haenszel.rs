//! Mantel-Haenszel estimates over strata: common odds ratio, risk ratio, risk difference, and their homogeneity.
//!
//! With n₁, n₀ the exposed and unexposed of a stratum and n all of it: OR = Σ(ad/n)/Σ(bc/n) with the interval of Robins,
//! Breslow and Greenland (1986); RR = Σ(a·n₀/n)/Σ(c·n₁/n) and its interval by Greenland and Robins (1985);
//! RD = Σw(a/n₁ − c/n₀)/Σw with w = n₁n₀/n, its interval by Sato (1989) or by Greenland and Robins (1985).
//! The test is Mantel and Haenszel's (1959), as R's `mantelhaen.test` gives it.

use super::TwoByTwo;
use super::two_by_two::ChiSquared;
use crate::numeric::two_sided_z;
use crate::roots::root;
use crate::{Estimate, Result};

/// The common effects over all strata. Strata without exposed or without unexposed persons carry no information.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MantelHaenszel {
    /// The common odds ratio.
    pub odds_ratio: Estimate,
    /// The common risk ratio.
    pub risk_ratio: Estimate,
    /// The common risk difference with Sato's interval.
    pub risk_difference: Estimate,
    /// The common risk difference with the interval of Greenland and Robins.
    pub risk_difference_greenland: Estimate,
    /// The test of no association, without continuity correction.
    pub test: ChiSquared,
    /// The same with continuity correction; R's default.
    pub test_corrected: ChiSquared,
    /// Woolf's test that the odds ratio is the same in all strata.
    pub homogeneity_woolf: ChiSquared,
    /// The test of Breslow and Day (1980), without Tarone's correction, that the odds ratio is the same in all strata.
    pub homogeneity_breslow_day: ChiSquared,
    /// The same with Tarone's correction (1985).
    pub homogeneity_tarone: ChiSquared,
    /// The inverse-variance test that the risk ratio is the same in all strata.
    pub homogeneity_risk_ratio: ChiSquared,
}

/// Pools the strata.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn mantel_haenszel(strata: &[TwoByTwo], conf_level: f64) -> Result<MantelHaenszel> {
    let z = two_sided_z(conf_level)?;
    let strata: Vec<TwoByTwo> = strata
        .iter()
        .copied()
        .filter(|t| {
            t.exposed_events + t.exposed_others > 0 && t.unexposed_events + t.unexposed_others > 0
        })
        .collect();
    let odds_ratio = odds_ratio(&strata, z);
    let (test, test_corrected) = test(&strata);
    Ok(MantelHaenszel {
        odds_ratio,
        risk_ratio: risk_ratio(&strata, z),
        risk_difference: risk_difference(&strata, |w| sato(&strata, w), z),
        risk_difference_greenland: risk_difference(&strata, |_| greenland(&strata), z),
        test,
        test_corrected,
        homogeneity_woolf: woolf(&strata, |cells| {
            // Haldane's half in every cell, so that an empty one does not silence its stratum.
            let [a, b, c, d] = cells.map(|count| count + 0.5);
            (
                (a * d / (b * c)).ln(),
                1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d,
            )
        }),
        homogeneity_breslow_day: breslow_day(&strata, odds_ratio.value, false),
        homogeneity_tarone: breslow_day(&strata, odds_ratio.value, true),
        homogeneity_risk_ratio: woolf(&strata, |[a, b, c, d]| {
            let (n1, n0) = (a + b, c + d);
            (
                (a / n1 / (c / n0)).ln(),
                1.0 / a - 1.0 / n1 + 1.0 / c - 1.0 / n0,
            )
        }),
    })
}

fn sum(strata: &[TwoByTwo], term: impl Fn([f64; 4], f64) -> f64) -> f64 {
    strata
        .iter()
        .map(|table| {
            let cells = table.cells();
            term(cells, cells.iter().sum())
        })
        .sum()
}

fn odds_ratio(strata: &[TwoByTwo], z: f64) -> Estimate {
    let r = sum(strata, |[a, _, _, d], n| a * d / n);
    let s = sum(strata, |[_, b, c, _], n| b * c / n);
    let pr = sum(strata, |[a, _, _, d], n| (a + d) / n * (a * d / n));
    let ps_qr = sum(strata, |[a, b, c, d], n| {
        (a + d) / n * (b * c / n) + (b + c) / n * (a * d / n)
    });
    let qs = sum(strata, |[_, b, c, _], n| (b + c) / n * (b * c / n));
    let variance = pr / (2.0 * r * r) + ps_qr / (2.0 * r * s) + qs / (2.0 * s * s);
    Estimate::log_symmetric(r / s, z * variance.sqrt())
}

fn risk_ratio(strata: &[TwoByTwo], z: f64) -> Estimate {
    let r = sum(strata, |[a, _, c, d], n| a * (c + d) / n);
    let s = sum(strata, |[a, b, c, _], n| c * (a + b) / n);
    let p = sum(strata, |[a, b, c, d], n| {
        ((a + b) * (c + d) * (a + c) - a * c * n) / (n * n)
    });
    Estimate::log_symmetric(r / s, z * (p / (r * s)).sqrt())
}

fn risk_difference(strata: &[TwoByTwo], variance: impl Fn(f64) -> f64, z: f64) -> Estimate {
    let weights = sum(strata, |[a, b, c, d], n| (a + b) * (c + d) / n);
    let value = sum(strata, |[a, b, c, d], n| (a * (c + d) - c * (a + b)) / n) / weights;
    Estimate::symmetric(value, z * variance(value).sqrt())
}

fn sato(strata: &[TwoByTwo], difference: f64) -> f64 {
    let weights = sum(strata, |[a, b, c, d], n| (a + b) * (c + d) / n);
    let p = sum(strata, |[a, b, c, d], n| {
        let (n1, n0) = (a + b, c + d);
        (n1 * n1 * c - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2.0) / (n * n)
    });
    let q = sum(strata, |[a, b, c, d], n| (a * d + c * b) / (2.0 * n));
    (difference * p + q) / (weights * weights)
}

fn greenland(strata: &[TwoByTwo]) -> f64 {
    let weights = sum(strata, |[a, b, c, d], n| (a + b) * (c + d) / n);
    let v = sum(strata, |[a, b, c, d], n| {
        let (n1, n0) = (a + b, c + d);
        (a * b * n0.powi(3) + c * d * n1.powi(3)) / (n1 * n0 * n * n)
    });
    v / (weights * weights)
}

fn test(strata: &[TwoByTwo]) -> (ChiSquared, ChiSquared) {
    let distance = sum(strata, |[a, b, c, _], n| a - (a + b) * (a + c) / n).abs();
    let informative = |cells: [f64; 4], n: f64| {
        let [a, b, c, d] = cells;
        if n > 1.0 {
            (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1.0))
        } else {
            0.0
        }
    };
    let variance = sum(strata, informative);
    let statistic = |correction: f64| {
        let less = distance - correction;
        ChiSquared::new(less * less / variance, 1.0)
    };
    (
        statistic(0.0),
        statistic(if distance >= 0.5 { 0.5 } else { 0.0 }),
    )
}

/// Σw(x − x̄)² with w the inverse variances: the heterogeneity of the strata's own estimates.
fn woolf(strata: &[TwoByTwo], estimate: impl Fn([f64; 4]) -> (f64, f64)) -> ChiSquared {
    let each: Vec<(f64, f64)> = strata
        .iter()
        .map(|table| estimate(table.cells()))
        .map(|(x, variance)| (x, 1.0 / variance))
        .filter(|(x, w)| x.is_finite() && w.is_finite() && *w > 0.0)
        .collect();
    let weights: f64 = each.iter().map(|(_, w)| w).sum();
    let mean = each.iter().map(|(x, w)| x * w).sum::<f64>() / weights;
    let statistic = each.iter().map(|(x, w)| w * (x - mean).powi(2)).sum();
    ChiSquared::new(statistic, strata_df(each.len()))
}

fn strata_df(strata: usize) -> f64 {
    super::two_by_two::number(strata.saturating_sub(1) as u64)
}

fn breslow_day(strata: &[TwoByTwo], ratio: f64, tarone: bool) -> ChiSquared {
    let mut statistic = 0.0;
    let (mut distance, mut variances) = (0.0, 0.0);
    for table in strata {
        let [a, b, c, d] = table.cells();
        let (n1, n0, events) = (a + b, c + d, a + c);
        let (low, high) = ((events - n0).max(0.0), n1.min(events));
        // The exposed events expected at this odds ratio with these margins.
        let expected = root(low, high, |x| {
            x * (n0 - events + x) - ratio * (n1 - x) * (events - x)
        });
        let variance = 1.0
            / (1.0 / expected
                + 1.0 / (n1 - expected)
                + 1.0 / (events - expected)
                + 1.0 / (n0 - events + expected));
        if variance > 0.0 {
            statistic += (a - expected).powi(2) / variance;
            distance += a - expected;
            variances += variance;
        }
    }
    if tarone {
        statistic -= distance * distance / variances;
    }
    ChiSquared::new(statistic, strata_df(strata.len()))
}
