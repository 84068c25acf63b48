//! Log-rank tests of k groups, weighted and stratified.
//!
//! At each event time, group j expects d·n_j/n of the d events among n at risk. The statistic is
//! (O − E)' V⁻ (O − E) with O, E and the hypergeometric V each summed over times with the weight w (V with w²),
//! and over strata. Weights: 1 (log-rank), n (Gehan), √n (Tarone-Ware), S(t−)^ρ (1 − S(t−))^γ
//! (Fleming-Harrington, R's `rho`), and Peto's S̃(t), with S̃ = Π(1 − d/(n+1)).
//! Source: Klein and Moeschberger (2003), 7.3 to 7.5; R survival, `survdiff`.

use super::comparison::Comparison;
use super::{EventTimes, RiskTable};
use crate::numeric::{Symmetric, chi_squared_tail};
use crate::{Error, Grouped, Result};

/// What weight an event time has in the test.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Weighting {
    /// Equal weights: the log-rank test.
    #[default]
    LogRank,
    /// The number at risk: Gehan's generalised Wilcoxon test.
    Gehan,
    /// The square root of the number at risk.
    TaroneWare,
    /// S(t−)^rho · (1 − S(t−))^gamma of the pooled curve: early differences with rho, late ones with gamma.
    FlemingHarrington {
        /// Exponent of S; `survdiff(rho = )`.
        rho: f64,
        /// Exponent of 1 − S.
        gamma: f64,
    },
    /// Peto and Peto's S̃(t), the pooled curve with d/(n+1) for d/n.
    Peto,
    /// Peto and Peto's, modified by Andersen: S̃(t) · n/(n+1).
    PetoModified,
}

/// One group of a log-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group<G> {
    /// The group's key.
    pub group: G,
    /// Rows in the group.
    pub n: u64,
    /// Weighted observed events.
    pub observed: f64,
    /// Weighted expected events.
    pub expected: f64,
}

/// The result of a log-rank test.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRank<G> {
    /// Groups in the order of their keys.
    pub groups: Vec<Group<G>>,
    /// Covariance of observed less expected.
    pub variance: Vec<Vec<f64>>,
    /// The test statistic.
    pub chi_squared: f64,
    /// Its degrees of freedom: groups with anything expected, less one. 0 if there is nothing to compare.
    pub df: usize,
    /// The probability of a statistic this large if survival is the same in all groups.
    pub p_value: f64,
}

/// Compares groups, within strata if the key's first half differs. Use `()` for no strata.
///
/// # Errors
///
/// [`Error::CompetingEvents`], [`Error::FractionalWeights`], and what [`EventTimes::risk_table`] refuses.
///
/// # Example
///
/// ```
/// use columna_stats::{Grouped, survival::{EventTimes, logrank}};
///
/// let mut arms = Grouped::<((), &str), EventTimes>::default();
/// for (arm, time, event) in [("a", 3.0, 1), ("a", 5.0, 1), ("b", 7.0, 1), ("b", 9.0, 0)] {
///     arms.entry(((), arm)).add(time, event)?;
/// }
/// let test = logrank::test(&arms, logrank::Weighting::LogRank)?;
/// assert_eq!(test.df, 1);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn test<S: Ord, G: Ord + Clone>(
    summary: &Grouped<(S, G), EventTimes>,
    weighting: Weighting,
) -> Result<LogRank<G>> {
    let comparison = Comparison::new(summary)?;
    let mut sums = Sums::new(comparison.names.len());
    for (indices, tables) in &comparison.strata {
        sums.add_stratum(indices, tables, weighting)?;
    }
    Ok(sums.finish(&comparison.names))
}

/// Observed, expected and their covariance.
struct Sums {
    n: Vec<u64>,
    observed: Vec<f64>,
    expected: Vec<f64>,
    variance: Symmetric,
}

impl Sums {
    fn new(groups: usize) -> Self {
        Self {
            n: vec![0; groups],
            observed: vec![0.0; groups],
            expected: vec![0.0; groups],
            variance: Symmetric::zero(groups),
        }
    }

    fn add_stratum(
        &mut self,
        indices: &[usize],
        tables: &[RiskTable],
        weighting: Weighting,
    ) -> Result<()> {
        let events = tables
            .iter()
            .map(RiskTable::single_event)
            .collect::<Result<Vec<_>>>()?;
        if tables.iter().any(|table| table.fractional) {
            return Err(Error::FractionalWeights);
        }
        for (index, table) in indices.iter().zip(tables) {
            self.n[*index] += table.rows;
        }
        let times = tables.first().map_or(0, |table| table.time.len());
        let (mut survival, mut peto) = (1.0_f64, 1.0_f64);
        for at in 0..times {
            let d: f64 = events.iter().map(|events| events[at]).sum();
            let n: f64 = tables.iter().map(|table| table.at_risk[at]).sum();
            if d == 0.0 {
                continue;
            }
            peto *= 1.0 - d / (n + 1.0);
            let weight = match weighting {
                Weighting::LogRank => 1.0,
                Weighting::Gehan => n,
                Weighting::TaroneWare => n.sqrt(),
                Weighting::FlemingHarrington { rho, gamma } => {
                    survival.powf(rho) * (1.0 - survival).powf(gamma)
                }
                Weighting::Peto => peto,
                Weighting::PetoModified => peto * n / (n + 1.0),
            };
            survival *= (n - d) / n;
            // With one at risk nothing varies.
            let spread = if n > 1.0 {
                weight * weight * d * (n - d) / (n * n * (n - 1.0))
            } else {
                0.0
            };
            for (j, table_j) in tables.iter().enumerate() {
                let at_risk = table_j.at_risk[at];
                self.observed[indices[j]] += weight * events[j][at];
                self.expected[indices[j]] += weight * d * at_risk / n;
                for (k, table_k) in tables.iter().enumerate().take(j + 1) {
                    let own = if j == k { n } else { 0.0 };
                    *self.variance.get_mut(indices[j], indices[k]) +=
                        spread * at_risk * (own - table_k.at_risk[at]);
                }
            }
        }
        Ok(())
    }

    fn finish<G: Clone>(mut self, names: &[&G]) -> LogRank<G> {
        self.variance.mirror();
        let mut keep: Vec<bool> = self
            .expected
            .iter()
            .map(|expected| *expected > 0.0)
            .collect();
        // One group's difference follows from the others'.
        if let Some(first) = keep.iter_mut().find(|keep| **keep) {
            *first = false;
        }
        let differences = self.observed.iter().zip(&self.expected).zip(&keep);
        let differences: Vec<f64> = differences
            .filter(|(_, keep)| **keep)
            .map(|((o, e), _)| o - e)
            .collect();
        let factor = self.variance.restricted(&keep).factor(1e-12);
        let chi_squared = factor
            .solve(&differences)
            .iter()
            .zip(&differences)
            .map(|(a, b)| a * b)
            .sum();
        let df = factor.rank();
        let groups = names.iter().enumerate().map(|(at, name)| Group {
            group: G::clone(name),
            n: self.n[at],
            observed: self.observed[at],
            expected: self.expected[at],
        });
        LogRank {
            groups: groups.collect(),
            variance: self.variance.to_rows(),
            chi_squared,
            df,
            p_value: chi_squared_tail(chi_squared, df),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Summary;

    fn arms(rows: &[(u8, f64, u32)]) -> Grouped<((), u8), EventTimes> {
        let mut arms = Grouped::<((), u8), EventTimes>::default();
        for (arm, time, status) in rows {
            arms.entry(((), *arm)).add(*time, *status).unwrap();
        }
        arms
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let rows: Vec<(u8, f64, u32)> = (0..200_u32)
            .map(|row| {
                (
                    (row % 3) as u8,
                    f64::from(row * 37 % 91),
                    u32::from(row % 4 != 0),
                )
            })
            .collect();
        let whole = test(&arms(&rows), Weighting::Gehan).unwrap();
        let mut parts = arms(&rows[150..]);
        parts.merge(arms(&rows[..80]));
        parts.merge(arms(&rows[80..150]));
        assert_eq!(test(&parts, Weighting::Gehan).unwrap(), whole);
    }

    #[test]
    fn one_group_or_no_events_is_nothing_to_compare() {
        let one = test(&arms(&[(0, 1.0, 1), (0, 2.0, 1)]), Weighting::LogRank).unwrap();
        assert_eq!((one.df, one.p_value), (0, 1.0));
        let censored = test(&arms(&[(0, 1.0, 0), (1, 2.0, 0)]), Weighting::LogRank).unwrap();
        assert_eq!(
            (censored.df, censored.chi_squared, censored.p_value),
            (0, 0.0, 1.0)
        );
        let empty = test(&arms(&[]), Weighting::LogRank).unwrap();
        assert!(empty.groups.is_empty());
    }

    #[test]
    fn competing_events_and_fractional_weights_are_refused() {
        assert_eq!(
            test(&arms(&[(0, 1.0, 2)]), Weighting::LogRank),
            Err(Error::CompetingEvents)
        );
        let mut weighted = Grouped::<((), u8), EventTimes>::default();
        weighted
            .entry(((), 0))
            .add_weighted(None, 3.0, 1, 0.5)
            .unwrap();
        assert_eq!(
            test(&weighted, Weighting::LogRank),
            Err(Error::FractionalWeights)
        );
    }
}
