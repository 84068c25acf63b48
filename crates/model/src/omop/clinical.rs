//! Clinical events: visits, conditions, drugs, procedures, devices, measurements, observations, specimens.

use super::define::{
    code, concept, date, datetime, float, free_text, id, integer, key, link, person, text,
};
use crate::table::IdentifierClass::{Date, Direct, Quasi};
use crate::table::{TableDef, TableKind::Clinical};

/// Encounters with the health system.
pub(super) const VISIT_OCCURRENCE: TableDef = TableDef::new("visit_occurrence", Clinical)
    .person("person_id")
    .spans("visit_start_date", "visit_end_date")
    .coded("visit_concept_id")
    .domain("Visit")
    .columns(&[
        key("visit_occurrence_id"),
        person(),
        concept("visit_concept_id").required(),
        date("visit_start_date").required(),
        datetime("visit_start_datetime"),
        date("visit_end_date").required(),
        datetime("visit_end_datetime"),
        concept("visit_type_concept_id").required(),
        link("provider_id", "provider").is(Quasi),
        link("care_site_id", "care_site").is(Quasi),
        // Holds the encounter number of the source as often as a kind of visit.
        code("visit_source_value").is(Direct),
        concept("visit_source_concept_id"),
        concept("admitted_from_concept_id"),
        code("admitted_from_source_value"),
        concept("discharged_to_concept_id"),
        code("discharged_to_source_value"),
        id("preceding_visit_occurrence_id").references("visit_occurrence", "visit_occurrence_id"),
    ]);

/// Parts of a visit, such as a stay in intensive care.
pub(super) const VISIT_DETAIL: TableDef = TableDef::new("visit_detail", Clinical)
    .person("person_id")
    .spans("visit_detail_start_date", "visit_detail_end_date")
    .coded("visit_detail_concept_id")
    .domain("Visit")
    .columns(&[
        key("visit_detail_id"),
        person(),
        concept("visit_detail_concept_id").required(),
        date("visit_detail_start_date").required(),
        datetime("visit_detail_start_datetime"),
        date("visit_detail_end_date").required(),
        datetime("visit_detail_end_datetime"),
        concept("visit_detail_type_concept_id").required(),
        link("provider_id", "provider").is(Quasi),
        link("care_site_id", "care_site").is(Quasi),
        code("visit_detail_source_value").is(Direct),
        concept("visit_detail_source_concept_id"),
        concept("admitted_from_concept_id"),
        code("admitted_from_source_value"),
        code("discharged_to_source_value"),
        concept("discharged_to_concept_id"),
        id("preceding_visit_detail_id").references("visit_detail", "visit_detail_id"),
        id("parent_visit_detail_id").references("visit_detail", "visit_detail_id"),
        link("visit_occurrence_id", "visit_occurrence").required(),
    ]);

/// Diagnoses, signs and symptoms.
pub(super) const CONDITION_OCCURRENCE: TableDef = TableDef::new("condition_occurrence", Clinical)
    .person("person_id")
    .spans("condition_start_date", "condition_end_date")
    .coded("condition_concept_id")
    .domain("Condition")
    .columns(&[
        key("condition_occurrence_id"),
        person(),
        concept("condition_concept_id").required(),
        date("condition_start_date").required(),
        datetime("condition_start_datetime"),
        date("condition_end_date"),
        datetime("condition_end_datetime"),
        concept("condition_type_concept_id").required(),
        concept("condition_status_concept_id"),
        free_text("stop_reason"),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("condition_source_value"),
        concept("condition_source_concept_id"),
        code("condition_status_source_value"),
    ]);

/// Prescriptions, dispensings and administrations.
pub(super) const DRUG_EXPOSURE: TableDef = TableDef::new("drug_exposure", Clinical)
    .person("person_id")
    .spans("drug_exposure_start_date", "drug_exposure_end_date")
    .coded("drug_concept_id")
    .domain("Drug")
    .columns(&[
        key("drug_exposure_id"),
        person(),
        concept("drug_concept_id").required(),
        date("drug_exposure_start_date").required(),
        datetime("drug_exposure_start_datetime"),
        date("drug_exposure_end_date").required(),
        datetime("drug_exposure_end_datetime"),
        date("verbatim_end_date"),
        concept("drug_type_concept_id").required(),
        free_text("stop_reason"),
        integer("refills"),
        float("quantity"),
        integer("days_supply"),
        free_text("sig"),
        concept("route_concept_id"),
        text("lot_number").is(Quasi),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("drug_source_value"),
        concept("drug_source_concept_id"),
        code("route_source_value"),
        code("dose_unit_source_value"),
    ]);

/// Procedures, orders and interventions.
pub(super) const PROCEDURE_OCCURRENCE: TableDef = TableDef::new("procedure_occurrence", Clinical)
    .person("person_id")
    .spans("procedure_date", "procedure_end_date")
    .coded("procedure_concept_id")
    .domain("Procedure")
    .columns(&[
        key("procedure_occurrence_id"),
        person(),
        concept("procedure_concept_id").required(),
        date("procedure_date").required(),
        datetime("procedure_datetime"),
        date("procedure_end_date"),
        datetime("procedure_end_datetime"),
        concept("procedure_type_concept_id").required(),
        concept("modifier_concept_id"),
        integer("quantity"),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("procedure_source_value"),
        concept("procedure_source_concept_id"),
        code("modifier_source_value"),
    ]);

/// Implants, instruments and supplies.
pub(super) const DEVICE_EXPOSURE: TableDef = TableDef::new("device_exposure", Clinical)
    .person("person_id")
    .spans("device_exposure_start_date", "device_exposure_end_date")
    .coded("device_concept_id")
    .domain("Device")
    .columns(&[
        key("device_exposure_id"),
        person(),
        concept("device_concept_id").required(),
        date("device_exposure_start_date").required(),
        datetime("device_exposure_start_datetime"),
        date("device_exposure_end_date"),
        datetime("device_exposure_end_datetime"),
        concept("device_type_concept_id").required(),
        code("unique_device_id").is(Direct),
        code("production_id").is(Direct),
        integer("quantity"),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("device_source_value"),
        concept("device_source_concept_id"),
        concept("unit_concept_id"),
        code("unit_source_value"),
        concept("unit_source_concept_id"),
    ]);

/// Laboratory values, vital signs and other structured results.
pub(super) const MEASUREMENT: TableDef = TableDef::new("measurement", Clinical)
    .person("person_id")
    .on("measurement_date")
    .coded("measurement_concept_id")
    .domain("Measurement")
    .columns(&[
        key("measurement_id"),
        person(),
        concept("measurement_concept_id").required(),
        date("measurement_date").required(),
        datetime("measurement_datetime"),
        text("measurement_time").is(Date),
        concept("measurement_type_concept_id").required(),
        concept("operator_concept_id"),
        float("value_as_number"),
        concept("value_as_concept_id"),
        concept("unit_concept_id"),
        float("range_low"),
        float("range_high"),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("measurement_source_value"),
        concept("measurement_source_concept_id"),
        code("unit_source_value"),
        concept("unit_source_concept_id"),
        free_text("value_source_value"),
        id("measurement_event_id"),
        concept("meas_event_field_concept_id"),
    ]);

/// Facts that fit no other domain.
pub(super) const OBSERVATION: TableDef = TableDef::new("observation", Clinical)
    .person("person_id")
    .on("observation_date")
    .coded("observation_concept_id")
    .domain("Observation")
    .columns(&[
        key("observation_id"),
        person(),
        concept("observation_concept_id").required(),
        date("observation_date").required(),
        datetime("observation_datetime"),
        concept("observation_type_concept_id").required(),
        float("value_as_number"),
        free_text("value_as_string"),
        concept("value_as_concept_id"),
        concept("qualifier_concept_id"),
        concept("unit_concept_id"),
        link("provider_id", "provider").is(Quasi),
        link("visit_occurrence_id", "visit_occurrence"),
        link("visit_detail_id", "visit_detail"),
        code("observation_source_value"),
        concept("observation_source_concept_id"),
        code("unit_source_value"),
        code("qualifier_source_value"),
        free_text("value_source_value"),
        id("observation_event_id"),
        concept("obs_event_field_concept_id"),
    ]);

/// Biological samples.
pub(super) const SPECIMEN: TableDef = TableDef::new("specimen", Clinical)
    .person("person_id")
    .on("specimen_date")
    .coded("specimen_concept_id")
    .domain("Specimen")
    .columns(&[
        key("specimen_id"),
        person(),
        concept("specimen_concept_id").required(),
        concept("specimen_type_concept_id").required(),
        date("specimen_date").required(),
        datetime("specimen_datetime"),
        float("quantity"),
        concept("unit_concept_id"),
        concept("anatomic_site_concept_id"),
        concept("disease_status_concept_id"),
        code("specimen_source_id").is(Direct),
        code("specimen_source_value"),
        code("unit_source_value"),
        code("anatomic_site_source_value"),
        code("disease_status_source_value"),
    ]);

/// Links between any two records; the domain concept tells the table.
pub(super) const FACT_RELATIONSHIP: TableDef = TableDef::new("fact_relationship", Clinical)
    .looked_up_by(&["domain_concept_id_1", "fact_id_1"])
    .columns(&[
        concept("domain_concept_id_1").required(),
        id("fact_id_1").required(),
        concept("domain_concept_id_2").required(),
        id("fact_id_2").required(),
        concept("relationship_concept_id").required(),
    ]);
