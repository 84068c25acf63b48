//! Telephone numbers: Korean ones, those of North America, and any with a country.

use super::groups::{
    Group, Joint, MIDDLE_DOT, Run, goes_on, is_alone, is_list, is_said, joint_behind,
};
use super::numbers::Numbers;

/// Words that say that such a number follows.
const WORDS: [&str; 15] = [
    "연락처",
    "전화",
    "핸드폰",
    "휴대",
    "폰번호",
    "번호는",
    "☎",
    "☏",
    "tel",
    "phone",
    "mobile",
    "hp",
    "h.p",
    "cp",
    "fax",
];
/// Letters that are written right before such a number.
const LETTERS: [&str; 7] = ["t", "h", "p", "tel", "hp", "ph", "fax"];
/// Digits of numbers with a country.
const ABROAD: std::ops::RangeInclusive<usize> = 9..=15;
/// Groups of digits that a number has at most.
const MOST_GROUPS: usize = 12;

/// Looks for a number that ends with the newest group.
pub(super) fn judge(run: &Run<'_>, found: &mut Numbers) {
    let newest = run.newest();
    match newest.digits.len() {
        4 => found.telephone |= triple(run, newest) || with_country(run, newest),
        7 | 8 => pair(run, newest, found),
        10 | 11 if is_bare_mobile(newest.digits) => bare(run, newest, newest.end, found),
        _ => {}
    }
}

/// Whether the number behind a `+` is one with a country.
pub(super) fn is_abroad(text: &[u8], start: usize) -> bool {
    let mut run = Run::new(text, start);
    let mut total = run.newest().digits.len();
    let mut groups = 1;
    while run.advance() {
        let newest = run.newest();
        if is_list(newest.separator) {
            break;
        }
        if is_loose(newest.separator) && newest.separator != b' ' {
            return false;
        }
        total += newest.digits.len();
        groups += 1;
    }
    groups <= MOST_GROUPS
        && ABROAD.contains(&total)
        && joint_behind(text, run.newest().end) == Joint::Free
}

/// Days, fractions and lists have these, and telephone numbers other than Korean mobiles hardly.
fn is_loose(separator: u8) -> bool {
    matches!(separator, b' ' | b'/' | b'_' | b'~' | MIDDLE_DOT) || is_list(separator)
}

/// `010-1234-5678`, `02-123-4567`, `0505-123-4567`, `(212) 555-0123`.
fn triple(run: &Run<'_>, third: &Group<'_>) -> bool {
    let (Some(first), Some(second)) = (run.back(2), run.back(1)) else {
        return false;
    };
    if !is_telephone(first.digits, second.digits) {
        return false;
    }
    let text = run.text();
    let behind = joint_behind(text, third.end);
    let free = first.joint == Joint::Free && behind == Joint::Free;
    let separators = [second.separator, third.separator];
    if !is_mobile(first.digits) {
        let said = first.joint == Joint::Free || has_letters(text, first.start);
        let apart = separators
            .iter()
            .any(|sign| is_list(*sign) || *sign == b'~');
        return said && behind == Joint::Free && !apart && !is_loose(second.separator);
    }
    if separators.iter().any(|sign| is_list(*sign)) {
        let near = second.start == first.end + 1 && third.start == second.end + 1;
        return free && near && is_alone(text, first, third.end);
    }
    free || (!is_loose(second.separator) && may_hang(text, first, third.end))
}

/// `+82 10 1234 5678`, `0082-2-123-4567`.
fn with_country(run: &Run<'_>, fourth: &Group<'_>) -> bool {
    let (Some(country), Some(first), Some(second)) = (run.back(3), run.back(2), run.back(1)) else {
        return false;
    };
    let area = matches!(
        (country.digits, first.digits),
        (b"82" | b"0082", [b'1', b'0' | b'1' | b'6'..=b'9']) | (b"0082", [b'2'] | [b'3'..=b'7', _])
    );
    let listed = [first, second, fourth]
        .iter()
        .any(|group| is_list(group.separator));
    area && !listed
        && matches!(second.digits.len(), 3 | 4)
        && country.joint == Joint::Free
        && joint_behind(run.text(), fourth.end) == Joint::Free
}

/// `010-12345678`, `(010)12345678`, `010 12345678`.
fn pair(run: &Run<'_>, second: &Group<'_>, found: &mut Numbers) {
    let Some(first) = run.back(1).filter(|first| is_mobile(first.digits)) else {
        return;
    };
    if second.digits.len() == 7 && first.digits == b"010" {
        return;
    }
    match second.separator {
        b'-' | b')' | b'.' => {
            found.telephone |= may_hang(run.text(), first, second.end);
        }
        b' ' if !is_day(second.digits) => bare(run, first, second.end, found),
        _ => {}
    }
}

/// Digits that could be a mobile number, and are one where a word says so.
fn bare(run: &Run<'_>, first: &Group<'_>, end: usize, found: &mut Numbers) {
    let text = run.text();
    let behind = joint_behind(text, end);
    let before = matches!(first.joint, Joint::Free | Joint::Word | Joint::Letter);
    let said = before && is_said(text, first.start, &WORDS);
    if said && matches!(behind, Joint::Free | Joint::Word) {
        found.telephone = true;
    } else if first.joint == Joint::Free && behind == Joint::Free {
        found.bare_telephone = true;
    }
}

/// Letters may be right before a mobile number with its separators, and `_` on both sides; parts of codes are none, nor are those
/// of numbers to the base of sixteen.
fn may_hang(text: &[u8], first: &Group<'_>, end: usize) -> bool {
    let before = match first.joint {
        Joint::Free => true,
        Joint::Word => !goes_on(text, end),
        Joint::Letter => !goes_on(text, end) && !text[first.start - 1].is_ascii_hexdigit(),
        Joint::Hyphen | Joint::Chain => false,
    };
    before && matches!(joint_behind(text, end), Joint::Free | Joint::Word)
}

/// Whether the letters right before a place say that a telephone number follows.
fn has_letters(text: &[u8], at: usize) -> bool {
    let letters = text[..at].iter().rev();
    let count = letters
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let said = &text[at - count..at];
    LETTERS
        .iter()
        .any(|letters| said.eq_ignore_ascii_case(letters.as_bytes()))
}

/// `20240101`.
fn is_day(digits: &[u8]) -> bool {
    match digits {
        [b'1', b'9', _, _, month @ .., _, _] | [b'2', b'0', _, _, month @ .., _, _] => {
            matches!(month, [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2'])
        }
        _ => false,
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

/// Whether an area and the next digits are those of a telephone number, to which four more belong.
fn is_telephone(first: &[u8], second: &[u8]) -> bool {
    if !matches!(second.len(), 3 | 4) {
        return false;
    }
    match first {
        [b'0', b'2'] => true,
        [b'0', b'3'..=b'7', b'0'..=b'9'] => true,
        // Numbers for life and for safety, which hide others.
        [b'0', b'5', b'0', b'2'..=b'8'] => true,
        first if is_mobile(first) => true,
        [b'2'..=b'9', _, _] => second.len() == 3 && matches!(second.first(), Some(b'2'..=b'9')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{Numbers, numbers};
    use super::super::plain::plain;

    fn of(text: &str) -> Numbers {
        numbers(plain(text).as_bytes())
    }

    #[test]
    fn beside_letters_and_hyphens() {
        for text in [
            "HP010-1234-5678",
            "H.P010-1234-5678",
            "T010-1234-5678",
            "T02-123-4567",
            "tel031-123-4567",
            "010-1234-5678_김",
            "kim_010-1234-5678_a",
            "-010-1234-5678",
            "010-1234-5678-",
            "HP010-12345678",
            "B12 010-1234-5678",
        ] {
            assert!(of(text).telephone, "{text}");
        }
        for text in [
            "AB-010-1234-5678",
            "010-1234-5678-A1",
            "010-1234-5678AB",
            "A12-010-1234-5678-B",
            "LOT02-123-4567",
            "REF212-555-0123",
            "0e84a010-1234-4234-a716-446655440000",
            "550e8400-a010-4123-8123-446655440000",
            "X_010_1234_5678",
        ] {
            assert!(!of(text).telephone, "{text}");
        }
    }

    #[test]
    fn other_separators() {
        for text in [
            "010~1234~5678",
            "010\u{3161}1234\u{3161}5678",
            "010\u{2500}1234\u{2500}5678",
            "010,1234,5678",
            "010:1234:5678",
            "010\u{200b}-1234-5678",
            "010%2D1234%2D5678",
            "0082-10-1234-5678",
            "0082 2 123 4567",
            "0505-123-4567",
            "0505-1234-5678",
            "+82-10-1234-5678, 5 mg",
        ] {
            assert!(of(text).telephone, "{text}");
        }
        for text in [
            "1,010,1234,5678",
            "010, 1234, 5678",
            "c082-14e2-f019-2227-5091",
            "f019-2227-5091",
            "010,1234,5678,9",
            "a|010|1234|5678|b",
            "10:20:3000",
            "031,123,4567",
            "031~123~4567",
            "02:123:4567",
            "120~130~1400",
            "0505 123 4567",
            "82,10,1234,5678",
            "+820,300,4500,120",
        ] {
            assert_eq!(of(text), Numbers::default(), "{text}");
        }
    }

    #[test]
    fn bare_digits_where_words_say_so() {
        for text in [
            "연락처 01012345678",
            "환자 연락처: 01012345678 임",
            "HP01012345678",
            "Mobile 010 12345678",
            "보호자 전화번호 010 12345678",
        ] {
            assert!(of(text).telephone, "{text}");
        }
        let found = of("010 12345678");
        assert!(found.bare_telephone && !found.telephone);
        for text in [
            "010 20240131",
            "010 1234567",
            "RBC 5/hpf A01012345678",
            "X-01012345678",
            "전화 X-01012345678",
            "01012345678-1A",
            "02012345678",
        ] {
            assert_eq!(of(text), Numbers::default(), "{text}");
        }
        assert!(!of("HPV 01012345678").telephone);
    }
}
