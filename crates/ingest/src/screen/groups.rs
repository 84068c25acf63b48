//! Groups of digits that separators tell from each other, and what stands beside them.

/// Groups that are looked at together: a country, an area and two more.
const WINDOW: usize = 4;
/// Signs between two groups at most.
const MOST_SIGNS: usize = 2;
/// The length of a hyphen with the blanks around it.
const LONGEST_HYPHEN: usize = 9;

/// Digits without anything between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) digits: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    /// The first sign before it, `-` for a hyphen between spaces, and 0 for the first group.
    pub(super) separator: u8,
    /// A hyphen or a tilde is among the signs before it.
    pub(super) hyphen: bool,
    /// What it hangs on to.
    pub(super) joint: Joint,
}

/// What numbers hang on to: most codes are numbers that hang on to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// Nothing.
    Free,
    /// `_`, or a word of two ASCII letters and more in front.
    Word,
    /// A single ASCII letter, as codes have, or any letters behind.
    Letter,
    /// A hyphen behind ASCII letters or digits, or before a letter.
    Hyphen,
    /// Other groups of digits, which hang on to something.
    Chain,
}

/// Groups of digits, of which the last few are known.
#[derive(Debug)]
pub(super) struct Run<'a> {
    text: &'a [u8],
    window: [Group<'a>; WINDOW],
    /// Groups so far.
    count: usize,
}

impl<'a> Run<'a> {
    /// The run whose first digit is here.
    pub(super) fn new(text: &'a [u8], start: usize) -> Self {
        let first = group(text, start, 0, false, joint_before(text, start));
        Self {
            text,
            window: [first; WINDOW],
            count: 1,
        }
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn newest(&self) -> &Group<'a> {
        &self.window[(self.count - 1) % WINDOW]
    }

    /// A group before the newest one, by how far back it is.
    pub(super) fn back(&self, count: usize) -> Option<&Group<'a>> {
        let at = (self.count - 1).checked_sub(count)?;
        (count < WINDOW).then_some(&self.window[at % WINDOW])
    }

    /// Goes on to the next group, and says whether there is one.
    pub(super) fn advance(&mut self) -> bool {
        let newest = self.newest();
        let Some(gap) = gap(self.text, newest.end) else {
            return false;
        };
        let joint = match newest.joint {
            Joint::Free => Joint::Free,
            _ if gap.tight => Joint::Chain,
            _ => Joint::Free,
        };
        let next = group(self.text, gap.end, gap.separator, gap.hyphen, joint);
        self.window[self.count % WINDOW] = next;
        self.count += 1;
        true
    }
}

/// How far a run goes at most, and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Extent {
    pub(super) end: usize,
    pub(super) digits: usize,
    /// The longest group.
    pub(super) longest: usize,
}

impl Extent {
    /// The extent from here on.
    pub(super) fn new(text: &[u8], start: usize) -> Self {
        let mut extent = Self::default();
        let mut next = Some(start);
        while let Some(at) = next {
            let end = digits_end(text, at);
            extent.end = end;
            extent.digits += end - at;
            extent.longest = extent.longest.max(end - at);
            next = gap(text, end).map(|gap| gap.end);
        }
        extent
    }
}

fn group(text: &[u8], start: usize, separator: u8, hyphen: bool, joint: Joint) -> Group<'_> {
    let end = digits_end(text, start);
    Group {
        digits: &text[start..end],
        start,
        end,
        separator,
        hyphen,
        joint,
    }
}

fn digits_end(text: &[u8], start: usize) -> usize {
    let more = text[start..].iter();
    start + more.take_while(|byte| byte.is_ascii_digit()).count()
}

/// What stands between two groups.
struct Gap {
    end: usize,
    separator: u8,
    hyphen: bool,
    /// Codes have such signs within.
    tight: bool,
}

/// The gap from here to the next group, if it is near: one or two signs, or a hyphen among blanks.
fn gap(text: &[u8], start: usize) -> Option<Gap> {
    let special = match text.get(start)? {
        b'-' | b' ' | b'\n' | b'\r' => hyphen_among_blanks(text, start),
        b'+' | b'=' | b'^' | b'*' | b'#' | b'\\' => odd_sign(text, start),
        _ => None,
    };
    if special.is_some() {
        return special;
    }
    let mut gap = Gap {
        end: start,
        separator: 0,
        hyphen: false,
        tight: true,
    };
    let mut signs = 0;
    while let Some((sign, length)) = sign(&text[gap.end..]) {
        if signs == 0 {
            gap.separator = sign;
        }
        gap.hyphen |= matches!(sign, b'-' | b'~');
        gap.tight &= is_tight(sign);
        signs += 1;
        gap.end += length;
        if signs > MOST_SIGNS {
            return None;
        }
    }
    (signs > 0 && text.get(gap.end).is_some_and(u8::is_ascii_digit)).then_some(gap)
}

/// A hyphen with blanks around it, as in texts that are set in columns, or at the end of a line.
fn hyphen_among_blanks(text: &[u8], start: usize) -> Option<Gap> {
    let others = |from: usize| {
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r');
        from + text[from..].iter().take_while(is_blank).count()
    };
    let hyphen = others(start);
    if text.get(hyphen) != Some(&b'-') {
        return None;
    }
    let end = others(hyphen + 1);
    let near = end - start <= LONGEST_HYPHEN && text.get(end).is_some_and(u8::is_ascii_digit);
    near.then_some(Gap {
        end,
        separator: b'-',
        hyphen: true,
        tight: end == start + 1,
    })
}

/// A sign of other notations between exactly as many digits as registration numbers have on both sides of it.
fn odd_sign(text: &[u8], start: usize) -> Option<Gap> {
    let before = text[..start].iter().rev();
    let end = start + 1;
    let fits = before.take_while(|byte| byte.is_ascii_digit()).count() == 6
        && digits_end(text, end) == end + 7;
    fits.then_some(Gap {
        end,
        separator: text[start],
        hyphen: false,
        tight: true,
    })
}

/// The first byte of `·`, which stands between numbers in Korean texts.
pub(super) const MIDDLE_DOT: u8 = 0xc2;

/// A sign that separates groups, and its length.
#[inline]
fn sign(text: &[u8]) -> Option<(u8, usize)> {
    let first = *text.first()?;
    match first {
        b'-' | b'.' | b'(' | b')' | b' ' | b'/' | b'_' | b'~' => Some((first, 1)),
        first if is_list(first) => Some((first, 1)),
        b'\n' => Some((b'\n', 1)),
        b'\r' if text.get(1) == Some(&b'\n') => Some((b'\n', 2)),
        MIDDLE_DOT if text.starts_with("\u{b7}".as_bytes()) => Some((first, 2)),
        b'%' | b'&' => hyphen_as_code(text).map(|length| (b'-', length)),
        _ => None,
    }
}

/// The length of a hyphen as web pages and their addresses write it.
fn hyphen_as_code(text: &[u8]) -> Option<usize> {
    const CODES: [&str; 5] = ["%2D", "&#45;", "&#x2D;", "&ndash;", "&minus;"];
    let begins = |code: &&str| {
        text.get(..code.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(code.as_bytes()))
    };
    CODES
        .iter()
        .find(|code| begins(code))
        .map(|code| code.len())
}

/// Whether a sign tells the items of a list from each other, or the cells of a row.
pub(super) fn is_list(sign: u8) -> bool {
    matches!(sign, b',' | b':' | b';' | b'|' | b'\t')
}

fn is_tight(sign: u8) -> bool {
    !is_list(sign) && !matches!(sign, b' ' | b'\n' | b'(' | b')')
}

/// What a number hangs on to in front.
fn joint_before(text: &[u8], start: usize) -> Joint {
    let before = |count: usize| start.checked_sub(count).map(|at| text[at]);
    let is_joined = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    match before(1) {
        Some(b'_') => Joint::Word,
        Some(b'-') if is_joined(before(2)) => Joint::Hyphen,
        byte if is_joined(byte) => match before(2) {
            Some(byte) if byte.is_ascii_alphabetic() => Joint::Word,
            Some(b'-') => Joint::Hyphen,
            _ => Joint::Letter,
        },
        _ => Joint::Free,
    }
}

/// What a number that ends here hangs on to behind.
pub(super) fn joint_behind(text: &[u8], end: usize) -> Joint {
    let mut at = end;
    while let Some(gap) = gap(text, at).filter(|gap| gap.tight) {
        at = digits_end(text, gap.end);
    }
    let is_joined = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let joint = match text.get(at) {
        Some(b'_') => Joint::Word,
        Some(b'-') if is_joined(at + 1) => Joint::Hyphen,
        _ if is_joined(at) => Joint::Letter,
        _ => Joint::Free,
    };
    match joint {
        Joint::Free => Joint::Free,
        _ if at > end => Joint::Chain,
        joint => joint,
    }
}

/// Whether more digits follow as they do within codes.
pub(super) fn goes_on(text: &[u8], end: usize) -> bool {
    gap(text, end).is_some_and(|gap| gap.tight)
}

/// Whether groups stand alone, and not among the items of a list.
pub(super) fn is_alone(text: &[u8], first: &Group<'_>, end: usize) -> bool {
    let is_cell = |byte: u8| is_list(byte) && byte != b':';
    let before = first.start.checked_sub(1).map(|at| text[at]);
    !is_list(first.separator)
        && !before.is_some_and(is_cell)
        && !text.get(end).copied().is_some_and(is_cell)
        && gap(text, end).is_none_or(|gap| !is_list(gap.separator))
}

/// How far words reach that say what a number is.
const REACH: usize = 30;

/// Whether one of these words stands shortly before a place. ASCII words stand for themselves; others may be parts of words.
pub(super) fn is_said(text: &[u8], at: usize, words: &[&str]) -> bool {
    let before = &text[at.saturating_sub(REACH)..at];
    words.iter().any(|word| {
        let ends = (word.len()..=before.len()).rev();
        ends.into_iter().any(|end| {
            let start = end - word.len();
            let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
            before[start..end].eq_ignore_ascii_case(word.as_bytes())
                && (!word.is_ascii()
                    || !is_letter(before.get(end))
                        && !is_letter(start.checked_sub(1).and_then(|at| before.get(at))))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_what_is_between_them() {
        let of = |text: &str| {
            let mut run = Run::new(text.as_bytes(), 0);
            let mut all = vec![(1, 0)];
            while run.advance() {
                let newest = run
                    .back(0)
                    .map(|group| (group.digits.len(), group.separator));
                all.extend(newest);
            }
            all
        };
        assert_eq!(of("1 - 2-3"), [(1, 0), (1, b'-'), (1, b'-')]);
        assert_eq!(of("1, 22;333"), [(1, 0), (2, b','), (3, b';')]);
        assert_eq!(
            of("1%2d2&#45;3\u{b7}4"),
            [(1, 0), (1, b'-'), (1, b'-'), (1, MIDDLE_DOT)]
        );
        assert_eq!(
            of("1  -  2-\r\n3\r\n4"),
            [(1, 0), (1, b'-'), (1, b'-'), (1, b'\n')]
        );
        assert_eq!(of("900101=1234568"), [(1, 0), (7, b'=')]);
        for one in [
            "1   2",
            "1 .- 2",
            "1%2",
            "1 % 2",
            "1&2",
            "1\u{a0}2",
            "1-",
            "1",
            "1      -      2",
            "1\r2",
            "1+2",
        ] {
            assert_eq!(of(one), [(1, 0)], "{one}");
        }
    }

    #[test]
    fn words_before_numbers() {
        let said = |text: &str| is_said(text.as_bytes(), text.len(), &["hp", "전화"]);
        assert!(said("HP. ") && said("집전화번호: ") && said("a hp ") && said("hp"));
        assert!(!said("RBC 5/hpf ") && !said("PHP ") && !said(""));
        assert!(!said("HP is long before whatever comes here at last "));
    }
}
