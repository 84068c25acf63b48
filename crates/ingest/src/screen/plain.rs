//! Texts as they would stand in ASCII digits, hyphens and composed Hangul: hospitals' systems also write full-width digits,
//! dashes of other lengths, and Hangul in parts, as macOS does.

use std::borrow::Cow;
use std::ops::Range;

/// The same text with plain digits, letters, spaces, hyphens and syllables. Most texts are so already.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut others = text.char_indices().filter(|(_, c)| is_other(*c)).peekable();
    if others.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    for (at, c) in others {
        plain.push_str(&text[from..at]);
        from = at + c.len_utf8();
        let before = plain
            .chars()
            .last()
            .filter(|_| PARTS.contains(&u32::from(c)));
        if let Some(composed) = before.and_then(|before| compose(before, c)) {
            plain.pop();
            plain.push(composed);
        } else {
            plain.extend(folded(c));
        }
    }
    plain.push_str(&text[from..]);
    Cow::Owned(plain)
}

fn is_other(c: char) -> bool {
    // Nearly all of a Korean text.
    let common = c.is_ascii() || ('가'..='힣').contains(&c);
    !common && (PARTS.contains(&u32::from(c)) || folded(c) != Some(c))
}

/// Full-width forms, digits of other scripts, spaces, dashes, dots and the signs that hide digits as one of each. What takes
/// no room is none.
fn folded(c: char) -> Option<char> {
    Some(match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{660}'..='\u{669}' => digit(u32::from(c) - 0x660),
        '\u{6f0}'..='\u{6f9}' => digit(u32::from(c) - 0x6f0),
        '\u{1d7ce}'..='\u{1d7ff}' => digit((u32::from(c) - 0x1d7ce) % 10),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => return None,
        '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => {
            '-'
        }
        // Typed instead of a hyphen: a Korean vowel, lines of boxes, the long vowel of Japanese.
        '\u{3161}' | '\u{2500}' | '\u{2501}' | '\u{30fc}' => '-',
        '\u{301c}' | '\u{223c}' => '~',
        '\u{2022}' | '\u{2027}' | '\u{2219}' | '\u{22c5}' | '\u{30fb}' | '\u{318d}'
        | '\u{ff65}' => '\u{b7}',
        '\u{25cb}' | '\u{25cf}' | '\u{25ef}' | '\u{25a0}' | '\u{25a1}' | '\u{2217}' | '\u{d7}' => {
            '*'
        }
        _ => c,
    })
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

const LEADS: u32 = 0x1100;
const VOWELS: u32 = 0x1161;
const TAILS: u32 = 0x11a7;
const SYLLABLES: u32 = 0xac00;
/// Vowels and tails, the parts that join the one before.
const PARTS: Range<u32> = VOWELS..TAILS + 28;

/// Two parts of a syllable as one: chapter 3.12 of the Unicode standard.
fn compose(first: char, second: char) -> Option<char> {
    let (first, second) = (u32::from(first), u32::from(second));
    let of_lead = first.checked_sub(LEADS).filter(|lead| *lead < 19);
    let of_vowel = second.checked_sub(VOWELS).filter(|vowel| *vowel < 21);
    if let (Some(lead), Some(vowel)) = (of_lead, of_vowel) {
        return char::from_u32(SYLLABLES + (lead * 21 + vowel) * 28);
    }
    let open = first
        .checked_sub(SYLLABLES)
        .filter(|at| *at < 11_172 && at % 28 == 0);
    let tail = second
        .checked_sub(TAILS)
        .filter(|tail| (1..28).contains(tail));
    char::from_u32(first + open.and(tail)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_of_writing_are_one() {
        for (text, expected) in [
            ("900101-1234567", "900101-1234567"),
            ("010\u{2013}1234\u{2212}5678", "010-1234-5678"),
            ("010\u{3000}1234\u{a0}5678", "010 1234 5678"),
            (
                "\u{1100}\u{1175}\u{11b7}\u{110e}\u{1165}\u{11af}\u{1109}\u{116e}",
                "김철수",
            ),
            ("고혈압", "고혈압"),
            ("900101\u{3161}1\u{25cf}\u{25cb}", "900101-1**"),
            ("010\u{30fc}1234\u{2500}5678", "010-1234-5678"),
            ("9\u{200b}0\u{feff}0\u{200d}1", "9001"),
            ("\u{660}\u{661}\u{6f9}\u{1d7ce}\u{1d7ff}\u{1d7f5}", "019099"),
            ("120\u{301c}130\u{30fb}5", "120~130\u{b7}5"),
            ("plain", "plain"),
        ] {
            assert_eq!(plain(text), expected);
        }
        assert!(matches!(plain("고혈압"), Cow::Borrowed(_)));
    }
}
