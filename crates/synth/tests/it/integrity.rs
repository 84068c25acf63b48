//! Records refer to each other, lie within observation and life, and use concepts of the vocabulary.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use columna_model::{CdmVersion, tables};
use columna_synth::SynthFormat;

use crate::read::{batches, column, make, options, whole};

const EVENTS: [(&str, &str); 6] = [
    ("visit_occurrence", "visit_start_date"),
    ("condition_occurrence", "condition_start_date"),
    ("drug_exposure", "drug_exposure_start_date"),
    ("procedure_occurrence", "procedure_date"),
    ("measurement", "measurement_date"),
    ("observation", "observation_date"),
];

#[test]
fn a_hospital_is_consistent() {
    let (folder, report) = make(&options(SynthFormat::OmopParquet, 3_000, 8));
    let out = folder.path().join("out");
    schemas(&out);
    keys(&out);
    references(&out);
    days(&out);
    concepts(&out);
    let events: u64 = report.hospitals[0]
        .tables
        .iter()
        .filter(|(name, _)| EVENTS.iter().any(|(event, _)| event == name) || name == "death")
        .map(|(_, rows)| rows)
        .sum();
    let each = events as f64 / 3_000.0;
    assert!((55.0..90.0).contains(&each), "{each} events a patient");
}

fn written(out: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(out)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn schemas(out: &Path) {
    let names = written(out);
    assert_eq!(names.len(), 20);
    for name in names {
        let schema = columna_model::table(&name).unwrap().schema();
        for batch in batches(out, &name, None) {
            assert_eq!(batch.schema(), schema, "{name}");
        }
    }
}

fn keys(out: &Path) {
    for table in tables(CdmVersion::V5_4) {
        let key = table.columns.iter().find(|column| {
            column.primary_key && column.data_type == columna_model::ColumnType::BigInt
        });
        if let Some(key) = key.filter(|_| out.join(table.name).exists()) {
            let keys = whole(out, table.name, key.name);
            let distinct: HashSet<i64> = keys.iter().copied().collect();
            assert_eq!(keys.len(), distinct.len(), "{} repeats a key", table.name);
        }
    }
}

/// Every foreign key between written tables has its row.
fn references(out: &Path) {
    for name in written(out) {
        for column_ in columna_model::table(&name).unwrap().columns {
            let Some((table, key)) = column_.foreign_key else {
                continue;
            };
            if column_.data_type != columna_model::ColumnType::BigInt || !out.join(table).exists() {
                continue;
            }
            let known: HashSet<i64> = whole(out, table, key).into_iter().collect();
            for value in column(out, &name, column_.name) {
                assert!(
                    value.is_nan() || known.contains(&(value as i64)),
                    "{name}.{} refers to a missing {table}",
                    column_.name
                );
            }
        }
    }
}

fn days(out: &Path) {
    let mut periods: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    let starts = whole(out, "observation_period", "observation_period_start_date");
    let ends = whole(out, "observation_period", "observation_period_end_date");
    for ((person, start), end) in whole(out, "observation_period", "person_id")
        .into_iter()
        .zip(starts)
        .zip(ends)
    {
        assert!(start <= end);
        periods.entry(person).or_default().push((start, end));
    }
    for (event, day) in EVENTS {
        let persons = whole(out, event, "person_id");
        let days = whole(out, event, day);
        assert!(persons.is_sorted(), "{event} is in the order of persons");
        for (person, day) in persons.iter().zip(&days) {
            let inside = periods[person]
                .iter()
                .any(|(start, end)| start <= day && day <= end);
            assert!(inside, "{event} has a record outside of observation");
        }
    }
    // Death ends the last period, so that nothing above lies after it.
    let deaths =
        whole(out, "death", "person_id")
            .into_iter()
            .zip(whole(out, "death", "death_date"));
    let mut dead = 0;
    for (person, day) in deaths {
        assert_eq!(
            periods[&person].iter().map(|(_, end)| *end).max(),
            Some(day)
        );
        dead += 1;
    }
    assert!(dead > 100);
    // Records of a visit are made during it.
    let visits: HashMap<i64, (i64, i64, i64)> =
        whole(out, "visit_occurrence", "visit_occurrence_id")
            .into_iter()
            .zip(whole(out, "visit_occurrence", "person_id"))
            .zip(whole(out, "visit_occurrence", "visit_start_date"))
            .zip(whole(out, "visit_occurrence", "visit_end_date"))
            .map(|(((id, person), start), end)| (id, (person, start, end)))
            .collect();
    for (event, day) in EVENTS {
        let rows = whole(out, event, "visit_occurrence_id")
            .into_iter()
            .zip(whole(out, event, "person_id"))
            .zip(whole(out, event, day));
        for ((visit, person), day) in rows {
            let (whose, start, end) = visits[&visit];
            assert!(
                whose == person && start <= day && day <= end,
                "{event} has a record outside of its visit"
            );
        }
    }
}

/// Every concept that is used stands in `concept`, in the domain of its table.
fn concepts(out: &Path) {
    let ids = whole(out, "concept", "concept_id");
    let domains: Vec<String> = batches(out, "concept", Some(&["domain_id"]))
        .iter()
        .flat_map(|batch| {
            let array = arrow::array::AsArray::as_string::<i32>(batch.column(0)).clone();
            (0..batch.num_rows())
                .map(move |row| array.value(row).to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let domain: HashMap<i64, String> = ids.into_iter().zip(domains).collect();
    for name in written(out) {
        let definition = columna_model::table(&name).unwrap();
        for column_ in definition
            .columns
            .iter()
            .filter(|column| column.is_concept())
        {
            for value in column(out, &name, column_.name) {
                assert!(
                    value.is_nan() || domain.contains_key(&(value as i64)),
                    "{name}.{} has a concept that is not in concept",
                    column_.name
                );
            }
        }
        if let (Some(concept), Some(expected)) = (definition.concept, definition.domain) {
            for value in whole(out, &name, concept) {
                assert_eq!(domain[&value], expected, "{name}.{concept}");
            }
        }
    }
}

#[test]
fn values_depend_on_illness_and_season() {
    let (folder, _) = make(&options(SynthFormat::OmopParquet, 4_000, 12));
    let out = folder.path().join("out");
    let concept = whole(&out, "condition_occurrence", "condition_concept_id");
    let person = whole(&out, "condition_occurrence", "person_id");
    let day = whole(&out, "condition_occurrence", "condition_start_date");
    let diabetic: HashSet<i64> = concept
        .iter()
        .zip(&person)
        .filter(|(concept, _)| **concept == 201_826)
        .map(|(_, person)| *person)
        .collect();
    assert!((0.06..0.20).contains(&(diabetic.len() as f64 / 4_000.0)));

    let tests = whole(&out, "measurement", "measurement_concept_id");
    let owners = whole(&out, "measurement", "person_id");
    let values = column(&out, "measurement", "value_as_number");
    let mean = |test: i64, with: bool| {
        let chosen: Vec<f64> = (0..tests.len())
            .filter(|&row| tests[row] == test && diabetic.contains(&owners[row]) == with)
            .map(|row| values[row])
            .collect();
        assert!(chosen.len() > 100);
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    assert!(
        mean(3_004_501, true) > mean(3_004_501, false) + 30.0,
        "glucose"
    );
    // Only diabetics have their HbA1c measured.
    assert!((6.5..8.5).contains(&mean(3_004_410, true)), "HbA1c");

    // Influenza: the winter half year has most of it.
    let influenza: Vec<i64> = concept
        .iter()
        .zip(&day)
        .filter(|(concept, _)| **concept == 4_266_367)
        .map(|(_, day)| *day)
        .collect();
    let winter = influenza
        .iter()
        .filter(|day| {
            let of_year = (**day - 16_436) % 365;
            !(105..305).contains(&of_year)
        })
        .count();
    assert!(influenza.len() > 300 && winter as f64 > 0.85 * influenza.len() as f64);

    // Stays last days, outpatient visits none.
    let kinds = whole(&out, "visit_occurrence", "visit_concept_id");
    let nights: Vec<i64> = whole(&out, "visit_occurrence", "visit_start_date")
        .iter()
        .zip(whole(&out, "visit_occurrence", "visit_end_date"))
        .map(|(start, end)| end - start)
        .collect();
    for kind in [9201, 9202, 9203, 262] {
        assert!(kinds.contains(&kind), "no visit of kind {kind}");
    }
    assert!(
        kinds
            .iter()
            .zip(&nights)
            .all(|(kind, nights)| if *kind == 9202 {
                *nights == 0
            } else {
                *nights <= 120
            })
    );
}
