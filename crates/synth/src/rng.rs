//! Random numbers of one person: xoshiro256++ seeded from a hash of what the numbers are for.
//!
//! xoshiro256++ and SplitMix64 are by David Blackman and Sebastiano Vigna (public domain). A stream belongs to
//! (seed, hospital, person, purpose), so that a person's records do not depend on who was simulated before.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream that belongs to a key.
    pub(crate) fn new(key: &[u64]) -> Self {
        let mut hash = 0x9e37_79b9_7f4a_7c15;
        for part in key {
            hash = split_mix(hash ^ split_mix(*part));
        }
        let mut state = [0; 4];
        for word in &mut state {
            hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
            *word = split_mix(hash);
        }
        Self { state }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let shifted = s1 << 17;
        let s2 = s2 ^ s0;
        let s3 = s3 ^ s1;
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ shifted, s3.rotate_left(45)];
        result
    }

    /// Uniform in (0, 1), with 52 random bits; never 0 and never 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        // The mantissa of a number in [1, 2); half a step above 0 keeps logarithms finite.
        f64::from_bits((self.bits() >> 12) | 0x3ff0_0000_0000_0000) - 1.0 + f64::EPSILON / 2.0
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Approximately standard normal, within ±6: the sum of twelve uniforms, for values that need no exact tails.
    pub(crate) fn noise(&mut self) -> f64 {
        // Three draws of 64 bits hold twelve numbers of 16 bits.
        let mut sum = 0_u32;
        for _ in 0..3 {
            let mut bits = self.bits();
            for _ in 0..4 {
                sum += u32::from((bits & 0xffff) as u16);
                bits >>= 16;
            }
        }
        f64::from(sum) / 65_536.0 - 6.0
    }

    /// A whole number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        if high <= low {
            return low;
        }
        low + whole(self.uniform() * (f64::from(high) - f64::from(low) + 1.0)).min(high - low)
    }

    /// One of a list, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let index = self.index(list.len());
        list[index]
    }

    /// A position in a list of `length`.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        // Multiply and shift: the high word of a 128-bit product is uniform below `length`.
        let product = u128::from(self.bits()) * length as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// A position drawn with the given weights.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len().saturating_sub(1)
    }
}

/// A number without its fraction (towards minus infinity), kept within `i32`.
pub(crate) fn whole(x: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to the range of i32"
    )]
    {
        x.floor().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32
    }
}

/// A number rounded to a number of decimals, as a laboratory reports it.
pub(crate) fn rounded(x: f64, decimals: u8) -> f64 {
    let scale = match decimals {
        0 => return x.round(),
        1 => 10.0,
        2 => 100.0,
        _ => 1000.0,
    };
    (x * scale).round() / scale
}

/// The finaliser of SplitMix64: a good mix of 64 bits.
pub(crate) fn split_mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::new(&[1, 2, 3]);
        let n = 200_000;
        let mean =
            |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        // Five standard errors each.
        assert!((mean(&mut || rng.uniform()) - 0.5).abs() < 5.0 * 0.289 / f64::from(n).sqrt());
        assert!((mean(&mut || rng.exponential()) - 1.0).abs() < 5.0 / f64::from(n).sqrt());
        assert!(mean(&mut || rng.normal()).abs() < 5.0 / f64::from(n).sqrt());
        assert!(mean(&mut || rng.noise()).abs() < 5.0 / f64::from(n).sqrt());
        assert!((mean(&mut || rng.noise().powi(2)) - 1.0).abs() < 5.0 * 1.42 / f64::from(n).sqrt());
        assert!(
            (mean(&mut || f64::from(rng.between(1, 6))) - 3.5).abs()
                < 5.0 * 1.71 / f64::from(n).sqrt()
        );
    }

    #[test]
    fn a_key_gives_the_same_numbers_and_another_key_others() {
        let first: Vec<u64> = {
            let mut rng = Rng::new(&[7, 1]);
            (0..4).map(|_| rng.bits()).collect()
        };
        let again: Vec<u64> = {
            let mut rng = Rng::new(&[7, 1]);
            (0..4).map(|_| rng.bits()).collect()
        };
        let other: Vec<u64> = {
            let mut rng = Rng::new(&[1, 7]);
            (0..4).map(|_| rng.bits()).collect()
        };
        assert_eq!(first, again);
        assert_ne!(first, other);
    }
}
