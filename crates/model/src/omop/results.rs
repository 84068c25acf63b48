//! Cohorts: who is in them, and what they mean.

use super::define::{concept, date, id, link, text};
use crate::table::IdentifierClass::{Direct, Value};
use crate::table::{TableDef, TableKind::Results};

/// Persons in a cohort, with entry and exit.
pub(super) const COHORT: TableDef = TableDef::new("cohort", Results)
    .person("subject_id")
    .spans("cohort_start_date", "cohort_end_date")
    .columns(&[
        link("cohort_definition_id", "cohort_definition").required(),
        id("subject_id").is(Direct).required(),
        date("cohort_start_date").required(),
        date("cohort_end_date").required(),
    ]);

/// What a cohort means.
pub(super) const COHORT_DEFINITION: TableDef = TableDef::new("cohort_definition", Results)
    .looked_up_by(&["cohort_definition_id"])
    .columns(&[
        id("cohort_definition_id").required(),
        text("cohort_definition_name").required(),
        text("cohort_definition_description"),
        concept("definition_type_concept_id").required(),
        text("cohort_definition_syntax"),
        concept("subject_concept_id").required(),
        date("cohort_initiation_date").is(Value),
    ]);

/// What a cohort attribute means; CDM 5.3 only.
pub(super) const ATTRIBUTE_DEFINITION: TableDef = TableDef::new("attribute_definition", Results)
    .looked_up_by(&["attribute_definition_id"])
    .columns(&[
        id("attribute_definition_id").required(),
        text("attribute_name").required(),
        text("attribute_description"),
        concept("attribute_type_concept_id").required(),
        text("attribute_syntax"),
    ]);
