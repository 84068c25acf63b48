//! Numbers that name a person: Korean resident registration numbers and telephone numbers, within a text.

/// What numbers a text holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// A resident registration number as it is written, `YYMMDD-SNNNNNN`.
    pub(super) registration: bool,
    /// Thirteen digits that could be one: a birth date, and a digit for century and sex.
    pub(super) bare_registration: bool,
    /// Such digits whose last one checks. Numbers issued since October 2020 are random there, so that this is a hint.
    pub(super) checks: bool,
    /// A telephone number with its separators, or with a country.
    pub(super) telephone: bool,
    /// Digits that could be a Korean mobile number.
    pub(super) bare_telephone: bool,
}

/// Groups of digits that are told from each other by separators: two days and a number are ten.
const MOST_GROUPS: usize = 12;

/// `·`, which stands between numbers in Korean texts.
const MIDDLE_DOT: &[u8] = "\u{b7}".as_bytes();

/// Looks for numbers in a text.
pub(super) fn numbers(text: &[u8]) -> Numbers {
    let mut found = Numbers::default();
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (end, groups) = groups(text, at);
        let before = at.checked_sub(1).map(|before| text[before]);
        let abroad = before == Some(b'+');
        let joined = |byte: Option<u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if !joined(before) && !joined(text.get(end).copied()) {
            judge(&groups, abroad, &mut found);
            // `900101-1******` still says when somebody was born, and the sex.
            if let [.., first, [sex]] = &groups.digits[..groups.count]
                && first.len() == 6
                && groups.separators[groups.count - 1] == b'-'
                && text[end..].starts_with(b"***")
            {
                registration(first, std::slice::from_ref(sex), true, &mut found);
            }
        }
        at = end.max(at + 1);
    }
    found
}

#[derive(Debug, Default)]
struct Groups<'a> {
    digits: [&'a [u8]; MOST_GROUPS],
    /// What stands before each group.
    separators: [u8; MOST_GROUPS],
    count: usize,
    /// There were more groups than a telephone number has.
    more: bool,
}

/// Groups of digits from here on, and where they end.
fn groups(text: &[u8], start: usize) -> (usize, Groups<'_>) {
    let mut groups = Groups::default();
    let mut at = start;
    let mut separator = 0;
    loop {
        let begin = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if groups.count < MOST_GROUPS {
            groups.digits[groups.count] = &text[begin..at];
            groups.separators[groups.count] = separator;
            groups.count += 1;
        } else {
            groups.more = true;
        }
        separator = text.get(at).copied().unwrap_or(0);
        let mut next = at;
        while text
            .get(next)
            .is_some_and(|byte| matches!(byte, b'-' | b'.' | b'(' | b')' | b' ' | b'/' | b'_'))
            || text[next..].starts_with(MIDDLE_DOT)
        {
            next += if text[next] == MIDDLE_DOT[0] { 2 } else { 1 };
        }
        // A hyphen may have a space on both sides.
        let apart = if &text[at..next] == b" - " {
            separator = b'-';
            1
        } else {
            next - at
        };
        let breaks = next == at || apart > 2 || !text.get(next).is_some_and(u8::is_ascii_digit);
        if breaks {
            return (at, groups);
        }
        at = next;
    }
}

fn judge(groups: &Groups<'_>, abroad: bool, found: &mut Numbers) {
    let digits = &groups.digits[..groups.count];
    let total: usize = digits.iter().map(|group| group.len()).sum();
    // Days and fractions have these, and telephone numbers other than Korean mobiles hardly.
    let loose = |separator: &u8| matches!(separator, b' ' | b'/' | b'_' | 0x80..);
    let slashed = groups.separators[..groups.count]
        .iter()
        .any(|separator| *separator != b' ' && loose(separator));
    if abroad && !groups.more && !slashed && (9..=15).contains(&total) {
        found.telephone = true;
    }
    for (at, group) in digits.iter().enumerate() {
        if group.len() == 13 {
            registration(group, &[], false, found);
        }
        if is_bare_mobile(group) {
            found.bare_telephone = true;
        }
        if let Some(second) = digits.get(at + 1)
            && group.len() == 6
            && second.len() == 7
        {
            registration(group, second, groups.separators[at + 1] == b'-', found);
        }
        if let [first, second, third, ..] = &digits[at..]
            && is_telephone(first, second, third)
            && (!loose(&groups.separators[at + 1]) || is_mobile(first))
        {
            found.telephone = true;
        }
        // `010-12345678`, `(010)12345678`.
        if let Some(second) = digits.get(at + 1)
            && is_mobile(group)
            && (second.len() == 8 || second.len() == 7 && *group != b"010")
            && matches!(groups.separators[at + 1], b'-' | b')' | b'.')
        {
            found.telephone = true;
        }
        if let [country, first, second, third, ..] = &digits[at..]
            && *country == b"82"
            && matches!(first, [b'1', b'0' | b'1' | b'6'..=b'9'])
            && matches!(second.len(), 3 | 4)
            && third.len() == 4
        {
            found.telephone = true;
        }
    }
}

fn is_mobile(first: &[u8]) -> bool {
    matches!(first, [b'0', b'1', b'0' | b'1' | b'6'..=b'9'])
}

fn is_bare_mobile(group: &[u8]) -> bool {
    match group {
        [b'0', b'1', b'0', ..] => group.len() == 11,
        [b'0', b'1', b'1' | b'6'..=b'9', ..] => matches!(group.len(), 10 | 11),
        _ => false,
    }
}

/// `010-1234-5678`, `02-123-4567`, `031-123-4567`, or `(212) 555-0123`.
fn is_telephone(first: &[u8], second: &[u8], third: &[u8]) -> bool {
    if third.len() != 4 || !matches!(second.len(), 3 | 4) {
        return false;
    }
    match first {
        [b'0', b'2'] => true,
        [b'0', b'3'..=b'7', b'0'..=b'9'] => true,
        first if is_mobile(first) => true,
        [b'2'..=b'9', _, _] => second.len() == 3 && matches!(second.first(), Some(b'2'..=b'9')),
        _ => false,
    }
}

fn registration(first: &[u8], rest: &[u8], written: bool, found: &mut Numbers) {
    let mut digits = [0_u32; 13];
    let all = first
        .iter()
        .chain(rest)
        .map(|digit| u32::from(digit - b'0'));
    for (slot, digit) in digits.iter_mut().zip(all) {
        *slot = digit;
    }
    if !is_birth(&digits) {
        return;
    }
    if written {
        found.registration = true;
    } else if let Some(checks) = bare_registration(&digits) {
        found.bare_registration = true;
        found.checks |= checks;
    }
}

/// Whether thirteen digits may be a registration number, and then, whether the last one checks.
pub(super) fn bare_registration(digits: &[u32; 13]) -> Option<bool> {
    // 0 and 9 are for births of the nineteenth century, and in thirteen bare digits for nobody alive.
    (is_birth(digits) && (1..=8).contains(&digits[6])).then(|| checks(digits))
}

/// Whether the first six digits are a day.
fn is_birth(digits: &[u32; 13]) -> bool {
    let month = digits[2] * 10 + digits[3];
    let day = digits[4] * 10 + digits[5];
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 29,
        _ => 0,
    };
    (1..=longest).contains(&day)
}

/// The last digit follows from the others. Foreigners' numbers follow the same rule with two added.
fn checks(digits: &[u32; 13]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = digits
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let last = (11 - sum % 11) % 10;
    let foreign = (13 - sum % 11) % 10;
    digits[12] == last || ((5..=8).contains(&digits[6]) && digits[12] == foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Numbers {
        numbers(text.as_bytes())
    }

    #[test]
    fn registration_numbers_as_they_are_written() {
        for text in [
            "900101-1234567",
            "주민번호 900101-1234567 입니다",
            "000229-3123456",
            "(751231-2999999)",
            "850630-5123456",
            "900101 - 1234567",
            "900101-1******",
        ] {
            assert!(of(text).registration, "{text}");
        }
        for text in [
            "901301-1234567",
            "900132-1234567",
            "900431-1234567",
            "1900101-1234567",
            "900101-12345678",
            "A900101-1234567",
            "900101-123456",
            "901301-1******",
            "123456-1 **",
            "2019-01-01",
        ] {
            assert!(!of(text).registration, "{text}");
        }
    }

    #[test]
    fn bare_digits_are_possible_and_the_last_is_a_hint() {
        // Sum 2·9+3·0+4·0+5·1+6·0+7·1+8·1+9·2+2·3+3·4+4·5+5·6 = 124, 124 mod 11 = 3, 11 − 3 = 8.
        let checked = of("9001011234568");
        assert!(checked.bare_registration && checked.checks && !checked.registration);
        // Between the parts of other numbers stand such signs as well.
        for text in [
            "900101 1234568",
            "900101/1234568",
            "900101.1234568",
            "900101_1234568",
            "900101\u{b7}1234568",
        ] {
            let found = of(text);
            assert!(found.bare_registration && found.checks, "{text}");
            assert!(!found.registration && !found.telephone, "{text}");
        }
        let unchecked = of("9001011234567");
        assert!(unchecked.bare_registration && !unchecked.checks);
        assert_eq!(of("9913011234568"), Numbers::default());
        assert_eq!(of("90010112345681"), Numbers::default());
    }

    #[test]
    fn telephone_numbers() {
        for text in [
            "010-1234-5678",
            "T.02-123-4567",
            "031)123-4567",
            "+82 10 1234 5678",
            "+1 (212) 555-0123",
            "(212) 555-0123",
            "call 212-555-0123 today",
            "보호자 010.1234.5678",
            "010 1234 5678",
            "011 234 5678",
            "82-10-1234-5678",
            "010 - 1234 - 5678",
            "010-12345678",
            "(010)12345678",
            "011-2345678",
            "010/1234/5678",
            "01/02/2020 01/05/2020 010-1234-5678",
        ] {
            assert!(of(text).telephone, "{text}");
        }
        assert!(of("01012345678").bare_telephone);
        for text in [
            "2020-01-02 10:20:30",
            "12345-6",
            "0003-0894-21",
            "55513-710-01",
            "550e8400-e29b-41d4-a716-446655440000",
            "120 80 1234",
            "031 123 4567",
            "212 555 0123",
            "1.2.840.10008.1.2",
            "98.6",
            "E11.9",
            "031/123/4567",
            "212/555/0123",
            "010-1234567",
            "2020/01/02 10:20:30",
            "+2020/01/02/03",
        ] {
            assert_eq!(of(text), Numbers::default(), "{text}");
        }
    }
}
