//! Numbers that each belong to one person, found when rows come in and kept while they stay.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use columna_store::{Encryption, OwnedColumn, Snapshot, Store, TableSpec, Transaction};

use crate::encryption::first;
use crate::fixture::*;

type Row = (i64, Option<i64>, i64);

fn spec(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("person_id", DataType::Int64, false),
            Field::new("visit_id", DataType::Int64, true),
            Field::new("ward_id", DataType::Int64, true),
            Field::new("ward_concept_id", DataType::Int64, true),
            Field::new(format!("{name}_id"), DataType::Int64, true),
        ])),
        person_key: Some("person_id".to_owned()),
        sort: vec!["person_id".to_owned()],
        bloom: vec![],
    }
}

/// Rows of a person, a visit and a ward, sorted by the person.
fn append(tx: &mut Transaction, name: &str, rows: &[Row]) {
    tx.declare_table(spec(name)).unwrap();
    let mut persons: Vec<i64> = rows.iter().map(|row| row.0).collect();
    persons.dedup();
    tx.open_buckets(&mut persons.into_iter()).unwrap();
    let schema = spec(name).schema;
    tokio::task::block_in_place(|| {
        for bucket in tx.buckets().iter().map(|b| b.id).collect::<Vec<_>>() {
            let rows = rows
                .iter()
                .filter(|row| tx.buckets().bucket_of(row.0) == bucket);
            let rows: Vec<&Row> = rows.collect();
            let column = |of: fn(&Row) -> Option<i64>| -> ArrayRef {
                Arc::new(rows.iter().map(|row| of(row)).collect::<Int64Array>())
            };
            let columns = vec![
                column(|row| Some(row.0)),
                column(|row| row.1),
                column(|row| Some(row.2)),
                column(|row| Some(row.0)),
                column(|row| Some(row.0)),
            ];
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            tx.append_run(name, Some(bucket), &mut std::iter::once(Ok(batch)))
                .unwrap();
        }
    });
}

fn owned(snapshot: &Snapshot, table: &str) -> Vec<OwnedColumn> {
    snapshot.table(table).unwrap().owned.clone()
}

fn visits(nulls: bool) -> Vec<OwnedColumn> {
    let name = "visit_id".to_owned();
    let shared = Vec::new();
    vec![OwnedColumn {
        name,
        nulls,
        shared,
    }]
}

/// 45 persons of five buckets; `far` is how far apart the numbers of their visits lie.
async fn hospital(folder: &std::path::Path, far: i64) -> (Store, Snapshot) {
    let url = folder.join("store").display().to_string();
    let store = Store::create(&url, small()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let number = |person: i64, visit: i64| (visit * 100 - person).wrapping_mul(far);
    let stays: Vec<Row> = (0..45)
        .flat_map(|p| (0..3).map(move |v| (p, Some(number(p, v)), v)))
        .collect();
    let records: Vec<Row> = (0..45)
        .flat_map(|p| [3, 0, 9, 1, 0].map(move |v| (p, (v != 9).then(|| number(p, v)), v)))
        .collect();
    append(&mut tx, "stay", &stays);
    append(&mut tx, "record", &records);
    append(&mut tx, "observation", &records);
    let snapshot = tx.commit(APPEND).await.unwrap();
    (store, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_one_person_is_found_with_what_it_lacks() {
    // Close together, apart, and over all numbers there are.
    for far in [1, 1_000_003, i64::MAX / 400] {
        let dir = tempfile::tempdir().unwrap();
        let (store, snapshot) = hospital(dir.path(), far).await;
        // Wards have many persons, and so may concepts; a table's own number is nowhere else.
        assert_eq!(owned(&snapshot, "stay"), visits(false), "{far}");
        assert_eq!(owned(&snapshot, "record"), visits(true), "{far}");
        // But that of a record of the common data model.
        let observations = owned(&snapshot, "observation");
        let names: Vec<&str> = observations.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["observation_id", "visit_id"]);
        let reopened = Store::open(store.url()).await.unwrap();
        let snapshot = reopened.snapshot(None).await.unwrap();
        assert_eq!(owned(&snapshot, "record"), visits(true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_two_persons_is_nobodys() {
    // Of the same bucket, and of another one; far apart, too.
    for (far, person) in [(1, 1), (1, 44), (i64::MAX / 400, 1), (i64::MAX / 400, 44)] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = hospital(dir.path(), far).await;
        let mut tx = store.begin().await.unwrap();
        append(&mut tx, "record", &[(person, Some(0), 0)]);
        let snapshot = tx.commit(APPEND).await.unwrap();
        for (table, nulls) in [("stay", false), ("record", true)] {
            let mut but_one = visits(nulls);
            but_one[0].shared = vec![0];
            assert_eq!(owned(&snapshot, table), but_one, "{far} {person}");
        }
        // When the rows go, it is found again.
        let mut tx = store.begin().await.unwrap();
        tx.delete_persons("record", &[person]).unwrap();
        append(&mut tx, "stay", &[(45, Some(77_777), 0)]);
        let snapshot = tx.commit(APPEND).await.unwrap();
        assert_eq!(owned(&snapshot, "record"), visits(true), "{far} {person}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_which_many_are_several_persons_are_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = hospital(dir.path(), 1).await;
    let mut tx = store.begin().await.unwrap();
    let rows: Vec<Row> = (0..300)
        .map(|visit| (44, Some(10_000 - visit), 0))
        .collect();
    append(&mut tx, "record", &rows);
    let snapshot = tx.commit(APPEND).await.unwrap();
    assert_eq!(owned(&snapshot, "stay").len(), 1);
    let mut tx = store.begin().await.unwrap();
    let rows: Vec<Row> = (0..300)
        .map(|visit| (43, Some(10_000 - visit), 0))
        .collect();
    append(&mut tx, "record", &rows);
    let snapshot = tx.commit(APPEND).await.unwrap();
    assert_eq!(owned(&snapshot, "stay"), []);
    assert_eq!(owned(&snapshot, "record"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brings_no_rows_keeps_what_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = hospital(dir.path(), 1).await;
    store.erase(columna_model::PersonId(3)).await.unwrap();
    store.project("record", "ward_id", None).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(owned(&snapshot, "stay"), visits(false));
    assert_eq!(owned(&snapshot, "record"), visits(true));
}

/// Manifests are in the clear, and outlive the rows.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_told_of_encrypted_columns_and_of_erased_persons() {
    let shared_by_two = async |folder: &std::path::Path| {
        let (store, _) = hospital(folder, 1).await;
        let mut tx = store.begin().await.unwrap();
        append(&mut tx, "record", &[(44, Some(-7), 0)]);
        let snapshot = tx.commit(APPEND).await.unwrap();
        assert_eq!(owned(&snapshot, "stay")[0].shared, [-7]);
        store
    };
    let dir = tempfile::tempdir().unwrap();
    let store = shared_by_two(dir.path()).await;
    store.erase(columna_model::PersonId(44)).await.unwrap();
    store.erase(columna_model::PersonId(7)).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(owned(&snapshot, "stay"), []);
    assert_eq!(owned(&snapshot, "record"), []);

    // Of one table only: what the others tell is the same number.
    let dir = tempfile::tempdir().unwrap();
    let store = shared_by_two(dir.path()).await.with_keys(Arc::new(first()));
    let parts = ["observation".to_owned()];
    let encryption = Encryption::new(&parts, &first(), "store", None).unwrap();
    store.encrypt(Some(encryption)).await.unwrap();
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!(owned(&snapshot, "stay"), []);
    assert_eq!(owned(&snapshot, "record"), []);
    assert_eq!(owned(&snapshot, "observation")[0].name, "observation_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_writers_bring_at_once_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = hospital(dir.path(), 1).await;
    let mut slow = store.begin().await.unwrap();
    append(&mut slow, "record", &[(44, Some(9_000), 0)]);
    let mut fast = store.begin().await.unwrap();
    append(&mut fast, "stay", &[(1, Some(9_000), 0)]);
    let first = fast.commit(APPEND).await.unwrap();
    assert_eq!(owned(&first, "stay"), visits(false));
    let second = slow.commit(APPEND).await.unwrap();
    assert_eq!(owned(&second, "stay"), visits(false));
    assert_eq!(owned(&second, "record"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_do_not_fit_are_not_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let url = dir.path().join("store").display().to_string();
    let store = Store::create(&url, small()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let rows: Vec<Row> = (0..45).map(|p| (p, Some(p * (i64::MAX / 50)), 0)).collect();
    append(&mut tx, "stay", &rows);
    append(&mut tx, "record", &rows);
    tx.limit_memory(100);
    let snapshot = tx.commit(APPEND).await.unwrap();
    assert_eq!(owned(&snapshot, "stay"), []);
}
