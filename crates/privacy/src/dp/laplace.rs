//! The discrete Laplace distribution, drawn exactly: P(x) ∝ exp(−|x| / scale) on the whole numbers.
//!
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithm 2.

use super::Error;
use super::random::Random;

/// Draws from the discrete Laplace distribution with scale `numerator / denominator`.
///
/// # Errors
///
/// When the scale is not positive, or there is no randomness.
pub fn discrete_laplace(
    random: &mut Random,
    numerator: u64,
    denominator: u64,
) -> Result<i128, Error> {
    if numerator == 0 || denominator == 0 {
        return Err(Error::Parameter("the scale of noise must be positive"));
    }
    let (t, s) = (u128::from(numerator), u128::from(denominator));
    loop {
        let u = random.below(t)?;
        if !random.bernoulli_exp(u, t)? {
            continue;
        }
        let mut v: u128 = 0;
        while random.bernoulli_exp(1, 1)? {
            v += 1;
        }
        let x = t
            .checked_mul(v)
            .and_then(|tv| tv.checked_add(u))
            .ok_or(Error::Overflow)?;
        let magnitude = i128::try_from(x / s).map_err(|_| Error::Overflow)?;
        let negative = random.bernoulli(1, 2)?;
        // Zero must not be drawn with both signs.
        if negative && magnitude == 0 {
            continue;
        }
        return Ok(if negative { -magnitude } else { magnitude });
    }
}
