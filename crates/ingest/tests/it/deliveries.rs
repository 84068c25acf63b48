//! Several deliveries into one store: recognised, appended, replaced.

use columna_ingest::{Error, FindingKind, IngestOptions, Projections, ingest};

use columna_store::{FileEntry, Snapshot};

use crate::fixture::{Fixture, options, text};

const CONDITIONS: &str = "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_type_concept_id\n";
const CONCEPTS: &str = "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,concept_code,valid_start_date,valid_end_date\n1,One,Condition,X,Y,1,1970-01-01,2099-12-31\n";

fn first() -> Fixture {
    Fixture::new()
        .with_persons(1..=3)
        .with(
            "condition_occurrence.csv",
            format!("{CONDITIONS}1,1,5,2020-01-01,0\n2,2,5,2020-01-01,0\n"),
        )
        .with("concept.csv", CONCEPTS)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_are_refused_and_replaced_when_meant() {
    let fixture = first();
    fixture.ingest(&options()).await.unwrap();
    let error = fixture.ingest(&options()).await.unwrap_err();
    assert!(matches!(error, Error::DeliveredBefore { .. }), "{error}");
    for part in [
        "condition_occurrence.csv",
        "`source`",
        "snapshot 1",
        "--replace",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let store = fixture.store().await;
    let before = store.snapshot(None).await.unwrap();
    assert_eq!(before.version(), 1);

    let fixture = fixture.with(
        "condition_occurrence.csv",
        format!("{CONDITIONS}7,2,6,2020-01-01,0\n"),
    );
    let replace = IngestOptions {
        replace: true,
        ..options()
    };
    let report = fixture.ingest(&replace).await.unwrap();
    let after = store.snapshot(None).await.unwrap();
    assert_eq!(after.version(), report.snapshot);
    let rows = |table: &str| after.table(table).unwrap().rows;
    assert_eq!(
        (
            rows("person"),
            rows("condition_occurrence"),
            rows("concept")
        ),
        (3, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_become_large_are_stored_once_more_by_concept() {
    let fixture = first();
    let from = |least| IngestOptions {
        projections: Projections::Large(least),
        ..options()
    };
    let report = fixture.ingest(&from(3)).await.unwrap();
    assert!(!report.to_string().contains("once more"), "{report}");
    let later = |person: i64, row: &str| {
        Fixture::new()
            .with_persons([person])
            .with("condition_occurrence.csv", format!("{CONDITIONS}{row}"))
    };
    let store = fixture.store().await;
    let more = later(4, "3,4,5,2020-01-01,0\n");
    let report = ingest(&more.source(), &store, &from(3)).await.unwrap();
    let by_concept = "condition_occurrence is stored once more by condition_concept_id\n";
    assert!(report.to_string().contains(by_concept), "{report}");
    let conditions = |snapshot: &Snapshot| snapshot.table("condition_occurrence").unwrap().clone();
    let snapshot = store.snapshot(None).await.unwrap();
    let copied = |file: &FileEntry| file.projection("condition_concept_id").is_some();
    assert!(conditions(&snapshot).files.iter().all(copied));
    // Persons have no concept of their own, however many they are.
    assert!(snapshot.table("person").unwrap().projections.is_empty());

    // Once given up, they stay so.
    let drop = store.drop_projection("condition_occurrence", "condition_concept_id");
    drop.await.unwrap();
    let still_more = later(5, "4,5,6,2020-01-01,0\n");
    ingest(&still_more.source(), &store, &from(3))
        .await
        .unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(conditions(&snapshot).rows, 4);
    assert!(conditions(&snapshot).projections.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_delivery_is_appended_in_order() {
    let fixture = first();
    fixture.ingest(&options()).await.unwrap();
    let later = Fixture::new()
        .with_persons([2000, 1000])
        .with("condition_occurrence.csv", "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_type_concept_id,ward\n9,2000,5,2020-01-01,0,A\n8,1,5,2019-01-01,0,B\n")
        .with("concept.csv", CONCEPTS);
    let store = fixture.store().await;
    let report = ingest(&later.source(), &store, &options()).await.unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::UnchangedFile
                && finding.table == "concept.csv"),
        "{report}"
    );
    // Person 1 is known from the first delivery.
    assert!(
        !report
            .findings
            .iter()
            .any(|finding| finding.kind == FindingKind::NoPerson),
        "{report}"
    );
    let snapshot = store.snapshot(None).await.unwrap();
    let rows = |table: &str| snapshot.table(table).unwrap().rows;
    assert_eq!(
        (
            rows("person"),
            rows("condition_occurrence"),
            rows("concept")
        ),
        (5, 4, 1)
    );
    let conditions = text(&store, &snapshot, "condition_occurrence");
    let ids: Vec<usize> = ["| 8 ", "| 1 ", "| 2 ", "| 9 "]
        .iter()
        .map(|id| conditions.find(id).unwrap())
        .collect();
    assert!(ids.is_sorted(), "{conditions}");
    assert!(store.verify().await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_store_has_already_are_named() {
    let fixture = first();
    fixture.ingest(&options()).await.unwrap();
    let later = Fixture::new()
        .with_persons([3, 4, 5])
        .with(
            "condition_occurrence.csv",
            format!("{CONDITIONS}2,4,5,2020-01-01,0\n1,5,5,2020-01-01,0\n3,5,5,2020-01-01,0\n3,5,5,2020-01-01,0\n"),
        );
    let store = fixture.store().await;
    let report = ingest(&later.source(), &store, &options()).await.unwrap();
    let repeated = |table: &str| {
        let mut found = report.findings.iter();
        found
            .find(|finding| finding.kind == FindingKind::RepeatedKey && finding.table == table)
            .map(|finding| finding.count)
    };
    assert_eq!(repeated("person"), Some(1), "{report}");
    assert_eq!(repeated("condition_occurrence"), Some(3), "{report}");
}
