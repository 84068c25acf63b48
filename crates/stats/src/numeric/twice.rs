//! Sums of twice as many digits as a number has, for differences of sums that are far larger than they.
//!
//! Source: Knuth, The Art of Computer Programming 2, 4.2.2 (the error of a sum); Dekker, Numer. Math. 18, 1971.

/// A number and what its rounding left out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Twice {
    high: f64,
    low: f64,
}

impl Twice {
    pub(crate) fn plus(self, other: Self) -> Self {
        let sum = self.high + other.high;
        let of_other = sum - self.high;
        let error = (self.high - (sum - of_other)) + (other.high - of_other);
        Self::of(sum, error + (self.low + other.low))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(other.times(-1.0))
    }

    pub(crate) fn times(self, factor: f64) -> Self {
        let product = self.high * factor;
        let error = self.high.mul_add(factor, -product);
        Self::of(product, error + self.low * factor)
    }

    pub(crate) fn rounded(self) -> f64 {
        self.high
    }

    fn of(sum: f64, error: f64) -> Self {
        let high = sum + error;
        Self {
            high,
            low: error - (high - sum),
        }
    }
}

impl From<f64> for Twice {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Twice;

    #[test]
    fn small_numbers_outlast_large_ones() {
        let (large, small) = (Twice::from(1e20).times(0.1), Twice::from(0.1).times(0.1));
        let left = large.plus(small).minus(large).rounded();
        assert!((left - 0.01).abs() < 1e-12, "{left}");
    }
}
