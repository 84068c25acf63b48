//! patients.csv: person, and death beside it.

use super::mapping::{Entity, FileMapping, GENDER, Part, Route, Rule, TYPE_EHR, Target, Which};

/// Race by OMOP's concepts; Synthea's `native`, `hawaiian` and `other` have none here, as in OHDSI's ETL.
const RACE: &[(&str, i64)] = &[("white", 8527), ("black", 8516), ("asian", 8515)];

const ETHNICITY: &[(&str, i64)] = &[("hispanic", 38_003_563), ("nonhispanic", 38_003_564)];

/// A patient is a person. The UUID stays as the source value: it is what a later delivery is matched by.
pub(super) const PATIENTS: FileMapping = FileMapping {
    file: "patients",
    defines: Some(Entity::Person),
    route: Route::Only,
    targets: &[Target {
        table: "person",
        domain: "Person",
        when: None,
        cells: &[
            ("person_id", Rule::Ref(Entity::Person, "Id")),
            ("gender_concept_id", Rule::Listed("GENDER", GENDER)),
            ("year_of_birth", Rule::Part("BIRTHDATE", Part::Year)),
            ("month_of_birth", Rule::Part("BIRTHDATE", Part::Month)),
            ("day_of_birth", Rule::Part("BIRTHDATE", Part::Day)),
            ("birth_datetime", Rule::Cell("BIRTHDATE")),
            ("race_concept_id", Rule::Listed("RACE", RACE)),
            ("ethnicity_concept_id", Rule::Listed("ETHNICITY", ETHNICITY)),
            ("location_id", Rule::Location),
            ("person_source_value", Rule::Cell("Id")),
            ("gender_source_value", Rule::Cell("GENDER")),
            ("race_source_value", Rule::Cell("RACE")),
            ("ethnicity_source_value", Rule::Cell("ETHNICITY")),
        ],
    }],
    beside: &[Target {
        table: "death",
        domain: "Death",
        when: Some("DEATHDATE"),
        cells: &[
            ("person_id", Rule::Ref(Entity::Person, "Id")),
            ("death_date", Rule::Cell("DEATHDATE")),
            ("death_datetime", Rule::Cell("DEATHDATE")),
            ("death_type_concept_id", Rule::Constant(TYPE_EHR)),
            ("cause_concept_id", Rule::CauseConcept(Which::Standard)),
            ("cause_source_value", Rule::CauseOfDeath),
            ("cause_source_concept_id", Rule::CauseConcept(Which::Source)),
        ],
    }],
};
