//! What was typed before, in a private file that holds no patient's values.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use columna_model::{CdmVersion, IdentifierClass, tables};

use crate::error::CliError;
use crate::sql::lexer::{Kind, Token, tokens};

/// Entries that are kept.
const KEPT: usize = 5_000;

/// The history file, or none.
#[derive(Debug)]
pub(crate) struct History {
    path: Option<PathBuf>,
}

impl History {
    /// No history.
    pub(crate) fn off() -> Self {
        Self { path: None }
    }

    /// The history in a folder of the user's own, which only the user can read.
    pub(crate) fn open(folder: &std::path::Path) -> Result<Self, CliError> {
        let failed = |error| CliError::io("prepare the history in", folder.display(), &error);
        private_folder(folder).map_err(failed)?;
        let path = folder.join("history");
        private_file(&path).map_err(failed)?;
        Ok(Self { path: Some(path) })
    }

    /// Earlier entries, oldest first.
    pub(crate) fn load(&self) -> Vec<String> {
        let Some(path) = &self.path else {
            return Vec::new();
        };
        let Ok(file) = File::open(path) else {
            return Vec::new();
        };
        let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
        let old = lines.len().saturating_sub(KEPT);
        if old > KEPT {
            // Twice as long as needed: cut it. A history that cannot be cut is only long.
            let _ = fs::write(path, lines[old..].join("\n") + "\n");
        }
        lines[old..].iter().map(|line| unescaped(line)).collect()
    }

    /// Remembers an entry, unless it begins with a space or may name a patient.
    pub(crate) fn remember(&self, entry: &str) {
        let Some(path) = &self.path else { return };
        if entry.starts_with(' ') || entry.trim().is_empty() || may_name_a_patient(entry) {
            return;
        }
        // A shell must not end because its history is full or gone.
        if private_file(path).is_ok()
            && let Ok(mut file) = OpenOptions::new().append(true).open(path)
        {
            let _ = file.write_all((escaped(entry) + "\n").as_bytes());
        }
    }
}

fn private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    fs::create_dir_all(folder)
}

fn private_file(path: &std::path::Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(|_| ())
}

/// An entry is a line of the file.
fn escaped(entry: &str) -> String {
    entry.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescaped(line: &str) -> String {
    let mut entry = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => entry.push('\n'),
            ('\\', Some(other)) => entry.push(other),
            (other, _) => entry.push(other),
        }
    }
    entry
}

/// A statement that compares a column which names a person, or free text, with a value; and `\set`.
fn may_name_a_patient(entry: &str) -> bool {
    if entry.trim_start().starts_with("\\set") {
        return true;
    }
    let all = tokens(entry);
    let code: Vec<&Token> = all.iter().filter(|token| token.is_code()).collect();
    let is_value = |token: &Token| matches!(token.kind, Kind::Number | Kind::Text);
    code.iter().enumerate().any(|(index, token)| {
        if !matches!(token.kind, Kind::Word | Kind::QuotedName)
            || !names_a_person(token.text(entry))
        {
            return false;
        }
        let after = code[index + 1..].iter().take(8);
        let compared = code
            .get(index + 1)
            .is_some_and(|next| is_comparison(next.text(entry)));
        // `12 = p.person_id`: the comparison stands before the whole name.
        let mut first = index;
        while first >= 2 && code[first - 1].text(entry) == "." {
            first -= 2;
        }
        let turned =
            first >= 2 && is_value(code[first - 2]) && is_comparison(code[first - 1].text(entry));
        turned
            || (compared
                && after
                    .take_while(|token| !ends_a_comparison(token.text(entry)))
                    .any(|token| is_value(token)))
    })
}

/// Another column, or the next clause: values beyond it are compared with something else.
fn ends_a_comparison(token: &str) -> bool {
    let word = token.to_ascii_uppercase();
    matches!(
        word.as_str(),
        "." | ";" | "AND" | "OR" | "ON" | "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "THEN"
    )
}

fn is_comparison(token: &str) -> bool {
    let word = token.to_ascii_uppercase();
    matches!(
        word.as_str(),
        "=" | "<"
            | ">"
            | "!"
            | "~"
            | "IN"
            | "NOT"
            | "LIKE"
            | "ILIKE"
            | "BETWEEN"
            | "SIMILAR"
            | "IS"
    )
}

/// The model says so, or, for what a hospital's own extract adds to it, the name does.
fn names_a_person(word: &str) -> bool {
    let name = word.trim_matches(['"', '`']).to_ascii_lowercase();
    let mut known = tables(CdmVersion::V5_4)
        .iter()
        .filter_map(|table| table.column(&name))
        .peekable();
    // OMOP's `metadata` has a column `name` too, but in a hospital's extract it is the patient's.
    if name != "name" && known.peek().is_some() {
        return known.any(|column| {
            matches!(
                column.class,
                IdentifierClass::Direct | IdentifierClass::FreeText
            )
        });
    }
    [
        "name", "mrn", "phone", "address", "rrn", "ssn", "birth", "resident", "person", "patient",
        "subject",
    ]
    .iter()
    .any(|part| name.contains(part))
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = History::open(&folder.path().join("state")).expect("a history");
        let entries = ["SELECT 1;", "SELECT\n  '\\n';", "\\d person"];
        for entry in entries {
            history.remember(entry);
        }
        history.remember(" SELECT 'secret';");
        history.remember("SELECT * FROM person WHERE person_id = 4711;");
        assert_eq!(history.load(), entries);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_even_when_it_was_not() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        fs::create_dir(&state).expect("a folder");
        fs::write(state.join("history"), "SELECT 1;\n").expect("a file");
        fs::set_permissions(state.join("history"), fs::Permissions::from_mode(0o644)).expect("set");
        History::open(&state).expect("a history");
        let mode = |path: &std::path::Path| {
            fs::metadata(path).expect("there").permissions().mode() & 0o777
        };
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("history")), 0o600);
    }

    #[test]
    fn statements_about_one_patient_are_not_kept() {
        for statement in [
            "SELECT * FROM person WHERE person_id = 12;",
            "SELECT * FROM person WHERE 12 = p.person_id;",
            "SELECT * FROM person WHERE person_source_value IN ('A-1', 'A-2');",
            "SELECT * FROM patient WHERE name LIKE '김%';",
            "SELECT * FROM person WHERE person_id BETWEEN 5 AND 6",
            "\\set pid 12",
        ] {
            assert!(may_name_a_patient(statement), "{statement}");
        }
        for statement in [
            "SELECT person_id FROM person LIMIT 10;",
            "SELECT count(*) FROM person WHERE year_of_birth > 1950;",
            "SELECT concept_id FROM concept WHERE concept_name LIKE '%diabetes%';",
            "SELECT * FROM drug_exposure d JOIN person p ON d.person_id = p.person_id WHERE days_supply > 30;",
        ] {
            assert!(!may_name_a_patient(statement), "{statement}");
        }
    }
}
