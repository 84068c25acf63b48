//! The person, when the person was under observation, and death.

use super::define::{code, concept, date, datetime, id, integer, key, link, person};
use crate::table::IdentifierClass::{Direct, Quasi};
use crate::table::{TableDef, TableKind::Clinical};

/// One row per person.
pub(super) const PERSON: TableDef = TableDef::new("person", Clinical)
    .person("person_id")
    .columns(&[
        id("person_id").primary().is(Direct).required(),
        concept("gender_concept_id").is(Quasi).required(),
        integer("year_of_birth").is(Quasi).required(),
        integer("month_of_birth").is(Quasi),
        integer("day_of_birth").is(Quasi),
        datetime("birth_datetime"),
        concept("race_concept_id").is(Quasi).required(),
        concept("ethnicity_concept_id").is(Quasi).required(),
        link("location_id", "location").is(Quasi),
        link("provider_id", "provider").is(Quasi),
        link("care_site_id", "care_site").is(Quasi),
        code("person_source_value").is(Direct),
        code("gender_source_value").is(Quasi),
        concept("gender_source_concept_id").is(Quasi),
        code("race_source_value").is(Quasi),
        concept("race_source_concept_id").is(Quasi),
        code("ethnicity_source_value").is(Quasi),
        concept("ethnicity_source_concept_id").is(Quasi),
    ]);

/// Spans in which events of a person would have been recorded; both ends are observed days.
pub(super) const OBSERVATION_PERIOD: TableDef = TableDef::new("observation_period", Clinical)
    .person("person_id")
    .spans(
        "observation_period_start_date",
        "observation_period_end_date",
    )
    .columns(&[
        key("observation_period_id"),
        person(),
        date("observation_period_start_date").required(),
        date("observation_period_end_date").required(),
        concept("period_type_concept_id").required(),
    ]);

/// At most one row per person.
pub(super) const DEATH: TableDef = TableDef::new("death", Clinical)
    .person("person_id")
    .on("death_date")
    .coded("cause_concept_id")
    .columns(&[
        person(),
        date("death_date").required(),
        datetime("death_datetime"),
        concept("death_type_concept_id"),
        concept("cause_concept_id"),
        code("cause_source_value"),
        concept("cause_source_concept_id"),
    ]);
