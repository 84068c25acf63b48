//! SQL tokens: enough to split scripts, to highlight and to complete, never to parse.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space.
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// A keyword or a bare name.
    Word,
    /// A number.
    Number,
    /// `'…'`, `E'…'` or `$tag$…$tag$`.
    Text,
    /// `"…"` or `` `…` ``.
    QuotedName,
    /// `$name`.
    Parameter,
    /// `;`.
    Semicolon,
    /// Anything else, one character.
    Symbol,
}

/// One token: byte offsets into the text, and whether its closing quote was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// False for a quote or block comment that the text ends in.
    pub(crate) closed: bool,
}

impl Token {
    /// The token's own text.
    pub(crate) fn text<'t>(&self, sql: &'t str) -> &'t str {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Neither white space nor comment.
    pub(crate) fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// Splits text into tokens that cover it completely.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let (kind, length, closed) = next(&sql[at..], first);
        tokens.push(Token {
            kind,
            start: at,
            end: at + length,
            closed,
        });
        at += length;
    }
    tokens
}

fn next(rest: &str, first: char) -> (Kind, usize, bool) {
    match first {
        c if c.is_whitespace() => (Kind::Space, span(rest, char::is_whitespace), true),
        '-' if rest.starts_with("--") => {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), true)
        }
        '/' if rest.starts_with("/*") => block_comment(rest),
        '\'' => quoted(rest, 1, '\'', false, Kind::Text),
        'e' | 'E' if rest[1..].starts_with('\'') => quoted(rest, 2, '\'', true, Kind::Text),
        '"' => quoted(rest, 1, '"', false, Kind::QuotedName),
        '`' => quoted(rest, 1, '`', false, Kind::QuotedName),
        '$' => dollar(rest),
        ';' => (Kind::Semicolon, 1, true),
        c if c.is_ascii_digit() => (Kind::Number, number(rest), true),
        c if is_word(c) => (Kind::Word, span(rest, is_word), true),
        c => (Kind::Symbol, c.len_utf8(), true),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn span(rest: &str, wanted: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !wanted(c)).unwrap_or(rest.len())
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let exponent_sign =
            matches!(byte, b'+' | b'-') && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
        if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || exponent_sign {
            end += 1;
        } else {
            break;
        }
    }
    end
}

/// Block comments nest, as in PostgreSQL.
fn block_comment(rest: &str) -> (Kind, usize, bool) {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return (Kind::Comment, at, true);
            }
        } else {
            at += 1;
        }
    }
    (Kind::Comment, rest.len(), false)
}

/// Quotes are doubled to stand for themselves; `escapes` also lets a backslash protect the next character.
fn quoted(rest: &str, from: usize, quote: char, escapes: bool, kind: Kind) -> (Kind, usize, bool) {
    let mut characters = rest[from..].char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote {
            if characters.peek().is_some_and(|&(_, after)| after == quote) {
                characters.next();
            } else {
                return (kind, from + at + quote.len_utf8(), true);
            }
        }
    }
    (kind, rest.len(), false)
}

fn dollar(rest: &str) -> (Kind, usize, bool) {
    let name = span(&rest[1..], is_word);
    let tag = &rest[..1 + name];
    // `$tag$ … $tag$` is a text; a tag never starts with a digit, so that `$1` stays a parameter.
    let is_tag = !tag[1..].starts_with(|c: char| c.is_ascii_digit());
    if is_tag && rest[tag.len()..].starts_with('$') {
        let open = tag.len() + 1;
        return match rest[open..].find(&rest[..open]) {
            Some(close) => (Kind::Text, open + close + open, true),
            None => (Kind::Text, rest.len(), false),
        };
    }
    if name == 0 {
        (Kind::Symbol, 1, true)
    } else {
        (Kind::Parameter, 1 + name, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(sql: &str) -> Vec<(Kind, &str, bool)> {
        tokens(sql)
            .iter()
            .filter(|token| token.kind != Kind::Space)
            .map(|token| (token.kind, token.text(sql), token.closed))
            .collect()
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        assert_eq!(
            code("a 'x;''y' \"b;\" -- c;\n/* d; /* e */ ; */;"),
            [
                (Kind::Word, "a", true),
                (Kind::Text, "'x;''y'", true),
                (Kind::QuotedName, "\"b;\"", true),
                (Kind::Comment, "-- c;", true),
                (Kind::Comment, "/* d; /* e */ ; */", true),
                (Kind::Semicolon, ";", true),
            ]
        );
    }

    #[test]
    fn dollars_are_parameters_or_quotes() {
        assert_eq!(
            code("$since $$a;'b$$ $t$x;$t$ $1"),
            [
                (Kind::Parameter, "$since", true),
                (Kind::Text, "$$a;'b$$", true),
                (Kind::Text, "$t$x;$t$", true),
                (Kind::Parameter, "$1", true),
            ]
        );
    }

    #[test]
    fn what_is_open_is_marked() {
        assert_eq!(code("'abc"), [(Kind::Text, "'abc", false)]);
        assert_eq!(code("/* abc"), [(Kind::Comment, "/* abc", false)]);
        assert_eq!(code("$$abc"), [(Kind::Text, "$$abc", false)]);
        assert_eq!(code(r"E'it\'s'"), [(Kind::Text, r"E'it\'s'", true)]);
    }

    #[test]
    fn tokens_cover_any_text() {
        for sql in [
            "",
            "환자 '김;' €;",
            "1.5e-3+2",
            "$",
            "`a``b`",
            "x'",
            "\\d person",
            "e'",
            "/*",
            "--",
        ] {
            let mut at = 0;
            for token in tokens(sql) {
                assert_eq!(token.start, at, "{sql}");
                assert!(token.end > token.start, "{sql}");
                at = token.end;
            }
            assert_eq!(at, sql.len(), "{sql}");
        }
    }
}
