//! medications.csv and immunizations.csv: drug_exposure.

use super::costs::{IMMUNIZATION_COST, MEDICATION_COST};
use super::mapping::{
    Code, ENCOUNTER, Entity, FileMapping, PATIENT, Route, Rule, Target, Terms, Which,
};

/// Prescribed, as the health record has it.
const TYPE_PRESCRIPTION: i64 = 32_838;
/// Given, as the health record has it.
const TYPE_ADMINISTRATION: i64 = 32_818;

const RXNORM: Code = Code {
    vocabulary: Terms::RxNorm,
    column: "CODE",
};
const CVX: Code = Code {
    vocabulary: Terms::Cvx,
    column: "CODE",
};

/// A medication. One that has not been stopped ends on the day it starts, as in OHDSI's ETL, and has no days of
/// supply; `verbatim_end_date` tells it from one that did.
pub(super) const MEDICATIONS: FileMapping = FileMapping {
    file: "medications",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "drug_exposure",
        domain: "Drug",
        when: None,
        cells: &[
            ("drug_exposure_id", Rule::NextId),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            ("drug_concept_id", Rule::Concept(Which::Standard, RXNORM)),
            ("drug_exposure_start_date", Rule::Cell("START")),
            ("drug_exposure_start_datetime", Rule::Cell("START")),
            ("drug_exposure_end_date", Rule::CellOr("STOP", "START")),
            ("drug_exposure_end_datetime", Rule::CellOr("STOP", "START")),
            ("verbatim_end_date", Rule::Cell("STOP")),
            ("drug_type_concept_id", Rule::Constant(TYPE_PRESCRIPTION)),
            ("days_supply", Rule::Days("START", "STOP")),
            ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
            ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
            ("drug_source_value", Rule::Cell("CODE")),
            (
                "drug_source_concept_id",
                Rule::Concept(Which::Source, RXNORM),
            ),
        ],
    }],
    beside: &[MEDICATION_COST],
};

/// A vaccine, given on one day.
pub(super) const IMMUNIZATIONS: FileMapping = FileMapping {
    file: "immunizations",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "drug_exposure",
        domain: "Drug",
        when: None,
        cells: &[
            ("drug_exposure_id", Rule::NextId),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            ("drug_concept_id", Rule::Concept(Which::Standard, CVX)),
            ("drug_exposure_start_date", Rule::Cell("DATE")),
            ("drug_exposure_start_datetime", Rule::Cell("DATE")),
            ("drug_exposure_end_date", Rule::Cell("DATE")),
            ("drug_exposure_end_datetime", Rule::Cell("DATE")),
            ("verbatim_end_date", Rule::Cell("DATE")),
            ("drug_type_concept_id", Rule::Constant(TYPE_ADMINISTRATION)),
            ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
            ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
            ("drug_source_value", Rule::Cell("CODE")),
            ("drug_source_concept_id", Rule::Concept(Which::Source, CVX)),
        ],
    }],
    beside: &[IMMUNIZATION_COST],
};
