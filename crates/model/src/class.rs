//! The names that policies and encryption use for kinds of tables and for what columns give away.

use crate::{CdmVersion, ColumnType, IdentifierClass, TableDef, TableKind, table, table_in};

/// The identifier classes by the names that rules use. `person_key` is the column that holds the person; `key` is
/// the number of a record that is no person, such as a visit, and `code` any other code or concept.
pub const IDENTIFIER_CLASSES: [&str; 8] = [
    "person_key",
    "direct",
    "quasi",
    "date",
    "free_text",
    "key",
    "code",
    "value",
];

/// Numbers that who defines a cohort gives it, by which it is asked for: they tell of nobody.
const OF_DEFINITIONS: [&str; 2] = ["cohort_definition_id", "attribute_definition_id"];

/// A table of CDM 5.4 or, where that has none of the name, of 5.3.
#[must_use]
pub fn table_of_any_version(name: &str) -> Option<&'static TableDef> {
    table(name).or_else(|| table_in(CdmVersion::V5_3, name))
}

/// The identifier class of a column, by the name that rules use; none for what OMOP does not know.
#[must_use]
pub fn identifier_class(
    table: &str,
    person_key: Option<&str>,
    column: &str,
) -> Option<&'static str> {
    if person_key == Some(column) {
        return Some("person_key");
    }
    let column = table_of_any_version(table)?.column(column)?;
    Some(match column.class {
        IdentifierClass::Direct => "direct",
        IdentifierClass::Quasi => "quasi",
        IdentifierClass::Date => "date",
        IdentifierClass::FreeText => "free_text",
        IdentifierClass::Code
            if column.data_type == ColumnType::BigInt
                && !column.is_concept()
                && !OF_DEFINITIONS.contains(&column.name) =>
        {
            "key"
        }
        IdentifierClass::Code => "code",
        IdentifierClass::Value => "value",
    })
}

impl TableKind {
    /// The kinds by the names that rules use, behind an `@`.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("clinical", Self::Clinical),
        ("health_system", Self::HealthSystem),
        ("economic", Self::Economic),
        ("derived", Self::Derived),
        ("metadata", Self::Metadata),
        ("vocabulary", Self::Vocabulary),
        ("results", Self::Results),
    ];

    /// A kind by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_numbers() {
        let class = |table, column| identifier_class(table, Some("subject_id"), column);
        assert_eq!(class("cohort", "subject_id"), Some("person_key"));
        assert_eq!(class("cohort", "cohort_definition_id"), Some("code"));
        assert_eq!(class("drug_exposure", "visit_occurrence_id"), Some("key"));
        assert_eq!(class("drug_exposure", "drug_concept_id"), Some("code"));
        assert_eq!(class("drug_exposure", "unknown"), None);
    }
}
