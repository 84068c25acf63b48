//! Weights from propensity scores, and how many persons they are worth.
//!
//! With e the propensity score and p the share of treated, a treated and an untreated person weigh
//!
//! | estimand | treated | untreated |
//! |---|---|---|
//! | average effect (ATE) | 1/e | 1/(1 − e) |
//! | the same, stabilised | p/e | (1 − p)/(1 − e) |
//! | in the treated (ATT) | 1 | e/(1 − e) |
//! | in the untreated (ATC) | (1 − e)/e | 1 |
//! | overlap (ATO) | 1 − e | e |
//! | matching weights | min(e, 1 − e)/e | min(e, 1 − e)/(1 − e) |
//!
//! Effective sample size (Σw)² / Σw². Sources: Robins, Hernán and Brumback (2000); Li, Morgan and Zaslavsky
//! (2018); Li and Greene (2013); Crump et al. (2009) for trimming by the score; Kish (1965).

use crate::description::quantile::{QuantileType, Values};
use crate::{Error, Result, Summary};

/// Whose effect the weights ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Estimand {
    /// Everybody's: ATE.
    Everybody,
    /// Everybody's, with weights that average to 1.
    Stabilized,
    /// That of the treated: ATT.
    Treated,
    /// That of the untreated: ATC.
    Untreated,
    /// That of the persons who could have had either: ATO.
    Overlap,
    /// That of the persons whom one-to-one matching would keep.
    Matching,
}

/// What is done about persons who hardly could have had the other treatment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Trim {
    /// Nothing.
    #[default]
    None,
    /// Scores outside this closed range weigh 0, for example 0.1 to 0.9.
    Score {
        /// Lowest score kept.
        lower: f64,
        /// Highest score kept.
        upper: f64,
    },
    /// Weights above this quantile of all weights (R's type 7) are lowered to it, for example 0.99.
    Quantile(f64),
}

/// The weight of one person; `treated_share` is used by stabilised weights only.
///
/// # Errors
///
/// [`Error::InvalidPropensity`] if the score is not between 0 and 1.
pub fn weight(score: f64, treated: bool, estimand: Estimand, treated_share: f64) -> Result<f64> {
    if !(score > 0.0 && score < 1.0) {
        return Err(Error::InvalidPropensity);
    }
    let (own, other) = if treated {
        (score, 1.0 - score)
    } else {
        (1.0 - score, score)
    };
    Ok(match (estimand, treated) {
        (Estimand::Everybody, _) => 1.0 / own,
        (Estimand::Stabilized, true) => treated_share / own,
        (Estimand::Stabilized, false) => (1.0 - treated_share) / own,
        (Estimand::Treated, true) | (Estimand::Untreated, false) => 1.0,
        (Estimand::Treated, false) | (Estimand::Untreated, true) => other / own,
        (Estimand::Overlap, _) => other,
        (Estimand::Matching, _) => own.min(other) / own,
    })
}

/// The weights of all persons.
///
/// # Errors
///
/// [`Error::UnequalColumns`]; [`Error::InvalidPropensity`]; [`Error::EmptyGroup`] if nobody, or everybody, is
/// treated; [`Error::InvalidProbability`] for a quantile outside [0, 1].
///
/// ```
/// use columna_stats::causal::weighting::{Estimand, Trim, weights};
///
/// let w = weights(&[0.25, 0.25], &[true, false], Estimand::Everybody, Trim::None)?;
/// assert_eq!(w, [4.0, 1.0 / 0.75]);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn weights(
    scores: &[f64],
    treated: &[bool],
    estimand: Estimand,
    trim: Trim,
) -> Result<Vec<f64>> {
    if scores.len() != treated.len() {
        return Err(Error::UnequalColumns);
    }
    let number = treated.iter().filter(|treated| **treated).count();
    if number == 0 || number == treated.len() {
        return Err(Error::EmptyGroup);
    }
    let share = crate::models::count(number) / crate::models::count(treated.len());
    let weights = scores
        .iter()
        .zip(treated)
        .map(|(score, treated)| weight(*score, *treated, estimand, share));
    let mut weights = weights.collect::<Result<Vec<f64>>>()?;
    match trim {
        Trim::None => {}
        Trim::Score { lower, upper } => {
            for (weight, score) in weights.iter_mut().zip(scores) {
                if !(lower..=upper).contains(score) {
                    *weight = 0.0;
                }
            }
        }
        Trim::Quantile(probability) => {
            let values: Values = weights.iter().copied().collect();
            let cut = values.quantiles(&[probability], QuantileType::default())?;
            for weight in &mut weights {
                *weight = cut.first().map_or(*weight, |cut| weight.min(*cut));
            }
        }
    }
    Ok(weights)
}

/// The sum of weights and of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Weights {
    /// Rows of weight above 0.
    pub rows: u64,
    /// Σ w.
    pub sum: f64,
    /// Σ w².
    pub squares: f64,
}

impl Weights {
    /// Adds a person.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWeight`].
    pub fn add(&mut self, weight: f64) -> Result<()> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::InvalidWeight);
        }
        self.rows += u64::from(weight > 0.0);
        self.sum += weight;
        self.squares += weight * weight;
        Ok(())
    }

    /// The number of unweighted persons who would give the same precision: (Σw)² / Σw², 0 for nobody.
    pub fn effective(&self) -> f64 {
        if self.squares > 0.0 {
            self.sum * self.sum / self.squares
        } else {
            0.0
        }
    }
}

impl Summary for Weights {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_estimand() {
        let of = |treated, estimand| weight(0.2, treated, estimand, 0.3).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
        close(of(true, Estimand::Stabilized), 1.5);
        close(of(false, Estimand::Stabilized), 0.875);
        close(of(true, Estimand::Treated), 1.0);
        close(of(false, Estimand::Treated), 0.25);
        close(of(true, Estimand::Untreated), 4.0);
        close(of(true, Estimand::Overlap), 0.8);
        close(of(true, Estimand::Matching), 1.0);
        close(of(false, Estimand::Matching), 0.25);
        assert_eq!(
            weight(1.0, true, Estimand::Treated, 0.3),
            Err(Error::InvalidPropensity)
        );
        assert_eq!(
            weight(f64::NAN, true, Estimand::Treated, 0.3),
            Err(Error::InvalidPropensity)
        );
    }

    #[test]
    fn trimming() {
        let scores = [0.05, 0.5, 0.5, 0.95];
        let treated = [true, true, false, false];
        let by = |trim| weights(&scores, &treated, Estimand::Everybody, trim).unwrap();
        assert_eq!(
            by(Trim::Score {
                lower: 0.1,
                upper: 0.9
            }),
            [0.0, 2.0, 2.0, 0.0]
        );
        assert_eq!(by(Trim::Quantile(0.5))[0], by(Trim::Quantile(0.5))[3]);
        assert_eq!(by(Trim::Quantile(1.0)), by(Trim::None));
        let all = weights(&scores, &[true; 4], Estimand::Everybody, Trim::None);
        assert_eq!(all, Err(Error::EmptyGroup));
    }

    #[test]
    fn equal_weights_lose_nobody() {
        let mut sum = Weights::default();
        for _ in 0..7 {
            sum.add(0.3).unwrap();
        }
        assert!((sum.effective() - 7.0).abs() < 1e-12);
        assert_eq!(Weights::default().effective(), 0.0);
        assert_eq!(sum.add(f64::NAN), Err(Error::InvalidWeight));
    }
}
