//! What is known about the data as a whole.

use super::define::{concept, date, datetime, float, key, text};
use crate::table::IdentifierClass::Value;
use crate::table::{TableDef, TableKind::Metadata};

/// Named facts about the data set.
pub(super) const METADATA: TableDef = TableDef::new("metadata", Metadata).columns(&[
    key("metadata_id"),
    concept("metadata_concept_id").required(),
    concept("metadata_type_concept_id").required(),
    text("name").required(),
    text("value_as_string"),
    concept("value_as_concept_id"),
    float("value_as_number"),
    date("metadata_date").is(Value),
    datetime("metadata_datetime").is(Value),
]);

/// Where the data set came from and how it was made.
pub(super) const CDM_SOURCE: TableDef = TableDef::new("cdm_source", Metadata).columns(&[
    text("cdm_source_name").required(),
    text("cdm_source_abbreviation").required(),
    text("cdm_holder").required(),
    text("source_description"),
    text("source_documentation_reference"),
    text("cdm_etl_reference"),
    date("source_release_date").is(Value).required(),
    date("cdm_release_date").is(Value).required(),
    text("cdm_version"),
    concept("cdm_version_concept_id").required(),
    text("vocabulary_version").required(),
]);
