//! The tables of the OMOP Common Data Model, 5.4 and 5.3.

mod clinical;
mod define;
mod derived;
mod economic;
mod health_system;
mod metadata;
mod note;
mod person;
mod results;
mod v5_3;
mod version;
mod vocabulary;

pub use version::{CdmVersion, detect_version};

use crate::table::TableDef;

/// CDM 5.4, in the specification's order.
static V5_4: [TableDef; 39] = [
    person::PERSON,
    person::OBSERVATION_PERIOD,
    clinical::VISIT_OCCURRENCE,
    clinical::VISIT_DETAIL,
    clinical::CONDITION_OCCURRENCE,
    clinical::DRUG_EXPOSURE,
    clinical::PROCEDURE_OCCURRENCE,
    clinical::DEVICE_EXPOSURE,
    clinical::MEASUREMENT,
    clinical::OBSERVATION,
    person::DEATH,
    note::NOTE,
    note::NOTE_NLP,
    clinical::SPECIMEN,
    clinical::FACT_RELATIONSHIP,
    health_system::LOCATION,
    health_system::CARE_SITE,
    health_system::PROVIDER,
    economic::PAYER_PLAN_PERIOD,
    economic::COST,
    derived::DRUG_ERA,
    derived::DOSE_ERA,
    derived::CONDITION_ERA,
    derived::EPISODE,
    derived::EPISODE_EVENT,
    metadata::METADATA,
    metadata::CDM_SOURCE,
    vocabulary::CONCEPT,
    vocabulary::VOCABULARY,
    vocabulary::DOMAIN,
    vocabulary::CONCEPT_CLASS,
    vocabulary::CONCEPT_RELATIONSHIP,
    vocabulary::RELATIONSHIP,
    vocabulary::CONCEPT_SYNONYM,
    vocabulary::CONCEPT_ANCESTOR,
    vocabulary::SOURCE_TO_CONCEPT_MAP,
    vocabulary::DRUG_STRENGTH,
    results::COHORT,
    results::COHORT_DEFINITION,
];

/// All tables of a version.
#[must_use]
pub fn tables(version: CdmVersion) -> &'static [TableDef] {
    match version {
        CdmVersion::V5_3 => v5_3::tables(),
        CdmVersion::V5_4 => &V5_4,
    }
}

/// A table of a version by its name, in any case.
#[must_use]
pub fn table_in(version: CdmVersion, name: &str) -> Option<&'static TableDef> {
    tables(version)
        .iter()
        .find(|table| table.name.eq_ignore_ascii_case(name))
}

/// A table of CDM 5.4 by its name, in any case.
#[must_use]
pub fn table(name: &str) -> Option<&'static TableDef> {
    table_in(CdmVersion::V5_4, name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a missing table fails the test")]

    use std::collections::HashSet;

    use arrow_schema::{DataType, TimeUnit};

    use super::*;
    use crate::table::IdentifierClass::{Date, Direct, FreeText, Value};
    use crate::table::{ColumnType, TableKind};

    fn all() -> impl Iterator<Item = &'static TableDef> {
        CdmVersion::ALL.into_iter().flat_map(tables)
    }

    #[test]
    fn names_are_unique_and_lower_case() {
        for version in CdmVersion::ALL {
            let names: HashSet<&str> = tables(version).iter().map(|table| table.name).collect();
            assert_eq!(names.len(), tables(version).len());
        }
        for table in all() {
            let names: HashSet<&str> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
            assert!(names.iter().all(|name| *name == name.to_lowercase()));
        }
    }

    #[test]
    fn tables_and_columns_are_found_in_any_case() {
        let measurement = table("MEASUREMENT").unwrap();
        assert_eq!(measurement.column("Person_ID").unwrap().name, "person_id");
        assert!(table("patients").is_none());
        assert!(table("attribute_definition").is_none());
        assert!(table_in(CdmVersion::V5_3, "attribute_definition").is_some());
        assert!(table_in(CdmVersion::V5_3, "episode").is_none());
    }

    #[test]
    fn every_column_that_a_table_names_exists_with_the_right_type() {
        for table in all() {
            let has = |name: &str, data_type| {
                let column = table
                    .column(name)
                    .unwrap_or_else(|| unreachable!("{}.{name}", table.name));
                assert_eq!(column.data_type, data_type, "{}.{name}", table.name);
            };
            for name in [table.person_key, table.concept].into_iter().flatten() {
                has(name, ColumnType::BigInt);
            }
            for name in [table.start_date, table.end_date].into_iter().flatten() {
                has(name, ColumnType::Date);
            }
            assert!(
                table.lookup.iter().all(|name| table.column(name).is_some()),
                "{}",
                table.name
            );
            assert!(
                table
                    .sort_columns()
                    .iter()
                    .all(|name| table.column(name).is_some())
            );
            assert!(
                table
                    .columns
                    .iter()
                    .filter(|column| column.primary_key)
                    .count()
                    <= 1
            );
        }
    }

    #[test]
    fn foreign_keys_lead_to_a_column_of_the_same_type() {
        for version in CdmVersion::ALL {
            for table in tables(version) {
                for column in table.columns {
                    let Some((target, key)) = column.foreign_key else {
                        continue;
                    };
                    let target = table_in(version, target).unwrap();
                    let key = target.column(key).unwrap();
                    assert_eq!(
                        key.data_type, column.data_type,
                        "{}.{}",
                        table.name, column.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_persons_rows_are_reached_from_every_clinical_table() {
        // A relationship of facts belongs to whom its facts belong to, in tables that only its values name.
        for table in all()
            .filter(|table| table.kind == TableKind::Clinical && table.name != "fact_relationship")
        {
            match table.person_through {
                None => assert!(table.person_key.is_some(), "{}", table.name),
                Some((column, owner)) => {
                    assert!(table.person_key.is_none());
                    assert_eq!(table.column(column).unwrap().foreign_key.unwrap().0, owner);
                    assert!(
                        table_in(CdmVersion::V5_4, owner)
                            .unwrap()
                            .person_key
                            .is_some()
                    );
                }
            }
        }
    }

    #[test]
    fn identifier_classes_follow_the_kind_of_column() {
        for table in all() {
            let about_persons = table.person_key.is_some() || table.person_through.is_some();
            for column in table.columns {
                let place = format!("{}.{}", table.name, column.name);
                let dated = matches!(column.data_type, ColumnType::Date | ColumnType::DateTime);
                assert_eq!(
                    about_persons && dated,
                    column.class == Date && dated,
                    "{place}"
                );
                if Some(column.name) == table.person_key {
                    assert_eq!(column.class, Direct, "{place}");
                }
                if column.class == FreeText {
                    assert_eq!(column.data_type, ColumnType::Text, "{place}");
                }
                if about_persons && column.data_type == ColumnType::Text && column.class == Value {
                    assert_eq!(table.name, "note_nlp", "{place}");
                }
            }
        }
    }

    #[test]
    fn schema_of_a_table() {
        let schema = table("drug_exposure").unwrap().schema();
        let expect = [
            ("drug_exposure_id", DataType::Int64, false),
            ("drug_exposure_start_date", DataType::Date32, false),
            (
                "drug_exposure_start_datetime",
                DataType::Timestamp(TimeUnit::Microsecond, None),
                true,
            ),
            ("quantity", DataType::Float64, true),
            ("days_supply", DataType::Int32, true),
            ("sig", DataType::Utf8, true),
        ];
        for (name, data_type, nullable) in expect {
            let field = schema.field_with_name(name).unwrap();
            assert_eq!(
                (field.data_type(), field.is_nullable()),
                (&data_type, nullable),
                "{name}"
            );
        }
    }

    #[test]
    fn order_and_bloom_columns() {
        let of = |name: &str| table(name).unwrap();
        assert_eq!(of("person").sort_columns(), ["person_id"]);
        assert_eq!(of("death").sort_columns(), ["person_id", "death_date"]);
        assert_eq!(
            of("measurement").sort_columns(),
            ["person_id", "measurement_date", "measurement_id"]
        );
        assert_eq!(of("concept").sort_columns(), ["concept_id"]);
        assert_eq!(
            of("concept_ancestor").sort_columns(),
            ["ancestor_concept_id", "descendant_concept_id"]
        );
        assert_eq!(of("note_nlp").sort_columns(), ["note_id", "note_nlp_id"]);
        assert_eq!(
            of("cohort").sort_columns(),
            ["subject_id", "cohort_start_date"]
        );
        assert_eq!(
            of("measurement").bloom_columns(),
            ["person_id", "measurement_concept_id"]
        );
        assert_eq!(of("observation_period").bloom_columns(), ["person_id"]);
        assert_eq!(of("concept").bloom_columns(), ["concept_id"]);
        assert_eq!(
            of("concept_ancestor").bloom_columns(),
            ["ancestor_concept_id", "descendant_concept_id"]
        );
    }

    #[test]
    fn datetimes_of_dates() {
        let of = |name: &str| table(name).unwrap();
        assert_eq!(
            of("visit_detail").end_datetime(),
            Some("visit_detail_end_datetime")
        );
        assert_eq!(
            of("measurement").start_datetime(),
            Some("measurement_datetime")
        );
        assert_eq!(of("measurement").end_datetime(), None);
        assert_eq!(of("drug_era").start_datetime(), None);
        assert_eq!(of("person").datetimes().count(), 1);
    }
}
