//! Records as the tables of OMOP CDM 5.4, in exactly the model's columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use columna_model::{Day, table};

use crate::Error;
use crate::chart::{CLINICIANS, DEPARTMENTS, department};
use crate::hospital::Hospital;
use crate::identity;
use crate::records::{EventRow, Records};
use crate::vocabulary::{Concept, metadata};

/// The tables with a patient's records.
pub(crate) const CLINICAL: [&str; 9] = [
    "person",
    "observation_period",
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
    "death",
];

const DAY_MICROSECONDS: i64 = 86_400_000_000;
const MINUTE_MICROSECONDS: i64 = 60_000_000;

/// The key of a place or clinician: apart for each delivery and hospital, so that deliveries can be appended.
pub(crate) fn place_key(hospital: &Hospital, number: usize) -> i64 {
    hospital.first_person() * 1000 + i64::try_from(number).unwrap_or(0)
}

/// Puts columns into a table's schema; columns that are not given are NULL.
pub(crate) fn batch(
    name: &str,
    rows: usize,
    columns: Vec<(&str, ArrayRef)>,
) -> Result<RecordBatch, Error> {
    let definition =
        table(name).ok_or_else(|| Error::Internal(format!("the model has no table {name}")))?;
    let schema = definition.schema();
    let mut columns: Vec<(&str, Option<ArrayRef>)> = columns
        .into_iter()
        .map(|(name, array)| (name, Some(array)))
        .collect();
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let given = columns
            .iter_mut()
            .find(|(name, _)| name == field.name())
            .and_then(|(_, array)| array.take());
        arrays.push(given.unwrap_or_else(|| new_null_array(field.data_type(), rows)));
    }
    if let Some((unused, _)) = columns.iter().find(|(_, array)| array.is_some()) {
        return Err(Error::Internal(format!(
            "the table {name} has no column {unused}"
        )));
    }
    Ok(RecordBatch::try_new(schema, arrays)?)
}

fn keys(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn constant(value: &Concept, rows: usize) -> ArrayRef {
    Arc::new(Int64Array::from_value(value.id, rows))
}

fn integers(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn dates(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(values))
}

fn times(values: impl Iterator<Item = (i32, i32)>) -> ArrayRef {
    let micros =
        |(day, minute)| i64::from(day) * DAY_MICROSECONDS + i64::from(minute) * MINUTE_MICROSECONDS;
    Arc::new(TimestampMicrosecondArray::from_iter_values(
        values.map(micros),
    ))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// The clinical tables of a run of persons, in the order of [`CLINICAL`].
pub(crate) fn clinical(hospital: &Hospital, records: &Records) -> Result<Vec<RecordBatch>, Error> {
    Ok(vec![
        person(hospital, records)?,
        observation_period(records)?,
        visit_occurrence(hospital, records)?,
        condition_occurrence(hospital, records)?,
        drug_exposure(hospital, records)?,
        procedure_occurrence(hospital, records)?,
        measurement(hospital, records)?,
        observation(hospital, records)?,
        death(records)?,
    ])
}

fn person(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.persons;
    let born = || rows.iter().map(|row| Day(row.birth).civil());
    let sex =
        |row: &crate::records::PersonRow| [&metadata::MALE, &metadata::FEMALE][row.sex.index()];
    batch(
        "person",
        rows.len(),
        vec![
            ("person_id", keys(rows.iter().map(|row| row.person))),
            (
                "gender_concept_id",
                keys(rows.iter().map(|row| sex(row).id)),
            ),
            ("year_of_birth", integers(born().map(|day| day.year))),
            (
                "month_of_birth",
                integers(born().map(|day| i32::from(day.month))),
            ),
            (
                "day_of_birth",
                integers(born().map(|day| i32::from(day.day))),
            ),
            (
                "birth_datetime",
                times(rows.iter().map(|row| (row.birth, 0))),
            ),
            ("race_concept_id", constant(&metadata::ASIAN, rows.len())),
            (
                "ethnicity_concept_id",
                constant(&metadata::NOT_HISPANIC, rows.len()),
            ),
            (
                "location_id",
                keys(rows.iter().map(|row| place_key(hospital, row.district))),
            ),
            (
                "person_source_value",
                Arc::new(
                    rows.iter()
                        .map(|row| Some(identity::record_number(row.person)))
                        .collect::<StringArray>(),
                ),
            ),
            (
                "gender_source_value",
                texts(rows.iter().map(|row| sex(row).source)),
            ),
            (
                "gender_source_concept_id",
                constant(&metadata::NO_MATCHING_CONCEPT, rows.len()),
            ),
        ],
    )
}

fn observation_period(records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.periods;
    batch(
        "observation_period",
        rows.len(),
        vec![
            ("observation_period_id", keys(rows.iter().map(|row| row.id))),
            ("person_id", keys(rows.iter().map(|row| row.person))),
            (
                "observation_period_start_date",
                dates(rows.iter().map(|row| row.start)),
            ),
            (
                "observation_period_end_date",
                dates(rows.iter().map(|row| row.end)),
            ),
            (
                "period_type_concept_id",
                constant(&metadata::EHR, rows.len()),
            ),
        ],
    )
}

/// The clinician of a department.
fn provider(hospital: &Hospital, department: usize, clinician: usize) -> i64 {
    place_key(hospital, department * CLINICIANS + clinician)
}

fn visit_occurrence(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.visits;
    // Outpatients leave after half an hour, stays end at eleven in the morning.
    let end = |row: &crate::records::VisitRow| {
        let minute = if row.end > row.start {
            11 * 60
        } else {
            (row.minute + 30).min(24 * 60 - 1)
        };
        (row.end, minute)
    };
    batch(
        "visit_occurrence",
        rows.len(),
        vec![
            ("visit_occurrence_id", keys(rows.iter().map(|row| row.id))),
            ("person_id", keys(rows.iter().map(|row| row.person))),
            ("visit_concept_id", keys(rows.iter().map(|row| row.kind.id))),
            ("visit_start_date", dates(rows.iter().map(|row| row.start))),
            (
                "visit_start_datetime",
                times(rows.iter().map(|row| (row.start, row.minute))),
            ),
            ("visit_end_date", dates(rows.iter().map(|row| row.end))),
            ("visit_end_datetime", times(rows.iter().map(end))),
            (
                "visit_type_concept_id",
                constant(&metadata::EHR, rows.len()),
            ),
            (
                "provider_id",
                keys(
                    rows.iter()
                        .map(|row| provider(hospital, row.department, row.clinician)),
                ),
            ),
            (
                "care_site_id",
                keys(rows.iter().map(|row| place_key(hospital, row.department))),
            ),
            (
                "visit_source_value",
                texts(rows.iter().map(|row| row.kind.source)),
            ),
            (
                "visit_source_concept_id",
                constant(&metadata::NO_MATCHING_CONCEPT, rows.len()),
            ),
            (
                "preceding_visit_occurrence_id",
                Arc::new(rows.iter().map(|row| row.preceding).collect::<Int64Array>()),
            ),
        ],
    )
}

/// The columns that records made during a visit have in common, under their names in a table.
fn event<T>(
    hospital: &Hospital,
    rows: &[EventRow<T>],
    names: [&'static str; 6],
) -> Vec<(&'static str, ArrayRef)> {
    let [id, concept, day, kind, source, source_concept] = names;
    vec![
        (id, keys(rows.iter().map(|row| row.id))),
        ("person_id", keys(rows.iter().map(|row| row.person))),
        (concept, keys(rows.iter().map(|row| row.what.id))),
        (day, dates(rows.iter().map(|row| row.day))),
        (kind, constant(&metadata::EHR, rows.len())),
        (
            "provider_id",
            keys(
                rows.iter()
                    .map(|row| provider(hospital, row.department, row.clinician)),
            ),
        ),
        (
            "visit_occurrence_id",
            keys(rows.iter().map(|row| row.visit)),
        ),
        (source, texts(rows.iter().map(|row| row.what.source))),
        (
            source_concept,
            constant(&metadata::NO_MATCHING_CONCEPT, rows.len()),
        ),
    ]
}

fn condition_occurrence(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.diagnoses;
    let mut columns = event(
        hospital,
        rows,
        [
            "condition_occurrence_id",
            "condition_concept_id",
            "condition_start_date",
            "condition_type_concept_id",
            "condition_source_value",
            "condition_source_concept_id",
        ],
    );
    columns.push((
        "condition_end_date",
        Arc::new(
            rows.iter()
                .map(|row| row.detail.end)
                .collect::<Date32Array>(),
        ),
    ));
    batch("condition_occurrence", rows.len(), columns)
}

fn drug_exposure(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.prescriptions;
    let mut columns = event(
        hospital,
        rows,
        [
            "drug_exposure_id",
            "drug_concept_id",
            "drug_exposure_start_date",
            "drug_type_concept_id",
            "drug_source_value",
            "drug_source_concept_id",
        ],
    );
    columns.push((
        "drug_exposure_end_date",
        dates(rows.iter().map(|row| row.day + row.detail.days - 1)),
    ));
    columns.push((
        "days_supply",
        integers(rows.iter().map(|row| row.detail.days)),
    ));
    columns.push((
        "quantity",
        Arc::new(Float64Array::from_iter_values(
            rows.iter()
                .map(|row| crate::rng::rounded(row.detail.quantity, 2)),
        )),
    ));
    batch("drug_exposure", rows.len(), columns)
}

fn procedure_occurrence(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.procedures;
    let columns = event(
        hospital,
        rows,
        [
            "procedure_occurrence_id",
            "procedure_concept_id",
            "procedure_date",
            "procedure_type_concept_id",
            "procedure_source_value",
            "procedure_source_concept_id",
        ],
    );
    batch("procedure_occurrence", rows.len(), columns)
}

fn measurement(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.values;
    let mut columns = event(
        hospital,
        rows,
        [
            "measurement_id",
            "measurement_concept_id",
            "measurement_date",
            "measurement_type_concept_id",
            "measurement_source_value",
            "measurement_source_concept_id",
        ],
    );
    columns.push((
        "measurement_datetime",
        times(rows.iter().map(|row| (row.day, row.minute))),
    ));
    columns.push((
        "value_as_number",
        Arc::new(
            rows.iter()
                .map(|row| row.detail.number)
                .collect::<Float64Array>(),
        ),
    ));
    columns.push((
        "unit_concept_id",
        Arc::new(
            rows.iter()
                .map(|row| row.what.unit.map(|(unit, _)| unit))
                .collect::<Int64Array>(),
        ),
    ));
    columns.push((
        "unit_source_value",
        Arc::new(
            rows.iter()
                .map(|row| row.what.unit.map(|(_, code)| code))
                .collect::<StringArray>(),
        ),
    ));
    batch("measurement", rows.len(), columns)
}

fn observation(hospital: &Hospital, records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.answers;
    let mut columns = event(
        hospital,
        rows,
        [
            "observation_id",
            "observation_concept_id",
            "observation_date",
            "observation_type_concept_id",
            "observation_source_value",
            "observation_source_concept_id",
        ],
    );
    columns.push((
        "value_as_number",
        Arc::new(
            rows.iter()
                .map(|row| row.detail.number)
                .collect::<Float64Array>(),
        ),
    ));
    columns.push((
        "value_as_string",
        Arc::new(
            rows.iter()
                .map(|row| row.detail.text)
                .collect::<StringArray>(),
        ),
    ));
    batch("observation", rows.len(), columns)
}

fn death(records: &Records) -> Result<RecordBatch, Error> {
    let rows = &records.deaths;
    batch(
        "death",
        rows.len(),
        vec![
            ("person_id", keys(rows.iter().map(|row| row.person))),
            ("death_date", dates(rows.iter().map(|row| row.day))),
            (
                "death_type_concept_id",
                constant(&metadata::EHR, rows.len()),
            ),
            (
                "cause_concept_id",
                Arc::new(
                    rows.iter()
                        .map(|row| row.cause.map(|cause| cause.id))
                        .collect::<Int64Array>(),
                ),
            ),
            (
                "cause_source_value",
                Arc::new(
                    rows.iter()
                        .map(|row| row.cause.map(|cause| cause.source))
                        .collect::<StringArray>(),
                ),
            ),
        ],
    )
}

/// The specialty of a department's clinicians.
pub(crate) fn specialty(place: usize) -> &'static Concept {
    match place {
        department::EMERGENCY => &metadata::EMERGENCY_MEDICINE,
        department::FAMILY => &metadata::FAMILY_MEDICINE,
        department::SURGERY | department::ORTHOPEDICS | department::NEUROLOGY => {
            &metadata::NO_MATCHING_CONCEPT
        }
        _ => &metadata::INTERNAL_MEDICINE,
    }
}

/// Departments by position, for the tables of places.
pub(crate) fn departments() -> impl Iterator<Item = (usize, &'static str)> {
    DEPARTMENTS.iter().copied().enumerate()
}
