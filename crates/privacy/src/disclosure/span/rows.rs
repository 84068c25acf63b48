//! Rows of the elimination, and the field that they are over.

/// The field of the elimination: a Mersenne prime, so that no fraction is rounded.
pub(super) const P: u64 = (1 << 31) - 1;

/// A number as what is left of it by column, and of which numbers it is made.
pub(super) type Row = Vec<u32>;

/// A row less a multiple of another.
pub(super) fn subtract(row: &mut [u32], factor: u32, other: &[u32]) {
    let factor = u64::from(negative(factor));
    for (own, other) in row.iter_mut().zip(other) {
        *own = small(u64::from(*own) + factor * u64::from(*other));
    }
}

/// A multiple of a row.
pub(super) fn scale(row: &mut [u32], factor: u64) {
    for own in row {
        *own = small(u64::from(*own) * factor);
    }
}

pub(super) fn negative(number: u32) -> u32 {
    match number {
        0 => 0,
        number => small(P - u64::from(number)),
    }
}

/// A small fraction that is this number of the field.
pub(super) fn fraction(number: u64) -> Option<f64> {
    const LARGEST: u64 = 1 << 12;
    (1..=12).find_map(|below| {
        let above = times(number, below);
        let whole = |above: u64| (above <= LARGEST).then(|| above as f64 / below as f64);
        whole(above).or_else(|| whole(P - above).map(|number| -number))
    })
}

pub(super) fn times(a: u64, b: u64) -> u64 {
    u64::from(small(a * b))
}

/// A number of at most 62 bits in the field.
#[expect(
    clippy::cast_possible_truncation,
    reason = "less than a prime of 31 bits"
)]
pub(super) fn small(number: u64) -> u32 {
    // 2^31 is 1 in this field: what is above the lowest 31 bits is added to them.
    let folded = ((number & P) + (number >> 31)) as u32;
    // Less than P, that less P is a large number.
    folded.min(folded.wrapping_sub(P as u32))
}

pub(super) fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}
