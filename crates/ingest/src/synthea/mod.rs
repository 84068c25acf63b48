//! Synthea's own CSV export as a reader.
//!
//! Each source file has a mapping, a table of rules in the file named after its target: `person.rs`, `visits.rs`,
//! `conditions.rs`, `drugs.rs`… (words in `mapping.rs`). `plan.rs` binds the rules to the columns that a delivery
//! has, `index.rs` learns first what rows refer to across files, and `map.rs` turns blocks of text into rows.
//!
//! Every row of a file is a row of exactly one table, or a reject. What OMOP has no place for is kept beside it:
//! columns as `synthea_<column>`, files as `synthea_<file>`. What identifies a person directly (`identifiers.rs`)
//! is left out.
//!
//! Keys: patients, encounters, organizations and clinicians are numbered in order of appearance, behind those of the
//! store; one that the store has keeps its number and is not stored again. An event has no key in the export: its
//! number is that of its row, so that the same event in two deliveries is two events. A person whose encounters
//! come in two deliveries has two observation periods.

mod bind;
mod columns;
mod conditions;
mod costs;
mod detect;
mod devices;
mod drugs;
mod evaluate;
mod header;
mod identifiers;
mod ids;
mod index;
mod kept;
mod load;
mod map;
mod mapping;
mod observations;
mod payers;
mod person;
mod places;
mod plan;
mod procedures;
mod reader;
mod rows;
mod stored;
#[cfg(test)]
mod tests;
mod visits;
mod vocabulary;

use mapping::FileMapping;

pub(crate) use detect::is_synthea;
pub(crate) use reader::SyntheaReader;

/// The files that are mapped to OMOP. The order decides the keys of rows from several files in one table.
static MAPPINGS: [FileMapping; 13] = [
    person::PATIENTS,
    places::ORGANIZATIONS,
    places::PROVIDERS,
    visits::ENCOUNTERS,
    conditions::CONDITIONS,
    drugs::MEDICATIONS,
    drugs::IMMUNIZATIONS,
    procedures::PROCEDURES,
    observations::OBSERVATIONS,
    observations::ALLERGIES,
    devices::DEVICES,
    devices::SUPPLIES,
    payers::PAYER_TRANSITIONS,
];
