//! Numbers as journals ask: a few digits, no false precision, intervals with an en dash or "to".

use crate::findings::{Interval, Num};

/// What stands for a number that is not known.
const NONE: &str = "–";

/// A count with thousands apart.
pub(crate) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With so many decimals, the sign as a minus.
pub(crate) fn fixed(number: f64, decimals: usize) -> String {
    if number.is_nan() {
        return NONE.to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "∞".to_owned()
        } else {
            "−∞".to_owned()
        };
    }
    let text = format!("{number:.decimals$}");
    // Not a minus before nothing.
    let text = match text.strip_prefix('-') {
        Some(rest) if rest.chars().any(|c| c.is_ascii_digit() && c != '0') => format!("−{rest}"),
        Some(rest) => rest.to_owned(),
        None => text,
    };
    match text.split_once('.') {
        None => grouped(&text),
        Some((integer, fraction)) => format!("{}.{fraction}", grouped(integer)),
    }
}

fn grouped(integer: &str) -> String {
    let (sign, digits) = integer
        .strip_prefix('−')
        .map_or(("", integer), |rest| ("−", rest));
    digits.parse().map_or_else(
        |_| integer.to_owned(),
        |number| format!("{sign}{}", whole(number)),
    )
}

/// About three digits.
pub(crate) fn plain(number: f64) -> String {
    let size = number.abs();
    if size >= 100.0 || number.fract() == 0.0 {
        fixed(number, 0)
    } else if size >= 10.0 {
        fixed(number, 1)
    } else if size >= 0.1 || size == 0.0 {
        fixed(number, 2)
    } else {
        fixed(number, 4)
    }
}

/// A ratio: two decimals, fewer where it is large.
pub(crate) fn ratio(number: Num) -> String {
    let size = number.get();
    if size >= 1000.0 {
        ">1,000".to_owned()
    } else if size >= 100.0 {
        fixed(size, 0)
    } else if size >= 10.0 {
        fixed(size, 1)
    } else if size < 0.005 && size > 0.0 {
        "<0.01".to_owned()
    } else {
        fixed(size, 2)
    }
}

/// A ratio with its interval.
pub(crate) fn ratio_interval(interval: Interval) -> String {
    if interval.value.get().is_nan() {
        return NONE.to_owned();
    }
    format!(
        "{} ({} to {})",
        ratio(interval.value),
        ratio(interval.lower),
        ratio(interval.upper)
    )
}

/// A number with its interval, so many decimals.
pub(crate) fn interval(interval: Interval, decimals: usize) -> String {
    if interval.value.get().is_nan() {
        return NONE.to_owned();
    }
    format!(
        "{} ({} to {})",
        fixed(interval.value.get(), decimals),
        fixed(interval.lower.get(), decimals),
        fixed(interval.upper.get(), decimals)
    )
}

/// Days as years of 365.25 days.
pub(crate) fn years(days: u64) -> String {
    fixed(crate::steps::float(days) / 365.25, 0)
}

/// A share in percent with its interval.
pub(crate) fn percent_interval(share: Interval) -> String {
    let hundred = |number: Num| Num(number.get() * 100.0);
    let percent = Interval {
        value: hundred(share.value),
        lower: hundred(share.lower),
        upper: hundred(share.upper),
    };
    if percent.value.get().is_nan() {
        return NONE.to_owned();
    }
    format!(
        "{}% ({} to {})",
        fixed(percent.value.get(), 1),
        fixed(percent.lower.get(), 1),
        fixed(percent.upper.get(), 1)
    )
}

/// A p-value: two digits, three below 0.1, never 0.
pub(crate) fn p(value: Num) -> String {
    let value = value.get();
    if value.is_nan() {
        NONE.to_owned()
    } else if value < 0.001 {
        "<0.001".to_owned()
    } else if value < 0.1 {
        fixed(value, 3)
    } else if value > 0.99 {
        ">0.99".to_owned()
    } else {
        fixed(value, 2)
    }
}

/// "p < 0.001" or "p = 0.04".
pub(crate) fn p_words(value: Num) -> String {
    let text = p(value);
    match text.strip_prefix(['<', '>']) {
        Some(rest) => format!("p {} {rest}", &text[..1]),
        None => format!("p = {text}"),
    }
}

/// Days as years where that reads better.
pub(crate) fn days(days: i64) -> String {
    match days {
        1 => "1 day".to_owned(),
        days if days >= 365 && days % 365 < 4 => {
            let years = days / 365;
            if years == 1 {
                "1 year".to_owned()
            } else {
                format!("{years} years")
            }
        }
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_journals() {
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-1234.5, 1), "−1,234.5");
        assert_eq!(
            ratio_interval(Interval::new(0.7, 0.554, 0.888)),
            "0.70 (0.55 to 0.89)"
        );
        assert_eq!(p_words(Num(0.0004)), "p < 0.001");
        assert_eq!(p_words(Num(0.0412)), "p = 0.041");
        assert_eq!(p_words(Num(0.412)), "p = 0.41");
        assert_eq!(days(1095), "3 years");
        assert_eq!(days(30), "30 days");
    }
}
