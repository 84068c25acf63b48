//! What other engines write and the parser (sqlparser 0.62) does not read: put right before it sees the text.
//!
//! `ASOF JOIN b ON …`, `WITH a AS MATERIALIZED (…)`, `count(*) FILTER (x > 5)`, `ROLLUP ((a + 1) * 2)`, `a ** 2`, and `top` as a name.

use std::borrow::Cow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// The statement as the parser reads it. In place of `ASOF` stands `GLOBAL`, which the parser takes before any join and the planner
/// passes over; whether a CTE is kept is for the engine to say.
///
/// # Errors
/// When `GLOBAL` stands before a join already: another engine's word, which means something else.
pub(crate) fn readable(sql: &str) -> Result<Cow<'_, str>> {
    let lower = sql.to_ascii_lowercase();
    let mut words = [
        "asof",
        "global",
        "materialized",
        "filter",
        "top",
        "rollup",
        "cube",
        "grouping",
        "**",
    ]
    .into_iter();
    if !words.any(|word| lower.contains(word)) || lower.contains("match_condition") {
        return Ok(Cow::Borrowed(sql));
    }
    // What has no tokens is the parser's to refuse.
    let Ok(mut tokens) = Tokenizer::new(&GenericDialect {}, sql)
        .with_unescape(false)
        .tokenize()
    else {
        return Ok(Cow::Borrowed(sql));
    };
    let places = 0..tokens.len();
    let words: Vec<usize> = places
        .filter(|at| !matches!(tokens[*at], Token::Whitespace(_)))
        .collect();
    let mut changed = false;
    for at in 0..words.len() {
        let place = words[at];
        if tokens[place] == Token::Mul && tokens.get(place + 1) == Some(&Token::Mul) {
            tokens[place] = Token::Caret;
            tokens[place + 1] = Token::Whitespace(Whitespace::Space);
            changed = true;
            continue;
        }
        let keyword = |further: usize| match words.get(at + further).map(|at| &tokens[*at]) {
            Some(Token::Word(word)) => Some(word.keyword),
            _ => None,
        };
        let opens = |further: usize| {
            let token = words.get(at + further).map(|at| &tokens[*at]);
            token == Some(&Token::LParen)
        };
        let joins = || JOINS.iter().any(|(_, join)| keyword(1) == Some(*join));
        match keyword(0) {
            Some(Keyword::GLOBAL) if joins() => {
                return plan_err!("GLOBAL JOIN is not supported; leave GLOBAL out");
            }
            Some(Keyword::ASOF) if joins() => tokens[place] = Token::make_keyword("GLOBAL"),
            // `SELECT TOP 5` is another engine's.
            Some(Keyword::TOP)
                if at
                    .checked_sub(1)
                    .is_none_or(|at| !matches!(&tokens[words[at]], Token::Word(word) if word.keyword == Keyword::SELECT))
                    || words.get(at + 1).is_some_and(|at| tokens[*at] == Token::Period) =>
            {
                tokens[place] = Token::make_word("top", Some('"'));
            }
            Some(Keyword::AS) if keyword(1) == Some(Keyword::MATERIALIZED) && opens(2) => {
                tokens[words[at + 1]] = Token::Whitespace(Whitespace::Space);
            }
            Some(Keyword::AS)
                if keyword(1) == Some(Keyword::NOT)
                    && keyword(2) == Some(Keyword::MATERIALIZED)
                    && opens(3) =>
            {
                tokens[words[at + 1]] = Token::Whitespace(Whitespace::Space);
                tokens[words[at + 2]] = Token::Whitespace(Whitespace::Space);
            }
            Some(Keyword::FILTER)
                if opens(1)
                    && keyword(2) != Some(Keyword::WHERE)
                    && at
                        .checked_sub(1)
                        .is_some_and(|at| tokens[words[at]] == Token::RParen) =>
            {
                tokens[words[at + 1]] = Token::make_word("(WHERE ", None);
            }
            Some(Keyword::ROLLUP | Keyword::CUBE) if opens(1) => {
                keys_in_parentheses(&mut tokens, &words[at + 2..]);
            }
            Some(Keyword::GROUPING) if keyword(1) == Some(Keyword::SETS) && opens(2) => {
                keys_in_parentheses(&mut tokens, &words[at + 3..]);
            }
            _ => continue,
        }
        changed = true;
    }
    if !changed {
        return Ok(Cow::Borrowed(sql));
    }
    Ok(Cow::Owned(tokens.iter().map(ToString::to_string).collect()))
}

/// Puts keys that only begin with a parenthesis into parentheses: the parser takes these for those of several keys.
fn keys_in_parentheses(tokens: &mut [Token], words: &[usize]) {
    let mut depth = 0_usize;
    // Where a key begins, and where its first parenthesis is closed.
    let (mut first, mut closed) = (0, None);
    for (at, word) in words.iter().enumerate() {
        match (&tokens[*word], depth) {
            (Token::LParen, _) => depth += 1,
            (Token::Comma | Token::RParen, 0) => {
                let ends = tokens[*word] == Token::RParen;
                if closed.is_some_and(|closed| closed + 1 < at) {
                    let last = words[at - 1];
                    tokens[words[first]] = Token::make_word("((", None);
                    tokens[last] = Token::make_word(&format!("{})", tokens[last]), None);
                }
                if ends {
                    return;
                }
                (first, closed) = (at + 1, None);
            }
            (Token::RParen, _) => {
                depth -= 1;
                if depth == 0 && closed.is_none() && tokens[words[first]] == Token::LParen {
                    closed = Some(at);
                }
            }
            _ => {}
        }
    }
}

/// The text of a statement that was made readable, with the words that it was written in.
pub(crate) fn shown(sql: String) -> String {
    JOINS.iter().fold(sql, |sql, (word, _)| {
        sql.replace(&format!(" GLOBAL {word} "), &format!(" ASOF {word} "))
    })
}

/// The words that a join begins with.
const JOINS: [(&str, Keyword); 5] = [
    ("JOIN", Keyword::JOIN),
    ("INNER", Keyword::INNER),
    ("LEFT", Keyword::LEFT),
    ("RIGHT", Keyword::RIGHT),
    ("FULL", Keyword::FULL),
];
