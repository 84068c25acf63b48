//! The fifteen domains: which column is what, and which attributes Circe 1.11 and 1.12 know.

use crate::definition::CountColumn;
use crate::domain::{Attribute, DomainDef, End, Field, Kind, Operand};

const fn a(name: &'static str, kind: Kind) -> Attribute {
    Attribute { name, kind }
}

const CODESET: Attribute = a("CodesetId", Kind::Codeset);
const FIRST: Attribute = a("First", Kind::First);
const OCCURRENCE_START: Attribute = a("OccurrenceStartDate", Kind::StartDate);
const OCCURRENCE_END: Attribute = a("OccurrenceEndDate", Kind::EndDate);
const ERA_START: Attribute = a("EraStartDate", Kind::StartDate);
const ERA_END: Attribute = a("EraEndDate", Kind::EndDate);
const ERA_LENGTH: Attribute = a("EraLength", Kind::Whole(Operand::Length));
const AGE: Attribute = a("Age", Kind::Whole(Operand::AgeAtStart));
const AGE_AT_START: Attribute = a("AgeAtStart", Kind::Whole(Operand::AgeAtStart));
const AGE_AT_END: Attribute = a("AgeAtEnd", Kind::Whole(Operand::AgeAtEnd));
const GENDER: Attribute = a("Gender", Kind::Concepts(Field::Gender));
const SPECIALTY: Attribute = a("ProviderSpecialty", Kind::Concepts(Field::Specialty));
const VISIT: Attribute = a("VisitType", Kind::Concepts(Field::Visit));
const UNIT: Attribute = a("Unit", Kind::Concepts(Field::Column("unit_concept_id")));

const fn source(name: &'static str) -> Attribute {
    a(name, Kind::SourceCodeset)
}

const fn kind(name: &'static str, column: &'static str, flag: &'static str) -> Attribute {
    a(name, Kind::ConceptsOrNot(Field::Column(column), flag))
}

const fn concepts(name: &'static str, column: &'static str) -> Attribute {
    a(name, Kind::Concepts(Field::Column(column)))
}

const fn whole(name: &'static str, column: &'static str) -> Attribute {
    a(name, Kind::Whole(Operand::Column(column)))
}

const fn decimal(name: &'static str, column: &'static str) -> Attribute {
    a(name, Kind::Decimal(Operand::Column(column)))
}

const fn set(name: &'static str, column: &'static str) -> Attribute {
    a(name, Kind::SetNumber(Field::Column(column)))
}

/// Circe joins `location_history`, which no release of the CDM since 6.0 has.
const LOCATION: &str =
    "it needs the table `location_history`, which OMOP CDM 5.3 and 5.4 do not have";

pub(crate) static CONDITION_ERA: DomainDef = DomainDef {
    name: "ConditionEra",
    noun: "condition era",
    table: "condition_era",
    id: "condition_era_id",
    start: "condition_era_start_date",
    end: End::Column("condition_era_end_date"),
    concept: Some("condition_concept_id"),
    source: None,
    visit: false,
    attributes: &[
        CODESET,
        FIRST,
        ERA_START,
        ERA_END,
        whole("OccurrenceCount", "condition_occurrence_count"),
        ERA_LENGTH,
        AGE_AT_START,
        AGE_AT_END,
        GENDER,
    ],
    counts: &[
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("condition_concept_id"),
        ),
        (
            "ERA_OCCURRENCES",
            CountColumn::Column("condition_occurrence_count"),
        ),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static CONDITION_OCCURRENCE: DomainDef = DomainDef {
    name: "ConditionOccurrence",
    noun: "condition occurrence",
    table: "condition_occurrence",
    id: "condition_occurrence_id",
    start: "condition_start_date",
    end: End::ColumnOrNextDay("condition_end_date"),
    concept: Some("condition_concept_id"),
    source: Some("condition_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("ConditionSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        OCCURRENCE_END,
        kind(
            "ConditionType",
            "condition_type_concept_id",
            "ConditionTypeExclude",
        ),
        a("StopReason", Kind::Text("stop_reason")),
        concepts("ConditionStatus", "condition_status_concept_id"),
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("condition_concept_id"),
        ),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static DEATH: DomainDef = DomainDef {
    name: "Death",
    noun: "death",
    table: "death",
    id: "person_id",
    start: "death_date",
    end: End::NextDay,
    concept: Some("cause_concept_id"),
    source: Some("cause_source_concept_id"),
    visit: false,
    attributes: &[
        CODESET,
        source("DeathSourceConcept"),
        OCCURRENCE_START,
        kind("DeathType", "death_type_concept_id", "DeathTypeExclude"),
        AGE,
        GENDER,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::ConceptOrZero("cause_concept_id"),
        ),
        ("DURATION", CountColumn::One),
    ],
};

pub(crate) static DEVICE_EXPOSURE: DomainDef = DomainDef {
    name: "DeviceExposure",
    noun: "device exposure",
    table: "device_exposure",
    id: "device_exposure_id",
    start: "device_exposure_start_date",
    end: End::ColumnOrNextDay("device_exposure_end_date"),
    concept: Some("device_concept_id"),
    source: Some("device_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("DeviceSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        OCCURRENCE_END,
        kind("DeviceType", "device_type_concept_id", "DeviceTypeExclude"),
        a("UniqueDeviceId", Kind::Text("unique_device_id")),
        whole("Quantity", "quantity"),
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("device_concept_id")),
        ("QUANTITY", CountColumn::Column("quantity")),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static DOSE_ERA: DomainDef = DomainDef {
    name: "DoseEra",
    noun: "dose era",
    table: "dose_era",
    id: "dose_era_id",
    start: "dose_era_start_date",
    end: End::Column("dose_era_end_date"),
    concept: Some("drug_concept_id"),
    source: None,
    visit: false,
    attributes: &[
        CODESET,
        FIRST,
        ERA_START,
        ERA_END,
        UNIT,
        decimal("DoseValue", "dose_value"),
        ERA_LENGTH,
        AGE_AT_START,
        AGE_AT_END,
        GENDER,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("drug_concept_id")),
        ("UNIT", CountColumn::Column("unit_concept_id")),
        ("VALUE_AS_NUMBER", CountColumn::Column("dose_value")),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static DRUG_ERA: DomainDef = DomainDef {
    name: "DrugEra",
    noun: "drug era",
    table: "drug_era",
    id: "drug_era_id",
    start: "drug_era_start_date",
    end: End::Column("drug_era_end_date"),
    concept: Some("drug_concept_id"),
    source: None,
    visit: false,
    attributes: &[
        CODESET,
        FIRST,
        ERA_START,
        ERA_END,
        whole("OccurrenceCount", "drug_exposure_count"),
        a(
            "GapDays",
            Kind::Refused(
                "Circe compares gap days with the range of `EraLength`, so that no answer would be right",
            ),
        ),
        ERA_LENGTH,
        AGE_AT_START,
        AGE_AT_END,
        GENDER,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("drug_concept_id")),
        (
            "ERA_OCCURRENCES",
            CountColumn::Column("drug_exposure_count"),
        ),
        ("GAP_DAYS", CountColumn::Column("gap_days")),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static DRUG_EXPOSURE: DomainDef = DomainDef {
    name: "DrugExposure",
    noun: "drug exposure",
    table: "drug_exposure",
    id: "drug_exposure_id",
    start: "drug_exposure_start_date",
    end: End::Supply {
        end: "drug_exposure_end_date",
        days: "days_supply",
    },
    concept: Some("drug_concept_id"),
    source: Some("drug_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("DrugSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        // As in Circe, whose SQL compares the start date here: `validate` says so.
        a("OccurrenceEndDate", Kind::StartDate),
        kind("DrugType", "drug_type_concept_id", "DrugTypeExclude"),
        a("StopReason", Kind::Text("stop_reason")),
        whole("Refills", "refills"),
        decimal("Quantity", "quantity"),
        whole("DaysSupply", "days_supply"),
        concepts("RouteConcept", "route_concept_id"),
        decimal("EffectiveDrugDose", "effective_drug_dose"),
        concepts("DoseUnit", "dose_unit_concept_id"),
        a("LotNumber", Kind::Text("lot_number")),
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("drug_concept_id")),
        ("DAYS_SUPPLY", CountColumn::Column("days_supply")),
        ("QUANTITY", CountColumn::Column("quantity")),
        ("REFILLS", CountColumn::Column("refills")),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static MEASUREMENT: DomainDef = DomainDef {
    name: "Measurement",
    noun: "measurement",
    table: "measurement",
    id: "measurement_id",
    start: "measurement_date",
    end: End::NextDay,
    concept: Some("measurement_concept_id"),
    source: Some("measurement_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("MeasurementSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        kind(
            "MeasurementType",
            "measurement_type_concept_id",
            "MeasurementTypeExclude",
        ),
        concepts("Operator", "operator_concept_id"),
        decimal("ValueAsNumber", "value_as_number"),
        concepts("ValueAsConcept", "value_as_concept_id"),
        UNIT,
        decimal("RangeLow", "range_low"),
        decimal("RangeHigh", "range_high"),
        a(
            "RangeLowRatio",
            Kind::Decimal(Operand::Ratio {
                value: "value_as_number",
                bound: "range_low",
            }),
        ),
        a(
            "RangeHighRatio",
            Kind::Decimal(Operand::Ratio {
                value: "value_as_number",
                bound: "range_high",
            }),
        ),
        a("Abnormal", Kind::Abnormal),
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("measurement_concept_id"),
        ),
        ("VALUE_AS_NUMBER", CountColumn::Column("value_as_number")),
        ("RANGE_HIGH", CountColumn::Column("range_high")),
        ("RANGE_LOW", CountColumn::Column("range_low")),
        ("DURATION", CountColumn::One),
    ],
};

pub(crate) static OBSERVATION: DomainDef = DomainDef {
    name: "Observation",
    noun: "observation",
    table: "observation",
    id: "observation_id",
    start: "observation_date",
    end: End::NextDay,
    concept: Some("observation_concept_id"),
    source: Some("observation_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("ObservationSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        kind(
            "ObservationType",
            "observation_type_concept_id",
            "ObservationTypeExclude",
        ),
        decimal("ValueAsNumber", "value_as_number"),
        a("ValueAsString", Kind::Text("value_as_string")),
        concepts("ValueAsConcept", "value_as_concept_id"),
        concepts("Qualifier", "qualifier_concept_id"),
        UNIT,
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("observation_concept_id"),
        ),
        ("VALUE_AS_NUMBER", CountColumn::Column("value_as_number")),
        ("DURATION", CountColumn::One),
    ],
};

pub(crate) static OBSERVATION_PERIOD: DomainDef = DomainDef {
    name: "ObservationPeriod",
    noun: "observation period",
    table: "observation_period",
    id: "observation_period_id",
    start: "observation_period_start_date",
    end: End::Column("observation_period_end_date"),
    concept: None,
    source: None,
    visit: false,
    attributes: &[
        FIRST,
        a("PeriodStartDate", Kind::StartDate),
        a("PeriodEndDate", Kind::EndDate),
        a("UserDefinedPeriod", Kind::UserPeriod),
        concepts("PeriodType", "period_type_concept_id"),
        a("PeriodLength", Kind::Whole(Operand::Length)),
        AGE_AT_START,
        AGE_AT_END,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("period_type_concept_id"),
        ),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static PAYER_PLAN_PERIOD: DomainDef = DomainDef {
    name: "PayerPlanPeriod",
    noun: "payer plan period",
    table: "payer_plan_period",
    id: "payer_plan_period_id",
    start: "payer_plan_period_start_date",
    end: End::Column("payer_plan_period_end_date"),
    concept: None,
    source: None,
    visit: false,
    attributes: &[
        FIRST,
        a("PeriodStartDate", Kind::StartDate),
        a("PeriodEndDate", Kind::EndDate),
        a("UserDefinedPeriod", Kind::UserPeriod),
        a("PeriodLength", Kind::Whole(Operand::Length)),
        AGE_AT_START,
        AGE_AT_END,
        GENDER,
        set("PayerConcept", "payer_concept_id"),
        set("PlanConcept", "plan_concept_id"),
        set("SponsorConcept", "sponsor_concept_id"),
        set("StopReasonConcept", "stop_reason_concept_id"),
        set("PayerSourceConcept", "payer_source_concept_id"),
        set("PlanSourceConcept", "plan_source_concept_id"),
        set("SponsorSourceConcept", "sponsor_source_concept_id"),
        set("StopReasonSourceConcept", "stop_reason_source_concept_id"),
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("payer_concept_id")),
    ],
};

pub(crate) static PROCEDURE_OCCURRENCE: DomainDef = DomainDef {
    name: "ProcedureOccurrence",
    noun: "procedure",
    table: "procedure_occurrence",
    id: "procedure_occurrence_id",
    start: "procedure_date",
    end: End::NextDay,
    concept: Some("procedure_concept_id"),
    source: Some("procedure_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("ProcedureSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        kind(
            "ProcedureType",
            "procedure_type_concept_id",
            "ProcedureTypeExclude",
        ),
        concepts("Modifier", "modifier_concept_id"),
        whole("Quantity", "quantity"),
        AGE,
        GENDER,
        SPECIALTY,
        VISIT,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("procedure_concept_id"),
        ),
        ("QUANTITY", CountColumn::Column("quantity")),
        ("DURATION", CountColumn::One),
    ],
};

pub(crate) static SPECIMEN: DomainDef = DomainDef {
    name: "Specimen",
    noun: "specimen",
    table: "specimen",
    id: "specimen_id",
    start: "specimen_date",
    end: End::NextDay,
    concept: Some("specimen_concept_id"),
    source: None,
    visit: false,
    attributes: &[
        CODESET,
        a(
            "SpecimenSourceConcept",
            Kind::Refused("Circe ignores it, and the OMOP CDM has no source concept of a specimen"),
        ),
        FIRST,
        OCCURRENCE_START,
        kind(
            "SpecimenType",
            "specimen_type_concept_id",
            "SpecimenTypeExclude",
        ),
        decimal("Quantity", "quantity"),
        UNIT,
        concepts("AnatomicSite", "anatomic_site_concept_id"),
        concepts("DiseaseStatus", "disease_status_concept_id"),
        a("SourceId", Kind::Text("specimen_source_id")),
        AGE,
        GENDER,
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("specimen_concept_id")),
        ("DURATION", CountColumn::One),
    ],
};

pub(crate) static VISIT_DETAIL: DomainDef = DomainDef {
    name: "VisitDetail",
    noun: "visit detail",
    table: "visit_detail",
    id: "visit_detail_id",
    start: "visit_detail_start_date",
    end: End::Column("visit_detail_end_date"),
    concept: Some("visit_detail_concept_id"),
    source: Some("visit_detail_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("VisitDetailSourceConcept"),
        FIRST,
        a("VisitDetailStartDate", Kind::StartDate),
        a("VisitDetailEndDate", Kind::EndDate),
        a(
            "VisitDetailTypeCS",
            Kind::Selection(Field::Column("visit_detail_type_concept_id")),
        ),
        a("VisitDetailLength", Kind::Whole(Operand::Length)),
        // As in Circe: the age of a visit detail is taken at its end.
        a("Age", Kind::Whole(Operand::AgeAtEnd)),
        a("GenderCS", Kind::Selection(Field::Gender)),
        a("ProviderSpecialtyCS", Kind::Selection(Field::Specialty)),
        a("PlaceOfServiceCS", Kind::Selection(Field::Place)),
        a("PlaceOfServiceLocation", Kind::Refused(LOCATION)),
    ],
    counts: &[
        (
            "DOMAIN_CONCEPT",
            CountColumn::Column("visit_detail_concept_id"),
        ),
        ("DURATION", CountColumn::Duration),
    ],
};

pub(crate) static VISIT_OCCURRENCE: DomainDef = DomainDef {
    name: "VisitOccurrence",
    noun: "visit",
    table: "visit_occurrence",
    id: "visit_occurrence_id",
    start: "visit_start_date",
    end: End::Column("visit_end_date"),
    concept: Some("visit_concept_id"),
    source: Some("visit_source_concept_id"),
    visit: true,
    attributes: &[
        CODESET,
        source("VisitSourceConcept"),
        FIRST,
        OCCURRENCE_START,
        OCCURRENCE_END,
        kind("VisitType", "visit_type_concept_id", "VisitTypeExclude"),
        a("VisitLength", Kind::Whole(Operand::Length)),
        AGE,
        GENDER,
        SPECIALTY,
        a("PlaceOfService", Kind::Concepts(Field::Place)),
        a("PlaceOfServiceLocation", Kind::Refused(LOCATION)),
    ],
    counts: &[
        ("VISIT_ID", CountColumn::Visit),
        ("DOMAIN_CONCEPT", CountColumn::Column("visit_concept_id")),
        ("DURATION", CountColumn::Duration),
    ],
};
