//! What Tab offers: the names that fit where the cursor is.

use crate::args::Format;
use crate::sql::lexer::{Kind, Token, tokens};

use super::backslash::COMMANDS;
use super::keywords::KEYWORDS;

/// Where completion finds names.
pub(crate) trait Names {
    /// All tables.
    fn tables(&self) -> Vec<String>;
    /// The columns of a table; none where there is no such table.
    fn columns(&self, table: &str) -> Vec<String>;
    /// All functions.
    fn functions(&self) -> Vec<String>;
}

/// What Tab offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Names in place of the text from `start`.
    Names {
        /// First byte to replace.
        start: usize,
        /// What may stand there.
        names: Vec<String>,
    },
    /// The names of files.
    Files,
}

/// What Tab offers at byte `at` of a line.
pub(crate) fn complete(line: &str, at: usize, names: &dyn Names) -> Offer {
    let before = line.get(..at).unwrap_or(line);
    let trimmed = before.trim_start();
    if trimmed.starts_with('\\') {
        return backslash(before, before.len() - trimmed.len(), names);
    }
    let found = tokens(before);
    let nothing = Offer::Names {
        start: at,
        names: Vec::new(),
    };
    if found.last().is_some_and(|last| {
        !last.closed
            || matches!(last.kind, Kind::Text | Kind::Number | Kind::Parameter)
            || (last.kind == Kind::Comment && !before.ends_with("*/"))
    }) {
        return nothing;
    }
    let code: Vec<&Token> = found.iter().filter(|token| token.is_code()).collect();
    // The word under the cursor, and what stands before it.
    let (prefix, start, earlier) = match code.split_last() {
        Some((last, earlier)) if last.end == before.len() && last.kind == Kind::Word => {
            (last.text(before), last.start, earlier)
        }
        _ => ("", before.len(), code.as_slice()),
    };
    let used = tables_of(statement_around(line, at), names);
    let candidates = match earlier {
        [.., owner, dot] if dot.text(before) == "." && dot.end == start => {
            let owner = owner.text(before).trim_matches('"').to_lowercase();
            let table = used
                .iter()
                .find(|(name, alias)| *alias == owner || *name == owner);
            names.columns(table.map_or(&owner, |(name, _)| name))
        }
        [.., last] if after_from(last.text(before)) || in_from_list(earlier, before) => {
            names.tables()
        }
        _ => {
            let mut all: Vec<String> = used
                .iter()
                .flat_map(|(table, _)| names.columns(table))
                .collect();
            all.sort();
            all.dedup();
            let known = all.len();
            all.extend(names.tables());
            all.extend(names.functions().into_iter().map(|function| function + "("));
            all.extend(keywords(prefix));
            // A bare Tab shows the columns where it can, not hundreds of functions.
            if prefix.is_empty() && known > 0 {
                all.truncate(known);
            }
            all
        }
    };
    Offer::Names {
        start,
        names: fitting(candidates, prefix),
    }
}

fn backslash(before: &str, indent: usize, names: &dyn Names) -> Offer {
    let line = &before[indent..];
    let Some(space) = line.find(char::is_whitespace) else {
        let all = COMMANDS.iter().map(|help| help.name.to_owned()).collect();
        return Offer::Names {
            start: indent,
            names: fitting(all, line),
        };
    };
    let (command, rest) = line.split_at(space);
    let argument = rest.trim_start();
    let start = before.len() - argument.len();
    let all = match command {
        "\\d" => names.tables(),
        "\\df" => names.functions(),
        "\\timing" => vec!["off".into(), "on".into()],
        "\\format" => <Format as clap::ValueEnum>::value_variants()
            .iter()
            .map(|f| f.name().to_owned())
            .collect(),
        "\\i" | "\\o" => return Offer::Files,
        "\\explain" => {
            return match complete(argument, argument.len(), names) {
                Offer::Names {
                    start: inner,
                    names,
                } => Offer::Names {
                    start: start + inner,
                    names,
                },
                Offer::Files => Offer::Files,
            };
        }
        _ => Vec::new(),
    };
    Offer::Names {
        start,
        names: fitting(all, argument),
    }
}

/// Candidates that begin with the prefix, whatever the case, each once.
fn fitting(candidates: Vec<String>, prefix: &str) -> Vec<String> {
    let wanted = prefix.to_lowercase();
    let mut seen = std::collections::HashSet::new();
    candidates
        .into_iter()
        .filter(|name| name.to_lowercase().starts_with(&wanted) && seen.insert(name.to_lowercase()))
        .collect()
}

/// Keywords as the user writes them: in small letters after a small letter.
fn keywords(prefix: &str) -> impl Iterator<Item = String> {
    let small = prefix.starts_with(|c: char| c.is_lowercase());
    KEYWORDS.iter().map(move |word| {
        if small {
            word.to_lowercase()
        } else {
            (*word).to_owned()
        }
    })
}

fn after_from(word: &str) -> bool {
    ["FROM", "JOIN", "INTO", "TABLE", "DESCRIBE"]
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// After `FROM a, `.
fn in_from_list(earlier: &[&Token], text: &str) -> bool {
    let mut back = earlier.iter().rev();
    if back.next().is_none_or(|token| token.text(text) != ",") {
        return false;
    }
    back.find(|token| {
        !(token.text(text) == "," || token.kind == Kind::Word && !is_clause(token.text(text)))
    })
    .is_some_and(|token| token.text(text).eq_ignore_ascii_case("FROM"))
}

fn is_clause(word: &str) -> bool {
    super::keywords::is_keyword(word) && !word.eq_ignore_ascii_case("AS")
}

/// The statement that the cursor is in.
fn statement_around(line: &str, at: usize) -> &str {
    let semicolons: Vec<usize> = tokens(line)
        .iter()
        .filter(|token| token.kind == Kind::Semicolon)
        .map(|token| token.start)
        .collect();
    let start = semicolons
        .iter()
        .rev()
        .find(|&&semicolon| semicolon < at)
        .map_or(0, |semicolon| semicolon + 1);
    let end = semicolons
        .iter()
        .find(|&&semicolon| semicolon >= at)
        .copied()
        .unwrap_or(line.len());
    line.get(start..end).unwrap_or(line)
}

/// The tables that a statement names, with their aliases in small letters.
fn tables_of(statement: &str, names: &dyn Names) -> Vec<(String, String)> {
    let known = names.tables();
    let found = tokens(statement);
    let code: Vec<&Token> = found.iter().filter(|token| token.is_code()).collect();
    let word = |index: usize| {
        code.get(index)
            .filter(|token| matches!(token.kind, Kind::Word | Kind::QuotedName))
            .map(|token| token.text(statement).trim_matches('"').to_lowercase())
    };
    let mut used = Vec::new();
    for index in 0..code.len() {
        let Some(name) =
            word(index).filter(|name| known.iter().any(|table| table.to_lowercase() == *name))
        else {
            continue;
        };
        let next = word(index + 1);
        let alias = if next.as_deref() == Some("as") {
            word(index + 2)
        } else {
            next
        };
        let alias = alias
            .filter(|alias| !super::keywords::is_keyword(alias))
            .unwrap_or_else(|| name.clone());
        used.push((name, alias));
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Names for Few {
        fn tables(&self) -> Vec<String> {
            vec!["death".into(), "person".into(), "visit_occurrence".into()]
        }
        fn columns(&self, table: &str) -> Vec<String> {
            match table {
                "person" => vec!["person_id".into(), "year_of_birth".into()],
                "death" => vec!["person_id".into(), "death_date".into()],
                _ => Vec::new(),
            }
        }
        fn functions(&self) -> Vec<String> {
            vec!["age_at".into(), "avg".into()]
        }
    }

    /// Completes where `|` stands.
    fn offered(marked: &str) -> Vec<String> {
        let at = marked.find('|').unwrap_or(marked.len());
        match complete(&marked.replacen('|', "", 1), at, &Few) {
            Offer::Names { names, .. } => names,
            Offer::Files => vec!["<files>".into()],
        }
    }

    #[test]
    fn tables_stand_after_from() {
        assert_eq!(offered("SELECT * FROM p"), ["person"]);
        assert_eq!(
            offered("SELECT * FROM "),
            ["death", "person", "visit_occurrence"]
        );
        assert_eq!(offered("select * from person p, d"), ["death"]);
        assert_eq!(
            offered("SELECT * FROM person JOIN vis"),
            ["visit_occurrence"]
        );
    }

    #[test]
    fn columns_come_from_the_tables_of_the_statement() {
        assert_eq!(offered("SELECT y| FROM person"), ["year_of_birth"]);
        assert_eq!(
            offered("SELECT | FROM person"),
            ["person_id", "year_of_birth"]
        );
        assert_eq!(
            offered("SELECT d.| FROM person p JOIN death AS d"),
            ["person_id", "death_date"]
        );
        assert_eq!(
            offered("SELECT 1 FROM death; SELECT y"),
            Vec::<String>::new()
        );
        assert_eq!(offered("SELECT death.de| FROM death"), ["death_date"]);
    }

    #[test]
    fn functions_and_keywords_keep_the_case() {
        assert_eq!(
            offered("SELECT a"),
            [
                "age_at(", "avg(", "all", "analyze", "and", "anti", "any", "array", "as", "asc"
            ]
        );
        assert_eq!(offered("SEL"), ["SELECT"]);
        assert_eq!(offered("sel"), ["select"]);
    }

    #[test]
    fn nothing_inside_texts_and_comments() {
        assert_eq!(offered("SELECT 'p"), Vec::<String>::new());
        assert_eq!(offered("SELECT 1 -- p"), Vec::<String>::new());
        assert_eq!(offered("SELECT 12"), Vec::<String>::new());
    }

    #[test]
    fn commands_and_their_arguments() {
        assert_eq!(offered("\\ti"), ["\\timing"]);
        assert_eq!(offered("\\d per"), ["person"]);
        assert_eq!(offered("\\format t"), ["table", "tsv"]);
        assert_eq!(offered("\\i rep"), ["<files>"]);
        assert_eq!(offered("\\explain SELECT * FROM d"), ["death"]);
    }
}
