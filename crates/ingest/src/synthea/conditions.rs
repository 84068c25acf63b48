//! conditions.csv: condition_occurrence, or observation where the vocabulary says so.

use super::mapping::{
    ENCOUNTER, Entity, FileMapping, PATIENT, Route, Rule, SNOMED, TYPE_ENCOUNTER, Target, Which,
};

/// A condition; findings that OMOP counts to the observations, such as employment, are observations.
pub(super) const CONDITIONS: FileMapping = FileMapping {
    file: "conditions",
    defines: None,
    route: Route::Domain(SNOMED),
    targets: &[
        Target {
            table: "condition_occurrence",
            domain: "Condition",
            when: None,
            cells: &[
                ("condition_occurrence_id", Rule::NextId),
                ("person_id", Rule::Ref(Entity::Person, PATIENT)),
                (
                    "condition_concept_id",
                    Rule::Concept(Which::Standard, SNOMED),
                ),
                ("condition_start_date", Rule::Cell("START")),
                ("condition_start_datetime", Rule::Cell("START")),
                ("condition_end_date", Rule::Cell("STOP")),
                ("condition_end_datetime", Rule::Cell("STOP")),
                ("condition_type_concept_id", Rule::Constant(TYPE_ENCOUNTER)),
                ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
                ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
                ("condition_source_value", Rule::Cell("CODE")),
                (
                    "condition_source_concept_id",
                    Rule::Concept(Which::Source, SNOMED),
                ),
            ],
        },
        Target {
            table: "observation",
            domain: "Observation",
            when: None,
            cells: super::observations::SNOMED_OBSERVATION,
        },
    ],
    beside: &[],
};
