//! Places and people of the health system.

use super::define::{code, concept, float, integer, key, link, text};
use crate::table::IdentifierClass::{Direct, Quasi};
use crate::table::{TableDef, TableKind::HealthSystem};

/// Addresses of persons and care sites.
pub(super) const LOCATION: TableDef = TableDef::new("location", HealthSystem).columns(&[
    key("location_id"),
    text("address_1").is(Direct),
    text("address_2").is(Direct),
    text("city").is(Quasi),
    text("state").is(Quasi),
    text("zip").is(Quasi),
    text("county").is(Quasi),
    code("location_source_value").is(Direct),
    concept("country_concept_id").is(Quasi),
    code("country_source_value").is(Quasi),
    float("latitude").is(Direct),
    float("longitude").is(Direct),
]);

/// Hospitals, clinics and their units.
pub(super) const CARE_SITE: TableDef = TableDef::new("care_site", HealthSystem).columns(&[
    key("care_site_id"),
    text("care_site_name").is(Quasi),
    concept("place_of_service_concept_id"),
    link("location_id", "location").is(Quasi),
    code("care_site_source_value").is(Quasi),
    code("place_of_service_source_value"),
]);

/// Clinicians.
pub(super) const PROVIDER: TableDef = TableDef::new("provider", HealthSystem).columns(&[
    key("provider_id"),
    text("provider_name").is(Direct),
    text("npi").is(Direct),
    text("dea").is(Direct),
    concept("specialty_concept_id"),
    link("care_site_id", "care_site").is(Quasi),
    integer("year_of_birth").is(Quasi),
    concept("gender_concept_id").is(Quasi),
    code("provider_source_value").is(Direct),
    code("specialty_source_value"),
    concept("specialty_source_concept_id"),
    code("gender_source_value").is(Quasi),
    concept("gender_source_concept_id").is(Quasi),
]);
