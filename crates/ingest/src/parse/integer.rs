//! Integers from bytes.

use super::Fault;

/// An integer: digits with an optional sign; `12.0` is 12, for tables that went through a float column.
#[inline]
pub(crate) fn integer(cell: &[u8]) -> Result<i64, Fault> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, cell),
    };
    if digits.is_empty() {
        return Err(Fault::Integer);
    }
    // Eighteen digits always fit, so that the usual cell is parsed without an overflow check.
    if digits.len() <= 18 {
        let mut value = 0_i64;
        for (at, byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return if *byte == b'.' && at > 0 && is_zero_fraction(&digits[at..]) {
                    Ok(if negative { -value } else { value })
                } else {
                    Err(Fault::Integer)
                };
            }
            value = value * 10 + i64::from(digit);
        }
        return Ok(if negative { -value } else { value });
    }
    long_integer(negative, digits)
}

/// An integer that the columns of counts and years can hold.
#[inline]
pub(crate) fn small_integer(cell: &[u8]) -> Result<i32, Fault> {
    i32::try_from(integer(cell)?).map_err(|_| Fault::IntegerRange)
}

/// `.`, `.0`, `.00`…
fn is_zero_fraction(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'.') && bytes[1..].iter().all(|byte| *byte == b'0')
}

#[cold]
fn long_integer(negative: bool, digits: &[u8]) -> Result<i64, Fault> {
    let whole = digits
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(digits.len());
    if whole == 0 || !(whole == digits.len() || is_zero_fraction(&digits[whole..])) {
        return Err(Fault::Integer);
    }
    let mut value = 0_i64;
    for byte in &digits[..whole] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Fault::Integer);
        }
        let next = value.checked_mul(10).and_then(|value| {
            // Downwards for negative numbers, whose range is one larger.
            if negative {
                value.checked_sub(i64::from(digit))
            } else {
                value.checked_add(i64::from(digit))
            }
        });
        value = next.ok_or(Fault::IntegerRange)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        assert_eq!(integer(b"0"), Ok(0));
        assert_eq!(integer(b"+7"), Ok(7));
        assert_eq!(integer(b"-12.0"), Ok(-12));
        assert_eq!(integer(b"38003566."), Ok(38_003_566));
        assert_eq!(integer(b"12.5"), Err(Fault::Integer));
        assert_eq!(integer(b".0"), Err(Fault::Integer));
        assert_eq!(integer(b""), Err(Fault::Integer));
        assert_eq!(integer(b"-"), Err(Fault::Integer));
        assert_eq!(integer(b"1e3"), Err(Fault::Integer));
        assert_eq!(integer(b"0000000000000000000012"), Ok(12));
        assert_eq!(integer(b"9223372036854775808"), Err(Fault::IntegerRange));
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer(b"9223372036854775807.000"), Ok(i64::MAX));
        assert_eq!(integer(b"12345678901234567890x"), Err(Fault::IntegerRange));
    }

    proptest! {
        #[test]
        fn round_trip(value: i64) {
            prop_assert_eq!(integer(value.to_string().as_bytes()), Ok(value));
        }

        #[test]
        fn agrees_with_std(cell in "[-+]?[0-9]{1,21}") {
            prop_assert_eq!(integer(cell.as_bytes()).ok(), cell.parse::<i64>().ok());
        }
    }
}
