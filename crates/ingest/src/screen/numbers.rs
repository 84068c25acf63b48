//! Numbers that name a person: Korean resident registration numbers and telephone numbers, within a text.

use super::groups::{Extent, Run};
use super::{registration, telephone};

/// What numbers a text holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// A resident registration number as it is written, `YYMMDD-SNNNNNN`.
    pub(super) registration: bool,
    /// One for which more speaks than its shape: a word, or signs that hide a part.
    pub(super) sure_registration: bool,
    /// Digits that are written as one, by their shape.
    pub(super) written: [Written; registration::SHAPES],
    /// Thirteen digits that could be one: a birth date, and a digit for century and sex.
    pub(super) bare_registration: bool,
    /// Such digits whose last one checks. Numbers issued since October 2020 are random there, so that this is a hint.
    pub(super) checks: bool,
    /// The birth and the sex alone, `YYMMDD-S`, as codes are written, too.
    pub(super) partial_registration: bool,
    /// A telephone number with its separators, or with a country.
    pub(super) telephone: bool,
    /// One for which more speaks than the shape of those of North America.
    pub(super) sure_telephone: bool,
    /// Digits that are written as one of North America.
    pub(super) american: Written,
    /// Digits that could be a Korean mobile number.
    pub(super) bare_telephone: bool,
}

/// What numbers of one shape are: codes of things have it, too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// The shape alone.
    pub(super) alike: bool,
    /// It may be a number of somebody.
    pub(super) fits: bool,
    /// Its last digit checks.
    pub(super) checks: bool,
}

/// The digits of a registration number that is hidden behind the birth; telephone numbers have more.
pub(super) const FEWEST_DIGITS: usize = 6;

/// Looks for numbers in a text.
pub(super) fn numbers(text: &[u8]) -> Numbers {
    let mut found = Numbers::default();
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let extent = Extent::new(text, at);
        let abroad = at > 0 && text[at - 1] == b'+';
        if (abroad && extent.digits > FEWEST_DIGITS && telephone::is_abroad(text, at))
            || telephone::is_masked(text, at)
        {
            found.telephone = true;
            found.sure_telephone = true;
        }
        if !may_hold(text, &extent) {
            at = extent.end;
            continue;
        }
        let mut run = Run::new(text, at);
        loop {
            registration::judge(&run, &mut found);
            telephone::judge(&run, &mut found);
            if !run.advance() {
                break;
            }
        }
        at = run.newest().end;
    }
    found
}

/// Whether a run may hold any such number but one with a country. Days, times, values and most codes may not.
fn may_hold(text: &[u8], extent: &Extent) -> bool {
    match extent.digits {
        FEWEST_DIGITS => {
            extent.longest == FEWEST_DIGITS && matches!(text.get(extent.end), Some(b'-' | b' '))
        }
        // A birth and one or two more.
        7..=8 => extent.longest >= 6,
        // Telephone numbers end with four.
        9.. => extent.longest >= 4,
        _ => false,
    }
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
