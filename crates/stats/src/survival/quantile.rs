//! Quantiles of survival time, by R's midpoint rule.
//!
//! The p-th quantile is the first time at which the curve has fallen to 1 − p. Where the curve is exactly
//! 1 − p over a stretch, it is the middle of the stretch, at the end of the curve too. Bounds come from the
//! curve's own lower and upper limits the same way (Brookmeyer and Crowley). Source: R survival,
//! `quantile.survfit`; "exactly" is within 1.5e-8.

use std::collections::HashSet;

/// A quantile of survival time. NaN means that the curve, or its bound, never comes down that far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The probability of having had the event: 0.5 for the median.
    pub p: f64,
    /// The time by which a fraction `p` has had the event.
    pub time: f64,
    /// Lower limit of the interval.
    pub lower: f64,
    /// Upper limit of the interval.
    pub upper: f64,
}

/// R's `sqrt(.Machine$double.eps)`.
pub(crate) const TOLERANCE: f64 = 1.490_116_119_384_765_6e-8;

/// A falling curve as heights 1 − S that rise from 0, each height once.
pub(crate) struct Steps {
    /// Time and height.
    steps: Vec<(f64, f64)>,
    end: f64,
}

impl Steps {
    pub(crate) fn new(times: &[f64], curve: impl Iterator<Item = f64>) -> Self {
        let mut seen = HashSet::new();
        let steps = std::iter::once((0.0, 0.0))
            .chain(times.iter().copied().zip(curve.map(|s| 1.0 - s)))
            .filter(|(_, height)| seen.insert(height.to_bits()))
            .collect();
        Self {
            steps,
            end: times.last().copied().unwrap_or(0.0),
        }
    }

    /// The time at which the curve has come down by `p`, NaN if it never has.
    pub(crate) fn crossing(&self, p: f64) -> f64 {
        if p == 0.0 {
            return 0.0;
        }
        let Some(reached) = self.lowest(|height| height + TOLERANCE >= p) else {
            return f64::NAN;
        };
        // An undefined last height is at no distance from anything.
        let flat_to_the_end = self
            .steps
            .last()
            .is_some_and(|(_, height)| (p - height).abs() < TOLERANCE);
        if flat_to_the_end {
            return f64::midpoint(reached, self.end);
        }
        self.lowest(|height| height - TOLERANCE >= p)
            .map_or(f64::NAN, |passed| f64::midpoint(reached, passed))
    }

    /// The time of the lowest height that satisfies the condition: limits can turn back under delayed entry,
    /// and R then goes by heights, not by times.
    fn lowest(&self, condition: impl Fn(f64) -> bool) -> Option<f64> {
        let candidates = self.steps.iter().filter(|(_, height)| condition(*height));
        candidates
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_at_a_flat_stretch_is_its_middle() {
        // R: quantile(survfit(Surv(1:4, rep(1, 4)) ~ 1), c(.1, .25, .5, .75, .9))$quantile
        let steps = Steps::new(&[1.0, 2.0, 3.0, 4.0], [0.75, 0.5, 0.25, 0.0].into_iter());
        assert_eq!(
            [0.1, 0.25, 0.5, 0.75, 0.9].map(|p| steps.crossing(p)),
            [1.0, 1.5, 2.5, 3.5, 4.0]
        );
    }

    #[test]
    fn a_flat_end_reaches_to_the_last_time() {
        // R: quantile(survfit(Surv(c(1, 2, 5, 6), c(1, 1, 0, 0)) ~ 1), .5)$quantile
        let steps = Steps::new(&[1.0, 2.0, 5.0, 6.0], [0.75, 0.5, 0.5, 0.5].into_iter());
        assert_eq!(steps.crossing(0.5), 4.0);
        assert!(steps.crossing(0.6).is_nan());
    }
}
