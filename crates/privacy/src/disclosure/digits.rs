//! Numbers with fewer digits.

/// A number with so many significant digits.
pub(crate) fn digits(number: f64, digits: i32) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let places = digits - 1 - exponent(number);
    decimals(number, places)
}

/// A number with so many decimals; fewer than none round to tens, hundreds and so on.
pub(crate) fn decimals(number: f64, places: i32) -> f64 {
    if places >= 0 {
        let places = usize::try_from(places.min(300)).unwrap_or(0);
        // Through text, so that 41.3 is the number that is written so.
        return format!("{number:.places$}").parse().unwrap_or(number);
    }
    let step = 10_f64.powi(-places);
    (number / step).round() * step
}

/// The power of ten of a number's first digit.
pub(crate) fn exponent(number: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a finite number is below 400"
    )]
    let exponent = number.abs().log10().floor() as i32;
    exponent
}
