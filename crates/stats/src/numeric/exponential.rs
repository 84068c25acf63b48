//! exp of many numbers, in vectors: within one unit in the last place, the same on every machine.
//!
//! x = k·log 2 + r with |r| ≤ ½·log 2; log 2 in two parts so that r keeps its digits; exp(r) by its series to r¹³,
//! which leaves 4e-18; 2^k by its bits. Source: Tang, ACM TOMS 15 (1989); Muller, Elementary Functions (2016), 11.

/// Beyond it 2^k would leave the range of normal numbers.
const SAFE: f64 = 700.0;
/// 1.5·2^52: a sum with it is rounded to a whole number, which its last bits then are.
const WHOLE: f64 = 6_755_399_441_055_744.0;
/// The leading 33 bits of log 2, whose products with k are exact, and the rest.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Replaces each number by its exponential.
#[inline(always)]
pub(crate) fn exponential(values: &mut [f64]) {
    let safe = |so_far: bool, x: &f64| so_far & (x.abs() <= SAFE);
    if values.iter().fold(true, safe) {
        for x in values {
            *x = of_safe(*x);
        }
    } else {
        for x in values {
            *x = if x.abs() <= SAFE {
                of_safe(*x)
            } else {
                x.exp()
            };
        }
    }
}

#[inline(always)]
fn of_safe(x: f64) -> f64 {
    let shifted = x * std::f64::consts::LOG2_E + WHOLE;
    let k = shifted - WHOLE;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let series = |a: f64, b: f64| a + r * b;
    let (r2, r4) = (r * r, r * r * r * r);
    // 1/n!, from n = 2: pairs, then pairs of pairs, so that additions do not wait for each other.
    let low = series(1.0 / 2.0, 1.0 / 6.0) + r2 * series(1.0 / 24.0, 1.0 / 120.0);
    let middle = series(1.0 / 720.0, 1.0 / 5_040.0) + r2 * series(1.0 / 40_320.0, 1.0 / 362_880.0);
    let high = series(1.0 / 3_628_800.0, 1.0 / 39_916_800.0)
        + r2 * series(1.0 / 479_001_600.0, 1.0 / 6_227_020_800.0);
    let tail = low + r4 * (middle + r4 * high);
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    power * (1.0 + (r + r2 * tail))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::numeric::widest;

    fn of(x: f64) -> f64 {
        let mut values = [x];
        exponential(&mut values);
        values[0]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn within_a_unit_in_the_last_place(x in prop_oneof![-1.0..1.0, -40.0..40.0, -745.0..709.0, -1e-9..1e-9]) {
            // The system's is within half a unit and a little.
            let (found, expected) = (of(x), f64::exp(x));
            prop_assert!((found - expected).abs() <= 1.01 * f64::EPSILON * expected.max(f64::MIN_POSITIVE), "{x} {found:e} {expected:e}");
        }

        #[test]
        fn any_width_comes_to_the_same_bits(values in prop::collection::vec(-30.0..30.0, 0..100)) {
            let (mut wide, mut narrow) = (values.clone(), values);
            widest!(exponential(&mut wide));
            exponential(&mut narrow);
            prop_assert_eq!(wide, narrow);
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!([of(0.0), of(-0.0), of(f64::NEG_INFINITY)], [1.0, 1.0, 0.0]);
        assert!(
            of(f64::NAN).is_nan() && of(f64::INFINITY).is_infinite() && of(710.0).is_infinite()
        );
        assert_eq!(of(-800.0), 0.0);
    }
}
