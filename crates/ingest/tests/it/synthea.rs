//! A Synthea export as a store: what arrives, what comes later, what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use columna_ingest::{Error, FindingKind, IngestOptions, IngestReport, ingest};
use columna_store::{Layout, Store};

const PATIENTS: &str =
    "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,RACE,ETHNICITY,GENDER,CITY,STATE,ZIP\n";
const ENCOUNTERS: &str =
    "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,ENCOUNTERCLASS,BASE_ENCOUNTER_COST\n";
const CONDITIONS: &str = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n";
const ORGANIZATIONS: &str = "Id,NAME,CITY,STATE,ZIP\no1,CITY HOSPITAL,Boston,MA,02115\n";

/// A delivery of a few patients, each with an encounter and a condition, under `name`.
fn delivery(folder: &Path, name: &str, patients: &[&str]) -> PathBuf {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    let (mut people, mut visits, mut conditions) = (
        PATIENTS.to_owned(),
        ENCOUNTERS.to_owned(),
        CONDITIONS.to_owned(),
    );
    for patient in patients {
        people += &format!("{patient},1980-01-01,,1,A,B,white,nonhispanic,F,Boston,MA,02115\n");
        visits += &format!(
            "e-{patient},2020-01-01T08:00:00Z,2020-01-01T09:00:00Z,{patient},o1,,wellness,10.5\n"
        );
        conditions += &format!("2020-01-01,,{patient},e-{patient},1,x\n");
    }
    let files = [
        ("patients.csv", people),
        ("encounters.csv", visits),
        ("conditions.csv", conditions),
        ("organizations.csv", ORGANIZATIONS.to_owned()),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

async fn store(folder: &Path) -> Store {
    let url = folder.join("store");
    Store::create(url.to_str().unwrap(), Layout::default())
        .await
        .unwrap()
}

async fn rows(store: &Store, table: &str) -> u64 {
    let snapshot = store.snapshot(None).await.unwrap();
    snapshot.table(table).map_or(0, |table| table.rows)
}

/// The highest and lowest person of a table.
async fn persons(store: &Store, table: &str) -> (i64, i64) {
    let snapshot = store.snapshot(None).await.unwrap();
    let files = &snapshot.table(table).unwrap().files;
    let lowest = files
        .iter()
        .filter_map(|file| file.min_person)
        .min()
        .unwrap();
    let highest = files
        .iter()
        .filter_map(|file| file.max_person)
        .max()
        .unwrap();
    (lowest, highest)
}

fn adds_up(report: &IngestReport) {
    assert_eq!(report.read, report.stored + report.rejected);
    for source in &report.sources {
        let stored: u64 = source.stored.values().sum();
        assert_eq!(source.read, stored + source.rejected, "{}", source.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_delivery_goes_on_behind_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let options = IngestOptions::default();
    let first = delivery(folder.path(), "first", &["ann", "bob"]);
    let report = ingest(&first, &store, &options).await.unwrap();
    adds_up(&report);
    assert_eq!(
        (report.read, report.rejected, report.format.as_str()),
        (7, 0, "Synthea CSV")
    );
    assert!(matches!(
        ingest(&first, &store, &options).await,
        Err(Error::DeliveredBefore { .. })
    ));

    // The organization is in both files; it is the same one, and its file is not read again.
    let second = delivery(folder.path(), "second", &["cid", "dan", "eve"]);
    let report = ingest(&second, &store, &options).await.unwrap();
    adds_up(&report);
    assert_eq!((report.read, report.rejected), (9, 0));
    for (table, expected) in [
        ("person", 5),
        ("visit_occurrence", 5),
        ("condition_occurrence", 5),
        ("observation_period", 5),
        ("cost", 5),
        ("care_site", 1),
        ("location", 1),
    ] {
        assert_eq!(rows(&store, table).await, expected, "{table}");
    }
    assert_eq!(persons(&store, "condition_occurrence").await, (1, 5));
    assert!(
        !report
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::RepeatedKey)
    );
    assert!(store.verify().await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_keeps_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let source = delivery(folder.path(), "source", &["ann", "bob"]);
    ingest(&source, &store, &IngestOptions::default())
        .await
        .unwrap();
    let options = IngestOptions {
        replace: true,
        ..IngestOptions::default()
    };
    let report = ingest(&source, &store, &options).await.unwrap();
    adds_up(&report);
    assert_eq!(report.rejected, 0);
    for (table, expected) in [
        ("person", 2),
        ("visit_occurrence", 2),
        ("cost", 2),
        ("care_site", 1),
        ("location", 1),
    ] {
        assert_eq!(rows(&store, table).await, expected, "{table}");
    }
    assert_eq!(persons(&store, "person").await, (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_are_quarantined() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let source = delivery(folder.path(), "source", &["ann"]);
    let conditions = format!(
        "{CONDITIONS}2020-01-01,,ann,e-ann,1,x\n2020-13-01,,ann,e-ann,1,x\n2020-01-01,,zoe,,1,x\n"
    );
    fs::write(source.join("conditions.csv"), conditions).unwrap();
    let none = IngestOptions {
        max_rejects: Some(1),
        ..IngestOptions::default()
    };
    assert!(matches!(
        ingest(&source, &store, &none).await,
        Err(Error::TooManyRejects { .. })
    ));
    let report = ingest(&source, &store, &IngestOptions::default())
        .await
        .unwrap();
    adds_up(&report);
    let expected = [
        "conditions.csv:3, column `START`: not a date",
        "conditions.csv:4, column `PATIENT`: no such patient in patients.csv or the store",
    ];
    assert_eq!(report.first_rejects, expected);
    assert_eq!(rows(&store, report.rejects_table).await, 2);
    assert_eq!(rows(&store, "condition_occurrence").await, 1);
}

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

/// 18 files with 10,950 rows, counted by DuckDB's `read_csv`; where they go, by the counts in the reader's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_export() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let source = shared.join("data/synthea_csv/synthea");
    let report = ingest(&source, &store, &IngestOptions::default())
        .await
        .unwrap();
    adds_up(&report);
    assert_eq!(
        (report.read, report.stored, report.rejected),
        (10_950, 10_950, 0)
    );
    for (table, expected) in [
        ("person", 27),
        ("death", 2),
        ("observation_period", 27),
        ("visit_occurrence", 604),
        ("condition_occurrence", 438),
        ("drug_exposure", 663 + 29),
        ("procedure_occurrence", 249),
        ("measurement", 599),
        ("observation", 391 + 40),
        ("device_exposure", 3 + 72),
        ("payer_plan_period", 1051),
        ("care_site", 63),
        ("provider", 166),
        ("cost", 604 + 663 + 29 + 249),
        ("synthea_claims", 1267),
        ("synthea_claims_transactions", 5228),
        ("synthea_careplans", 49),
        ("synthea_imaging_studies", 1),
        ("synthea_payers", 10),
    ] {
        assert_eq!(rows(&store, table).await, expected, "{table}");
    }
    let repeated: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::RepeatedKey)
        .collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    assert!(store.verify().await.unwrap().is_ok());
}
