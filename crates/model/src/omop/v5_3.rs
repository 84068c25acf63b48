//! CDM 5.3, told as its differences from 5.4.

use std::sync::LazyLock;

use super::define::{code, concept, date, id, text};
use super::{V5_4, results};
use crate::table::IdentifierClass::Value;
use crate::table::{ColumnDef, TableDef};

/// One way in which a 5.4 table was different in 5.3.
enum Change {
    /// The table did not exist.
    NoTable,
    /// These columns did not exist.
    Without(&'static [&'static str]),
    /// In the place of a column there was another.
    Instead(&'static str, ColumnDef),
    /// The rows had no end date.
    NoEndDate,
}

use Change::{Instead, NoEndDate, NoTable, Without};

const DIFFERENCES: &[(&str, &[Change])] = &[
    (
        "visit_occurrence",
        &[
            Instead(
                "admitted_from_concept_id",
                concept("admitting_source_concept_id"),
            ),
            Instead("admitted_from_source_value", code("admitting_source_value")),
            Instead(
                "discharged_to_concept_id",
                concept("discharge_to_concept_id"),
            ),
            Instead(
                "discharged_to_source_value",
                code("discharge_to_source_value"),
            ),
        ],
    ),
    (
        "visit_detail",
        &[
            // 5.3 has the source value of the admission before its concept.
            Instead("admitted_from_concept_id", code("admitting_source_value")),
            Instead(
                "admitted_from_source_value",
                concept("admitting_source_concept_id"),
            ),
            Instead(
                "discharged_to_source_value",
                code("discharge_to_source_value"),
            ),
            Instead(
                "discharged_to_concept_id",
                concept("discharge_to_concept_id"),
            ),
            Instead(
                "parent_visit_detail_id",
                id("visit_detail_parent_id").references("visit_detail", "visit_detail_id"),
            ),
        ],
    ),
    (
        "procedure_occurrence",
        &[
            Without(&["procedure_end_date", "procedure_end_datetime"]),
            NoEndDate,
        ],
    ),
    (
        "device_exposure",
        &[Without(&[
            "production_id",
            "unit_concept_id",
            "unit_source_value",
            "unit_source_concept_id",
        ])],
    ),
    (
        "measurement",
        &[Without(&[
            "unit_source_concept_id",
            "measurement_event_id",
            "meas_event_field_concept_id",
        ])],
    ),
    (
        "observation",
        &[Without(&[
            "value_source_value",
            "observation_event_id",
            "obs_event_field_concept_id",
        ])],
    ),
    (
        "note",
        &[Without(&["note_event_id", "note_event_field_concept_id"])],
    ),
    (
        "location",
        &[Without(&[
            "country_concept_id",
            "country_source_value",
            "latitude",
            "longitude",
        ])],
    ),
    ("episode", &[NoTable]),
    ("episode_event", &[NoTable]),
    ("metadata", &[Without(&["metadata_id", "value_as_number"])]),
    (
        "cdm_source",
        &[
            Without(&["cdm_version_concept_id"]),
            Instead("cdm_source_abbreviation", text("cdm_source_abbreviation")),
            Instead("cdm_holder", text("cdm_holder")),
            Instead("source_release_date", date("source_release_date").is(Value)),
            Instead("cdm_release_date", date("cdm_release_date").is(Value)),
            Instead("vocabulary_version", text("vocabulary_version")),
        ],
    ),
    (
        "vocabulary",
        &[Instead(
            "vocabulary_reference",
            text("vocabulary_reference").required(),
        )],
    ),
];

/// The tables of 5.3, in the order of 5.4 with what only 5.3 has at the end.
pub(super) fn tables() -> &'static [TableDef] {
    static TABLES: LazyLock<Vec<TableDef>> = LazyLock::new(|| {
        let kept = V5_4.iter().filter_map(|table| before(*table));
        kept.chain([results::ATTRIBUTE_DEFINITION]).collect()
    });
    &TABLES
}

/// A 5.4 table as it was in 5.3.
fn before(mut table: TableDef) -> Option<TableDef> {
    let Some((_, changes)) = DIFFERENCES.iter().find(|(name, _)| *name == table.name) else {
        return Some(table);
    };
    let mut columns = table.columns.to_vec();
    for change in *changes {
        match change {
            NoTable => return None,
            Without(names) => columns.retain(|column| !names.contains(&column.name)),
            Instead(name, other) => {
                for column in columns.iter_mut().filter(|column| column.name == *name) {
                    *column = *other;
                }
            }
            NoEndDate => table.end_date = None,
        }
    }
    // Made once per process and handed out for its whole life, like the 5.4 tables.
    table.columns = columns.leak();
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_names_a_table_and_columns_of_5_4() {
        for (name, changes) in DIFFERENCES {
            let table = V5_4.iter().find(|table| table.name == *name);
            let has = |column: &str| table.is_some_and(|table| table.column(column).is_some());
            assert!(table.is_some(), "{name}");
            for change in *changes {
                match change {
                    Without(names) => {
                        assert!(names.iter().all(|column| has(column)), "{name}: {names:?}")
                    }
                    Instead(column, _) => assert!(has(column), "{name}.{column}"),
                    NoEndDate => assert!(table.is_some_and(|table| table.end_date.is_some())),
                    NoTable => {}
                }
            }
        }
    }

    #[test]
    fn a_renamed_column_stays_in_its_place() {
        let visit = tables().iter().find(|table| table.name == "visit_detail");
        let names: Vec<&str> = visit
            .into_iter()
            .flat_map(|table| table.columns)
            .map(|column| column.name)
            .collect();
        assert_eq!(
            names[12..18],
            [
                "admitting_source_value",
                "admitting_source_concept_id",
                "discharge_to_source_value",
                "discharge_to_concept_id",
                "preceding_visit_detail_id",
                "visit_detail_parent_id",
            ]
        );
    }
}
