//! A delivery that Synthea wrote: 27 patients of Massachusetts, 18 files.

use std::path::PathBuf;

use super::*;

/// The folder with the shared data, unless it is not there; on CI it must be.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn shared() -> Option<PathBuf> {
    let beside = "../../../shared";
    let folder =
        std::env::var_os("COLUMNA_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "../shared not found"
    );
    eprintln!("skipped: ../shared not found");
    None
}

fn export() -> Option<PathBuf> {
    Some(shared()?.join("data/synthea_csv/synthea"))
}

/// Rows of each file, as `SELECT count(*)` of DuckDB's `read_csv` gives them.
const FILES: [(&str, u64); 18] = [
    ("allergies.csv", 40),
    ("careplans.csv", 49),
    ("claims.csv", 1267),
    ("claims_transactions.csv", 5228),
    ("conditions.csv", 438),
    ("devices.csv", 3),
    ("encounters.csv", 604),
    ("imaging_studies.csv", 1),
    ("immunizations.csv", 29),
    ("medications.csv", 663),
    ("observations.csv", 990),
    ("organizations.csv", 63),
    ("patients.csv", 27),
    ("payer_transitions.csv", 1051),
    ("payers.csv", 10),
    ("procedures.csv", 249),
    ("providers.csv", 166),
    ("supplies.csv", 72),
];

#[test]
fn every_row_of_every_file_is_stored() {
    let Some(folder) = export() else { return };
    for block in [2_000, 1 << 20] {
        let output =
            read_folder(&folder, Stored::default(), &IngestOptions::default(), block).unwrap();
        assert!(output.rejects.is_empty(), "{:?}", output.rejects);
        for (file, rows) in FILES {
            let stored: u64 = output
                .counts
                .iter()
                .filter(|((name, _), _)| name == file)
                .map(|(_, count)| count)
                .sum();
            assert_eq!((output.read[file], stored), (rows, rows), "{file}");
        }
    }
}

/// Whatever the size of the blocks, a row has the same key and the same values.
#[test]
fn blocks_do_not_show() {
    let Some(folder) = export() else { return };
    let read = |block| {
        read_folder(&folder, Stored::default(), &IngestOptions::default(), block)
            .unwrap()
            .tables
    };
    assert_eq!(read(1_500), read(1 << 20));
}

/// Counts by DuckDB over the same files; the query is above each.
#[test]
fn counts_agree_with_duckdb() {
    let Some(folder) = export() else { return };
    let output = read_folder(
        &folder,
        Stored::default(),
        &IngestOptions::default(),
        1 << 20,
    )
    .unwrap();
    let count = |table: &str, columns: &[&str], wanted: &[&str]| {
        output
            .rows(table, columns)
            .iter()
            .filter(|row| *row == wanted)
            .count()
    };
    // SELECT gender, race, ethnicity, count(*) FROM 'patients.csv' GROUP BY ALL
    let person = [
        "gender_concept_id",
        "race_concept_id",
        "ethnicity_concept_id",
    ];
    for (expected, wanted) in [
        (13, ["8507", "8527", "38003564"]),
        (11, ["8532", "8527", "38003564"]),
        (1, ["8532", "0", "38003563"]),
        (1, ["8532", "8516", "38003564"]),
        (1, ["8507", "8515", "38003564"]),
    ] {
        assert_eq!(count("person", &person, &wanted), expected);
    }
    // SELECT count(DEATHDATE) FROM 'patients.csv'
    assert_eq!(output.count("death"), 2);
    // SELECT encounterclass, count(*) FROM 'encounters.csv' GROUP BY 1: ambulatory 174, wellness 348, outpatient 52,
    // emergency 17, urgentcare 2, inpatient 11
    for (expected, concept) in [(574, "9202"), (19, "9203"), (11, "9201")] {
        assert_eq!(
            count("visit_occurrence", &["visit_concept_id"], &[concept]),
            expected
        );
    }
    // SELECT type, count(*) FROM 'observations.csv' GROUP BY 1: numeric 599, text 391; allergies 40
    assert_eq!(output.count("measurement"), 599);
    assert_eq!(output.count("observation"), 391 + 40);
    // 663 medications and 29 immunizations; SELECT sum(date_diff('day', start, stop)) FROM 'medications.csv'
    assert_eq!(output.count("drug_exposure"), 692);
    let days: i64 = output
        .rows("drug_exposure", &["days_supply"])
        .iter()
        .filter_map(|row| row[0].parse::<i64>().ok())
        .sum();
    assert_eq!(days, 209_643);
    // SELECT sum(value::DOUBLE) FROM 'observations.csv' WHERE type = 'numeric'
    let sum: f64 = output
        .rows("measurement", &["value_as_number"])
        .iter()
        .map(|row| row[0].parse::<f64>().unwrap())
        .sum();
    assert!((sum - 29_691.9).abs() < 1e-6, "{sum}");
    // SELECT count(DISTINCT (city, state, county, zip)) over patients, and without county over organizations
    assert_eq!(output.count("location"), 25 + 62);
    // SELECT count(DISTINCT patient), min(start::DATE), max(stop::DATE) FROM 'encounters.csv'
    assert_eq!(output.count("observation_period"), 27);
    let starts = output.rows("observation_period", &["observation_period_start_date"]);
    let ends = output.rows("observation_period", &["observation_period_end_date"]);
    assert_eq!(
        (
            starts.iter().min().unwrap()[0].as_str(),
            ends.iter().max().unwrap()[0].as_str()
        ),
        ("1968-01-21", "2024-02-02")
    );
    // SELECT sum(base_encounter_cost) FROM 'encounters.csv'
    let visits = output.rows("cost", &["cost_domain_id", "total_cost"]);
    let visits: f64 = visits
        .iter()
        .filter(|row| row[0] == "Visit")
        .map(|row| row[1].parse::<f64>().unwrap())
        .sum();
    assert!((visits - 69_900.45).abs() < 1e-6, "{visits}");
    // All encounters of events are in encounters.csv, but for the 75 observations without one.
    assert!(
        !output
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::UnknownReference),
        "{:?}",
        output.findings
    );
    assert_eq!(count("measurement", &["visit_occurrence_id"], &[""]), 75);
}

/// The vocabulary beside the export has no table of concepts: nothing can be mapped, and that is said.
#[test]
fn a_vocabulary_without_concepts_is_named() {
    let Some(folder) = export() else { return };
    let output = read_folder(
        &folder,
        Stored::default(),
        &IngestOptions::default(),
        1 << 20,
    )
    .unwrap();
    assert_eq!(
        output.finding("vocabulary/concept", None, FindingKind::MissingTable),
        1
    );
    let rows = output.rows("condition_occurrence", &["condition_concept_id"]);
    assert!(rows.iter().all(|row| row[0] == "0"));
}
