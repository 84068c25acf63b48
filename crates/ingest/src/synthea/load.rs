//! Finds an OMOP vocabulary and reads what it says of Synthea's codes.

use std::path::PathBuf;

use super::header::Row;
use super::rows;
use super::vocabulary::{ConceptRow, Vocabulary};
use crate::parse;
use crate::source::{Source, SourceTable};
use crate::{Error, Result};

/// The tables of a vocabulary that map codes, under the names of Athena's downloads and of OHDSI's seeds.
const CONCEPT: [&str; 2] = ["concept", "concept_seed"];
const RELATIONSHIP: [&str; 2] = ["concept_relationship", "concept_relationship_seed"];

/// What was found where vocabularies lie.
#[derive(Debug)]
pub(super) enum Found {
    /// A vocabulary with codes.
    Vocabulary(Box<Vocabulary>),
    /// A folder of this name, without a concept of the vocabularies that Synthea uses.
    WithoutConcepts(String),
    /// None.
    Nothing,
}

/// The vocabulary that was given, else the one in the source's own folder or in a folder `vocabulary` beside it.
pub(super) fn load(source: &Source, given: Option<&PathBuf>) -> Result<Found> {
    if let Some(path) = given {
        return read(&Source::discover(path)?);
    }
    if find(source, &CONCEPT).is_some() {
        return read(source);
    }
    let beside = source
        .path
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.parent()?.join("vocabulary")));
    match beside
        .filter(|path| path.is_dir())
        .map(|path| Source::discover(&path))
    {
        // A folder of this name that holds no tables has nothing to do with this delivery.
        None | Some(Err(Error::NothingToRead { .. })) => Ok(Found::Nothing),
        Some(vocabulary) => read(&vocabulary?),
    }
}

/// Whether a table of a source belongs to a vocabulary.
pub(super) fn is_vocabulary_table(name: &str) -> bool {
    CONCEPT.contains(&name) || RELATIONSHIP.contains(&name)
}

fn find<'a>(source: &'a Source, names: &[&str]) -> Option<&'a SourceTable> {
    names.iter().find_map(|name| source.table(name))
}

fn read(source: &Source) -> Result<Found> {
    let Some(concepts) = find(source, &CONCEPT) else {
        return Ok(Found::WithoutConcepts(source.name.clone()));
    };
    let mut vocabulary = Vocabulary::default();
    let columns = [
        "concept_id",
        "domain_id",
        "vocabulary_id",
        "standard_concept",
        "concept_code",
        "invalid_reason",
    ];
    each(concepts, columns, &mut |row,
                                  [
        id,
        domain,
        terms,
        standard,
        code,
        invalid,
    ]| {
        let text = |at| row.filled(Some(at)).unwrap_or_default();
        if let Ok(id) = parse::integer(&text(id)) {
            vocabulary.concept(ConceptRow {
                id,
                domain: &text(domain),
                vocabulary: &text(terms),
                standard: &text(standard),
                code: &text(code),
                invalid: &text(invalid),
            });
        }
    })?;
    if let Some(relationships) = find(source, &RELATIONSHIP) {
        let columns = [
            "concept_id_1",
            "concept_id_2",
            "relationship_id",
            "invalid_reason",
        ];
        each(relationships, columns, &mut |row,
                                           [
            from,
            to,
            relationship,
            invalid,
        ]| {
            let is_map = row.filled(Some(relationship)).as_deref() == Some(b"Maps to");
            let id = |at| {
                row.filled(Some(at))
                    .and_then(|cell| parse::integer(&cell).ok())
            };
            if let (true, None, Some(from), Some(to)) =
                (is_map, row.filled(Some(invalid)), id(from), id(to))
            {
                vocabulary.maps(from, to);
            }
        })?;
    }
    if vocabulary.is_empty() {
        return Ok(Found::WithoutConcepts(source.name.clone()));
    }
    Ok(Found::Vocabulary(Box::new(vocabulary)))
}

/// Calls `take` with each row of a table and the positions of its columns.
fn each<const N: usize>(
    table: &SourceTable,
    columns: [&str; N],
    take: &mut dyn FnMut(&Row<'_, '_>, [usize; N]),
) -> Result<()> {
    for file in &table.files {
        let Some((dialect, header)) = rows::header(file)? else {
            continue;
        };
        let mut positions = [0; N];
        for (position, column) in positions.iter_mut().zip(columns) {
            let missing = || {
                Error::bad_file(
                    &file.name,
                    format!("column `{column}` is missing: this is no OMOP vocabulary"),
                )
            };
            *position = header.position(column).ok_or_else(missing)?;
        }
        rows::for_each(file, dialect, &header, &mut |row| {
            take(row, positions);
            Ok(())
        })?;
    }
    Ok(())
}
