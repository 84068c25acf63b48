//! Two hospitals share a known part of their patients; the extract holds direct identifiers.

use std::collections::{HashMap, HashSet};

use columna_synth::{SynthFormat, SynthOptions};

use crate::read::{csv, make, options};

#[test]
fn two_hospitals_share_a_fifth_of_their_patients() {
    let (folder, report) = make(&SynthOptions {
        hospitals: 2,
        ..options(SynthFormat::SourceCsv, 1_000, 6)
    });
    let out = folder.path().join("out");
    assert_eq!(report.shared_patients, 200);
    let (_, links) = csv(&out.join("truth/linkage_truth.csv"));
    assert_eq!(links.len(), 200);
    let patients = |hospital: u8| -> HashMap<String, Vec<String>> {
        let (header, rows) = csv(&out.join(format!("hospital-{hospital}/patients.csv")));
        assert_eq!(
            header,
            [
                "mrn",
                "name",
                "rrn",
                "sex",
                "birth_date",
                "phone",
                "address"
            ]
        );
        assert_eq!(rows.len(), 1_000);
        rows.into_iter().map(|row| (row[0].clone(), row)).collect()
    };
    let (first, second) = (patients(1), patients(2));
    assert!(first.keys().all(|mrn| !second.contains_key(mrn)));
    let mut agree = [0; 7];
    for link in &links {
        let (one, two) = (&first[&link[2]], &second[&link[3]]);
        for (count, (a, b)) in agree.iter_mut().zip(one.iter().zip(two)) {
            *count += usize::from(a == b);
        }
        assert!(
            one[1].chars().count() == 3
                && one[1]
                    .chars()
                    .all(|syllable| ('가'..='힣').contains(&syllable))
        );
    }
    // Sex and birth are the same; names, numbers, phones and addresses only mostly.
    let [mrn, name, number, sex, birth, phone, address] = agree;
    assert_eq!([mrn, sex, birth], [0, 200, 200]);
    assert!(
        (170..200).contains(&name)
            && (160..200).contains(&number)
            && (130..185).contains(&phone)
            && (140..190).contains(&address)
    );
    // Nobody else looks like the same person by number.
    let linked: HashSet<(&str, &str)> = links
        .iter()
        .map(|link| (link[2].as_str(), link[3].as_str()))
        .collect();
    let by_number: HashMap<&str, &str> = first
        .values()
        .filter(|row| !row[2].is_empty())
        .map(|row| (row[2].as_str(), row[0].as_str()))
        .collect();
    for row in second.values() {
        if let Some(mrn) = by_number.get(row[2].as_str()) {
            assert!(
                linked.contains(&(*mrn, row[0].as_str())),
                "two patients have one registration number"
            );
        }
    }
}

#[test]
fn each_hospital_holds_a_part_of_a_shared_history() {
    let (folder, _) = make(&SynthOptions {
        hospitals: 2,
        ..options(SynthFormat::OmopCsv, 1_000, 6)
    });
    let out = folder.path().join("out");
    let (_, links) = csv(&out.join("truth/linkage_truth.csv"));
    let visits = |hospital: u8| -> HashMap<String, HashSet<String>> {
        let (header, rows) = csv(&out.join(format!("hospital-{hospital}/visit_occurrence.csv")));
        let at = |name: &str| header.iter().position(|column| column == name).unwrap();
        let (person, start) = (at("person_id"), at("visit_start_datetime"));
        let mut visits: HashMap<String, HashSet<String>> = HashMap::new();
        for row in rows {
            visits
                .entry(row[person].clone())
                .or_default()
                .insert(row[start].clone());
        }
        visits
    };
    let (first, second) = (visits(1), visits(2));
    let none = HashSet::new();
    let (mut one_only, mut both, mut two_only) = (0, 0, 0);
    for link in &links {
        let (one, two) = (
            first.get(&link[0]).unwrap_or(&none),
            second.get(&link[1]).unwrap_or(&none),
        );
        one_only += one.difference(two).count();
        both += one.intersection(two).count();
        two_only += two.difference(one).count();
    }
    // A visit is in each hospital with probability 0.6, independently.
    let all = (one_only + both + two_only) as f64;
    for (count, expected) in [(one_only, 0.24), (both, 0.36), (two_only, 0.24)] {
        assert!(
            (count as f64 / all - expected / 0.84).abs() < 0.06,
            "{one_only} {both} {two_only}"
        );
    }
}

#[test]
fn the_extract_has_the_same_visits_as_the_tables() {
    let (tables, _) = make(&options(SynthFormat::OmopCsv, 300, 2));
    let (extract, _) = make(&options(SynthFormat::SourceCsv, 300, 2));
    let rows =
        |folder: &tempfile::TempDir, file: &str| csv(&folder.path().join("out").join(file)).1.len();
    for (table, file) in [
        ("person.csv", "patients.csv"),
        ("visit_occurrence.csv", "encounters.csv"),
        ("condition_occurrence.csv", "diagnoses.csv"),
        ("drug_exposure.csv", "prescriptions.csv"),
        ("procedure_occurrence.csv", "procedures.csv"),
        ("measurement.csv", "labs.csv"),
        ("death.csv", "deaths.csv"),
    ] {
        assert_eq!(rows(&tables, table), rows(&extract, file), "{file}");
    }
    for (_, columns) in [
        "diagnoses.csv",
        "prescriptions.csv",
        "procedures.csv",
        "labs.csv",
    ]
    .map(|file| (file, csv(&extract.path().join("out").join(file))))
    {
        assert!(columns.1.iter().all(|row| row.len() == columns.0.len()));
    }
}
