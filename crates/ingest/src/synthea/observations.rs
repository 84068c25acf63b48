//! observations.csv and allergies.csv: measurement and observation.

use super::mapping::{
    Code, ENCOUNTER, Entity, FileMapping, PATIENT, Route, Rule, SNOMED, TYPE_ENCOUNTER, Target,
    Terms, Which,
};

const LOINC: Code = Code {
    vocabulary: Terms::Loinc,
    column: "CODE",
};

/// A row goes where its standard concept belongs; without one, numbers are measurements and text is an observation.
pub(super) const OBSERVATIONS: FileMapping = FileMapping {
    file: "observations",
    defines: None,
    route: Route::DomainOrType(LOINC, "TYPE"),
    targets: &[
        Target {
            table: "measurement",
            domain: "Measurement",
            when: None,
            cells: &[
                ("measurement_id", Rule::NextId),
                ("person_id", Rule::Ref(Entity::Person, PATIENT)),
                (
                    "measurement_concept_id",
                    Rule::Concept(Which::Standard, LOINC),
                ),
                ("measurement_date", Rule::Cell("DATE")),
                ("measurement_datetime", Rule::Cell("DATE")),
                (
                    "measurement_type_concept_id",
                    Rule::Constant(TYPE_ENCOUNTER),
                ),
                ("value_as_number", Rule::Number("VALUE", "TYPE")),
                ("unit_concept_id", Rule::Unit("UNITS")),
                ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
                ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
                ("measurement_source_value", Rule::Cell("CODE")),
                (
                    "measurement_source_concept_id",
                    Rule::Concept(Which::Source, LOINC),
                ),
                ("unit_source_value", Rule::Cell("UNITS")),
                ("value_source_value", Rule::Answer("VALUE", "CODE")),
            ],
        },
        Target {
            table: "observation",
            domain: "Observation",
            when: None,
            cells: &[
                ("observation_id", Rule::NextId),
                ("person_id", Rule::Ref(Entity::Person, PATIENT)),
                (
                    "observation_concept_id",
                    Rule::Concept(Which::Standard, LOINC),
                ),
                ("observation_date", Rule::Cell("DATE")),
                ("observation_datetime", Rule::Cell("DATE")),
                (
                    "observation_type_concept_id",
                    Rule::Constant(TYPE_ENCOUNTER),
                ),
                ("value_as_number", Rule::Number("VALUE", "TYPE")),
                ("value_as_string", Rule::Answer("VALUE", "CODE")),
                ("unit_concept_id", Rule::Unit("UNITS")),
                ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
                ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
                ("observation_source_value", Rule::Cell("CODE")),
                (
                    "observation_source_concept_id",
                    Rule::Concept(Which::Source, LOINC),
                ),
                ("unit_source_value", Rule::Cell("UNITS")),
                ("value_source_value", Rule::Answer("VALUE", "CODE")),
            ],
        },
    ],
    beside: &[],
};

/// An observation that is a code and nothing else, from its day on.
pub(super) const SNOMED_OBSERVATION: &[(&str, Rule)] = &[
    ("observation_id", Rule::NextId),
    ("person_id", Rule::Ref(Entity::Person, PATIENT)),
    (
        "observation_concept_id",
        Rule::Concept(Which::Standard, SNOMED),
    ),
    ("observation_date", Rule::Cell("START")),
    ("observation_datetime", Rule::Cell("START")),
    (
        "observation_type_concept_id",
        Rule::Constant(TYPE_ENCOUNTER),
    ),
    ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
    ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
    ("observation_source_value", Rule::Cell("CODE")),
    (
        "observation_source_concept_id",
        Rule::Concept(Which::Source, SNOMED),
    ),
];

/// An allergy is an observation, whichever vocabulary its `SYSTEM` names.
pub(super) const ALLERGIES: FileMapping = FileMapping {
    file: "allergies",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "observation",
        domain: "Observation",
        when: None,
        cells: SNOMED_OBSERVATION,
    }],
    beside: &[],
};
