//! Score statistics of a two-by-two table at a hypothesised effect, with its restricted maximum likelihood.
//!
//! z = (observed − expected)/√variance under the risks (q₁, q₀) that maximise the likelihood given the effect.
//! Miettinen and Nurminen, Statistics in Medicine 4 (1985); Koopman, Biometrics 40 (1984); Mee, Biometrics 40 (1984).

use super::TwoByTwo;
use crate::roots::root;

/// The root in [0, 1] of a·x² + b·x + c that is a risk.
fn risk(a: f64, b: f64, c: f64) -> f64 {
    let discriminant = (b * b - 4.0 * a * c).max(0.0).sqrt();
    if a == 0.0 {
        return -c / b;
    }
    // The stable form: never the difference of nearly equal numbers.
    let q = -0.5 * (b + b.signum() * discriminant);
    let (x, y) = (q / a, if q == 0.0 { 0.0 } else { c / q });
    if (0.0..=1.0).contains(&x) && !(0.0..=1.0).contains(&y) {
        x
    } else {
        y
    }
}

/// Decreasing in `ratio`.
pub(super) fn odds_ratio_z(table: &TwoByTwo, ratio: f64) -> f64 {
    let [a, b, c, d] = table.cells();
    let (n1, n0) = (a + b, c + d);
    let n = n1 + n0;
    let events = a + c;
    let q0 = if (ratio - 1.0).abs() < 1e-12 {
        events / n
    } else {
        risk(
            n0 * (ratio - 1.0),
            n1 * ratio + n0 - events * (ratio - 1.0),
            -events,
        )
    };
    let q1 = q0 * ratio / (1.0 + q0 * (ratio - 1.0));
    let variance = 1.0 / (1.0 / (n1 * q1 * (1.0 - q1)) + 1.0 / (n0 * q0 * (1.0 - q0)));
    (a - n1 * q1) / variance.sqrt()
}

/// Decreasing in `ratio`.
pub(super) fn risk_ratio_z(table: &TwoByTwo, ratio: f64) -> f64 {
    let [a, b, c, d] = table.cells();
    let (n1, n0) = (a + b, c + d);
    let q0 = risk((n1 + n0) * ratio, -(ratio * (n1 + c) + a + n0), a + c);
    let q1 = q0 * ratio;
    let variance = q1 * (1.0 - q1) / n1 + ratio * ratio * q0 * (1.0 - q0) / n0;
    let difference = a / n1 - ratio * c / n0;
    if variance <= 0.0 {
        difference.signum() * f64::INFINITY
    } else {
        difference / variance.sqrt()
    }
}

/// Decreasing in `difference`.
pub(super) fn risk_difference_z(table: &TwoByTwo, difference: f64) -> f64 {
    let [a, b, c, d] = table.cells();
    let (n1, n0) = (a + b, c + d);
    let (low, high) = ((-difference).max(0.0), (1.0 - difference).min(1.0));
    // The derivative of the log likelihood in q₀ falls from +∞ to −∞ between the ends.
    let slope = |q0: f64| {
        let q1 = q0 + difference;
        let of = |count: f64, risk: f64| if count == 0.0 { 0.0 } else { count / risk };
        of(a, q1) - of(b, 1.0 - q1) + of(c, q0) - of(d, 1.0 - q0)
    };
    let gap = a / n1 - c / n0 - difference;
    if gap == 0.0 {
        return 0.0;
    }
    if high - low < 1e-14 {
        return gap.signum() * f64::INFINITY;
    }
    let q0 = root(low, high, |x| slope(x.clamp(low + 1e-15, high - 1e-15)));
    let q1 = q0 + difference;
    let variance = q1 * (1.0 - q1) / n1 + q0 * (1.0 - q0) / n0;
    gap / variance.max(0.0).sqrt()
}
