//! Rows of the elimination, and the fields that they are over.

use pulp::Arch;

/// The prime of the large field: a Mersenne prime, so that no fraction is rounded.
const LARGE: u32 = (1 << 31) - 1;
pub(super) const P: u64 = LARGE as u64;

/// A number as what is left of it by column, and of which numbers it is made.
pub(super) type Row = Vec<u32>;

/// A field of a prime: the large one, or one below 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field(u32);

impl Field {
    pub(super) const LARGE: Self = Self(LARGE);

    /// Of a prime below 32.
    pub(super) const fn of(prime: u8) -> Self {
        Self(prime as u32)
    }

    pub(super) fn prime(self) -> u64 {
        self.0.into()
    }

    /// A multiple of a row.
    pub(super) fn scale<E: Entry>(self, row: &mut [E], factor: u64) {
        for own in row {
            *own = E::of(self.small(u64::from(own.value()) * factor));
        }
    }

    pub(super) fn negative(self, number: u32) -> u32 {
        match number {
            0 => 0,
            number => self.0 - number,
        }
    }

    pub(super) fn times(self, a: u64, b: u64) -> u64 {
        u64::from(self.small(a * b))
    }

    /// A number of at most 62 bits in the field.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than a prime of 31 bits"
    )]
    pub(super) fn small(self, number: u64) -> u32 {
        match self == Self::LARGE {
            true => large(number),
            false => (number % self.prime()) as u32,
        }
    }

    /// What a number times it is one.
    pub(super) fn inverse(self, number: u64) -> u64 {
        let (mut base, mut exponent, mut result) = (number, self.prime() - 2, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.times(result, base);
            }
            base = self.times(base, base);
            exponent >>= 1;
        }
        result
    }
}

/// A number of a field.
pub(super) trait Entry: Copy + Default + std::fmt::Debug {
    fn of(value: u32) -> Self;

    fn value(self) -> u32;

    /// A row less multiples of others, as long ones.
    fn subtract(field: Field, row: &mut [Self], others: &[(u32, &[Self])]) {
        let mut fours = others.chunks_exact(4);
        for four in &mut fours {
            if let [a, b, c, d] = *four {
                Self::add(
                    row,
                    field,
                    [a, b, c, d].map(|(factor, other)| (field.negative(factor), other)),
                );
            }
        }
        for (factor, other) in fours.remainder() {
            Self::add(row, field, [(field.negative(*factor), *other)]);
        }
    }

    /// A row and at most four multiples of others, as long ones: with the widest registers that the machine has.
    fn add<const N: usize>(row: &mut [Self], field: Field, others: [(u32, &[Self]); N]);
}

/// Of the large field.
impl Entry for u32 {
    fn of(value: u32) -> Self {
        value
    }

    fn value(self) -> u32 {
        self
    }

    fn add<const N: usize>(row: &mut [Self], _: Field, others: [(u32, &[Self]); N]) {
        let others = others.map(|(factor, other)| (u64::from(factor), &other[..row.len()]));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (at, own) in row.iter_mut().enumerate() {
                    let products = others
                        .iter()
                        .map(|(factor, other)| factor * u64::from(other[at]));
                    // Four products of what is below P, and one such number, are below 2^64.
                    let sum = u64::from(*own) + products.sum::<u64>();
                    *own = large((sum & P) + (sum >> 31));
                }
            },
        );
    }
}

/// Of the others.
#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a prime below 32, and sums of one and four products of two"
)]
impl Entry for u16 {
    fn of(value: u32) -> Self {
        value as Self
    }

    fn value(self) -> u32 {
        self.into()
    }

    fn add<const N: usize>(row: &mut [Self], field: Field, others: [(u32, &[Self]); N]) {
        let others = others.map(|(factor, other)| (factor as Self, &other[..row.len()]));
        let prime = field.0 as Self;
        // The quotient of a number below 2^12 by a multiplication: the inverse is too large by less than one part of 2^20, and that
        // times the number is less than one part of the prime.
        let inverse = (1 << 20) / field.0 + 1;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (at, own) in row.iter_mut().enumerate() {
                    let products = others
                        .iter()
                        .map(|(factor, other)| factor.wrapping_mul(other[at]));
                    let sum = products.fold(*own, Self::wrapping_add);
                    let quotient = ((u32::from(sum) * inverse) >> 20) as Self;
                    *own = sum.wrapping_sub(quotient.wrapping_mul(prime));
                }
            },
        );
    }
}

/// A number of at most 62 bits in the large field.
#[expect(
    clippy::cast_possible_truncation,
    reason = "less than a prime of 31 bits"
)]
fn large(number: u64) -> u32 {
    // 2^31 is 1 in this field: what is above the lowest 31 bits is added to them.
    let folded = ((number & P) + (number >> 31)) as u32;
    // Less than P, that less P is a large number.
    folded.min(folded.wrapping_sub(LARGE))
}

/// A small fraction that is this number of the large field.
pub(super) fn fraction(number: u64) -> Option<f64> {
    const LARGEST: u64 = 1 << 12;
    (1..=12).find_map(|below| {
        let above = Field::LARGE.times(number, below);
        let whole = |above: u64| (above <= LARGEST).then(|| above as f64 / below as f64);
        whole(above).or_else(|| whole(P - above).map(|number| -number))
    })
}

/// The parts of the fraction that this number of the large field is, both less than 2^15: without its sign.
pub(super) fn parts(number: u64) -> Option<(u64, u64)> {
    // As in Euclid's algorithm, each remainder is so many times the number, but for multiples of P.
    const LARGEST: u64 = 1 << 15;
    let (mut before, mut rest) = (P, number);
    let (mut times_before, mut times) = (0_u64, 1_u64);
    while rest >= LARGEST {
        let quotient = before / rest;
        (before, rest) = (rest, before % rest);
        (times_before, times) = (times, times_before + quotient * times);
    }
    (times < LARGEST).then_some((rest, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the remainder of each number that there may be.
    #[test]
    fn rows_of_remainders_are_what_division_leaves() {
        for prime in super::super::PRIMES {
            let field = Field::of(prime);
            for factor in 0..u32::from(prime) {
                for other in 0..u16::from(prime) {
                    let mut row: Vec<u16> = (0..u16::from(prime)).collect();
                    let others = vec![other; row.len()];
                    u16::subtract(field, &mut row, &[(factor, others.as_slice())]);
                    for (own, left) in (0..i64::from(prime)).zip(row) {
                        let whole = own - i64::from(factor) * i64::from(other);
                        assert_eq!(i64::from(left), whole.rem_euclid(prime.into()));
                    }
                }
            }
        }
    }

    #[test]
    fn fractions_are_found_again() {
        for (above, below) in [(1, 1), (3, 4), (7, 11), (1, 29), (1_000, 999)] {
            let number = Field::LARGE.times(above, Field::LARGE.inverse(below));
            assert_eq!(parts(number), Some((above, below)));
        }
    }
}
