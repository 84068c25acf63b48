//! What was typed before, in a private file that holds no patient's values.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use columna_model::{CdmVersion, IdentifierClass, tables};

use crate::error::CliError;
use crate::sql::lexer::{Kind, tokens};

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

/// A statement that has both a column which names a person, or free text, and a value; and `\set`. In how many ways they
/// can be compared nobody knows: `lower(name) = '…'`, `CASE name WHEN '…'`, a join with VALUES.
fn may_name_a_patient(entry: &str) -> bool {
    if entry.trim_start().starts_with("\\set") {
        return true;
    }
    let all = tokens(entry);
    let code = all.iter().filter(|token| token.is_code());
    let code: Vec<(Kind, String)> = code
        .map(|token| (token.kind, plain(token.text(entry))))
        .collect();
    let statement = Statement(&code);
    let mut places = 0..code.len();
    places.clone().any(|at| statement.is_value(at)) && places.any(|at| statement.is_a_persons(at))
}

/// A word in lower case, without quotes.
fn plain(token: &str) -> String {
    token.trim_matches(['"', '`']).to_lowercase()
}

/// A statement's tokens.
#[derive(Clone, Copy)]
struct Statement<'t>(&'t [(Kind, String)]);

impl<'t> Statement<'t> {
    /// What stands so many places before or behind; nothing beyond the ends.
    fn word(self, at: usize, off: isize) -> &'t str {
        let place = at.checked_add_signed(off).and_then(|at| self.0.get(at));
        place.map_or("", |(_, word)| word)
    }

    /// A number or a text; not how many rows are shown, or by which column they are ordered.
    fn is_value(self, at: usize) -> bool {
        match self.0[at].0 {
            Kind::Text => true,
            Kind::Number => !matches!(self.word(at, -1), "limit" | "offset" | "by"),
            _ => false,
        }
    }

    /// A column of persons' own values that may be compared with some.
    fn is_a_persons(self, at: usize) -> bool {
        let (kind, word) = &self.0[at];
        match kind {
            // A field of a struct: `p['name']`.
            Kind::Text if self.word(at, -1) == "[" => names_a_person(word.trim_matches('\'')),
            Kind::Word | Kind::QuotedName => {
                names_a_person(word)
                    && !self.is_table(at)
                    && !self.is_of_table(at)
                    && !self.is_counted(at)
                    && !self.is_joined(at)
            }
            _ => false,
        }
    }

    /// A table, behind FROM or JOIN.
    fn is_table(self, at: usize) -> bool {
        match self.word(at, -1) {
            "join" => true,
            "from" => self.is_clause(at - 1),
            _ => false,
        }
    }

    /// Whether a FROM is that of a SELECT, and not of `trim(' ' FROM name)`.
    fn is_clause(self, from: usize) -> bool {
        let mut depth = 0_usize;
        for (_, word) in self.0[..from].iter().rev() {
            match word.as_str() {
                ")" => depth += 1,
                "(" if depth == 0 => return false,
                "(" => depth -= 1,
                "select" if depth == 0 => return true,
                _ => {}
            }
        }
        false
    }

    /// `person.` of a table `person`.
    fn is_of_table(self, at: usize) -> bool {
        let same = |other: usize| self.0[other].1 == self.0[at].1;
        self.word(at, 1) == "."
            && (0..self.0.len()).any(|other| same(other) && self.is_table(other))
    }

    /// `count(DISTINCT person_id)`, `USING (person_id)`.
    fn is_counted(self, at: usize) -> bool {
        let first = self.whole(at);
        let distinct = if self.word(first, -1) == "distinct" {
            -1
        } else {
            0
        };
        matches!(self.word(first, distinct - 2), "count" | "using")
            && self.word(first, distinct - 1) == "("
            && self.word(at, 1) == ")"
    }

    /// `a.person_id = b.person_id`, without more on either side.
    fn is_joined(self, at: usize) -> bool {
        let named = &self.0[at].1;
        let is_whole = |at: usize| self.word(at, -1) == "." && self.word(at, 0) == named;
        let (left, right) = match (self.word(at, 1), self.word(self.whole(at), -1)) {
            ("=", _) => (at, at + 4),
            (_, "=") => match self.whole(at).checked_sub(2) {
                Some(left) => (left, at),
                None => return false,
            },
            _ => return false,
        };
        let begins = |word: &str| matches!(word, "on" | "and" | "or" | "where" | "(");
        let ends = |word: &str| {
            begins(word)
                || matches!(
                    word,
                    "" | ";"
                        | ")"
                        | "join"
                        | "left"
                        | "right"
                        | "full"
                        | "inner"
                        | "cross"
                        | "group"
                        | "order"
                        | "limit"
                        | "having"
                        | "union"
                )
        };
        is_whole(left)
            && is_whole(right)
            && self.word(left, 1) == "="
            && self.whole(right) == left + 2
            && begins(self.word(self.whole(left), -1))
            && ends(self.word(right, 1))
    }

    /// Where a name with the tables before it begins: `p` of `p.person_id`.
    fn whole(self, at: usize) -> usize {
        let mut first = at;
        while first >= 2 && self.word(first, -1) == "." {
            first -= 2;
        }
        first
    }
}

/// The model says so, or, for what a hospital's own extract adds to it, the name does.
fn names_a_person(name: &str) -> bool {
    // How many there are, and for how long.
    if matches!(
        name,
        "persons" | "patients" | "subjects" | "person_time" | "person_days" | "person_years"
    ) {
        return false;
    }
    let mut known = tables(CdmVersion::V5_4)
        .iter()
        .filter_map(|table| table.column(name))
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
            "SELECT * FROM emr WHERE lower(name) = '김철수'",
            "SELECT * FROM emr WHERE (name) = '김철수'",
            "SELECT * FROM emr WHERE name::text = '김철수'",
            "SELECT * FROM emr WHERE starts_with(name, '김')",
            "SELECT CASE name WHEN '김철수' THEN 1 END FROM emr",
            "SELECT * FROM emr WHERE trim(name) IN ('김철수')",
            "SELECT * FROM emr WHERE trim(' ' FROM name) IN ('김철수')",
            "SELECT * FROM emr JOIN (VALUES ('김철수')) v(x) ON name = x",
            "SELECT * FROM emr WHERE \"Name\" || '' = '김철수'",
            "SELECT * FROM emr e WHERE e.data['name'] = '김철수'",
            "SELECT * FROM emr e WHERE e.name.first = '철수'",
            "SELECT * FROM person WHERE person_id + 0 = 4711",
            "SELECT * FROM person WHERE CAST(person_id AS TEXT) = '4711'",
            "SELECT * FROM person p JOIN (SELECT 4711 AS person_id) q ON p.person_id = q.person_id",
            "SELECT * FROM person p JOIN (VALUES (4711)) q(person_id) USING (person_id)",
            "SELECT 4711 INTERSECT SELECT person_id FROM person",
            "SELECT * FROM death d JOIN person p ON d.person_id = p.person_id + 4711",
            "SELECT * FROM person p WHERE p.person_id = 4711",
            "\\set pid 12",
        ] {
            assert!(may_name_a_patient(statement), "{statement}");
        }
        for statement in [
            "SELECT person_id FROM person LIMIT 10;",
            "SELECT count(*) FROM person WHERE year_of_birth > 1950;",
            "SELECT concept_id FROM concept WHERE concept_name LIKE '%diabetes%';",
            "SELECT * FROM drug_exposure d JOIN person p ON d.person_id = p.person_id WHERE days_supply > 30;",
            "SELECT count(DISTINCT o.person_id) AS patients FROM condition_occurrence o WHERE condition_concept_id = 201826;",
            "SELECT count(*) FROM person JOIN death d USING (person_id) WHERE person.gender_concept_id = 8507",
            "SELECT 1 FROM person p WHERE EXISTS (SELECT 1 FROM death d WHERE d.person_id = p.person_id)",
            "SELECT person_id, count(*) FROM death GROUP BY person_id ORDER BY 2 DESC LIMIT 10",
        ] {
            assert!(!may_name_a_patient(statement), "{statement}");
        }
    }
}
