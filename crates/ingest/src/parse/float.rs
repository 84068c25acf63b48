//! Floating-point numbers from bytes, exact to the last bit.

use super::Fault;

/// Powers of ten that a double holds exactly (10^22 is the last: Clinger, 1990).
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A finite decimal number. There is one zero: `-0.0` is a value of its own to some who count different ones.
#[inline]
pub(crate) fn float(cell: &[u8]) -> Result<f64, Fault> {
    let value = short_decimal(cell).map_or_else(|| any_decimal(cell), Ok);
    value.map(|value| value + 0.0)
}

/// Up to fifteen digits and no exponent: an exact integer divided by an exact power of ten rounds once.
#[inline]
fn short_decimal(cell: &[u8]) -> Option<f64> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, cell),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut mantissa = 0_i64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + i64::from(digit);
        } else if *byte == b'.' && point.is_none() && digits.len() > 1 {
            point = Some(at);
        } else {
            return None;
        }
    }
    // Sixteen digits without a point may exceed 2^53.
    if point.is_none() && digits.len() > 15 {
        return None;
    }
    let decimals = point.map_or(0, |at| digits.len() - at - 1);
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most fifteen digits, which a double holds exactly"
    )]
    let value = mantissa as f64 / EXACT_POWERS[decimals];
    Some(if negative { -value } else { value })
}

#[cold]
fn any_decimal(cell: &[u8]) -> Result<f64, Fault> {
    // The standard parser also takes words such as `inf`, which are not measurements.
    let spelled = cell
        .iter()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    if !spelled {
        return Err(Fault::Float);
    }
    let text = std::str::from_utf8(cell).map_err(|_| Fault::Float)?;
    let value: f64 = text.parse().map_err(|_| Fault::Float)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Fault::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        assert_eq!(float(b"127.9"), Ok(127.9));
        assert_eq!(float(b"-0.5"), Ok(-0.5));
        assert_eq!(float(b".5"), Ok(0.5));
        let zeros = [&b"-0"[..], b"-0.0", b"-0e5", b"0"];
        assert!(
            zeros
                .into_iter()
                .all(|cell| float(cell).is_ok_and(f64::is_sign_positive))
        );
        assert_eq!(float(b"5."), Ok(5.0));
        assert_eq!(float(b"1e-3"), Ok(0.001));
        assert_eq!(float(b"42.36877442769006"), Ok(42.368_774_427_690_06));
        for bad in [
            &b""[..],
            b".",
            b"-",
            b"inf",
            b"NaN",
            b"1,5",
            b"1e999",
            b"1.2.3",
            b"12a",
        ] {
            assert_eq!(
                float(bad),
                Err(Fault::Float),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    proptest! {
        #[test]
        fn same_bits_as_std(cell in r"-?[0-9]{1,18}(\.[0-9]{0,18})?") {
            let expected: f64 = cell.parse().map_err(|_| TestCaseError::reject("not a float"))?;
            prop_assert_eq!(float(cell.as_bytes()).map(f64::to_bits), Ok((expected + 0.0).to_bits()));
        }

        #[test]
        fn round_trip(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(float(value.to_string().as_bytes()), Ok(value));
        }
    }
}
