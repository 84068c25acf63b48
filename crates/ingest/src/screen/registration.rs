//! Korean resident registration numbers: six digits of the birth, one for century and sex, and six more.

use super::groups::{Group, Joint, Run, goes_on, is_alone, is_list, is_said, joint_behind};
use super::numbers::Numbers;
use super::plain::plain;

/// Words that say that such a number follows.
const WORDS: [&str; 5] = ["주민", "외국인등록", "rrn", "jumin", "ssn"];
/// Words that say that the beginning of one follows, or a day alone.
const BIRTHS: [&str; 2] = ["생년월일", "dob"];
/// Years of two digits from here on are of the twentieth century, where a number must look like one of somebody alive.
const FIRST_YEAR: u32 = 30;
/// The last digit of a number given since 5 October 2020 is random, and so that of everyone born since.
const FIRST_RANDOM: u32 = 201_005;
/// Digits behind the hyphen.
const SERIAL: usize = 7;
/// Stars that stand for more digits, however many they are.
const STARS: usize = 3;

/// Shapes of numbers that are written as one, by their births: before that of [`RANDOM`] in this century, of the last one, and
/// since October 2020, when the last digit ceased to check.
pub(super) const SHAPES: usize = 3;
pub(super) const RANDOM: usize = 2;

/// Looks for a number that ends with the newest group.
pub(super) fn judge(run: &Run<'_>, found: &mut Numbers) {
    let newest = run.newest();
    match newest.digits.len() {
        13 => bare(run, newest, found),
        SERIAL => {
            pair(run, newest, found);
            dotted(run, newest, found);
            hidden_bare(run, newest, found);
        }
        1..=6 => {
            split(run, newest, found);
            hidden(run, newest, found);
            birth_alone(run, newest, found);
        }
        8..=12 => hidden_bare(run, newest, found),
        _ => {}
    }
}

/// Takes note of a number that is written as one, and is one where a word says so; else the column tells.
fn written(run: &Run<'_>, first: &Group<'_>, digits: &[u32; 13], found: &mut Numbers) {
    let written = &mut found.written[shape(digits)];
    written.alike = true;
    if is_birth(digits) {
        found.sure_registration |= is_said(run.text(), first.start, &WORDS);
        written.fits |= lives(digits);
        written.checks |= bare_registration(digits) == Some(true);
    }
}

/// `9001011234567`.
fn bare(run: &Run<'_>, group: &Group<'_>, found: &mut Numbers) {
    let digits = number(group.digits, &[]);
    if !is_birth(&digits) {
        return;
    }
    let text = run.text();
    let behind = joint_behind(text, group.end);
    // `9001011234567_홍길동.dcm`.
    let named =
        behind == Joint::Word && text.get(group.end + 1).is_some_and(|byte| !byte.is_ascii());
    let said = lives(&digits) && is_said(text, group.start, &WORDS);
    if said && matches!(behind, Joint::Free | Joint::Word) {
        sure(found);
    } else if group.joint == Joint::Free && (behind == Joint::Free || named) {
        perhaps(&digits, found);
    }
}

/// `900101-1234567`, with other separators, and with the year in full.
fn pair(run: &Run<'_>, second: &Group<'_>, found: &mut Numbers) {
    let Some(first) = run.back(1) else { return };
    let Some((birth, century)) = birth(first.digits) else {
        return;
    };
    let digits = number(birth, second.digits);
    let behind = joint_behind(run.text(), second.end);
    let free = first.joint == Joint::Free && behind == Joint::Free;
    let as_one = is_written(second);
    if !is_birth(&digits) {
        if century.is_none() && free && as_one {
            written(run, first, &digits, found);
        }
        return;
    }
    // Codes of specimens and orders begin with a letter and a day, or with a day of these years, as births do not.
    let code = matches!(first.joint, Joint::Letter | Joint::Chain) || behind == Joint::Chain;
    let listed = is_list(second.separator)
        && (second.start > first.end + 1 || !is_alone(run.text(), first, second.end));
    let said = || is_said(run.text(), first.start, &WORDS);
    match century {
        Some(century) if !second.hyphen || !is_of(&digits, century) => {}
        Some(_) if free && said() => sure(found),
        Some(19) => {
            found.registration = true;
            written(run, first, &digits, found);
        }
        Some(_) => perhaps(&digits, found),
        None if listed => {}
        None if (free && as_one) || (!code && lives(&digits) && second.hyphen) => {
            found.registration = true;
            written(run, first, &digits, found);
        }
        None if !code && lives(&digits) && said() => sure(found),
        None if free || second.hyphen => perhaps(&digits, found),
        None => {}
    }
}

/// Whether a hyphen is before it, and not a tilde.
fn is_written(second: &Group<'_>) -> bool {
    second.hyphen && second.separator != b'~'
}

/// `90.01.01-1234567`.
fn dotted(run: &Run<'_>, serial: &Group<'_>, found: &mut Numbers) {
    let (Some(year), Some(month), Some(day)) = (run.back(3), run.back(2), run.back(1)) else {
        return;
    };
    let apart = |group: &Group<'_>, before: &Group<'_>| {
        matches!(group.separator, b'.' | b'-' | b'/') && group.start == before.end + 1
    };
    let is_day = [year, month, day].iter().all(|part| part.digits.len() == 2)
        && apart(month, year)
        && apart(day, month)
        && month.separator == day.separator;
    if is_day && is_written(serial) {
        let parts = [year, month, day, serial].map(|part| part.digits);
        whole(run, year, serial.end, &parts.concat(), found);
    }
}

/// `900101-1-234567`, `900101-123 4567`.
fn split(run: &Run<'_>, third: &Group<'_>, found: &mut Numbers) {
    let (Some(first), Some(second)) = (run.back(2), run.back(1)) else {
        return;
    };
    let rest = second.digits.len() + third.digits.len();
    let together = matches!(third.separator, b'-' | b' ') && second.hyphen;
    if first.digits.len() == 6 && rest == SERIAL && together {
        let all = [first.digits, second.digits, third.digits].concat();
        whole(run, first, third.end, &all, found);
    }
}

/// A number whose parts are written apart.
fn whole(run: &Run<'_>, first: &Group<'_>, end: usize, all: &[u8], found: &mut Numbers) {
    let digits = number(all, &[]);
    if first.joint == Joint::Free && joint_behind(run.text(), end) == Joint::Free {
        found.registration |= is_birth(&digits) && lives(&digits);
        written(run, first, &digits, found);
    }
}

/// `9001011******`.
fn hidden_bare(run: &Run<'_>, group: &Group<'_>, found: &mut Numbers) {
    let digits = number(group.digits, &[]);
    let free = matches!(group.joint, Joint::Free | Joint::Word);
    let signs = signs(&run.text()[group.end..]);
    if free && signs == Some(13 - group.digits.len()) && is_birth(&digits) && lives(&digits) {
        sure(found);
    }
}

/// `900101-*******`: the birth stays.
fn birth_alone(run: &Run<'_>, first: &Group<'_>, found: &mut Numbers) {
    if first.digits.len() != 6 || !matches!(first.joint, Joint::Free | Joint::Word) {
        return;
    }
    let behind = run.text()[first.end..].trim_ascii_start();
    let hidden = behind.strip_prefix(b"-").map(<[u8]>::trim_ascii_start);
    if hidden.and_then(signs) == Some(SERIAL) && is_birth(&number(first.digits, &[])) {
        sure(found);
    }
}

fn sure(found: &mut Numbers) {
    found.registration = true;
    found.sure_registration = true;
}

/// `900101-1******`, `900101 1******`, `900101-12XXXXX`, `900101-1`: these still say when somebody was born, and the sex.
fn hidden(run: &Run<'_>, rest: &Group<'_>, found: &mut Numbers) {
    let Some(first) = run.back(1) else { return };
    let Some((birth, century)) = birth(first.digits) else {
        return;
    };
    let digits = number(birth, rest.digits);
    let code = matches!(first.joint, Joint::Letter | Joint::Chain);
    let of_century = century.is_none_or(|century| is_of(&digits, century));
    if code || !is_birth(&digits) || !of_century {
        return;
    }
    let behind = &run.text()[rest.end..];
    if !rest.hyphen {
        // Stars mark values, too: there are as many here as digits are hidden.
        if signs(behind) == Some(SERIAL - rest.digits.len()) && lives(&digits) {
            sure(found);
        }
    } else if is_masked(rest.digits.len(), behind) {
        if first.joint == Joint::Free || lives(&digits) {
            sure(found);
        }
    } else if rest.digits.len() == 1
        && first.joint == Joint::Free
        && joint_behind(run.text(), rest.end) == Joint::Free
        && !goes_on(run.text(), rest.end)
        && lives(&digits)
        && (1..=4).contains(&digits[6])
    {
        let said = |words| is_said(run.text(), first.start, words);
        match said(&WORDS) || said(&BIRTHS) {
            true => sure(found),
            false => found.partial_registration = true,
        }
    }
}

/// Whether signs stand for the digits behind the first few ones.
fn is_masked(digits: usize, behind: &[u8]) -> bool {
    let stars = behind.iter().take_while(|byte| **byte == b'*').count();
    stars >= STARS || signs(behind).is_some_and(|signs| digits + signs == SERIAL)
}

/// How many equal signs that hide digits stand here, if nothing hangs on to them.
fn signs(behind: &[u8]) -> Option<usize> {
    let sign = behind
        .first()
        .filter(|sign| matches!(sign, b'*' | b'X' | b'x' | b'?' | b'#'))?;
    let signs = behind.iter().take_while(|byte| *byte == sign).count();
    let ends = !behind.get(signs).is_some_and(u8::is_ascii_alphanumeric);
    ends.then_some(signs)
}

/// The six digits of a birth, and the century where it is there.
fn birth(digits: &[u8]) -> Option<(&[u8], Option<u32>)> {
    match digits {
        [b'1', b'9', rest @ ..] if rest.len() == 6 => Some((rest, Some(19))),
        [b'2', b'0', rest @ ..] if rest.len() == 6 => Some((rest, Some(20))),
        rest if rest.len() == 6 => Some((rest, None)),
        _ => None,
    }
}

fn number(first: &[u8], rest: &[u8]) -> [u32; 13] {
    let mut digits = [0_u32; 13];
    let all = first.iter().chain(rest);
    for (slot, digit) in digits.iter_mut().zip(all) {
        *slot = u32::from(digit - b'0');
    }
    digits
}

/// What may be one, and is one where the last digits of a column's check.
fn perhaps(digits: &[u32; 13], found: &mut Numbers) {
    if let Some(checks) = bare_registration(digits) {
        found.bare_registration = true;
        found.checks |= checks;
    }
}

/// Whether the digit for century and sex is one of this century.
fn is_of(digits: &[u32; 13], century: u32) -> bool {
    match century {
        19 => matches!(digits[6], 1 | 2 | 5 | 6),
        _ => matches!(digits[6], 3 | 4 | 7 | 8),
    }
}

/// Whether the year and the digit for century and sex are those of births from 1930 to 2029.
fn lives(digits: &[u32; 13]) -> bool {
    let century = if year(digits) < FIRST_YEAR { 20 } else { 19 };
    is_of(digits, century)
}

fn shape(digits: &[u32; 13]) -> usize {
    let birth = digits[..6]
        .iter()
        .fold(0, |birth, digit| birth * 10 + digit);
    match year(digits) {
        FIRST_YEAR.. => 1,
        _ if birth >= FIRST_RANDOM => RANDOM,
        _ => 0,
    }
}

/// Whether a column's name says that it holds such numbers, or parts of them.
pub(super) fn is_column_of(name: &str) -> bool {
    let name = plain(name).to_lowercase();
    ["주민", "외국인등록", "jumin"]
        .iter()
        .any(|word| name.contains(word))
        || name.split(|c: char| !c.is_alphanumeric()).any(|word| {
            word.starts_with("rrn") || word.trim_end_matches(|c: char| c.is_ascii_digit()) == "ssn"
        })
}

/// Whether a text is one of the two parts of a number, or one that need not check, in a column that says so.
pub(super) fn is_part(text: &str) -> bool {
    let digits = text.trim().as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    match digits.len() {
        6 => is_birth(&number(digits, &[])),
        // As in thirteen bare digits.
        SERIAL => (b'1'..=b'8').contains(&digits[0]),
        13 => bare_registration(&number(digits, &[])).is_some(),
        _ => false,
    }
}

/// The same for a number, of which births from 2000 to 2009 have lost the zeros in front.
pub(super) fn is_part_number(value: i64) -> bool {
    match value {
        10_000..10_000_000 => is_part(&format!("{value:06}")),
        1_010_000_000..10_000_000_000_000 => is_part(&format!("{value:013}")),
        _ => false,
    }
}

fn year(digits: &[u32; 13]) -> u32 {
    digits[0] * 10 + digits[1]
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
    use super::super::numbers::{Numbers, numbers};
    use super::super::plain::plain;

    fn of(text: &str) -> Numbers {
        numbers(plain(text).as_bytes())
    }

    #[test]
    fn beside_letters_and_hyphens() {
        for text in [
            "RRN900101-1234567",
            "ID:900101-1234567.",
            "900101-1234567_홍길동.dcm",
            "kim_900101-1234567.pdf",
            "900101-1234567A",
            "주민번호-900101-1234567",
            "900101-1234567-",
            "-900101-1234567",
            "KIM-900101-1234567",
            "19900101-1234567",
            "900101-1-234567",
            "RRN9001011234567",
            "주민 9001011234567 임",
            "B12 900101-1234567",
            "주민번호 900101 1234567",
            "주민: 20100101-3234567",
        ] {
            assert!(of(text).registration, "{text}");
        }
        // Specimens, orders and films are numbered by a letter, a day and a count.
        for text in [
            "S240101-0000123",
            "S240101-1234567",
            "CT240101-0000123",
            "CT240101-1234567",
            "CR_240101-2000123",
            "20240101-0000123",
            "20240101-1234567",
            "20240101-3234567",
            "19900101-3234567",
            "240101-5-123456",
            "A12-240101-1234567",
            "생년월일 900101 1234567",
            "550e8400-e29b-41d4-a716-440101123456",
        ] {
            assert!(!of(text).registration, "{text}");
        }
        let found = of("20100101-3234568");
        assert!(found.bare_registration && found.checks);
        assert!(of("S900101-1234568").checks);
    }

    #[test]
    fn other_separators() {
        for text in [
            "900101\u{3161}1234567",
            "900101\u{2500}1234567",
            "900101\u{2501}1234567",
            "900101\u{30fc}1234567",
            "900101\u{ff5e}1234567",
            "900101~1234567",
            "900101-\u{200b}1234567",
            "9\u{200b}00101-1234567",
            "900101\u{feff}-1234567",
            "900101&#45;1234567",
            "900101%2D1234567",
            "900101 -1234567",
            "900101- 1234567",
            "\u{669}\u{660}\u{660}\u{661}\u{660}\u{661}-\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}",
            "\u{1d7f5}\u{1d7ec}0101-1234567",
        ] {
            assert!(of(text).registration, "{text}");
        }
        for text in [
            "900101:1234568",
            "환자: 900101,1234568 임",
            "900101\t1234568",
            "900101;1234568",
            "900101|1234568",
            "900101\u{30fb}1234568",
        ] {
            assert!(of(text).checks, "{text}");
        }
        // Cells of a row, items of lists, ranges.
        for text in [
            "1,900101,1234568",
            "900101,1234568,3",
            "a|900101|1234568|b",
            "900101\t1234568\tx",
            "5, 900101, 1234568",
            "900101, 1234568",
            "150000~450000",
            "100000~1000000",
            "240101~1234567890",
        ] {
            assert_eq!(of(text), Numbers::default(), "{text}");
        }
    }

    #[test]
    fn partly_hidden() {
        for text in [
            "900101-1******",
            "900101-1XXXXXX",
            "900101-1xxxxxx",
            "900101-1??????",
            "900101-1\u{25cf}\u{25cf}\u{25cf}\u{25cf}\u{25cf}\u{25cf}",
            "900101-1\u{25cb}\u{25cb}\u{25cb}\u{25cb}\u{25cb}\u{25cb}",
            "900101-12*****",
            "900101-1234***",
            "900101-123456*",
            "RRN900101-1******",
            "19900101-1******",
            "주민번호 900101-1",
            "생년월일: 900101-2",
        ] {
            assert!(of(text).registration, "{text}");
        }
        assert!(of("900101-1").partial_registration);
        assert!(of("(900101-2)").partial_registration);
        assert!(of("100101-4").partial_registration);
        for text in [
            "901301-1XXXXXX",
            "123456-1 **",
            "900101-1X",
            "900101-1XXXXXXX",
            "S240101-1***",
            "100101-2",
            "100101-8",
            "240101-1",
            "240101-2",
            "240101-12",
            "900101-12",
            "A900101-1",
            "900101-1-2",
            "900101-1A",
            "20240101-1",
            "4548-4",
            "100019-8",
        ] {
            assert_eq!(of(text), Numbers::default(), "{text}");
        }
    }
}
