//! organizations.csv and providers.csv: care_site and provider.

use super::mapping::{Entity, FileMapping, GENDER, Route, Rule, Target};

/// Specialties by OMOP's concepts; Synthea's others are kept as source values.
const SPECIALTY: &[(&str, i64)] = &[("general practice", 38_004_446)];

/// An organization is a care site.
pub(super) const ORGANIZATIONS: FileMapping = FileMapping {
    file: "organizations",
    defines: Some(Entity::CareSite),
    route: Route::Only,
    targets: &[Target {
        table: "care_site",
        domain: "Care site",
        when: None,
        cells: &[
            ("care_site_id", Rule::Ref(Entity::CareSite, "Id")),
            ("care_site_name", Rule::Cell("NAME")),
            ("place_of_service_concept_id", Rule::Constant(0)),
            ("location_id", Rule::Location),
            ("care_site_source_value", Rule::Cell("Id")),
        ],
    }],
    beside: &[],
};

/// A clinician, without the name.
pub(super) const PROVIDERS: FileMapping = FileMapping {
    file: "providers",
    defines: Some(Entity::Provider),
    route: Route::Only,
    targets: &[Target {
        table: "provider",
        domain: "Provider",
        when: None,
        cells: &[
            ("provider_id", Rule::Ref(Entity::Provider, "Id")),
            (
                "specialty_concept_id",
                Rule::Listed("SPECIALITY|SPECIALTY", SPECIALTY),
            ),
            ("care_site_id", Rule::Ref(Entity::CareSite, "ORGANIZATION")),
            ("gender_concept_id", Rule::Listed("GENDER", GENDER)),
            ("provider_source_value", Rule::Cell("Id")),
            ("specialty_source_value", Rule::Cell("SPECIALITY|SPECIALTY")),
            ("gender_source_value", Rule::Cell("GENDER")),
        ],
    }],
    beside: &[],
};
