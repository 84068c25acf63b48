//! A number with its confidence interval.

/// An estimate and the bounds of its confidence interval, in the unit of the estimate.
///
/// A bound that is not defined is NaN; one that does not exist on that side is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
}

impl Estimate {
    /// value ± half.
    pub(crate) fn symmetric(value: f64, half: f64) -> Self {
        Self {
            value,
            lower: value - half,
            upper: value + half,
        }
    }

    /// exp(log value ± half): symmetric on the log scale.
    pub(crate) fn log_symmetric(value: f64, half: f64) -> Self {
        Self {
            value,
            lower: value * (-half).exp(),
            upper: value * half.exp(),
        }
    }

    /// The bounds through a decreasing or increasing function of the same quantity.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (f(self.lower), f(self.upper));
        Self {
            value: f(self.value),
            lower: if a <= b { a } else { b },
            upper: if a <= b { b } else { a },
        }
    }
}
