//! A hospital's own extract: records as its information system exports them, with direct identifiers.

use columna_model::Day;

use crate::chart::DEPARTMENTS;
use crate::csv;
use crate::hospital::Hospital;
use crate::identity::{record_number, registration};
use crate::records::{Code, EventRow, Records};
use crate::vocabulary::Kind;

/// The files, with their columns.
pub(crate) const TABLES: [(&str, &[&str]); 8] = [
    (
        "patients",
        &[
            "mrn",
            "name",
            "rrn",
            "sex",
            "birth_date",
            "phone",
            "address",
        ],
    ),
    (
        "encounters",
        &[
            "encounter_no",
            "mrn",
            "type",
            "department",
            "doctor",
            "admitted_at",
            "discharged_on",
        ],
    ),
    (
        "diagnoses",
        &["encounter_no", "mrn", "date", "kcd_code", "name"],
    ),
    (
        "prescriptions",
        &[
            "encounter_no",
            "mrn",
            "date",
            "atc_code",
            "name",
            "days",
            "quantity",
        ],
    ),
    (
        "procedures",
        &["encounter_no", "mrn", "date", "order_code", "name"],
    ),
    (
        "labs",
        &[
            "encounter_no",
            "mrn",
            "measured_at",
            "test",
            "value",
            "unit",
        ],
    ),
    (
        "questionnaires",
        &["encounter_no", "mrn", "date", "item", "answer"],
    ),
    ("deaths", &["mrn", "date", "kcd_code"]),
];

/// The rows of every file, in the order of [`TABLES`].
pub(crate) fn rows(hospital: &Hospital, records: &Records) -> Vec<Vec<u8>> {
    vec![
        patients(hospital, records),
        encounters(records),
        events(&records.diagnoses, |_, out| out.truncate(out.len() - 1)),
        events(&records.prescriptions, |row, out| {
            csv::integer(i64::from(row.detail.days), out);
            out.push(b',');
            csv::float(crate::rng::rounded(row.detail.quantity, 2), out);
        }),
        events(&records.procedures, |_, out| out.truncate(out.len() - 1)),
        labs(records),
        questionnaires(records),
        deaths(records),
    ]
}

fn patients(hospital: &Hospital, records: &Records) -> Vec<u8> {
    let mut out = Vec::new();
    for person in &records.persons {
        let written = registration(hospital.seed, hospital.number, person);
        let birth = Day(person.birth);
        for text in [&written.record_number, &written.name] {
            csv::text(text, &mut out);
            out.push(b',');
        }
        csv::text(
            written.registration_number.as_deref().unwrap_or_default(),
            &mut out,
        );
        out.extend_from_slice(if person.sex.index() == 0 {
            b",M,"
        } else {
            b",F,"
        });
        csv::date(birth.0, &mut out);
        out.push(b',');
        csv::text(&written.phone, &mut out);
        out.push(b',');
        csv::text(&written.address, &mut out);
        out.push(b'\n');
    }
    out
}

fn encounters(records: &Records) -> Vec<u8> {
    let mut out = Vec::new();
    for visit in &records.visits {
        csv::integer(visit.id, &mut out);
        out.push(b',');
        out.extend_from_slice(record_number(visit.person).as_bytes());
        out.push(b',');
        out.extend_from_slice(visit.kind.source.as_bytes());
        out.push(b',');
        csv::text(DEPARTMENTS[visit.department], &mut out);
        out.extend_from_slice(
            format!(",D{:02}{:02},", visit.department + 1, visit.clinician + 1).as_bytes(),
        );
        moment(visit.start, visit.minute, &mut out);
        out.push(b',');
        csv::date(visit.end, &mut out);
        out.push(b'\n');
    }
    out
}

fn moment(day: i32, minute: i32, out: &mut Vec<u8>) {
    csv::time(
        (i64::from(day) * 1440 + i64::from(minute)) * 60_000_000,
        out,
    );
}

/// Encounter, patient, day, code and name, and what `rest` adds.
fn events<T>(rows: &[EventRow<T>], rest: impl Fn(&EventRow<T>, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        whose(row, &mut out);
        csv::date(row.day, &mut out);
        out.push(b',');
        out.extend_from_slice(row.what.source.as_bytes());
        out.push(b',');
        csv::text(local_name(row.what), &mut out);
        out.push(b',');
        rest(row, &mut out);
        out.push(b'\n');
    }
    out
}

fn whose<T>(row: &EventRow<T>, out: &mut Vec<u8>) {
    csv::integer(row.visit, out);
    out.push(b',');
    out.extend_from_slice(record_number(row.person).as_bytes());
    out.push(b',');
}

/// The name that the hospital's system shows.
fn local_name(what: Code) -> &'static str {
    match what.kind {
        Kind::Metadata(..) => what.source,
        _ => what.name,
    }
}

fn labs(records: &Records) -> Vec<u8> {
    let mut out = Vec::new();
    for row in &records.values {
        whose(row, &mut out);
        moment(row.day, row.minute, &mut out);
        out.push(b',');
        out.extend_from_slice(row.what.source.as_bytes());
        out.push(b',');
        if let Some(number) = row.detail.number {
            csv::float(number, &mut out);
        }
        out.push(b',');
        if let Some((_, unit)) = row.what.unit {
            csv::text(unit, &mut out);
        }
        out.push(b'\n');
    }
    out
}

fn questionnaires(records: &Records) -> Vec<u8> {
    let mut out = Vec::new();
    for row in &records.answers {
        whose(row, &mut out);
        csv::date(row.day, &mut out);
        out.push(b',');
        out.extend_from_slice(row.what.source.as_bytes());
        out.push(b',');
        match (row.detail.number, row.detail.text) {
            (Some(number), _) => csv::float(number, &mut out),
            (None, Some(answer)) => csv::text(answer, &mut out),
            (None, None) => {}
        }
        out.push(b'\n');
    }
    out
}

fn deaths(records: &Records) -> Vec<u8> {
    let mut out = Vec::new();
    for death in &records.deaths {
        out.extend_from_slice(record_number(death.person).as_bytes());
        out.push(b',');
        csv::date(death.day, &mut out);
        out.push(b',');
        out.extend_from_slice(death.cause.map_or("", |cause| cause.source).as_bytes());
        out.push(b'\n');
    }
    out
}
