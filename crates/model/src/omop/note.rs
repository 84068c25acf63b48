//! Clinical notes and what was read from them.

use super::define::{concept, date, datetime, free_text, id, key, link, person, text};
use crate::table::IdentifierClass::Quasi;
use crate::table::{TableDef, TableKind::Clinical};

/// Unstructured documents.
pub(super) const NOTE: TableDef = TableDef::new("note", Clinical)
    .person("person_id")
    .on("note_date")
    .coded("note_class_concept_id")
    .domain("Note")
    .columns(&[
        key("note_id"),
        person(),
        date("note_date").required(),
        datetime("note_datetime"),
        concept("note_type_concept_id").required(),
        concept("note_class_concept_id").required(),
        free_text("note_title"),
        free_text("note_text").required(),
        concept("encoding_concept_id").required(),
        concept("language_concept_id").required(),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        free_text("note_source_value"),
        id("note_event_id"),
        concept("note_event_field_concept_id"),
    ]);

/// Terms extracted from notes; a person is reached through the note.
pub(super) const NOTE_NLP: TableDef = TableDef::new("note_nlp", Clinical)
    .person_through("note_id", "note")
    .coded("note_nlp_concept_id")
    .looked_up_by(&["note_id"])
    .columns(&[
        key("note_nlp_id"),
        link("note_id", "note").required(),
        concept("section_concept_id"),
        free_text("snippet"),
        text("offset"),
        free_text("lexical_variant").required(),
        concept("note_nlp_concept_id"),
        concept("note_nlp_source_concept_id"),
        text("nlp_system"),
        date("nlp_date").required(),
        datetime("nlp_datetime"),
        text("term_exists"),
        text("term_temporal"),
        free_text("term_modifiers"),
    ]);
