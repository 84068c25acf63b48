//! Scripts: statements and backslash commands with their positions.

use crate::error::{Place, Position};

use super::lexer::{Kind, Token, tokens};

/// One thing to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'t> {
    /// What to do with it.
    pub(crate) kind: ItemKind,
    /// Its text, without the `;` of a statement.
    pub(crate) text: &'t str,
    /// Byte offset of the text in the script.
    pub(crate) start: usize,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    /// A SQL statement.
    Statement,
    /// A backslash command, which ends with its line.
    Command,
}

/// A script and its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'t> {
    /// The name for positions; empty in the interactive shell.
    pub(crate) name: &'t str,
    /// The whole text.
    pub(crate) text: &'t str,
}

impl<'t> Script<'t> {
    /// The next item at or after byte `from`, and where to go on.
    pub(crate) fn next(&self, from: usize) -> Option<(Item<'t>, usize)> {
        let rest = self.text.get(from..)?;
        let tokens = tokens(rest);
        let first = tokens
            .iter()
            .position(|token| token.is_code() && token.kind != Kind::Semicolon)?;
        let start = tokens[first].start;
        if rest[start..].starts_with('\\') {
            let end = rest[start..]
                .find('\n')
                .map_or(rest.len(), |length| start + length);
            let text = rest[start..end].trim_end();
            return Some((
                Item {
                    kind: ItemKind::Command,
                    text,
                    start: from + start,
                },
                from + end,
            ));
        }
        let end = tokens[first..]
            .iter()
            .find(|token| token.kind == Kind::Semicolon);
        let (stop, after) = end.map_or((rest.len(), rest.len()), |token| (token.start, token.end));
        let text = rest[start..stop].trim_end();
        Some((
            Item {
                kind: ItemKind::Statement,
                text,
                start: from + start,
            },
            from + after,
        ))
    }

    /// The line and column of a byte.
    pub(crate) fn position(&self, byte: usize) -> Position {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A place `inside` an item, given as line and column within the item's own text.
    pub(crate) fn place(&self, item: &Item<'_>, inside: Option<Position>, width: usize) -> Place {
        let statement = self.position(item.start);
        let at = inside.map_or(statement, |inside| Position {
            line: statement.line + inside.line.max(1) - 1,
            column: if inside.line <= 1 {
                statement.column + inside.column.max(1) - 1
            } else {
                inside.column.max(1)
            },
        });
        let source = self.text.lines().nth(at.line - 1).unwrap_or_default();
        Place {
            script: self.name.to_owned(),
            at,
            statement,
            source: source.to_owned(),
            width,
        }
    }
}

/// Whether a text typed so far can be run: empty, a backslash command, a bare word such as `quit`, or
/// statements that end with `;`.
pub(crate) fn is_complete(text: &str) -> bool {
    let tokens = tokens(text);
    let code: Vec<&Token> = tokens.iter().filter(|token| token.is_code()).collect();
    if tokens.iter().any(|token| !token.closed) {
        return false;
    }
    let Some(last) = code.last() else { return true };
    let line_start = text[..last.start]
        .rfind(';')
        .map_or(0, |semicolon| semicolon + 1);
    last.kind == Kind::Semicolon
        || text[line_start..].trim_start().starts_with('\\')
        || plain_word(text).is_some()
}

/// What people type before they know the backslash commands.
pub(crate) fn plain_word(text: &str) -> Option<&'static str> {
    match text
        .trim()
        .trim_end_matches(';')
        .to_ascii_lowercase()
        .as_str()
    {
        "quit" | "exit" => Some("\\q"),
        "help" | "?" => Some("\\?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<(ItemKind, &str, (usize, usize))> {
        let script = Script {
            name: "s.sql",
            text,
        };
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((item, next)) = script.next(at) {
            let position = script.position(item.start);
            found.push((item.kind, item.text, (position.line, position.column)));
            at = next;
        }
        found
    }

    #[test]
    fn statements_and_commands_with_their_positions() {
        use ItemKind::{Command, Statement};
        assert_eq!(
            items("-- head;\nSELECT 1;; \\d person  \n  SELECT ';'\n  FROM x ; SELECT 2"),
            [
                (Statement, "SELECT 1", (2, 1)),
                (Command, "\\d person", (2, 12)),
                (Statement, "SELECT ';'\n  FROM x", (3, 3)),
                (Statement, "SELECT 2", (4, 12)),
            ]
        );
        assert_eq!(items(" ;; -- nothing"), []);
    }

    #[test]
    fn places_add_the_statement_and_the_position_inside() {
        let script = Script {
            name: "s.sql",
            text: "SELECT 1;  SELECT\n  foo FROM x;",
        };
        let (_, next) = script.next(0).unwrap_or_else(|| unreachable!());
        let (item, _) = script.next(next).unwrap_or_else(|| unreachable!());
        let place = script.place(&item, Some(Position { line: 1, column: 8 }), 1);
        assert_eq!(
            place.at,
            Position {
                line: 1,
                column: 19
            }
        );
        let place = script.place(&item, Some(Position { line: 2, column: 3 }), 3);
        assert_eq!(
            (place.at, place.source.as_str()),
            (Position { line: 2, column: 3 }, "  foo FROM x;")
        );
        assert_eq!(
            place.statement,
            Position {
                line: 1,
                column: 12
            }
        );
    }

    #[test]
    fn what_can_be_run() {
        for complete in [
            "",
            "  ",
            "SELECT 1;",
            "\\d",
            "\\d person",
            "quit",
            "SELECT ';' ; -- x",
            "exit;",
            "SELECT 1; \\d",
        ] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 1; SELECT",
            "/* x ;",
            "SELECT $$ ;",
            "help me",
        ] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
