//! Numbers as they are kept: JSON has no NaN and no infinity.

use columna_stats::Estimate;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that may be undefined (null in JSON) or infinite (text in JSON).
#[derive(Debug, Clone, Copy)]
pub struct Num(pub f64);

impl Num {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The number, if it is finite.
    pub fn finite(self) -> Option<f64> {
        self.0.is_finite().then_some(self.0)
    }
}

impl From<f64> for Num {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.0.is_nan() && other.0.is_nan())
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => serializer.serialize_none(),
            value if value.is_infinite() => {
                serializer.serialize_str(if value > 0.0 { "Inf" } else { "-Inf" })
            }
            value => serializer.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Kept {
            Number(f64),
            Text(String),
            Nothing(()),
        }
        Ok(Self(match Kept::deserialize(deserializer)? {
            Kept::Number(value) => value,
            Kept::Text(text) if text == "Inf" => f64::INFINITY,
            Kept::Text(text) if text == "-Inf" => f64::NEG_INFINITY,
            Kept::Text(_) | Kept::Nothing(()) => f64::NAN,
        }))
    }
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub value: Num,
    /// The lower bound.
    pub lower: Num,
    /// The upper bound.
    pub upper: Num,
}

impl Interval {
    /// From its three numbers.
    pub fn new(value: f64, lower: f64, upper: f64) -> Self {
        Self {
            value: Num(value),
            lower: Num(lower),
            upper: Num(upper),
        }
    }

    /// Nothing known.
    pub fn unknown() -> Self {
        Self::new(f64::NAN, f64::NAN, f64::NAN)
    }

    /// Of the negative of what it is of.
    pub fn negated(&self) -> Self {
        Self::new(-self.value.get(), -self.upper.get(), -self.lower.get())
    }

    /// Whether the interval holds a number.
    pub fn covers(&self, value: f64) -> bool {
        self.lower.get() <= value && value <= self.upper.get()
    }
}

impl From<Estimate> for Interval {
    fn from(estimate: Estimate) -> Self {
        Self::new(estimate.value, estimate.lower, estimate.upper)
    }
}

impl From<Interval> for Estimate {
    fn from(interval: Interval) -> Self {
        Self {
            value: interval.value.get(),
            lower: interval.lower.get(),
            upper: interval.upper.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_json_lacks_survives_it() {
        for value in [
            0.7,
            -1.5e-3,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
        ] {
            let text = serde_json::to_string(&Num(value)).unwrap();
            assert_eq!(
                serde_json::from_str::<Num>(&text).unwrap(),
                Num(value),
                "{text}"
            );
        }
    }
}
