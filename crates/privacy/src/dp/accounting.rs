//! Zero-concentrated differential privacy: what queries cost together, and what that means as (ε, δ).
//!
//! Costs add up: ρ₁ + ρ₂ for two queries (Bun and Steinke 2016, lemma 1.7). A pure ε costs ρ = ε²/2
//! (proposition 1.4). The conversion to (ε, δ) is that of Canonne, Kamath and Steinke 2020, proposition 12 and
//! corollary 13: the least over α > 1 of αρ + ln(1/(αδ))/(α−1) + ln(1−1/α).

use super::Error;

/// A privacy cost: ρ of zCDP, and the probability δ with which a threshold may fail.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// ρ of zero-concentrated differential privacy.
    pub rho: f64,
    /// The probability that a rare group key passes its threshold.
    pub delta: f64,
}

impl Cost {
    /// What two queries cost together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rho: self.rho + other.rho,
            delta: self.delta + other.delta,
        }
    }
}

/// An ε that was asked for, checked: a finite number above 0 and at most `largest`.
///
/// # Errors
///
/// When the text is not such a number. Only a number is understood: an expression or a subquery is not.
pub fn epsilon(text: &str, largest: f64) -> Result<f64, Error> {
    let digits = text
        .chars()
        .all(|c| c.is_ascii_digit() || c == '.' || c == 'e' || c == 'E' || c == '-');
    let number = digits.then(|| text.parse::<f64>().ok()).flatten();
    match number {
        Some(epsilon) if epsilon.is_finite() && epsilon > 0.0 && epsilon <= largest => Ok(epsilon),
        _ => Err(Error::Epsilon { largest }),
    }
}

/// The ρ that a mechanism with pure ε costs.
#[must_use]
pub fn rho_of_epsilon(epsilon: f64) -> f64 {
    epsilon * epsilon / 2.0
}

/// The ε at which `rho` is (ε, δ)-differentially private.
#[must_use]
pub fn epsilon_of_rho(rho: f64, delta: f64) -> f64 {
    if rho <= 0.0 {
        return 0.0;
    }
    if !(delta > 0.0 && delta < 1.0) {
        return f64::INFINITY;
    }
    let at =
        |alpha: f64| alpha * rho - (alpha * delta).ln() / (alpha - 1.0) + (-1.0 / alpha).ln_1p();
    // Unimodal in ln(α − 1): a ternary search. Any α gives a valid ε, so that a search that stops early is only
    // less tight.
    let (mut low, mut high) = ((1e-6_f64).ln(), (1e9_f64).ln());
    for _ in 0..200 {
        let third = (high - low) / 3.0;
        let (left, right) = (low + third, high - third);
        if at(1.0 + left.exp()) < at(1.0 + right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    at(1.0 + f64::midpoint(low, high).exp()).max(0.0)
}

/// The largest ρ that is (ε, δ)-differentially private.
#[must_use]
pub fn rho_of_budget(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, epsilon.max(0.0) + 1.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if epsilon_of_rho(middle, delta) <= epsilon {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_conversion_lies_between_the_exact_gaussian_and_the_simple_bound() {
        // Exact: the analytic Gaussian mechanism with σ² = 1/2ρ (Balle and Wang 2018, theorem 8), from Python's
        // `statistics.NormalDist`. Simple: Bun and Steinke 2016, proposition 1.3.
        for (rho, delta, exact) in [
            (0.5, 1e-5_f64, 4.377178),
            (0.1, 1e-6, 1.994527),
            (0.02, 1e-6, 0.834118),
            (1.0, 1e-6, 7.286081),
            (1e-3, 1e-6, 0.167944),
        ] {
            let simple = rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt();
            let tight = epsilon_of_rho(rho, delta);
            assert!(
                exact < tight && tight < simple,
                "{rho} {delta}: {exact} {tight} {simple}"
            );
            // Canonne, Kamath and Steinke's is close: within a tenth of what is exact.
            assert!(tight < 1.10 * exact, "{tight} is far from {exact}");
        }
    }

    #[test]
    fn budgets_and_costs_are_inverse() {
        for epsilon in [0.1, 1.0, 8.0] {
            let rho = rho_of_budget(epsilon, 1e-6);
            assert!((epsilon_of_rho(rho, 1e-6) - epsilon).abs() < 1e-6);
        }
        assert_eq!(epsilon_of_rho(0.0, 1e-6), 0.0);
        assert_eq!(epsilon_of_rho(1.0, 0.0), f64::INFINITY);
    }

    #[test]
    fn costs_add_up() {
        let one = Cost {
            rho: 0.25,
            delta: 1e-7,
        };
        let all = one.and(one).and(one).and(one);
        assert!((all.rho - 1.0).abs() < 1e-15 && (all.delta - 4e-7).abs() < 1e-18);
        assert!((rho_of_epsilon(1.0) - 0.5).abs() < 1e-15);
    }

    /// Attack 42.
    #[test]
    fn attack_42_negative_huge_and_computed_epsilons_are_refused() {
        for text in [
            "-1",
            "0",
            "-0.0",
            "NaN",
            "inf",
            "1e308",
            "1e400",
            "3",
            "",
            " 1",
            "0.5/2",
            "(SELECT 1)",
            "0x10",
            "١",
        ] {
            assert!(epsilon(text, 2.0).is_err(), "{text}");
        }
        assert_eq!(epsilon("0.5", 2.0).unwrap(), 0.5);
        assert_eq!(epsilon("1e-1", 2.0).unwrap(), 0.1);
    }
}
