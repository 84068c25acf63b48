//! What is implausible in a delivery, or missing from it: stored all the same, and named.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A table of the model that most analyses need is not in the source.
    MissingTable,
    /// A required column is not in the source; it is NULL in every row.
    MissingColumn,
    /// A table of the model that most analyses need has no row, in the source or in the store.
    NoRows,
    /// A file without a single byte.
    EmptyFile,
    /// A file that is not a table.
    IgnoredFile,
    /// A column name that stands in the header more than once.
    RepeatedColumn,
    /// A file that was stored before, and is not bound to persons.
    UnchangedFile,
    /// Rows whose primary key another row has too.
    RepeatedKey,
    /// Rows of persons without a row in `person`.
    NoPerson,
    /// Rows that start before the person's birth.
    BeforeBirth,
    /// Rows that start after the person's death.
    AfterDeath,
    /// Rows that end before they start.
    EndBeforeStart,
    /// Rows without a value in a required column.
    MissingValue,
    /// Rows whose concept is 0: the source's code was not mapped.
    UnmappedConcept,
    /// Words such as `NULL` where a number or date is expected, read as no value.
    NullWord,
    /// Dates given as Unix seconds.
    UnixDate,
    /// Rows of a table of the source that the model has no place for, stored under the table's own name.
    ExtraTable,
    /// Rows of a source whose person or other reference is not in the source.
    UnknownReference,
    /// Rows of a table that the policy of the ingest does not show.
    LeftOut,
    /// A column, or answers in it, that identify persons directly and have no place in the model.
    Identifier,
}

impl FindingKind {
    /// What it means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::MissingTable => "not in the source",
            Self::MissingColumn => "required column not in the source: NULL in every row",
            Self::NoRows => "its files have no rows, and the store has none of it either",
            Self::EmptyFile => "empty file",
            Self::IgnoredFile => "not a table: ignored",
            Self::RepeatedColumn => "column stands in the header again: kept under another name",
            Self::UnchangedFile => "stored before and not bound to persons: not stored again",
            Self::RepeatedKey => "rows repeat the primary key of another row",
            Self::NoPerson => "rows belong to persons without a person row",
            Self::BeforeBirth => "rows start before the person's birth",
            Self::AfterDeath => "rows start after the person's death",
            Self::EndBeforeStart => "rows end before they start",
            Self::MissingValue => "rows have no value in a required column",
            Self::UnmappedConcept => "rows have concept 0: their code is not mapped",
            Self::NullWord => "cells spell `NULL`, `NA` or the like: stored as no value",
            Self::UnixDate => "dates are given as Unix seconds: read as such",
            Self::ExtraTable => {
                "rows of a table that the model does not have: stored under this name"
            }
            Self::UnknownReference => "rows refer to a record that is not in the source",
            Self::LeftOut => "rows of a table that no rule of the policy shows: left out",
            Self::Identifier => "identifies persons directly: left out",
        }
    }
}

/// Something implausible or missing, with its count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The table, or the file where it is about one.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What it is.
    pub kind: FindingKind,
    /// Rows, cells or files that it was found in.
    pub count: u64,
    /// What it means.
    pub detail: String,
}

impl Finding {
    pub(crate) fn new(table: &str, column: Option<&str>, kind: FindingKind, count: u64) -> Self {
        Self {
            table: table.to_owned(),
            column: column.map(str::to_owned),
            kind,
            count,
            detail: kind.meaning().to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        if let Some(column) = &self.column {
            write!(f, ".{column}")?;
        }
        write!(f, ": {} {}", self.count, self.detail)
    }
}

/// Findings of many blocks, added up.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    counts: BTreeMap<(String, FindingKind, Option<String>), (u64, String)>,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        if finding.count > 0 {
            let key = (finding.table, finding.kind, finding.column);
            self.counts.entry(key).or_insert((0, finding.detail)).0 += finding.count;
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        let finding = |((table, kind, column), (count, detail))| Finding {
            table,
            column,
            kind,
            count,
            detail,
        };
        self.counts.into_iter().map(finding).collect()
    }
}
