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

    /// A number and at most four products.
    fn plus<const N: usize>(self, field: Field, products: [(u32, Self); N]) -> Self;

    /// A row less multiples of others, as long ones.
    fn subtract(field: Field, row: &mut [Self], others: &[(u32, &[Self])]) {
        let mut fours = others.chunks_exact(4);
        for four in &mut fours {
            if let [a, b, c, d] = *four {
                subtract_four(field, row, [a, b, c, d]);
            }
        }
        for other in fours.remainder() {
            subtract_one(field, row, *other);
        }
    }
}

fn subtract_one<E: Entry>(field: Field, row: &mut [E], (factor, other): (u32, &[E])) {
    let factor = field.negative(factor);
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            for (own, other) in row.iter_mut().zip(other) {
                *own = own.plus(field, [(factor, *other)]);
            }
        },
    );
}

/// A row less multiples of four others, with the widest registers that the machine has. What a closure borrows would be read anew for
/// each entry.
fn subtract_four<E: Entry>(field: Field, row: &mut [E], others: [(u32, &[E]); 4]) {
    let [(i, a), (j, b), (k, c), (l, d)] =
        others.map(|(factor, other)| (field.negative(factor), other));
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            for ((((own, a), b), c), d) in row.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *own = own.plus(field, [(i, *a), (j, *b), (k, *c), (l, *d)]);
            }
        },
    );
}

/// Of the large field.
impl Entry for u32 {
    fn of(value: u32) -> Self {
        value
    }

    fn value(self) -> u32 {
        self
    }

    #[inline(always)]
    fn plus<const N: usize>(self, _: Field, products: [(u32, Self); N]) -> Self {
        // Four products of what is below P, and one such number, are below 2^64.
        let mut sum = u64::from(self);
        for (factor, other) in products {
            sum += u64::from(factor) * u64::from(other);
        }
        large((sum & P) + (sum >> 31))
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

    #[inline(always)]
    fn plus<const N: usize>(self, field: Field, products: [(u32, Self); N]) -> Self {
        let mut sum = self;
        for (factor, other) in products {
            sum = sum.wrapping_add((factor as Self).wrapping_mul(other));
        }
        // The quotient of a number below 2^12 by a multiplication: the inverse is too large by less than one part of 2^20, and that
        // times the number is less than one part of the prime.
        let inverse = (1 << 20) / field.0 + 1;
        let quotient = ((u32::from(sum) * inverse) >> 20) as Self;
        sum.wrapping_sub(quotient.wrapping_mul(field.0 as Self))
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
