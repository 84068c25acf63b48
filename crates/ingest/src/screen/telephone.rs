//! Telephone numbers: Korean ones, those of North America, and any with a country.

use super::groups::{
    Group, Joint, MIDDLE_DOT, Run, goes_on, is_alone, is_list, is_said, joint_behind,
};
use super::numbers::Numbers;

/// Words that say that such a number follows.
const WORDS: [&str; 14] = [
    "연락처",
    "전화",
    "핸드폰",
    "휴대",
    "폰번호",
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
/// Words that say so before mobile numbers: any number has them.
const MOBILE_WORDS: [&str; 1] = ["번호는"];
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
        4 => {
            if with_country(run, newest) {
                sure(found);
            }
            triple(run, newest, found);
        }
        5 | 6 => other_groups(run, newest, found),
        7 | 8 => pair(run, newest, found),
        9..=12 => match newest.digits {
            [b'8', b'2', rest @ ..] if rest.len() == 10 && is_short_mobile(&rest[..2]) => {
                bare(run, newest, newest.end, found);
            }
            digits if is_bare_mobile(digits) => bare(run, newest, newest.end, found),
            digits if is_bare(digits) && is_said_alone(run, newest, newest.end, &WORDS) => {
                sure(found);
            }
            _ => {}
        },
        _ => {}
    }
}

fn sure(found: &mut Numbers) {
    found.telephone = true;
    found.sure_telephone = true;
}

/// `010-****-5678`, `010-1234-****`.
pub(super) fn is_masked(text: &[u8], start: usize) -> bool {
    if !text[start..].starts_with(b"01") {
        return false;
    }
    let is_sign = |byte: u8| matches!(byte, b'*' | b'X' | b'x' | b'#');
    let is_between = |byte: u8| matches!(byte, b'-' | b'.' | b')' | b' ');
    let end = text[start..]
        .iter()
        .position(|byte| !(byte.is_ascii_digit() || is_sign(*byte) || is_between(*byte)));
    let number = &text[start..end.map_or(text.len(), |end| start + end)];
    let mut parts = number.split(|byte| is_between(*byte));
    let (Some(first), Some(second), Some(third)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let hidden = |part: &[u8]| part.iter().all(|byte| is_sign(*byte));
    let shown = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    is_mobile(first)
        && matches!(second.len(), 3 | 4)
        && third.len() == 4
        && ((hidden(second) && shown(third)) || (shown(second) && hidden(third)))
        && matches!(
            Run::new(text, start).newest().joint,
            Joint::Free | Joint::Word
        )
}

/// Whether the number behind a `+` is one with a country.
pub(super) fn is_abroad(text: &[u8], start: usize) -> bool {
    let mut run = Run::new(text, start);
    let (mut total, mut groups, mut end) = (0, 0, start);
    // Lengths and degrees with a sign are fractions.
    let mut is_fraction;
    loop {
        let newest = run.newest();
        total += newest.digits.len();
        groups += 1;
        end = end.max(newest.end);
        is_fraction = groups == 2 && newest.separator == b'.';
        if !run.advance() || is_list(run.newest().separator) || run.newest().separator == b'\n' {
            break;
        }
        if is_loose(run.newest().separator) && run.newest().separator != b' ' {
            return false;
        }
    }
    let mut others = text[start + 1..]
        .iter()
        .filter(|byte| byte.is_ascii_digit());
    // All of North America is 1, and its areas begin with 2 and more.
    let is_country =
        text[start] != b'1' || (total == 11 && others.next().is_some_and(|digit| *digit >= b'2'));
    groups <= MOST_GROUPS
        && is_country
        && !is_fraction
        && ABROAD.contains(&total)
        && joint_behind(text, end) == Joint::Free
}

/// Days, fractions and lists have these, and telephone numbers other than Korean mobiles hardly.
fn is_loose(separator: u8) -> bool {
    matches!(separator, b' ' | b'\n' | b'/' | b'_' | b'~' | MIDDLE_DOT) || is_list(separator)
}

/// `010-1234-5678`, `02-123-4567`, `0505-123-4567`, `(212) 555-0123`.
fn triple(run: &Run<'_>, third: &Group<'_>, found: &mut Numbers) {
    let (Some(first), Some(second)) = (run.back(2), run.back(1)) else {
        return;
    };
    let text = run.text();
    let behind = joint_behind(text, third.end);
    let free = first.joint == Joint::Free && behind == Joint::Free;
    let separators = [second.separator, third.separator];
    if !is_telephone(first.digits, second.digits) {
        // `128-922-6712` has the shape alone.
        found.american.alike |= free
            && (first.digits.len(), second.digits.len()) == (3, 3)
            && separators.iter().all(|sign| matches!(sign, b'-' | b'.'));
        return;
    }
    let said = || is_said(text, first.start, &WORDS);
    if is_mobile(first.digits) {
        let is_one = if separators
            .iter()
            .any(|sign| is_list(*sign) || *sign == b'\n')
        {
            let near = second.start == first.end + 1 && third.start == second.end + 1;
            free && near && is_alone(text, first, third.end)
        } else {
            free || (!is_loose(second.separator) && may_hang(text, first, third.end))
        };
        // All of 010 have eight digits more: subjects of trials are numbered by a site and a count.
        if is_one && (first.digits != b"010" || second.digits.len() == 4 || said()) {
            sure(found);
        }
        return;
    }
    let hangs = first.joint == Joint::Free || has_letters(text, first.start);
    let apart = separators
        .iter()
        .any(|sign| is_list(*sign) || matches!(sign, b'~' | b'\n'));
    let spaced = is_loose(second.separator) && (second.separator != b' ' || !said());
    if !hangs || behind != Joint::Free || apart || spaced {
        return;
    }
    if first.digits.len() == 3 && first.digits[0] != b'0' {
        american(run, first, second, found);
    } else if !is_year(first.digits, second.digits) || said() {
        sure(found);
    }
}

/// A number of North America, which a column of codes has by chance: the column tells, where no word or bracket does.
fn american(run: &Run<'_>, first: &Group<'_>, second: &Group<'_>, found: &mut Numbers) {
    let text = run.text();
    found.telephone = true;
    found.american.alike = true;
    found.american.fits |= is_area(first.digits) && !second.digits.ends_with(b"11");
    let bracket = first.start > 0 && text[first.start - 1] == b'(';
    let country = run.back(3).is_some_and(|country| country.digits == b"1");
    if bracket || country || has_letters(text, first.start) || is_said(text, first.start, &WORDS) {
        sure(found);
    }
}

/// `031-2024-0001`: documents are numbered by a department, a year and a count. Only in Seoul do numbers begin like years.
fn is_year(first: &[u8], second: &[u8]) -> bool {
    first[0] == b'0' && first != b"02" && matches!(second, [b'1', b'9', _, _] | [b'2', b'0', _, _])
}

/// `010-12-345678`, `010-123-45678`.
fn other_groups(run: &Run<'_>, third: &Group<'_>, found: &mut Numbers) {
    let (Some(first), Some(second)) = (run.back(2), run.back(1)) else {
        return;
    };
    let hyphens = second.separator == b'-' && third.separator == b'-';
    let ends = !goes_on(run.text(), third.end);
    if ends && first.digits == b"010" && second.digits.len() + third.digits.len() == 8 && hyphens {
        bare(run, first, third.end, found);
    }
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
        .any(|group| is_list(group.separator) || group.separator == b'\n');
    area && !listed
        && matches!(second.digits.len(), 3 | 4)
        && country.joint == Joint::Free
        && joint_behind(run.text(), fourth.end) == Joint::Free
}

/// `010-12345678`, `(010)12345678`, `010 12345678`.
fn pair(run: &Run<'_>, second: &Group<'_>, found: &mut Numbers) {
    let Some(first) = run.back(1).filter(|first| is_mobile(first.digits)) else {
        with_short_country(run, second, found);
        return;
    };
    if second.digits.len() == 7 && first.digits == b"010" {
        return;
    }
    match second.separator {
        b'-' | b')' | b'.' if may_hang(run.text(), first, second.end) => sure(found),
        b' ' if !is_day(second.digits) => bare(run, first, second.end, found),
        _ => {}
    }
}

/// `82-10-12345678`.
fn with_short_country(run: &Run<'_>, last: &Group<'_>, found: &mut Numbers) {
    let (Some(country), Some(first)) = (run.back(2), run.back(1)) else {
        return;
    };
    let near = [first, last].iter().all(|group| !is_loose(group.separator));
    if near
        && country.digits == b"82"
        && is_short_mobile(first.digits)
        && (first.digits != b"10" || last.digits.len() == 8)
        && country.joint == Joint::Free
        && joint_behind(run.text(), last.end) == Joint::Free
    {
        sure(found);
    }
}

/// Digits that could be a mobile number, and are one where a word says so.
fn bare(run: &Run<'_>, first: &Group<'_>, end: usize, found: &mut Numbers) {
    let said = |words| is_said_alone(run, first, end, words);
    if said(&WORDS) || said(&MOBILE_WORDS) {
        sure(found);
    } else if first.joint == Joint::Free && joint_behind(run.text(), end) == Joint::Free {
        found.bare_telephone = true;
    }
}

/// Whether a word says that a number is one, and nothing else goes on with it.
fn is_said_alone(run: &Run<'_>, first: &Group<'_>, end: usize, words: &[&str]) -> bool {
    let before = matches!(first.joint, Joint::Free | Joint::Word | Joint::Letter);
    before
        && matches!(joint_behind(run.text(), end), Joint::Free | Joint::Word)
        && is_said(run.text(), first.start, words)
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

/// As behind the country.
fn is_short_mobile(first: &[u8]) -> bool {
    matches!(first, [b'1', b'0' | b'1' | b'6'..=b'9'])
}

/// `0311234567`, `2125550123`: any number may be one of these.
fn is_bare(digits: &[u8]) -> bool {
    match digits {
        [b'0', b'2', ..] => matches!(digits.len(), 9 | 10),
        [b'0', b'3'..=b'7', ..] => matches!(digits.len(), 10 | 11),
        [area @ .., b'2'..=b'9', _, _, _, _, _, _] if digits.len() == 10 => is_area(area),
        _ => false,
    }
}

/// Area codes of North America, those of free calls, and 555, which examples have.
const AREAS: [u16; 457] = [
    201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220,
    223, 224, 225, 226, 227, 228, 229, 231, 234, 235, 236, 239, 240, 242, 246, 248, 249, 250, 251,
    252, 253, 254, 256, 257, 260, 262, 263, 264, 267, 268, 269, 270, 272, 274, 276, 279, 281, 283,
    284, 289, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318,
    319, 320, 321, 323, 324, 325, 326, 327, 329, 330, 331, 332, 334, 336, 337, 339, 340, 341, 343,
    345, 346, 347, 350, 351, 352, 353, 354, 357, 360, 361, 363, 364, 365, 367, 368, 369, 380, 382,
    385, 386, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 416, 417, 418,
    419, 423, 424, 425, 428, 430, 431, 432, 434, 435, 436, 437, 438, 440, 441, 442, 443, 445, 447,
    448, 450, 456, 458, 463, 464, 468, 469, 470, 472, 473, 474, 475, 478, 479, 480, 484, 501, 502,
    503, 504, 505, 506, 507, 508, 509, 510, 512, 513, 514, 515, 516, 517, 518, 519, 520, 530, 531,
    534, 539, 540, 541, 548, 551, 555, 557, 559, 561, 562, 563, 564, 567, 570, 571, 572, 573, 574,
    575, 579, 580, 581, 582, 584, 585, 586, 587, 601, 602, 603, 604, 605, 606, 607, 608, 609, 610,
    612, 613, 614, 615, 616, 617, 618, 619, 620, 621, 623, 624, 626, 628, 629, 630, 631, 636, 639,
    640, 641, 645, 646, 647, 649, 650, 651, 656, 657, 658, 659, 660, 661, 662, 664, 667, 669, 670,
    671, 672, 678, 679, 680, 681, 682, 683, 684, 686, 689, 701, 702, 703, 704, 705, 706, 707, 708,
    709, 712, 713, 714, 715, 716, 717, 718, 719, 720, 721, 724, 725, 726, 727, 728, 730, 731, 732,
    734, 737, 738, 740, 742, 743, 747, 753, 754, 757, 758, 760, 762, 763, 765, 767, 769, 770, 771,
    772, 773, 774, 775, 778, 779, 780, 781, 782, 784, 785, 786, 787, 800, 801, 802, 803, 804, 805,
    806, 807, 808, 809, 810, 812, 813, 814, 815, 816, 817, 818, 819, 820, 821, 825, 826, 828, 829,
    830, 831, 832, 833, 835, 837, 838, 839, 840, 843, 844, 845, 847, 848, 849, 850, 854, 855, 856,
    857, 858, 859, 860, 861, 862, 863, 864, 865, 866, 867, 868, 869, 870, 872, 873, 876, 877, 878,
    879, 888, 901, 902, 903, 904, 905, 906, 907, 908, 909, 910, 912, 913, 914, 915, 916, 917, 918,
    919, 920, 924, 925, 928, 929, 930, 931, 934, 936, 937, 938, 939, 940, 941, 942, 943, 945, 947,
    948, 949, 951, 952, 954, 956, 959, 970, 971, 972, 973, 975, 978, 979, 980, 983, 984, 985, 986,
    989,
];

fn is_area(digits: &[u8]) -> bool {
    let value = |value, digit: &u8| value * 10 + u16::from(digit - b'0');
    AREAS.binary_search(&digits.iter().fold(0, value)).is_ok()
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
        // A country and a mobile number without its zero.
        [b'8', b'2', rest @ ..] if is_short_mobile(rest) => second.len() == 4,
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
