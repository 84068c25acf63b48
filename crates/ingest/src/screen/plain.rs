//! Texts as they would stand in ASCII digits, hyphens and composed Hangul: hospitals' systems also write full-width digits,
//! dashes of other lengths, and Hangul in parts, as macOS does.

use std::borrow::Cow;

/// The same text with plain digits, letters, spaces, hyphens and syllables. Most texts are so already.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(is_other) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let c = folded(c);
        let composed = plain.chars().last().and_then(|before| compose(before, c));
        if let Some(composed) = composed {
            plain.pop();
            plain.push(composed);
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

fn is_other(c: char) -> bool {
    folded(c) != c || (VOWELS..VOWELS + 21).contains(&u32::from(c))
}

/// Full-width forms, other spaces and other dashes.
fn folded(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        _ => c,
    }
}

const LEADS: u32 = 0x1100;
const VOWELS: u32 = 0x1161;
const TAILS: u32 = 0x11a7;
const SYLLABLES: u32 = 0xac00;

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
            ("plain", "plain"),
        ] {
            assert_eq!(plain(text), expected);
        }
        assert!(matches!(plain("고혈압"), Cow::Borrowed(_)));
    }
}
