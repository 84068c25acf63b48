//! Tables derived from the clinical events: eras and episodes.

use super::define::{code, concept, date, datetime, float, id, integer, key, link, person};
use crate::table::{TableDef, TableKind::Derived};

/// Spans of exposure to an ingredient.
pub(super) const DRUG_ERA: TableDef = TableDef::new("drug_era", Derived)
    .person("person_id")
    .spans("drug_era_start_date", "drug_era_end_date")
    .coded("drug_concept_id")
    .domain("Drug")
    .columns(&[
        key("drug_era_id"),
        person(),
        concept("drug_concept_id").required(),
        date("drug_era_start_date").required(),
        date("drug_era_end_date").required(),
        integer("drug_exposure_count"),
        integer("gap_days"),
    ]);

/// Spans of constant dose of an ingredient.
pub(super) const DOSE_ERA: TableDef = TableDef::new("dose_era", Derived)
    .person("person_id")
    .spans("dose_era_start_date", "dose_era_end_date")
    .coded("drug_concept_id")
    .domain("Drug")
    .columns(&[
        key("dose_era_id"),
        person(),
        concept("drug_concept_id").required(),
        concept("unit_concept_id").required(),
        float("dose_value").required(),
        date("dose_era_start_date").required(),
        date("dose_era_end_date").required(),
    ]);

/// Spans of a condition.
pub(super) const CONDITION_ERA: TableDef = TableDef::new("condition_era", Derived)
    .person("person_id")
    .spans("condition_era_start_date", "condition_era_end_date")
    .coded("condition_concept_id")
    .domain("Condition")
    .columns(&[
        key("condition_era_id"),
        person(),
        concept("condition_concept_id").required(),
        date("condition_era_start_date").required(),
        date("condition_era_end_date").required(),
        integer("condition_occurrence_count"),
    ]);

/// Disease phases and treatment courses.
pub(super) const EPISODE: TableDef = TableDef::new("episode", Derived)
    .person("person_id")
    .spans("episode_start_date", "episode_end_date")
    .coded("episode_concept_id")
    .domain("Episode")
    .columns(&[
        key("episode_id"),
        person(),
        concept("episode_concept_id").required(),
        date("episode_start_date").required(),
        datetime("episode_start_datetime"),
        date("episode_end_date"),
        datetime("episode_end_datetime"),
        id("episode_parent_id").references("episode", "episode_id"),
        integer("episode_number"),
        concept("episode_object_concept_id").required(),
        concept("episode_type_concept_id").required(),
        code("episode_source_value"),
        concept("episode_source_concept_id"),
    ]);

/// The records an episode is made of.
pub(super) const EPISODE_EVENT: TableDef = TableDef::new("episode_event", Derived)
    .person_through("episode_id", "episode")
    .looked_up_by(&["episode_id"])
    .columns(&[
        link("episode_id", "episode").required(),
        id("event_id").required(),
        concept("episode_event_field_concept_id").required(),
    ]);
