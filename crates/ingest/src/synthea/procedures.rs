//! procedures.csv: procedure_occurrence, or measurement where the vocabulary says so.

use super::costs::PROCEDURE_COST;
use super::mapping::{
    ENCOUNTER, Entity, FileMapping, PATIENT, Route, Rule, SNOMED, TYPE_ENCOUNTER, Target, Which,
};

/// When it was done; versions before 3 have one column for it.
const START: &str = "START|DATE";

/// A procedure; those that OMOP counts to the measurements, such as a screening, are measurements.
pub(super) const PROCEDURES: FileMapping = FileMapping {
    file: "procedures",
    defines: None,
    route: Route::Domain(SNOMED),
    targets: &[
        Target {
            table: "procedure_occurrence",
            domain: "Procedure",
            when: None,
            cells: &[
                ("procedure_occurrence_id", Rule::NextId),
                ("person_id", Rule::Ref(Entity::Person, PATIENT)),
                (
                    "procedure_concept_id",
                    Rule::Concept(Which::Standard, SNOMED),
                ),
                ("procedure_date", Rule::Cell(START)),
                ("procedure_datetime", Rule::Cell(START)),
                ("procedure_end_date", Rule::Cell("STOP")),
                ("procedure_end_datetime", Rule::Cell("STOP")),
                ("procedure_type_concept_id", Rule::Constant(TYPE_ENCOUNTER)),
                ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
                ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
                ("procedure_source_value", Rule::Cell("CODE")),
                (
                    "procedure_source_concept_id",
                    Rule::Concept(Which::Source, SNOMED),
                ),
            ],
        },
        Target {
            table: "measurement",
            domain: "Measurement",
            when: None,
            cells: &[
                ("measurement_id", Rule::NextId),
                ("person_id", Rule::Ref(Entity::Person, PATIENT)),
                (
                    "measurement_concept_id",
                    Rule::Concept(Which::Standard, SNOMED),
                ),
                ("measurement_date", Rule::Cell(START)),
                ("measurement_datetime", Rule::Cell(START)),
                (
                    "measurement_type_concept_id",
                    Rule::Constant(TYPE_ENCOUNTER),
                ),
                ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
                ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
                ("measurement_source_value", Rule::Cell("CODE")),
                (
                    "measurement_source_concept_id",
                    Rule::Concept(Which::Source, SNOMED),
                ),
            ],
        },
    ],
    beside: &[PROCEDURE_COST],
};
