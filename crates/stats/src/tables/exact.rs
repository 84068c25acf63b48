//! Exact inference on an odds ratio: Fisher's test, the conditional estimate, exact and mid-p intervals.
//!
//! Given the margins, the number of exposed events in a table follows the noncentral hypergeometric distribution with
//! weights ∝ C(m₁, x)·C(m₀, k − x)·ψˣ; over strata it is the convolution of these. Fisher (1935); two-sided p as in
//! R's `fisher.test`, the sum over all tables no likelier than the observed one; mid-p as in Rothman and Boice (1979)
//! with the median-unbiased estimate, as epitools' `or.midp` gives it. Roots are searched where R searches them, with
//! R's tolerance, so that estimates agree with R to its last digit; the exact roots differ by up to 1.2e-4 of the
//! smaller of ratio and inverse ratio.
//!
//! Weights are built outward from the mode by their ratios, so no factorial is ever formed and the work grows with the
//! standard deviation, not with the size of the table.

use super::TwoByTwo;
use crate::roots::{AS_LIKELY, uniroot};
use crate::{Error, Estimate, Result};

use super::two_by_two::number;

/// Exact results for one odds ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exact {
    /// Two-sided p-value of no association.
    pub p_value: f64,
    /// One-sided p-value against an odds ratio above 1.
    pub p_greater: f64,
    /// One-sided p-value against an odds ratio below 1.
    pub p_less: f64,
    /// The conditional maximum-likelihood odds ratio with its exact interval.
    pub conditional: Estimate,
    /// The median-unbiased odds ratio with its mid-p interval.
    pub mid_p: Estimate,
}

/// A distribution over consecutive integers, its log weights at an odds ratio of 1.
#[derive(Debug, Clone)]
struct Distribution {
    low: u64,
    log_weights: Vec<f64>,
}

impl Distribution {
    /// The number of exposed events of one table, given its margins.
    fn of(table: &TwoByTwo) -> Self {
        let [a, b, c, d] = [
            table.exposed_events,
            table.exposed_others,
            table.unexposed_events,
            table.unexposed_others,
        ];
        let (exposed, events, total) = (a + b, a + c, a + b + c + d);
        let low = (exposed + events).saturating_sub(total);
        let high = exposed.min(events);
        let unexposed_left = total - exposed;
        let mut log_weights = vec![0.0];
        let mut log = 0.0;
        for x in low..high {
            let up = number(exposed - x) * number(events - x);
            let down = number(x + 1) * number(unexposed_left + x + 1 - events);
            log += (up / down).ln();
            log_weights.push(log);
        }
        Self { low, log_weights }
    }

    /// The sum of two independent ones.
    fn convolve(&self, other: &Self) -> Self {
        let top = |weights: &[f64]| weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mine, theirs) = (top(&self.log_weights), top(&other.log_weights));
        let mut weights = vec![0.0; self.log_weights.len() + other.log_weights.len() - 1];
        for (i, x) in self.log_weights.iter().enumerate() {
            let x = (x - mine).exp();
            if x > 0.0 {
                for (sum, y) in weights[i..].iter_mut().zip(&other.log_weights) {
                    *sum += x * (y - theirs).exp();
                }
            }
        }
        let log_weights = weights
            .into_iter()
            .map(|weight| weight.ln() + mine + theirs)
            .collect();
        Self {
            low: self.low + other.low,
            log_weights,
        }
    }

    /// Probabilities at the odds ratio `psi`.
    fn probabilities(&self, psi: f64) -> Vec<f64> {
        if psi == 0.0 || psi.is_infinite() {
            let mut all = vec![0.0; self.log_weights.len()];
            let certain = if psi == 0.0 { 0 } else { all.len() - 1 };
            all[certain] = 1.0;
            return all;
        }
        let log_psi = psi.ln();
        let tilted = |(i, log): (usize, &f64)| log + log_psi * number(i as u64);
        let top = self
            .log_weights
            .iter()
            .enumerate()
            .map(tilted)
            .fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = self
            .log_weights
            .iter()
            .enumerate()
            .map(|x| (tilted(x) - top).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

/// The odds ratio at which `f`, increasing or decreasing, is zero: searched below 1, or above 1 by its inverse.
fn odds_ratio_root(f: impl Fn(f64) -> f64, increasing: bool) -> f64 {
    let at_one = f(1.0);
    if at_one == 0.0 {
        1.0
    } else if (at_one > 0.0) == increasing {
        uniroot(0.0, 1.0, f)
    } else {
        1.0 / uniroot(f64::EPSILON, 1.0, |inverse| f(1.0 / inverse))
    }
}

/// Fisher's exact test and the exact estimates of one table.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn fisher(table: &TwoByTwo, conf_level: f64) -> Result<Exact> {
    exact(&Distribution::of(table), table.exposed_events, conf_level)
}

/// The exact conditional test and estimates of a common odds ratio over strata; R's `mantelhaen.test(exact = TRUE)`.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn common_odds_ratio<'a>(
    strata: impl IntoIterator<Item = &'a TwoByTwo>,
    conf_level: f64,
) -> Result<Exact> {
    let mut whole = Distribution {
        low: 0,
        log_weights: vec![0.0],
    };
    let mut observed = 0;
    for table in strata {
        whole = whole.convolve(&Distribution::of(table));
        observed += table.exposed_events;
    }
    exact(&whole, observed, conf_level)
}

fn exact(distribution: &Distribution, observed: u64, conf_level: f64) -> Result<Exact> {
    if !(conf_level > 0.0 && conf_level < 1.0) {
        return Err(Error::InvalidConfidenceLevel);
    }
    let tail = (1.0 - conf_level) / 2.0;
    let index = usize::try_from(observed - distribution.low).unwrap_or(usize::MAX);
    let last = distribution.log_weights.len() - 1;
    let at_most = |psi: f64| {
        distribution.probabilities(psi)[..=index]
            .iter()
            .sum::<f64>()
    };
    let at_least = |psi: f64| distribution.probabilities(psi)[index..].iter().sum::<f64>();
    let below_mid = |psi: f64| {
        let p = distribution.probabilities(psi);
        p[..index].iter().sum::<f64>() + 0.5 * p[index]
    };
    let mean = |psi: f64| {
        let p = distribution.probabilities(psi);
        p.iter()
            .enumerate()
            .map(|(i, p)| number(i as u64) * p)
            .sum::<f64>()
            - number(index as u64)
    };
    let unit = distribution.probabilities(1.0);
    let limit = unit[index] * AS_LIKELY;
    let (first, end) = (index == 0, index == last);
    let conditional = Estimate {
        value: match (first, end) {
            (true, _) => 0.0,
            (_, true) => f64::INFINITY,
            _ => odds_ratio_root(mean, true),
        },
        lower: if first {
            0.0
        } else {
            odds_ratio_root(|psi| at_least(psi) - tail, true)
        },
        upper: if end {
            f64::INFINITY
        } else {
            odds_ratio_root(|psi| at_most(psi) - tail, false)
        },
    };
    let mid_p = Estimate {
        value: match (first, end) {
            (true, _) => 0.0,
            (_, true) => f64::INFINITY,
            _ => uniroot(0.0, MID_P_RANGE, |psi| 2.0 * below_mid(psi) - 1.0),
        },
        lower: if first {
            0.0
        } else {
            uniroot(0.0, MID_P_RANGE, |psi| 1.0 - below_mid(psi) - tail)
        },
        upper: if end {
            f64::INFINITY
        } else {
            1.0 / uniroot(0.0, MID_P_RANGE, |inverse| below_mid(1.0 / inverse) - tail)
        },
    };
    Ok(Exact {
        p_value: unit.iter().filter(|p| **p <= limit).sum::<f64>().min(1.0),
        p_greater: at_least(1.0).min(1.0),
        p_less: at_most(1.0).min(1.0),
        conditional,
        mid_p,
    })
}

/// epitools searches the mid-p estimate between 0 and this.
const MID_P_RANGE: f64 = 1000.0;
