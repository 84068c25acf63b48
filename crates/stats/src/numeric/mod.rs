//! Distribution functions in the tails that the statistics need, and small symmetric matrices.

mod cross_product;
mod exponential;
mod sequence;
mod symmetric;
mod twice;
mod widest;

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

pub(crate) use self::cross_product::{BLOCK, Block, CrossProduct, Real, weighted_cross_product};
pub(crate) use self::exponential::exponential;
pub(crate) use self::sequence::{Sequence, put, whole};
pub(crate) use self::symmetric::{Factor, Symmetric};
pub(crate) use self::twice::Twice;
pub(crate) use self::widest::widest;
use crate::{Error, Result};

/// The upper quantile z of the standard normal for a two-sided interval at `level`.
///
/// # Errors
///
/// [`Error::InvalidConfidenceLevel`].
pub fn two_sided_z(level: f64) -> Result<f64> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::InvalidConfidenceLevel);
    }
    // The lower tail: 1 - (1 - level)/2 would lose digits for levels near 1.
    Ok(-Normal::standard().inverse_cdf((1.0 - level) / 2.0))
}

/// The probability that a chi-squared variable with `df` degrees of freedom exceeds `x`.
#[expect(clippy::cast_precision_loss, reason = "degrees of freedom are small")]
#[must_use]
pub fn chi_squared_tail(x: f64, df: usize) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if df == 0 || x <= 0.0 {
        return 1.0;
    }
    ChiSquared::new(df as f64).map_or(f64::NAN, |distribution| distribution.sf(x))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn chi_squared_tails() {
        // R: pchisq(c(3.84, 60, 0.2, 12), c(1, 2, 3, 11), lower.tail = FALSE)
        for (x, df, p) in [
            (3.84, 1, 0.050_043_521_248_705_224),
            (60.0, 2, 9.357_622_968_840_175e-14),
            (0.2, 3, 0.977_589_297_761_649_5),
            (12.0, 11, 0.363_643_220_516_826_9),
        ] {
            let found = chi_squared_tail(x, df);
            assert!((found / p - 1.0).abs() < 1e-12, "{x} {df}: {found:e}");
        }
    }

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
        assert_eq!(two_sided_z(0.0), Err(Error::InvalidConfidenceLevel));
        assert_eq!(two_sided_z(f64::NAN), Err(Error::InvalidConfidenceLevel));
    }
}
