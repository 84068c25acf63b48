//! Distribution functions, in the tails and directions that the statistics need.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::{Error, Result};

/// The upper quantile z of the standard normal for a two-sided interval at `level`.
pub(crate) fn two_sided_z(level: f64) -> Result<f64> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::InvalidConfidenceLevel);
    }
    // The lower tail: 1 - (1 - level)/2 would lose digits for levels near 1.
    Ok(-Normal::standard().inverse_cdf((1.0 - level) / 2.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn z_to_full_precision() {
        // R: options(digits = 17); qnorm(c(0.975, 0.95, 0.995, 0.99995))
        for (level, z) in [
            (0.95, 1.959963984540054),
            (0.90, 1.6448536269514722),
            (0.99, 2.5758293035489004),
            (0.9999, 3.890_591_886_413_121),
        ] {
            assert!((two_sided_z(level).unwrap() - z).abs() < 1e-14, "{level}");
        }
        assert_eq!(two_sided_z(1.0), Err(Error::InvalidConfidenceLevel));
        assert_eq!(two_sided_z(f64::NAN), Err(Error::InvalidConfidenceLevel));
    }
}
