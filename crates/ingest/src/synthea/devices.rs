//! devices.csv and supplies.csv: device_exposure.

use super::mapping::{
    ENCOUNTER, Entity, FileMapping, PATIENT, Route, Rule, SNOMED, TYPE_ENCOUNTER, Target, Which,
};

/// A device, from its implantation to its removal.
pub(super) const DEVICES: FileMapping = FileMapping {
    file: "devices",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "device_exposure",
        domain: "Device",
        when: None,
        cells: &[
            ("device_exposure_id", Rule::NextId),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            ("device_concept_id", Rule::Concept(Which::Standard, SNOMED)),
            ("device_exposure_start_date", Rule::Cell("START")),
            ("device_exposure_start_datetime", Rule::Cell("START")),
            ("device_exposure_end_date", Rule::Cell("STOP")),
            ("device_exposure_end_datetime", Rule::Cell("STOP")),
            ("device_type_concept_id", Rule::Constant(TYPE_ENCOUNTER)),
            ("unique_device_id", Rule::Cell("UDI")),
            ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
            ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
            ("device_source_value", Rule::Cell("CODE")),
            (
                "device_source_concept_id",
                Rule::Concept(Which::Source, SNOMED),
            ),
        ],
    }],
    beside: &[],
};

/// What was used up on one day.
pub(super) const SUPPLIES: FileMapping = FileMapping {
    file: "supplies",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "device_exposure",
        domain: "Device",
        when: None,
        cells: &[
            ("device_exposure_id", Rule::NextId),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            ("device_concept_id", Rule::Concept(Which::Standard, SNOMED)),
            ("device_exposure_start_date", Rule::Cell("DATE")),
            ("device_exposure_start_datetime", Rule::Cell("DATE")),
            ("device_exposure_end_date", Rule::Cell("DATE")),
            ("device_exposure_end_datetime", Rule::Cell("DATE")),
            ("device_type_concept_id", Rule::Constant(TYPE_ENCOUNTER)),
            ("quantity", Rule::Cell("QUANTITY")),
            ("provider_id", Rule::ProviderOfVisit(ENCOUNTER)),
            ("visit_occurrence_id", Rule::Ref(Entity::Visit, ENCOUNTER)),
            ("device_source_value", Rule::Cell("CODE")),
            (
                "device_source_concept_id",
                Rule::Concept(Which::Source, SNOMED),
            ),
        ],
    }],
    beside: &[],
};
