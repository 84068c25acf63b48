//! Sizes as people write them: `8GB`, `512 MiB`, and back again.

/// Parses a size in bytes: a number, then optionally `B`, `KB`, `MB`, `GB`, `TB` (powers of 1,000) or
/// `KiB`, `MiB`, `GiB`, `TiB` (powers of 1,024). `8G` means `8GB`.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let wrong = || {
        format!(
            "`{text}` is not a size; write a number with KB, MB, GB, TB, KiB, MiB, GiB or TiB, such as `8GB`"
        )
    };
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let bytes = scaled(number, factor).ok_or_else(wrong)?;
    if bytes == 0 {
        return Err(format!(
            "`{text}` is no memory at all; give a size above zero, such as `8GB`"
        ));
    }
    usize::try_from(bytes).map_err(|_| format!("`{text}` is more than this computer can address"))
}

/// `number × factor` in whole bytes, exact for decimals such as `1.5`.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part = if fraction.is_empty() {
        0
    } else {
        let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
        u64::try_from(u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / scale)
            .ok()?
    };
    whole.checked_mul(factor)?.checked_add(part)
}

/// Bytes for people: `512 B`, `1.2 MB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut divisor = 1_000u128;
    let mut unit = 0;
    // 999,950 would print as `1000.0 KB`: go one unit up where rounding reaches it.
    while unit + 1 < UNITS.len() && (u128::from(bytes) * 10 + divisor / 2) / divisor >= 10_000 {
        divisor *= 1_000;
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10 + divisor / 2) / divisor;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A count with thousands separators: `1,234,567`.
pub(crate) fn human_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration for people: `12 ms`, `3.4 s`, `2 min 05 s`.
pub(crate) fn human_time(time: std::time::Duration) -> String {
    let millis = time.as_millis();
    if millis < 1_000 {
        format!("{millis} ms")
    } else if millis < 60_000 {
        format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
    } else {
        format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1_000)
    }
}

/// `1 row`, `2 rows`: a count with its noun.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        human_count(count),
        if count == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sizes_are_read_in_both_systems() {
        assert_eq!(parse_size("8GB"), Ok(8_000_000_000));
        assert_eq!(parse_size("8g"), Ok(8_000_000_000));
        assert_eq!(parse_size("512 MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1.5KiB"), Ok(1_536));
        assert_eq!(parse_size("1000"), Ok(1_000));
    }

    #[test]
    fn a_wrong_size_says_what_to_write() {
        for wrong in [
            "",
            "GB",
            "8 gigs",
            "-1GB",
            "1.2.3GB",
            "8GBs",
            ".5GB",
            "99999999999999TB",
        ] {
            let message = parse_size(wrong).expect_err(wrong);
            assert!(message.contains("such as `8GB`"), "{wrong}: {message}");
        }
        assert!(parse_size("0MB").expect_err("zero").contains("above zero"));
    }

    #[test]
    fn bytes_counts_and_times_read_well() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1_250_000), "1.3 MB");
        assert_eq!(human_bytes(999_960), "1.0 MB");
        assert_eq!(human_count(1), "1");
        assert_eq!(human_count(1_234_567), "1,234,567");
        assert_eq!(human_time(Duration::from_millis(12)), "12 ms");
        assert_eq!(human_time(Duration::from_millis(3_456)), "3.4 s");
        assert_eq!(human_time(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(plural(1, "row"), "1 row");
        assert_eq!(plural(2_000, "row"), "2,000 rows");
    }
}
