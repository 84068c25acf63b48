//! The same options give the same bytes, whatever the number of threads; deliveries continue each other.

use std::collections::BTreeMap;
use std::path::Path;

use columna_synth::{SynthFormat, SynthOptions};

use crate::read::{batches, csv, make, options};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder_) = open.pop() {
        for entry in std::fs::read_dir(folder_).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn threads_do_not_change_a_byte() {
    for format in [
        SynthFormat::OmopCsv,
        SynthFormat::OmopParquet,
        SynthFormat::SourceCsv,
    ] {
        let hospitals = 2;
        let with = |threads| {
            let (folder, _) = make(&SynthOptions {
                threads,
                hospitals,
                ..options(format, 2_300, 11)
            });
            files(folder.path())
        };
        let one = with(1);
        assert!(one.len() > 15);
        for threads in [2, 5] {
            let many = with(threads);
            assert_eq!(
                one.keys().collect::<Vec<_>>(),
                many.keys().collect::<Vec<_>>()
            );
            for (name, bytes) in &one {
                assert!(
                    bytes == &many[name],
                    "{name} differs with {threads} threads"
                );
            }
        }
    }
}

#[test]
fn another_seed_gives_other_people() {
    let (one, _) = make(&options(SynthFormat::OmopCsv, 50, 1));
    let (two, _) = make(&options(SynthFormat::OmopCsv, 50, 2));
    assert_ne!(
        files(one.path())["out/person.csv"],
        files(two.path())["out/person.csv"]
    );
}

#[test]
fn a_second_delivery_continues_the_first_without_a_common_id() {
    let first = options(SynthFormat::OmopCsv, 300, 4);
    let (whole, _) = make(&SynthOptions {
        patients: 500,
        ..first.clone()
    });
    let (one, _) = make(&first);
    let (two, _) = make(&SynthOptions {
        patients: 200,
        first_person_id: 301,
        ..first
    });
    for table in [
        "person",
        "visit_occurrence",
        "measurement",
        "drug_exposure",
        "observation_period",
        "death",
    ] {
        let read =
            |folder: &tempfile::TempDir| csv(&folder.path().join(format!("out/{table}.csv")));
        let (header, rows) = read(&whole);
        // Places have keys of the delivery's own.
        let places = ["location_id", "care_site_id", "provider_id"];
        let compared = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            rows.into_iter()
                .map(|row| {
                    row.into_iter()
                        .zip(&header)
                        .filter(|(_, name)| !places.contains(&name.as_str()))
                        .map(|(field, _)| field)
                        .collect()
                })
                .collect()
        };
        let mut parts = read(&one).1;
        parts.extend(read(&two).1);
        assert_eq!(compared(rows), compared(parts), "{table}");
    }
    let keys = |folder: &tempfile::TempDir, table: &str| -> Vec<String> {
        csv(&folder.path().join(format!("out/{table}.csv")))
            .1
            .into_iter()
            .map(|row| row[0].clone())
            .collect()
    };
    for table in ["location", "care_site", "provider"] {
        let first = keys(&one, table);
        assert!(
            keys(&two, table).iter().all(|key| !first.contains(key)),
            "{table} has a key in both deliveries"
        );
    }
}

#[test]
fn csv_and_parquet_hold_the_same_rows() {
    let (text, _) = make(&options(SynthFormat::OmopCsv, 200, 3));
    let (columns, _) = make(&options(SynthFormat::OmopParquet, 200, 3));
    for table in ["person", "measurement", "death", "concept", "location"] {
        let (_, rows) = csv(&text.path().join(format!("out/{table}.csv")));
        let batches = batches(&columns.path().join("out"), table, None);
        assert_eq!(
            rows.len(),
            batches
                .iter()
                .map(arrow::array::RecordBatch::num_rows)
                .sum::<usize>()
        );
        let mut at = 0;
        for batch in batches {
            for row in 0..batch.num_rows() {
                for (column, array) in batch.columns().iter().enumerate() {
                    let shown = arrow::util::display::array_value_to_string(array, row)
                        .unwrap()
                        .replace('T', " ");
                    let written = &rows[at][column];
                    let same = shown == written.replace('T', " ")
                        || shown
                            .parse::<f64>()
                            .is_ok_and(|value| written.parse() == Ok(value));
                    assert!(same, "{table}: {shown} is not {written}");
                }
                at += 1;
            }
        }
    }
}

#[test]
fn one_patient_is_a_hospital_too() {
    for format in [
        SynthFormat::OmopCsv,
        SynthFormat::OmopParquet,
        SynthFormat::SourceCsv,
    ] {
        for hospitals in [1, 2] {
            let (_, report) = make(&SynthOptions {
                hospitals,
                ..options(format, 1, 1)
            });
            let persons: Vec<u64> = report
                .hospitals
                .iter()
                .flat_map(|hospital| &hospital.tables)
                .filter(|(name, _)| name == "person" || name == "patients")
                .map(|(_, rows)| *rows)
                .collect();
            assert_eq!(persons, vec![1; usize::from(hospitals)]);
        }
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let usual = options(SynthFormat::OmopCsv, 10, 1);
    for (wrong, about) in [
        (
            SynthOptions {
                patients: 0,
                ..usual.clone()
            },
            "patients",
        ),
        (
            SynthOptions {
                hospitals: 3,
                ..usual.clone()
            },
            "hospitals",
        ),
        (
            SynthOptions {
                first_person_id: 0,
                ..usual.clone()
            },
            "first person id",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = columna_synth::generate(&folder.path().join("out"), &wrong).unwrap_err();
        assert!(error.to_string().contains(about), "{error}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let error =
        columna_synth::generate(folder.path(), &options(SynthFormat::OmopCsv, 10, 1)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is not empty: give a new folder, or delete it first")
    );
}
