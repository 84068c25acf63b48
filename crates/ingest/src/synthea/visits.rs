//! encounters.csv: visit_occurrence, one for each encounter.
//!
//! OHDSI's ETL joins encounters that touch into one visit. Here an encounter stays a visit, so that rows can be
//! counted against the file; who wants them joined does so in SQL.

use super::costs::VISIT_COST;
use super::mapping::{Entity, FileMapping, PATIENT, Route, Rule, TYPE_ENCOUNTER, Target};

/// `ENCOUNTERCLASS` by OMOP's visit concepts.
const CLASS: &[(&str, i64)] = &[
    ("inpatient", 9201),
    ("ambulatory", 9202),
    ("outpatient", 9202),
    ("wellness", 9202),
    ("emergency", 9203),
    ("urgentcare", 9203),
    ("home", 581_476),
    ("hospice", 8546),
    ("snf", 8863),
    ("virtual", 5083),
];

/// An encounter is a visit.
pub(super) const ENCOUNTERS: FileMapping = FileMapping {
    file: "encounters",
    defines: Some(Entity::Visit),
    route: Route::Only,
    targets: &[Target {
        table: "visit_occurrence",
        domain: "Visit",
        when: None,
        cells: &[
            ("visit_occurrence_id", Rule::Ref(Entity::Visit, "Id")),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            ("visit_concept_id", Rule::Listed("ENCOUNTERCLASS", CLASS)),
            ("visit_start_date", Rule::Cell("START")),
            ("visit_start_datetime", Rule::Cell("START")),
            ("visit_end_date", Rule::CellOr("STOP", "START")),
            ("visit_end_datetime", Rule::CellOr("STOP", "START")),
            ("visit_type_concept_id", Rule::Constant(TYPE_ENCOUNTER)),
            ("provider_id", Rule::Ref(Entity::Provider, "PROVIDER")),
            ("care_site_id", Rule::Ref(Entity::CareSite, "ORGANIZATION")),
            ("visit_source_value", Rule::Cell("Id")),
        ],
    }],
    beside: &[VISIT_COST],
};
