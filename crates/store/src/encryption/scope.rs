//! The words that say what of a store is encrypted.

use columna_model::{IDENTIFIER_CLASSES, TableKind, identifier_class, table_of_any_version};

use crate::snapshot::Snapshot;
use crate::table_spec::TableSpec;

/// The words, for messages.
pub(super) const WORDS: &str = "write `all`, `persons` (all but vocabularies), a kind such as `@clinical`, an identifier class \
     such as `direct` or `free_text`, a table, or TABLE.COLUMN";

/// Classes that a column may hold that the model does not know: nobody said what is in it.
const UNKNOWN: [&str; 3] = ["direct", "free_text", "quasi"];

/// The table of the rows that could not be typed.
const REJECTS: &str = "ingest_rejects";

/// What of a table is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Nothing.
    Nothing,
    /// Every column.
    All,
    /// These columns, of several.
    Columns(Vec<String>),
}

impl Covered {
    /// The columns, where not all of them are.
    pub(crate) fn columns(&self) -> &[String] {
        match self {
            Self::Columns(columns) => columns,
            Self::Nothing | Self::All => &[],
        }
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Columns(columns) => columns.iter().any(|c| c == column),
        }
    }
}

/// What the words encrypt of a table.
pub(super) fn of_table(words: &[String], spec: &TableSpec) -> Covered {
    let kind = table_of_any_version(&spec.name).map(|def| def.kind);
    let whole = words.iter().any(|word| match word.as_str() {
        "all" => true,
        "persons" => kind != Some(TableKind::Vocabulary),
        word if word.starts_with('@') => kind.is_some() && TableKind::parse(&word[1..]) == kind,
        word => word == spec.name,
    });
    if whole {
        return Covered::All;
    }
    let encrypted = |column: &str| {
        // Rows of every table, as they were delivered.
        if !words.is_empty() && spec.name == REJECTS && column == "row" {
            return true;
        }
        let class = identifier_class(&spec.name, spec.person_key.as_deref(), column);
        words.iter().any(|word| match class {
            Some(class) if word == class => true,
            None if UNKNOWN.contains(&word.as_str()) => true,
            _ => word
                .split_once('.')
                .is_some_and(|(t, c)| t == spec.name && c == column),
        })
    };
    let names = spec.schema.fields().iter().map(|f| f.name());
    let columns: Vec<String> = names.filter(|name| encrypted(name)).cloned().collect();
    if columns.is_empty() {
        Covered::Nothing
    } else if columns.len() == spec.schema.fields().len() {
        Covered::All
    } else {
        Covered::Columns(columns)
    }
}

/// Checks that a word means something: one that does not would leave in the clear what somebody wants encrypted.
pub(super) fn check(word: &str, snapshot: Option<&Snapshot>) -> Result<(), String> {
    let stored = |table: &str| snapshot.and_then(|s| s.table(table)).map(|t| &t.spec);
    match word {
        "all" | "persons" => Ok(()),
        _ if IDENTIFIER_CLASSES.contains(&word) => Ok(()),
        _ if word.starts_with('@') => match TableKind::parse(&word[1..]) {
            Some(_) => Ok(()),
            None => {
                let kinds = TableKind::NAMES.map(|(name, _)| format!("@{name}"));
                Err(format!("kinds of tables are {}", kinds.join(", ")))
            }
        },
        _ => {
            let (name, column) = match word.split_once('.') {
                Some((name, column)) => (name, Some(column)),
                None => (word, None),
            };
            let (spec, def) = (stored(name), table_of_any_version(name));
            if spec.is_none() && def.is_none() && name != REJECTS {
                return Err(format!(
                    "neither OMOP nor the store has such a table or identifier class: {WORDS}"
                ));
            }
            match column {
                None => Ok(()),
                Some(column)
                    if spec.is_some_and(|s| s.schema.index_of(column).is_ok())
                        || def.is_some_and(|d| d.column(column).is_some()) =>
                {
                    Ok(())
                }
                Some(column) => Err(format!("table `{name}` has no column `{column}`")),
            }
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn covered(text: &str, table: &str) -> Covered {
        let spec = TableSpec::from_model(columna_model::table(table).unwrap());
        of_table(&words(text), &spec)
    }

    #[test]
    fn words_cover_tables_kinds_and_classes() {
        assert_eq!(covered("all", "concept"), Covered::All);
        assert_eq!(covered("persons", "concept"), Covered::Nothing);
        assert_eq!(covered("persons", "cost"), Covered::All);
        assert_eq!(covered("@clinical", "note"), Covered::All);
        assert_eq!(covered("@clinical", "cost"), Covered::Nothing);
        assert_eq!(covered("note", "person"), Covered::Nothing);
        let Covered::Columns(columns) = covered("free_text,person.gender_concept_id", "note")
        else {
            panic!("some columns of notes are free text");
        };
        assert!(columns.contains(&"note_text".to_owned()), "{columns:?}");
        assert!(!columns.contains(&"person_id".to_owned()), "{columns:?}");
        let only = vec!["gender_concept_id".to_owned()];
        assert_eq!(
            covered("person.gender_concept_id", "person"),
            Covered::Columns(only)
        );
    }

    #[test]
    fn columns_that_nobody_classed_count_as_texts() {
        let spec = TableSpec {
            name: "hospital_extra".to_owned(),
            schema: std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
                arrow::datatypes::Field::new("memo", arrow::datatypes::DataType::Utf8, true),
            ])),
            person_key: None,
            sort: vec![],
            bloom: vec![],
        };
        assert_eq!(of_table(&words("free_text"), &spec), Covered::All);
        assert_eq!(of_table(&words("date"), &spec), Covered::Nothing);
    }

    #[test]
    fn rejected_rows_are_encrypted_with_anything() {
        let text =
            |name| arrow::datatypes::Field::new(name, arrow::datatypes::DataType::Utf8, true);
        let fields = vec![text("reason"), text("row")];
        let spec = TableSpec {
            name: REJECTS.to_owned(),
            schema: std::sync::Arc::new(arrow::datatypes::Schema::new(fields)),
            person_key: None,
            sort: vec![],
            bloom: vec![],
        };
        for words_given in ["@clinical", "observation", "measurement.value_as_number"] {
            let row = Covered::Columns(vec!["row".to_owned()]);
            assert_eq!(of_table(&words(words_given), &spec), row, "{words_given}");
        }
        assert_eq!(of_table(&[], &spec), Covered::Nothing);
    }

    #[test]
    fn words_without_meaning_are_refused() {
        for good in [
            "all",
            "@vocabulary",
            "direct",
            "note",
            "note.note_text",
            "ingest_rejects",
        ] {
            assert_eq!(check(good, None), Ok(()), "{good}");
        }
        for bad in [
            "",
            "everything",
            "@clinic",
            "notes",
            "note.text",
            "texts.note",
        ] {
            assert!(check(bad, None).is_err(), "{bad}");
        }
    }
}
