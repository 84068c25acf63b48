//! The discrete Gaussian distribution, drawn exactly: P(x) ∝ exp(−x² / 2σ²) on the whole numbers.
//!
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithm 3. Noise of
//! variance σ² on a whole number that one person changes by at most Δ costs ρ = Δ² / 2σ² of zero-concentrated
//! differential privacy.

use super::Error;
use super::laplace::discrete_laplace;
use super::random::Random;

/// The largest standard deviation that is drawn: squares of its products must fit 128 bits.
pub const LARGEST_SIGMA: f64 = (1_u64 << 22) as f64;

/// σ² as a ratio of whole numbers, never below what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variance {
    numerator: u128,
    denominator: u128,
}

/// Fractions of σ² that are told apart.
const DENOMINATOR: u32 = 1 << 10;

impl Variance {
    /// The variance that makes a whole number with sensitivity `sensitivity` cost at most `rho`.
    ///
    /// # Errors
    ///
    /// When `rho` is not a positive number, or the noise would be too large to draw: then the caller counts in
    /// coarser units.
    pub fn for_rho(sensitivity_squared: f64, rho: f64) -> Result<Self, Error> {
        let sigma_squared = sensitivity_squared / (2.0 * rho);
        let usable = rho.is_finite()
            && rho > 0.0
            && sigma_squared.is_finite()
            && sigma_squared > 0.0
            && sigma_squared <= LARGEST_SIGMA * LARGEST_SIGMA;
        if !usable {
            return Err(Error::Parameter(
                "the budget of this query is too small, or the bounds are too wide, for noise that can be drawn",
            ));
        }
        // Rounded up, and a little more than the rounding of the divisions before: more noise is safe, less is not.
        let scaled = (sigma_squared * f64::from(DENOMINATOR) * (1.0 + 1e-12)).ceil() + 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and below 2^63, as checked above"
        )]
        let numerator = scaled as u128;
        Ok(Self {
            numerator,
            denominator: u128::from(DENOMINATOR),
        })
    }

    /// The standard deviation.
    #[must_use]
    pub fn sigma(self) -> f64 {
        (self.numerator as f64 / self.denominator as f64).sqrt()
    }
}

/// Draws from the discrete Gaussian distribution.
///
/// # Errors
///
/// When there is no randomness.
pub fn discrete_gaussian(random: &mut Random, variance: Variance) -> Result<i128, Error> {
    let Variance {
        numerator: a,
        denominator: b,
    } = variance;
    // floor(σ) + 1, where σ² = a/b.
    let t = (a / b).isqrt() + 1;
    let scale = u64::try_from(t).map_err(|_| Error::Overflow)?;
    loop {
        let y = discrete_laplace(random, scale, 1)?;
        // exp(−(|y| − σ²/t)² / 2σ²), with both sides of the fraction times (t·b)².
        let left = y
            .unsigned_abs()
            .checked_mul(t)
            .and_then(|p| p.checked_mul(b));
        let distance = left.ok_or(Error::Overflow)?.abs_diff(a);
        let (numerator, denominator) = fraction(distance, a, b, t)?;
        if random.bernoulli_exp(numerator, denominator)? {
            return Ok(y);
        }
    }
}

/// distance² / (2·a·b·t²), as whole numbers of at most 128 bits.
fn fraction(distance: u128, a: u128, b: u128, t: u128) -> Result<(u128, u128), Error> {
    let numerator = distance.checked_mul(distance);
    let denominator = a
        .checked_mul(b)
        .and_then(|ab| ab.checked_mul(2))
        .and_then(|ab| ab.checked_mul(t))
        .and_then(|abt| abt.checked_mul(t));
    match (numerator, denominator) {
        (Some(numerator), Some(denominator)) => Ok((numerator, denominator)),
        // So far out that the exponent would not fit is as good as never: a refusal, which changes nothing but
        // that the query fails.
        _ => Err(Error::Overflow),
    }
}
