//! Exact coin flips from the operating system's generator: every probability is a ratio of whole numbers.

use zeroize::Zeroize;

use super::Error;

/// Random bytes, a block at a time, wiped once used.
pub struct Random {
    block: [u8; 512],
    used: usize,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What comes next is a secret.
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

impl Default for Random {
    fn default() -> Self {
        Self {
            block: [0; 512],
            used: 512,
        }
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

impl Random {
    /// Some bytes of the operating system's generator.
    ///
    /// # Errors
    ///
    /// When the operating system gives none: then there is no noise, and so no answer.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0_u8; N];
        for byte in &mut bytes {
            if self.used == self.block.len() {
                getrandom::fill(&mut self.block).map_err(|_| Error::NoRandomness)?;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.block[self.used] = 0;
            self.used += 1;
        }
        Ok(bytes)
    }

    /// A whole number from 0 to below `limit`, all equally likely: numbers beyond the last full multiple of
    /// `limit` are drawn again.
    ///
    /// # Errors
    ///
    /// When there is no randomness, or `limit` is 0.
    pub fn below(&mut self, limit: u128) -> Result<u128, Error> {
        if limit == 0 {
            return Err(Error::Parameter("an empty range has no number to draw"));
        }
        let bits = 128 - (limit - 1).leading_zeros();
        if bits == 0 {
            return Ok(0);
        }
        loop {
            let drawn = if bits <= 64 {
                u128::from(u64::from_le_bytes(self.bytes()?))
            } else {
                u128::from_le_bytes(self.bytes()?)
            };
            // Masked to the bits of the limit, fewer than half of all draws are lost.
            let candidate = drawn & (u128::MAX >> (128 - bits));
            if candidate < limit {
                return Ok(candidate);
            }
        }
    }

    /// True with probability `numerator / denominator`.
    ///
    /// # Errors
    ///
    /// As [`Random::below`].
    pub fn bernoulli(&mut self, numerator: u128, denominator: u128) -> Result<bool, Error> {
        Ok(self.below(denominator)? < numerator)
    }

    /// True with probability exp(−`numerator / denominator`), without ever computing an exponential:
    /// Canonne, Kamath and Steinke 2020, algorithm 1.
    ///
    /// # Errors
    ///
    /// As [`Random::below`], and where the numbers leave 128 bits.
    pub fn bernoulli_exp(&mut self, numerator: u128, denominator: u128) -> Result<bool, Error> {
        if denominator == 0 {
            return Err(Error::Parameter("a probability needs a denominator"));
        }
        let whole = numerator / denominator;
        for _ in 0..whole {
            // exp(−1) each; almost always the first few already say no.
            if !self.bernoulli_exp_fraction(1, 1)? {
                return Ok(false);
            }
        }
        self.bernoulli_exp_fraction(numerator % denominator, denominator)
    }

    /// The same for an exponent of at most 1.
    fn bernoulli_exp_fraction(
        &mut self,
        numerator: u128,
        denominator: u128,
    ) -> Result<bool, Error> {
        let mut k: u128 = 1;
        loop {
            let scaled = denominator.checked_mul(k).ok_or(Error::Overflow)?;
            if !self.bernoulli(numerator, scaled)? {
                return Ok(k % 2 == 1);
            }
            k += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Each comparison below rejects a right sampler with a probability under 2e-9: six standard errors.
    fn close(hits: u32, draws: u32, probability: f64) {
        let share = f64::from(hits) / f64::from(draws);
        let error = (probability * (1.0 - probability) / f64::from(draws)).sqrt();
        assert!(
            (share - probability).abs() < 6.0 * error,
            "{share} is not {probability}"
        );
    }

    #[test]
    fn every_number_of_a_range_is_equally_likely() {
        let mut random = Random::default();
        let draws = 60_000;
        let mut counts = [0_u32; 5];
        for _ in 0..draws {
            counts[usize::try_from(random.below(5).unwrap()).unwrap()] += 1;
        }
        for count in counts {
            close(count, draws, 0.2);
        }
        assert_eq!(random.below(1).unwrap(), 0);
        assert!(random.below(0).is_err());
        assert!(random.below(u128::MAX).is_ok());
    }

    #[test]
    fn exponential_coins_have_their_probability() {
        let mut random = Random::default();
        let draws = 40_000;
        for (numerator, denominator) in [(0, 1), (1, 3), (1, 1), (5, 2), (12, 5)] {
            let hits = (0..draws)
                .filter(|_| random.bernoulli_exp(numerator, denominator).unwrap())
                .count();
            let exponent = numerator as f64 / denominator as f64;
            if numerator == 0 {
                assert_eq!(hits, 40_000);
            } else {
                close(u32::try_from(hits).unwrap(), draws, (-exponent).exp());
            }
        }
    }
}
