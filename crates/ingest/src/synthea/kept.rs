//! Files without a table in OMOP, such as claims and care plans: kept whole, as tables named `synthea_<file>`.

use columna_model::ColumnType;

use super::bind::Bound;
use super::header::Header;
use super::identifiers::is_identifier;
use super::mapping::{Column, Entity};

/// The name of a table, or of a column beside OMOP's, that keeps what OMOP has no place for.
pub(super) fn kept_name(name: &str) -> String {
    format!("synthea_{}", name.to_ascii_lowercase())
}

const PATIENT: Column = "PATIENT|PATIENTID";
const ENCOUNTER: Column = "ENCOUNTER|APPOINTMENTID";

/// Columns that hold a moment, in the files that Synthea is known to write.
const MOMENTS: [&str; 11] = [
    "start",
    "stop",
    "date",
    "servicedate",
    "currentillnessdate",
    "lastbilleddate1",
    "lastbilleddate2",
    "lastbilleddatep",
    "fromdate",
    "todate",
    "expense_date",
];

/// Columns that hold an amount.
const AMOUNTS: [&str; 13] = [
    "amount",
    "unitamount",
    "payments",
    "adjustments",
    "transfers",
    "outstanding",
    "outstanding1",
    "outstanding2",
    "outstandingp",
    "amount_covered",
    "amount_uncovered",
    "revenue",
    "units",
];

/// Files whose columns are known well enough to give them types; those of others are text.
const TYPED_FILES: [&str; 6] = [
    "careplans",
    "imaging_studies",
    "claims",
    "claims_transactions",
    "payers",
    "patient_expenses",
];

/// A column of a kept table.
#[derive(Debug)]
pub(super) struct KeptColumn {
    pub(super) name: String,
    pub(super) data_type: ColumnType,
    pub(super) key: bool,
    pub(super) rule: Bound,
}

/// The columns of a kept table: person and visit by their keys, and all others but identifiers.
pub(super) fn kept_columns(file: &str, header: &Header) -> Vec<KeptColumn> {
    let mut columns = Vec::new();
    let keys = [
        (PATIENT, Entity::Person, "person_id"),
        (ENCOUNTER, Entity::Visit, "visit_occurrence_id"),
    ];
    let mut used = Vec::new();
    for (names, entity, name) in keys {
        if let Some(at) = header.position(names) {
            used.push(at);
            columns.push(KeptColumn {
                name: name.to_owned(),
                data_type: ColumnType::BigInt,
                key: entity == Entity::Person,
                rule: Bound::Ref(entity, at),
            });
        }
    }
    for (at, name) in header.names().iter().enumerate() {
        let name = name.to_ascii_lowercase();
        let is_twice = columns.iter().any(|column| column.name == name);
        if used.contains(&at) || name.is_empty() || is_twice || is_identifier(file, &name) {
            continue;
        }
        columns.push(KeptColumn {
            data_type: data_type(file, &name),
            key: false,
            rule: Bound::Cell(at),
            name,
        });
    }
    columns
}

fn data_type(file: &str, column: &str) -> ColumnType {
    if !TYPED_FILES.contains(&file) {
        ColumnType::Text
    } else if MOMENTS.contains(&column) {
        ColumnType::DateTime
    } else if AMOUNTS.contains(&column) {
        ColumnType::Float
    } else {
        ColumnType::Text
    }
}
