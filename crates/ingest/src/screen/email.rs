//! E-mail addresses within a text, and other ways of writing their `@`.

use memchr::memmem;

/// What addresses end with, where they are written in another way than `local@domain.tld`.
const TOPS: [&str; 13] = [
    "com", "net", "org", "edu", "gov", "kr", "jp", "cn", "io", "uk", "한국", "닷컴", "닷넷",
];

/// Others of them that addresses of hospitals, firms and persons end with.
const OTHER_TOPS: &str = "\
    academy agency ai app art asia bank bio biz blog center clinic cloud club co coop dental dev doctor email \
    foundation global group health healthcare hospital info institute int international jobs kim management me \
    medical mil mobi museum name network news nhs ninja online org page partners pharmacy pro science seoul services \
    site solutions space store studio support surgery systems team tech tel training travel university vip website \
    wiki world xyz zone";
/// Countries.
const COUNTRIES: &str = "\
    ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf \
    cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg \
    gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn \
    kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na \
    nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh \
    si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve \
    vg vi vn vu wf ws ye yt za zm zw";

/// Whether bytes have an `@`, or something that stands for it.
pub(super) fn may_have_at(bytes: &[u8]) -> bool {
    at_signs(bytes).next().is_some() || memmem::find(bytes, "\u{ff20}".as_bytes()).is_some()
}

/// `local@domain.tld`.
pub(super) fn has_address(text: &str) -> bool {
    at_signs(text.as_bytes()).any(|(at, end)| {
        let (local, domain) = (&text[..at], &text[end..]);
        (end == at + 1 && is_plain(local.as_bytes(), domain.as_bytes())) || is_known(local, domain)
    })
}

/// Where an `@` is, `%40` or `[at]`, and where it ends.
fn at_signs(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    memchr::memchr3_iter(b'@', b'%', b'[', text).filter_map(|at| {
        let is = |sign: &[u8]| {
            let found = text.get(at..at + sign.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(sign))
        };
        let length = match text[at] {
            b'@' => 1,
            b'%' if is(b"%40") => 3,
            b'[' if is(b"[at]") => 4,
            _ => return None,
        };
        Some((at, at + length))
    })
}

/// Whether ASCII stands on both sides as in an address. Notes of doses and rates have an `@` and full stops, too.
fn is_plain(local: &[u8], domain: &[u8]) -> bool {
    let is_local =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.');
    let ends = local
        .last()
        .is_some_and(|byte| is_local(byte) && *byte != b'.');
    let local = local.iter().rev().take_while(|byte| is_local(byte));
    let end = domain
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')))
        .unwrap_or(domain.len());
    let domain = &domain[..end];
    let Some(dot) = memchr::memrchr(
        b'.',
        domain.trim_ascii_end().strip_suffix(b".").unwrap_or(domain),
    ) else {
        return false;
    };
    let top = domain[dot + 1..]
        .strip_suffix(b".")
        .unwrap_or(&domain[dot + 1..]);
    if !ends || dot == 0 {
        return false;
    }
    let is_in = |tops: &str| {
        let mut tops = tops.split(' ');
        tops.any(|known| top.eq_ignore_ascii_case(known.as_bytes()))
    };
    if TOPS
        .iter()
        .any(|known| top.eq_ignore_ascii_case(known.as_bytes()))
    {
        return true;
    }
    let lower = top.iter().all(u8::is_ascii_lowercase);
    let upper = local
        .clone()
        .chain(domain)
        .all(|byte| !byte.is_ascii_lowercase());
    let label = domain[..dot].rsplit(|byte| *byte == b'.').next();
    (lower || upper)
        && (is_in(OTHER_TOPS) || is_in(COUNTRIES))
        && local.clone().any(u8::is_ascii_alphabetic)
        && label
            .and_then(<[u8]>::first)
            .is_some_and(u8::is_ascii_alphabetic)
}

/// Whether letters of any script stand on both sides, with a space or without, and the last of them are well known.
fn is_known(local: &str, domain: &str) -> bool {
    let (local, domain) = match (local.strip_suffix(' '), domain.strip_prefix(' ')) {
        (Some(local), Some(domain)) => (local, domain),
        (None, None) => (local, domain),
        _ => return false,
    };
    let is_local = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
    if !local.ends_with(is_local) || !domain.starts_with(char::is_alphanumeric) {
        return false;
    }
    let end = domain.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-')));
    let domain = &domain[..end.unwrap_or(domain.len())];
    domain.match_indices('.').any(|(dot, _)| {
        let last = &domain[dot + 1..];
        TOPS.iter().any(|top| {
            let begins = last.get(..top.len());
            let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-';
            begins.is_some_and(|begins| begins.eq_ignore_ascii_case(top))
                && !last[top.len()..].starts_with(goes_on)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in [
            "kim@example.com",
            "write to a.b-c+d@mail.example.co.kr.",
            "<x@y.org>",
        ] {
            assert!(has_address(text), "{text}");
        }
        for text in ["5 mg @ 8 h", "a@b", "@home.de", "10@4.5", "x@.com"] {
            assert!(!has_address(text), "{text}");
        }
    }

    #[test]
    fn other_ways_of_writing() {
        for text in [
            "kim @ naver.com",
            "메일 kim @ naver.com 임",
            "김철수@naver.com",
            "kim@네이버.한국",
            "kim@네이버.com으로",
            "kim@네이버.한국입니다",
            "kim%40naver.com",
            "kim[at]naver.com",
            "kim[AT]naver.co.kr",
            "kim.@naver.com",
        ] {
            assert!(has_address(text) && may_have_at(text.as_bytes()), "{text}");
        }
        for text in [
            "took 5 mg @ home.Then slept",
            "seen @naver.com",
            "혈압 @ 120.80",
            "회진@ICU.Dr",
            "SpO2 96%40.5",
            "[at]home.kr",
            "pain [at] night.",
            "HbA1c 7%@3.commonly",
            "식후@2시간.혈당",
            "문의 @ 원무과.내선",
            "rate 40%, 40 (40%40)",
        ] {
            assert!(!has_address(text), "{text}");
        }
    }
}
